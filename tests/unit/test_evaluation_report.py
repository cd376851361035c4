"""What is told of a head beside its accuracy: figures that can be checked by hand, and the page of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.pages.evaluation import render_evaluation
from models.decision import HeadDecision
from retrain.data import Row
from retrain.evaluation.labels import LabelTable, confused_pairs, confusion_map
from retrain.evaluation.reliability import Reliability
from retrain.evaluation.report import HeadReport
from retrain.evaluation.scoring import score_head
from retrain.evaluation.significance import (
    adjusted_by_holm,
    mean_difference_p_value,
    paired_p_value,
    worse_than_rest_p_value,
)
from retrain.evaluation.slices import described_slices


def names(*labels: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array(labels, dtype=object)


WANTED = names(*"aaaa", *"bbbb", *"cc")
DECIDED = names(*"aaab", *"bbaa", *"cc")


def test_each_label_has_its_figures_and_intervals_that_hold_them() -> None:
    table = LabelTable.of(WANTED, DECIDED)
    b = next(one for one in table.labels if one.label == "b")
    assert (b.texts, b.decided, b.recall, b.precision) == (4, 3, 0.5, pytest.approx(2 / 3))
    assert b.f1 == pytest.approx(4 / 7) and b.f1_ci95[0] < b.f1 < b.f1_ci95[1]
    assert [one.label for one in table.labels] == ["b", "a", "c"], "the worst first"
    assert LabelTable.of(WANTED, DECIDED) == table, "the same seed, the same intervals"


def test_a_label_that_nothing_got_has_no_precision() -> None:
    table = LabelTable.of(names("a", "b"), names("a", "a"))
    b = table.labels[0]
    assert (b.label, b.precision, b.precision_ci95, b.recall) == ("b", None, None, 0.0)


def test_intervals_of_f1_are_narrower_on_more_texts() -> None:
    few, many = (LabelTable.of(np.tile(WANTED, times), np.tile(DECIDED, times)) for times in (1, 40))
    assert many.macro_f1_ci95[1] - many.macro_f1_ci95[0] < (few.macro_f1_ci95[1] - few.macro_f1_ci95[0]) / 3


def test_the_most_frequent_confusion_comes_first() -> None:
    pairs = confused_pairs(WANTED, DECIDED)
    assert [(pair.label, pair.decided, pair.texts, pair.share) for pair in pairs] == [
        ("b", "a", 2, 0.5),
        ("a", "b", 1, 0.25),
    ]


def test_of_many_labels_those_that_are_confused_stand_in_the_map_and_beside_each_other() -> None:
    wanted = names(*[f"l{n}" for n in range(100)] * 2)
    decided = wanted.copy()
    decided[[3, 103]] = "l50"  # twice l3 as l50
    decided[7] = "l60"
    decided[60] = "l7"
    found = confusion_map(wanted, decided, confused_pairs(wanted, decided), most=4)
    assert found is not None and found.hidden == 0
    assert set(found.labels) == {"l3", "l50", "l7", "l60"}
    assert abs(found.labels.index("l3") - found.labels.index("l50")) == 1
    assert found.texts[found.labels.index("l3")][found.labels.index("l50")] == 2
    fewer = confusion_map(wanted, decided, confused_pairs(wanted, decided), most=2)
    assert fewer is not None and (fewer.labels, fewer.hidden) == (("l3", "l50"), 2)
    assert confusion_map(wanted, wanted, ()) is None


def test_honest_probabilities_are_off_by_chance_alone_and_boasting_ones_by_more() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0.5, 1.0, 3000)
    honest = Reliability.of(probabilities, random.random(3000) < probabilities)
    boasting = Reliability.of(probabilities, random.random(3000) < probabilities - 0.15)
    assert honest.ece < 1.6 * honest.by_chance and boasting.ece > 4 * boasting.by_chance
    assert sum(one.texts for one in honest.bins) == 3000 and len(honest.bins) == 15
    assert sum(one.ci95[0] <= one.promised <= one.ci95[1] for one in honest.bins) >= 12
    assert sum(one.ci95[0] <= one.promised <= one.ci95[1] for one in boasting.bins) <= 3


def test_p_values_are_the_published_tests() -> None:
    assert worse_than_rest_p_value(3, 10, 40, 50) == pytest.approx(
        fisher_exact([[3, 7], [40, 10]], alternative="less").pvalue
    )
    assert paired_p_value(0, 5) == pytest.approx(2 / 32) and paired_p_value(0, 0) == 1.0
    assert adjusted_by_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert mean_difference_p_value(np.full(5, 0.1)) == pytest.approx(2 / 32, abs=0.01)
    assert mean_difference_p_value(np.array([0.2, -0.2, 0.1, -0.1])) == pytest.approx(1.0)
    assert mean_difference_p_value(np.zeros(4)) == 1.0


def rows(texts: int, **slices: str) -> list[Row]:
    return [Row(f"text {number}", {}, slices=slices) for number in range(texts)]


def test_a_group_that_is_worse_beyond_chance_is_told_as_that_and_one_by_chance_is_not() -> None:
    right = np.ones(400, dtype=bool)
    right[:60] = np.arange(60) % 2 == 0  # phone: half are right
    right[100:103] = False  # chat: nearly all
    found = described_slices(rows(60, channel="phone") + rows(340, channel="chat"), right, None)
    assert [one.name for one in found if one.is_worse] == ["channel=phone"]
    assert found[0].name == "channel=phone" and found[0].ci95[0] < 0.5 < found[0].ci95[1]
    assert found[0].elsewhere == pytest.approx(337 / 340)


def test_many_groups_of_a_model_that_treats_all_alike_seldom_give_a_false_finding() -> None:
    """Without a correction half of these runs and more would have one."""
    random, false = np.random.default_rng(0), 0
    for _ in range(40):
        texts = [Row("text", {}, slices={"group": str(random.integers(20))}) for _ in range(800)]
        false += any(one.is_worse for one in described_slices(texts, random.random(800) < 0.8, None))
    assert false <= 6


def test_few_texts_are_told_and_not_tested() -> None:
    found = described_slices(rows(5, channel="fax") + rows(100, channel="chat"), np.arange(105) >= 5, None)
    fax = next(one for one in found if one.name == "channel=fax")
    assert (fax.accuracy, fax.p_value, fax.is_worse) == (0.0, None, False)


def test_path_and_script_are_groups_where_there_are_two() -> None:
    texts = [Row("where is my card", {}), Row("退款什么时候到账", {})] * 30
    fast = np.arange(60) < 30
    found = {one.name: one for one in described_slices(texts, np.ones(60, dtype=bool), fast)}
    assert {"script=Latn", "script=Hani", "path=fast", "path=full"} <= set(found)
    alone = described_slices(texts[::2], np.ones(30, dtype=bool), np.ones(30, dtype=bool))
    assert not [one.name for one in alone if one.name.startswith(("script", "path"))]


def report_of(label: str) -> HeadReport:
    decisions = [HeadDecision(label, 0.9), HeadDecision("b", 0.8), HeadDecision(label, 0.7)]
    texts = [Row("one", {"intent": label}), Row("two", {"intent": label}), Row("three", {"intent": label})]
    return HeadReport.of(score_head("intent", texts, decisions, range(3), None), texts)


def test_the_page_shows_labels_as_text_and_asks_no_network() -> None:
    page = render_evaluation({"intent": report_of("<script>a")}, release="m@1", data="<b>.csv", left_out=3, at="now")
    assert "<script>" not in page and "<b>.csv" not in page and "&lt;script&gt;a" in page
    assert "http://" not in page and "https://" not in page and page.count("<svg") == 3
    assert "3 rows left out" in page


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    release = small_release()
    FolderRegistry(str(tmp_path / "registry")).publish("support", release.manifest, release.blobs)
    lines = ["text,label,channel", "refund please now,refund,chat", "what fee is it,fee,phone", "my parcel,refund,chat"]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    return tmp_path


def test_evaluate_writes_the_page_of_the_figures_that_its_json_has(home: Path) -> None:
    words = ["evaluate", "support", "--data", "data.csv", "--slice", "channel", "--report", "page.html", "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    told = json.loads(done.stdout)["heads"]["intent"]
    assert {one["name"] for one in told["slices"]} >= {"channel=chat", "channel=phone"}
    assert told["per_label"]["fee"]["recall_ci95"][0] < told["per_label"]["fee"]["recall"]
    assert told["reliability"]["ece"] == told["ece"] and sum(one["texts"] for one in told["reliability"]["bins"]) == 3
    page = (home / "page.html").read_text()
    assert "support@1" in page and "channel=phone" in page
    for pair in told["confused"]:
        assert pair["label"] in page and pair["decided"] in page
    again = CliRunner().invoke(app, words, catch_exceptions=False)
    assert again.stdout == done.stdout


def test_evaluate_says_which_columns_there_are_where_a_slice_is_none(home: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "support", "--data", "data.csv", "--slice", "chanel"])
    assert done.exit_code != 0 and "no column 'chanel'" in str(done.exception) and "channel" in str(done.exception)
