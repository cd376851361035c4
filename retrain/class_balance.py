"""What is labelled often must not outweigh what is rare: of each label the newest texts train."""

from collections import Counter
from dataclasses import replace

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
        labels = list(row.labels.items())
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
