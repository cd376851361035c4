"""Sets of labels as texts: what a head that may give a text several labels says, in one word.

Wherever a head of one label has its label (a file's column, a decision's `label`, a correction), such a head has its
set: the labels in order, `|` between them, and `none` where none of them holds, which is an answer like any other.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from models.errors import TrainingDataError

SEPARATOR: Final = "|"
NONE: Final = "none"


def set_text(labels: Iterable[str]) -> str:
    """The one text of these labels, in whatever order they come."""
    return SEPARATOR.join(sorted(set(labels))) or NONE


def labels_of(text: str) -> tuple[str, ...]:
    """The labels of a set's text, sorted; none of `none` or an empty text. It takes what people write: any order,
    spaces, a label twice. Raises TrainingDataError where `none` stands beside labels."""
    labels = sorted({label.strip() for label in text.split(SEPARATOR)} - {""})
    if NONE in labels and len(labels) > 1:
        raise TrainingDataError(f"{text[:80]!r} holds {NONE!r} beside labels: write {NONE} alone, or the labels")
    return () if labels == [NONE] else tuple(labels)


def canonical(text: str) -> str:
    """The set's one text, from what people write. Raises TrainingDataError."""
    return set_text(labels_of(text))


def known_labels(texts: Iterable[str]) -> set[str]:
    """All labels that stand in some of the sets' texts."""
    return {label for text in set(texts) for label in labels_of(text)}


def seem_sets(texts: Iterable[str]) -> bool:
    """Whether cells that nobody called sets hold several labels: one has `|` between words that stand in other cells as
    well, alone or beside others."""
    words = {text: tuple(word for word in map(str.strip, text.split(SEPARATOR)) if word) for text in set(texts)}
    counts = Counter(word for its in words.values() for word in set(its))
    return any(len(its) > 1 and all(counts[word] > 1 for word in its) for its in words.values())


def strata(texts: Sequence[str]) -> list[str]:
    """For each set's text the label that it is dealt out by: the rarest of its labels over all of these; `none` of
    none. So a split that spreads these evenly spreads each label, as whole sets hardly ever come twice.

    Source: the first step of iterative stratification, Sechidis, Tsoumakas and Vlahavas (2011).
    """
    counts = Counter(label for text in texts for label in labels_of(text))
    return [min(labels_of(text), key=lambda label: (counts[label], label), default=NONE) for text in texts]


def each_label(labels: Mapping[str, str], several: Collection[str]) -> list[tuple[str, str]]:
    """A text's labels by head as (head, label), those of a set each by itself, `none` of an empty one. several: the
    heads that give sets."""
    pairs = []
    for head, text in labels.items():
        pairs += [(head, label) for label in labels_of(text) or (NONE,)] if head in several else [(head, text)]
    return pairs


def is_among(label: str, text: str) -> bool:
    """Whether the set's text holds the label; `none` is held by the empty set alone."""
    return label in text.split(SEPARATOR)


def unknown_in(text: str, known: Collection[str]) -> list[str]:
    """The labels of a set's text that are not known."""
    return [label for label in labels_of(text) if label not in known]
