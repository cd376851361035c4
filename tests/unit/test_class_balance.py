"""Labels that come very often: the newest train."""

from retrain.class_balance import newest_of_each_label
from retrain.data import Dataset, Row


def feedback(text: str, split: str = "train", **labels: str) -> Row:
    return Row(text, labels, split, origin="feedback")  # type: ignore[arg-type]  # train or test


CORPUS = [Row(f"corpus {number}", {"intent": "refund"}) for number in range(5)]


def texts(dataset: Dataset) -> list[str]:
    return [row.text for row in dataset.rows]


def test_the_newest_of_a_frequent_label_stay_and_the_corpus_does_not_count() -> None:
    often = [feedback(f"refund {number}", intent="refund") for number in range(6)]
    rare = [feedback("recall", intent="recall")]
    dataset, words = newest_of_each_label(Dataset(("intent",), (*CORPUS, *rare, *often)), 2)
    assert texts(dataset) == [row.text for row in (*CORPUS, *rare, *often[-2:])]
    assert words == "older texts that did not train, 2 of a label are enough: 4 of intent=refund"


def test_what_judges_is_not_chosen_by_its_label() -> None:
    tests = [feedback(f"refund {number}", "test", intent="refund") for number in range(6)]
    dataset = Dataset(("intent",), (*CORPUS, *tests))
    assert newest_of_each_label(dataset, 2) == (dataset, "")


def test_a_text_stays_for_the_head_that_still_wants_it() -> None:
    rows = (
        feedback("oldest", intent="refund", urgency="high"),
        *(feedback(f"refund {number}", intent="refund", urgency="low") for number in range(3)),
    )
    dataset, _ = newest_of_each_label(Dataset(("intent", "urgency"), rows), 2)
    assert texts(dataset) == ["oldest", "refund 1", "refund 2"]
