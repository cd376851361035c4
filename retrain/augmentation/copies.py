"""Which texts made of others train, and with which text."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrain.augmentation.methods import Method
from retrain.data import Dataset, Row
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key


def with_copies(
    dataset: Dataset,
    methods: Sequence[Method],
    seed: int,
    progress: Progress = no_progress,
    oos_label: str | None = None,
    *,
    only_new: bool = False,
) -> Dataset:
    """The dataset with a text made by each method of each training text, beside it (`Row.copies`).

    only_new: of texts that have copies none is made again. oos_label: of the primary head; no class learns such texts,
    so that none is made of them. What is no new text, or one that the data set holds itself, tested ones too, is left
    out.
    """
    rows = list(dataset.rows)
    wanted = [
        number
        for number, row in enumerate(rows)
        if row.split == "train"
        and not (only_new and row.copies)
        and (oos_label is None or row.labels.get(dataset.heads[0]) != oos_label)
    ]
    texts = [rows[number].text for number in wanted]
    there = {same_text_key(row.text) for row in rows}
    for method in methods:
        for number, made in zip(wanted, method.rewritten(texts, seed, progress), strict=True):
            key, own = same_text_key(made), rows[number].copies
            if key and key not in there and key not in map(same_text_key, own):
                rows[number] = replace(rows[number], copies=(*own, made))
    return replace(dataset, rows=tuple(rows))


def copies_of(rows: Sequence[Row], dataset: Dataset) -> tuple[list[str], NDArray[np.int64]]:
    """The copies of the training rows among `rows`, and the number of each one's row.

    dataset: all rows that there are. A copy that became one of its texts since it was made (a label came, another row
    tests) is left out: it would carry one text's label into the judgement of another.
    """
    if not any(row.copies for row in rows):
        return [], np.empty(0, dtype=np.int64)
    there = {same_text_key(row.text) for row in dataset.rows}
    made = [
        (number, copy)
        for number, row in enumerate(rows)
        if row.split == "train"
        for copy in row.copies
        if same_text_key(copy) not in there
    ]
    return [copy for _, copy in made], np.array([number for number, _ in made], dtype=np.int64)


def rows_of_copies(rows: Sequence[Row], dataset: Dataset) -> list[Row]:
    """The copies of the training rows among `rows` as rows of their own, with their row's labels: for a fitting that is
    not judged on training rows. dataset: see `copies_of`."""
    texts, of = copies_of(rows, dataset)
    return [replace(rows[number], text=text, copies=()) for text, number in zip(texts, of.tolist(), strict=True)]
