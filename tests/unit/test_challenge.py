"""What a challenger trains on, and what only tests."""

from collections.abc import Sequence
from typing import Any

import pytest

from retrain import training_data
from retrain.challenge import NEW_LABEL_TEXTS, challenger_dataset, introduced_labels
from retrain.data import Dataset, Row, Split
from retrain.text_keys import NearCopies, is_held_out, key_hash, text_key

WORDS = ("parcel", "refund", "card", "late", "broken", "address", "invoice", "login", "voucher", "strap", "door", "fee")
LIVE = [f"my {first} and the {second} question" for first in WORDS for second in WORDS if first != second]
TRAINS = [text for text in LIVE if not is_held_out(text)]
TESTS = [text for text in LIVE if is_held_out(text)]
CORPUS = Dataset(
    ("intent", "urgency"),
    (
        Row("where is my parcel", {"intent": "delivery", "urgency": "low"}),
        Row("i want my money back", {"intent": "refund", "urgency": "high"}),
        Row("the courier never came to me", {"intent": "delivery", "urgency": "high"}, "test"),
    ),
)


def label(text: str | None, intent: str, identity: str = "1", **more: Any) -> dict[str, Any]:
    return {"id": identity, "text": text, "labels": {"intent": intent}, "chosen": {"intent": "random"}} | more


def correction(text: str, intent: str, identity: str = "1") -> dict[str, Any]:
    return label(text, intent, identity, chosen={"intent": "correction"})


def rows(dataset: Dataset, split: str) -> dict[str, dict[str, str]]:
    return {row.text: dict(row.labels) for row in dataset.rows if row.split == split}


def kept(dataset: Dataset) -> Dataset:
    """As the next retraining finds it."""
    return training_data.from_bytes(training_data.to_bytes(dataset))


def retrained(before: Dataset, labelled: Sequence[dict[str, Any]]) -> Dataset:
    return challenger_dataset(before, labelled).dataset


def test_a_test_text_of_the_corpus_stays_one() -> None:
    """One correction with a training id moved a corpus test text into training: the commonest left the test first."""
    text = "The courier  NEVER came to me"
    for identity in map(str, range(20)):
        dataset = retrained(CORPUS, [label(text, "refund", identity)])
        assert rows(dataset, "test") == rows(CORPUS, "test")
        assert rows(dataset, "train") == rows(CORPUS, "train")


def test_nearly_a_copy_of_a_test_text_does_not_train() -> None:
    """Order numbers, typos and templates crossed the split."""
    for text in ("the courier never came to me!!", "the courier never came to mee"):
        dataset = retrained(CORPUS, [label(text, "delivery")])
        assert set(rows(dataset, "train")) == set(rows(CORPUS, "train"))


COPIED = "please tell me how i can change the address of the invoice for my order"
FAR = "a strap of the bag is broken"


def with_copies(*rows: Row) -> Dataset:
    return Dataset(CORPUS.heads, (*CORPUS.rows, *rows))


def held_out_copy(text: str) -> str:
    """Nearly the same text, of another key that is held out."""
    near = next(f"{text} {word}" for word in WORDS if is_held_out(f"{text} {word}"))
    assert near in NearCopies([text])
    return near


@pytest.mark.parametrize("split", ["train", "valid"])
def test_nearly_a_copy_of_a_held_out_text_leaves_training_while_that_stands(split: Split) -> None:
    """M-5: only feedback was looked at: a row of the corpus trained, and its near copy of the feedback tested."""
    before = with_copies(
        Row(COPIED, {"intent": "refund", "urgency": "low"}, split), Row(FAR, {"intent": "refund", "urgency": "high"})
    )
    first = retrained(before, [label(held_out_copy(COPIED), "refund")])
    assert COPIED not in {row.text for row in first.rows} and FAR in rows(first, "train")
    assert held_out_copy(COPIED) in rows(first, "test")
    again = retrained(kept(first), [])
    assert rows(again, "train") == rows(before, "train") and rows(again, "valid") == rows(before, "valid")


def test_nearly_a_copy_of_a_test_row_of_the_corpus_does_not_train() -> None:
    """M-5: rows of the corpus itself crossed its split, too."""
    near = Row("the courier never came to mee", {"intent": "delivery", "urgency": "high"})
    other = Row("he rings at the wrong door", {"intent": "delivery", "urgency": "high"})
    dataset = retrained(with_copies(near, other), [])
    assert set(rows(dataset, "train")) == {*rows(CORPUS, "train"), other.text}
    assert rows(retrained(kept(dataset), [label(near.text, "refund")]), "train") == rows(dataset, "train")


def test_a_corrected_copy_comes_back_as_the_corpus_had_it() -> None:
    """Once: neither twice, nor with the correction that has been withdrawn since."""
    before = with_copies(
        Row(COPIED, {"intent": "refund", "urgency": "low"}), Row(FAR, {"intent": "refund", "urgency": "high"})
    )
    first = retrained(before, [label(COPIED, "delivery", "1"), label(held_out_copy(COPIED), "refund", "2")])
    assert COPIED not in {row.text for row in first.rows}
    again = retrained(kept(first), [])
    assert [row.labels for row in again.rows if row.text == COPIED] == [{"intent": "refund", "urgency": "low"}]


def test_a_label_is_not_lost_to_the_test() -> None:
    """Where all texts of a label are made of one template, they go on training: a release that has forgotten a label is
    worse than a test that flatters it."""
    templated = [
        Row(f"please block the card of my brother at once {word}", {"intent": "block", "urgency": "low"}, split)
        for word, split in zip("abcd", ("train", "train", "valid", "test"), strict=True)
    ]
    dataset = retrained(with_copies(*templated), [])
    assert [row.split for row in dataset.rows if row.labels["intent"] == "block"] == ["train", "train", "valid", "test"]


def test_a_test_row_stays_though_a_training_row_of_its_key_was_corrected() -> None:
    """The row that the correction had changed took the test row of the same key (other digits) along."""
    before = with_copies(
        Row("what does order 12 cost me", {"intent": "refund", "urgency": "low"}),
        Row("what does order 7 cost me", {"intent": "refund", "urgency": "low"}, "test"),
    )
    first = retrained(before, [label("what does order 3 cost me", "delivery")])
    assert rows(retrained(kept(first), []), "test") == rows(before, "test")


def test_a_held_out_text_is_so_under_every_decision_and_with_other_numbers() -> None:
    """A text held out in one retraining trained in the next, under another decision's id."""
    text = next(f"{text} 1001" for text in LIVE if is_held_out(f"{text} 1001"))
    for identity, number in (("1", "1001"), ("2", "77"), ("3", "20/11/2026")):
        dataset = retrained(CORPUS, [label(text.replace("1001", number), "refund", identity)])
        assert len(rows(dataset, "test")) == 2 and rows(dataset, "train") == rows(CORPUS, "train")


def test_only_labels_drawn_at_random_test_and_the_others_never_do() -> None:
    """M-5: with labels chosen because the champion was wrong, 64 of 100 challengers that were no better passed: the
    champion had lost on the test texts by choice."""
    labelled = [correction(text, "refund", str(number)) for number, text in enumerate(LIVE)]
    challenge = challenger_dataset(CORPUS, labelled)
    assert rows(challenge.dataset, "test") == rows(CORPUS, "test")
    assert challenge.silent == len(TESTS) > 0 and f"{len(TESTS)} held-out texts do not judge" in challenge.words
    assert not set(TESTS) & set(rows(challenge.dataset, "train")), "what may test one day never trains"
    unsaid = challenger_dataset(CORPUS, [item | {"chosen": {}} for item in labelled])
    assert rows(unsaid.dataset, "test") == rows(CORPUS, "test"), "a label of before, or of a program that does not say"


def test_a_later_correction_is_the_truth_about_a_text_that_was_drawn() -> None:
    labelled = [label(text, "refund", str(number)) for number, text in enumerate(LIVE)]
    challenge = challenger_dataset(CORPUS, labelled)
    assert set(TESTS) <= set(rows(challenge.dataset, "test")) and challenge.silent == 0
    corrected = challenger_dataset(CORPUS, [*labelled, correction(TESTS[0], "delivery", "later")])
    assert rows(corrected.dataset, "test")[TESTS[0]] == {"intent": "delivery"}


def test_a_text_tests_the_heads_alone_that_were_labelled_because_it_was_drawn() -> None:
    both = label(TESTS[0], "refund", chosen={"intent": "random", "urgency": "correction"})
    both["labels"] = {"intent": "refund", "urgency": "high"}
    assert rows(retrained(CORPUS, [both]), "test")[TESTS[0]] == {"intent": "refund"}


def test_labels_that_people_disagree_about_judge_nothing_and_train() -> None:
    labelled = [label(TESTS[0], "refund", contested=["intent"]), label(TESTS[1], "refund", "2")]
    challenge = challenger_dataset(CORPUS, labelled)
    assert TESTS[1] in rows(challenge.dataset, "test") and TESTS[0] not in rows(challenge.dataset, "test")
    assert challenge.silent == 1 and "people disagree" in challenge.words
    settled = retrained(CORPUS, [*labelled, correction(TESTS[0], "delivery", "later")])
    assert rows(settled, "test")[TESTS[0]] == {"intent": "delivery"}
    assert TRAINS[0] in rows(retrained(CORPUS, [label(TRAINS[0], "refund", contested=["intent"])]), "train")


def test_frequent_texts_are_drawn_once() -> None:
    """The draw was by decision, so that a text labelled twenty times was held out with 99 %, and never trained."""
    dataset = retrained(CORPUS, [label(TRAINS[0], "refund", str(number)) for number in range(50)])
    assert rows(dataset, "train")[TRAINS[0]] == {"intent": "refund"}
    assert len(rows(dataset, "train")) == 3
    assert 0.1 < len(TESTS) / len(LIVE) < 0.3


def test_a_withdrawn_label_leaves_the_next_release() -> None:
    """A label with a tombstone went on training for ever, as part of the champion's data."""
    first = retrained(CORPUS, [label(TRAINS[0], "refund", "1"), label("where is my parcel", "refund", "2")])
    assert rows(first, "train")["where is my parcel"] == {"intent": "refund", "urgency": "low"}
    again = retrained(kept(first), [])
    assert [(row.text, row.labels, row.split) for row in again.rows if row.split != "test"] != []
    assert rows(again, "train") == rows(CORPUS, "train") and rows(again, "test") == rows(CORPUS, "test")


def test_a_label_stands_though_its_decision_has_left_the_store() -> None:
    first = retrained(CORPUS, [label(TRAINS[0], "refund", "1"), label(TESTS[0], "refund", "2")])
    again = retrained(kept(first), [label(None, "delivery", "1"), label(None, "refund", "2"), label(None, "x", "9")])
    assert rows(again, "train")[TRAINS[0]] == {"intent": "delivery"}
    assert TESTS[0] in rows(again, "test")


def test_a_correction_of_one_head_keeps_the_other_labels() -> None:
    """A correction of the intent dropped the corpus's urgency of that text."""
    dataset = retrained(CORPUS, [label("Where is my parcel", "refund")])
    assert rows(dataset, "train")["where is my parcel"] == {"intent": "refund", "urgency": "low"}


def test_what_the_encoder_knows_is_handed_on() -> None:
    known = frozenset({key_hash("where is my parcel")})
    before = Dataset(CORPUS.heads, CORPUS.rows, encoder_tuned_on=known)
    assert retrained(before, [label(TRAINS[0], "refund")]).encoder_tuned_on == known


@pytest.mark.parametrize(
    ("texts", "people", "introduced", "trains"),
    [
        (1, 1, False, False),
        (NEW_LABEL_TEXTS, 1, False, False),
        (NEW_LABEL_TEXTS - 1, 2, False, False),
        (NEW_LABEL_TEXTS, 2, False, True),
        (1, 1, True, True),
    ],
    ids=["a typo", "one person", "too few texts", "ten texts of two people", "an explicit word"],
)
def test_a_new_label_needs_texts_and_people_or_a_word(texts: int, people: int, introduced: bool, trains: bool) -> None:
    """One typo, or one malicious label, became a class of the next release."""
    labelled = [
        label(TRAINS[number], "recall", str(number), by={"intent": f"person {number % people}"})
        for number in range(texts)
    ]
    if introduced:
        labelled[0]["introduces"] = ["intent"]
    challenge = challenger_dataset(CORPUS, labelled)
    assert ("recall" in {row.labels.get("intent") for row in challenge.dataset.rows}) is trains
    assert ("intent=recall" in challenge.words) is not trains


def test_a_label_stays_introduced_where_the_text_that_brought_it_is_set_aside() -> None:
    """Two of fifteen new labels were left out: the texts with which they began were unlike the others."""
    labelled = [label(TRAINS[number], "recall", str(number), by={"intent": "ann"}) for number in range(3)]
    labelled[0]["introduces"] = ["intent"]
    challenge = challenger_dataset(CORPUS, labelled[1:], introduced_labels(labelled))
    assert "recall" in {row.labels.get("intent") for row in challenge.dataset.rows}
    assert challenger_dataset(CORPUS, labelled[1:]).unknown_labels == (("intent", "recall"),)


def test_copies_of_one_text_are_no_ten_texts() -> None:
    labelled = [label(f"{TRAINS[0]} {n}", "recall", str(n), by={"intent": str(n)}) for n in range(30)]
    assert challenger_dataset(CORPUS, labelled).unknown_labels == (("intent", "recall"),)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Where is order 4711?", "where  is order 99?", True),
        ("paid 12.50 on 3/4", "paid 7 on 24/12", True),
        ("ＡＢＣ", "abc", True),
        ("where is it", "where was it", False),
    ],
)
def test_texts_of_the_same_key(one: str, other: str, same: bool) -> None:
    assert (text_key(one) == text_key(other)) is same
    assert (key_hash(one) == key_hash(other)) is same


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("please tell me where my parcel with the shoes is now", True),
        ("please tell me where my parcel with the shoes is", True),
        ("please tell me where my invoice for the taxes was sent", False),
        ("", False),
    ],
)
def test_near_copies_are_found(text: str, near: bool) -> None:
    assert (text in NearCopies(["please tell me where my parcel with the shoes is now!", "退款"])) is near
