"""Texts of several subjects at once, and a release whose head gives several labels, trained once for a test run."""

import functools
import itertools

from small_release import small_encoder

from models.label_sets import set_text
from retrain.data import Dataset, Row, split_rows
from retrain.job import TrainedRelease, train_release

SUBJECTS = {
    "refund": ("give my money back", "please refund my card", "i want the refund"),
    "delivery": ("where is my parcel", "my order has not arrived", "the parcel is late"),
    "fee": ("why was i charged twice", "what is this fee", "charged a fee on my account"),
}
GREETINGS = ("hello", "hello hello", "ok thanks", "thanks", "ok", "hello ok", "thanks hello", "ok ok thanks")


def rows_of_sets() -> list[Row]:
    """183 texts: each subject alone, with each other and all three in one text, and greetings of no subject."""
    rows = [Row(text + ending, {"topics": "none"}) for text in GREETINGS for ending in ("", " ?", " !")]
    for count in (1, 2, 3):
        for subjects in itertools.combinations(SUBJECTS, count):
            for parts in itertools.product(*(SUBJECTS[subject] for subject in subjects)):
                for ending in ("", " ?", " !")[: 3 if count < 3 else 2]:
                    rows.append(Row(" . ".join(parts) + ending, {"topics": set_text(subjects)}))
    return rows


def sets_dataset() -> Dataset:
    return split_rows(rows_of_sets(), ("topics",), several=frozenset({"topics"}))


@functools.cache
def sets_release() -> TrainedRelease:
    return train_release("desk", sets_dataset(), small_encoder())
