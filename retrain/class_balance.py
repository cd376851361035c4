"""What is labelled often must not outweigh what is rare: of each label the newest texts train, and a label that is
new is not held for rare because few of its texts are labelled yet.

Source: logit adjustment, Menon et al. (2021), "Long-tail learning via logit adjustment", ICLR.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.label_sets import each_label
from retrain.data import Dataset


def newest_of_each_label(dataset: Dataset, limit: int) -> tuple[Dataset, str]:
    """The dataset with at most `limit` labelled decisions of each label among its training rows, and what was left out,
    in words; empty where nothing was.

    Rows of feedback stand in the order in which they were labelled, the newest last. A row that has labels of several
    heads stays while one of them is still wanted. The corpus's rows, and what tests, stay.
    """
    count: Counter[tuple[str, str]] = Counter()
    left_out: Counter[tuple[str, str]] = Counter()
    kept = []
    for row in reversed(dataset.rows):
        labels = each_label(row.labels, dataset.several)
        if row.origin == "feedback" and row.split == "train":
            if all(count[label] >= limit for label in labels):
                left_out.update(labels)
                continue
            count.update(labels)
        kept.append(row)
    if not left_out:
        return dataset, ""
    names = ", ".join(f"{number} of {head}={label}" for (head, label), number in left_out.most_common(3))
    words = f"older texts that did not train, {limit} of a label are enough: {names}"
    return replace(dataset, rows=tuple(reversed(kept))), words


def offsets_of_new_labels(targets: NDArray[np.int64], is_new: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What to add to each label's logit, (labels,): to a new label as if it had as many texts as a known one has on
    average, where it has fewer; else 0.

    targets: of the training texts, in [0, labels). is_new: by label, whether only people have labelled texts with it.
    How many they have labelled so far says nothing of how often it comes, and a classifier learns from it all the same.
    """
    counts = np.bincount(targets, minlength=len(is_new)).astype(np.float64)
    known = counts[~is_new & (counts > 0)]
    few = is_new & (counts > 0)
    offsets = np.zeros(len(is_new), np.float32)
    if len(known) and few.any():
        offsets[few] = np.log(np.maximum(known.mean() / counts[few], 1.0))
    return offsets
