"""What stays together in every split: texts of one key, and rows of one group."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import TrainingDataError
from retrain import training_data
from retrain.challenge import challenger_dataset
from retrain.crossfit import FOLDS, assign_folds
from retrain.data import Columns, Dataset, Row, parse_labelled_csv, split_rows, with_tuning_rows
from retrain.row_groups import leaders
from retrain.text_keys import text_key

WORDS = ("parcel", "refund", "card", "door", "strap", "fee", "login", "voucher")
PAIRS = [(one, other) for one in WORDS for other in WORDS if one != other]
DIFFERENT = [
    Row(f"my {one} 4{number} and the {other}", {"intent": "abc"[number % 3]})
    for number, (one, other) in enumerate(PAIRS)
]


def folds_of(rows: list[Row], seed: int = 3) -> NDArray[np.int64]:
    targets = np.array([ord(row.labels["intent"]) for row in rows])
    return assign_folds([row.text for row in rows], targets, seed, [row.group for row in rows])


def numbers(rows: tuple[Row, ...], split: str) -> list[int]:
    return [number for number, row in enumerate(rows) if row.split == split]


def with_numbers(times: int) -> list[Row]:
    """Each text several times, with other order numbers."""
    return [
        Row(f"my {one} {n} and the {other}", {"intent": "ab"[len(one) % 2]})
        for one, other in PAIRS
        for n in range(times)
    ]


def conversations(per_label: int = 10, turns: int = 4) -> list[Row]:
    return [
        Row(
            " ".join(PAIRS[(13 * talk + turn) % len(PAIRS)]) + f" {label} {'x' * talk}",
            {"intent": label},
            group=f"{label}{talk}",
        )
        for label in "ab"
        for talk in range(per_label)
        for turn in range(turns)
    ]


def test_data_without_copies_are_split_as_ever() -> None:
    """Figures that were measured before stay valid: written down by the commit before groups."""
    own = split_rows(DIFFERENT, ("intent",), seed=3)
    assert numbers(own.rows, "test") == [5, 6, 7, 14, 20, 22, 33, 45, 46, 52, 53, 54]
    tuning = [0, 8, 9, 17, 21, 30, 31, 35, 37, 40, 43, 44, 49, 51]
    assert numbers(with_tuning_rows(own, 3).rows, "valid") == tuning
    assert "".join(map(str, folds_of(DIFFERENT))) == "03310411101424310402244203241032323030031130324142424012"


def test_texts_with_other_numbers_only_stay_on_one_side() -> None:
    """M-5: case and white space only counted, so that order numbers crossed the split and the folds."""
    rows = with_numbers(3)
    dataset = split_rows(rows, ("intent",))
    sides = [{text_key(row.text) for row in dataset.part(part)} for part in ("train", "test")]
    assert sides[1] and not sides[0] & sides[1]
    folds = folds_of(rows)
    assert len({(text_key(row.text), int(fold)) for row, fold in zip(rows, folds, strict=True)}) == len(PAIRS)
    assert set(folds) == set(range(FOLDS))


def test_rows_of_a_group_stay_on_one_side_in_every_split() -> None:
    """Turns of a conversation, syndicated copies of a story: alike without being copies."""
    rows = conversations()
    dataset = with_tuning_rows(split_rows(rows, ("intent",)), 0)
    sides = [{row.group for row in dataset.part(part)} for part in ("train", "valid", "test")]
    assert all(sides) and sum(map(len, sides)) == len(set.union(*sides)) == 20
    assert len(sides[2]) == 4
    folds = folds_of(rows)
    assert len({(row.group, int(fold)) for row, fold in zip(rows, folds, strict=True)}) == 20
    assert (np.bincount(folds) == 16).all()


def test_a_greeting_does_not_tie_all_conversations_together() -> None:
    """Its copies are in many groups: the group counts, and what tests does not train."""
    rows = [
        *conversations(),
        *(Row("Hi", {"intent": row.labels["intent"]}, group=row.group) for row in conversations(10, 1)),
    ]
    dataset = split_rows(rows, ("intent",))
    assert len({row.group for row in dataset.part("test")}) == 4
    assert "Hi" not in {row.text for row in dataset.part("train")}


@given(st.lists(st.tuples(st.sampled_from(["a 1", "A 2", "b", "c"]), st.sampled_from(["", "x", "y"]))))
def test_a_leader_is_the_first_of_its_own(rows: list[tuple[str, str]]) -> None:
    texts, groups = [text for text, _ in rows], [group for _, group in rows]
    for index, leader in enumerate(leaders(texts, groups, ["x"] * len(texts))):
        assert leader <= index and groups[leader] == groups[index]
        assert groups[index] or text_key(texts[leader]) == text_key(texts[index])


def test_a_label_of_numbers_only_is_split_by_them() -> None:
    """As before: it would not be tested at all, and no fold's model would know it."""
    rows = [*DIFFERENT, *(Row(f"invoice {number}", {"intent": "d"}) for number in range(20))]
    dataset = split_rows(rows, ("intent",))
    assert sum(row.labels["intent"] == "d" for row in dataset.part("test")) == 4
    assert (np.bincount(folds_of(rows)[-20:]) == 4).all()


def test_the_group_is_a_column() -> None:
    raw = b"text,label,talk\nmy card,a,17\nmy door,b,\n" + b"row a,a,3\nrow b,a,4\n"
    dataset = parse_labelled_csv(raw, Columns({"intent": "label"}, group="talk"))
    assert [row.group for row in dataset.rows] == ["17", "", "3", "4"]
    with pytest.raises(TrainingDataError, match="no column 'story'; its columns are: text, label, talk"):
        parse_labelled_csv(raw, Columns({"intent": "label"}, group="story"))


def test_the_group_stays_with_a_release_and_is_handed_on() -> None:
    before = Dataset(("intent",), (Row("my card is gone", {"intent": "a"}, group="17"), *DIFFERENT))
    kept = training_data.from_bytes(training_data.to_bytes(before))
    assert kept.rows == before.rows and kept.fingerprint == before.fingerprint
    label = {"id": "1", "text": "My card is gone", "labels": {"intent": "b"}}
    after = challenger_dataset(kept, [label]).dataset
    assert [row.group for row in after.rows if row.text == "my card is gone"] == ["17"]
    assert after.set_aside[0].group == "17"


def test_data_of_releases_before_groups_are_read() -> None:
    lines = [{"heads": ["intent"]}, {"text": "my card", "labels": {"intent": "a"}, "split": "train"}]
    content = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    assert training_data.from_bytes(content).rows == (Row("my card", {"intent": "a"}),)
