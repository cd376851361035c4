"""What a retraining takes of what people said."""

from typing import Any

from connectors.ports import Record
from headrace.training.labelled import labelled_items
from retrain.feedback.opinions import text_labels
from streams.wire.feedback import Opinions
from streams.wire.records import Feedback


def opinions(*labels: Feedback) -> Opinions:
    taken = Opinions()
    for offset, label in enumerate(labels):
        taken.take(Record("feedback.labels", 0, offset, label.key, label.encode(), 1_000 + offset))
    return taken


def said(identity: str, label: str, by: str, minute: int, **more: Any) -> Feedback:
    at = f"2026-11-24T10:{minute:02}:00Z"
    return Feedback(decision_id=identity, head="intent", label=label, by=by, at=at, **more)


def test_a_decision_that_was_drawn_stays_so_when_somebody_corrects_it() -> None:
    """Else the drawn decisions that the champion got wrong would leave the test part one by one."""
    drawn = said("1", "refund", "ann", 1, chosen="random", probability=0.1)
    (item,) = labelled_items(opinions(drawn, said("1", "fee", "bob", 2, chosen="correction")), {"intent"}, {"1": "hm"})
    assert (item["labels"], item["by"], item["chosen"]) == ({"intent": "fee"}, {"intent": "bob"}, {"intent": "random"})
    assert item["text"] == "hm"


def test_labels_without_a_word_on_how_they_were_chosen_are_none_that_were_drawn() -> None:
    (item,) = labelled_items(opinions(said("1", "refund", "ann", 1)), {"intent"}, {})
    assert item["chosen"] == {"intent": None} and item["text"] is None


def test_labels_that_people_disagree_about_are_marked_whoever_gave_them() -> None:
    contest = [said(i, label, by, m) for i in "12" for m, (by, label) in enumerate((("ann", "refund"), ("bob", "fee")))]
    items = labelled_items(opinions(*contest, said("3", "fee", "cy", 9), said("4", "late", "cy", 9)), {"intent"}, {})
    assert {item["id"]: item["contested"] for item in items} == {
        "1": ["intent"],
        "2": ["intent"],
        "3": ["intent"],
        "4": [],
    }


def test_since_when_somebody_says_so_is_kept_when_they_say_it_again() -> None:
    first, again = said("1", "refund", "ann", 1), said("1", "refund", "ann", 5, confirms=True, chosen="queue")
    again = again.model_copy(update={"first_at": first.at})
    (item,) = labelled_items(opinions(again, said("1", "refund", "bob", 3)), {"intent"}, {"1": "hm"})
    bob, ann = item["said"]["intent"]
    assert (bob["by"], ann["by"], ann["confirms"]) == ("bob", "ann", True)
    assert bob["first_ms"] - ann["first_ms"] == 120_000
    (label,) = text_labels([item])
    assert label.people == ("ann", "bob")


def test_a_label_stays_introduced_where_somebody_else_says_the_same_after_its_giver() -> None:
    """The newest word counts, and by then the label was known: the subject's other texts were left out."""
    first = said("1", "recall", "ann", 1, introduces=True)
    (item,) = labelled_items(opinions(first, said("1", "recall", "bob", 2)), {"intent"}, {"1": "hm"})
    assert item["introduces"] == ["intent"]
    (other,) = labelled_items(opinions(first, said("1", "fee", "bob", 2)), {"intent"}, {"1": "hm"})
    assert other["labels"] != {"intent": "recall"} and other["introduces"] == []
