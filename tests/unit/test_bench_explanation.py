"""`headrace bench explanation` on a small release."""

from small_fast_path import classifier_with, with_threshold
from small_release import small_rows

from bench.explanation.run import Plan, report


def test_a_report_compares_methods_on_the_same_texts_and_says_what_holds() -> None:
    texts = [row.text for row in small_rows()]
    figures = report(classifier_with(with_threshold(0.8)), texts, Plan(texts=12, compared=3, samples=60))
    assert figures["byte_identical"] == figures["texts"] == figures["all_texts"]["texts"] == 12
    assert {name: row["texts"] for name, row in figures["methods"].items()} == {
        "occlusion": 3,
        "single words": 3,
        "lime": 3,
    }
    ours, lime = figures["methods"]["occlusion"], figures["methods"]["lime"]
    assert lime["asked"] == 60 > ours["asked"] > 3
    assert figures["holds"]["comprehensiveness"] == (ours["comprehensiveness"] >= lime["comprehensiveness"] - 0.03)
    assert figures["holds"]["byte_identical"] and -1 <= figures["kendall_with_occlusion"]["lime"] <= 1
    paths = {path: row["occlusion"]["texts"] for path, row in figures["by_path"].items() if row}
    assert sum(paths.values()) == 3
