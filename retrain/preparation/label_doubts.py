"""What a training should be told of a file's labels: it learns them as they are written."""

from collections import Counter
from collections.abc import Iterator

from models.label_sets import seem_sets
from retrain.data import Dataset
from retrain.text_keys import spellings


def label_doubts(dataset: Dataset) -> Iterator[str]:
    """In words, question by question: cells with several labels that nobody called sets, and labels of one label that
    are written in several ways."""
    for head in dataset.heads:
        if head in dataset.several:
            continue
        counts = Counter(row.labels[head] for row in dataset.rows if head in row.labels)
        if seem_sets(counts):
            yield (
                f"{head}: cells hold several labels with | between them, and each set is learnt as a label of its own; "
                "multi = true below its name in the application's file tells that they are sets"
            )
            continue
        for labels in spellings(counts):
            told = ", ".join(f"{label!r} {counts[label]}" for label in labels)
            yield f"{head}: labels that are written in several ways are learnt as labels of their own: {told}"
