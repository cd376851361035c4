"""A class that is given another name: texts that the corpus is sure about, labelled otherwise, again and again.

A lone correction is a matter of that text. Many in one direction, from a label of the corpus to another, change what
the model thinks the world is; one person's word is not enough for it. A label that is new takes texts away from old
ones by its nature: it is told from an old one under another name by whether the two can be told apart.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from retrain.feedback.evidence import Evidence
from retrain.feedback.opinions import TextLabel
from retrain.feedback.table import TextTable

DIRECTION_TEXTS: Final = 3  # so many texts in one direction are more than lone corrections
SECOND_PERSON_TEXTS: Final = 3  # on so many texts a second person must say the same
OTHERS_SHARE: Final = 0.25  # or others, on texts of their own, in as large a share of the direction
LOST_SHARE: Final = 0.1  # of an old label's texts: so many that go to a new one make it the old one's other name


@dataclass(frozen=True, slots=True)
class Direction:
    """before: the corpus's label. after: what people say. texts: of one person's word each."""

    before: str
    after: str
    texts: tuple[TextLabel, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Who say so, who says it most first."""
        counts = Counter(by for one in self.texts for by in one.people)
        return tuple(sorted(counts, key=lambda by: (-counts[by], by)))


def directions(labels: Sequence[TextLabel], rows: Sequence[int], by_corpus: Evidence) -> list[Direction]:
    """Relabellings with fewer than two people behind them, the largest first. labels: contested ones as well. rows: of
    their texts. by_corpus: what the corpus alone says of them."""
    ways: dict[tuple[str, str], list[_Said]] = defaultdict(list)
    for one, row in zip(labels, rows, strict=True):
        best, words = by_corpus.best(row), dict.fromkeys(one.people, one.label) | dict(one.others)
        for after in set(words.values()) - {best}:
            people = tuple(by for by, label in words.items() if label == after)
            ways[best, after].append(_Said(one, people, len(people) < len(words), by_corpus.is_sure(row)))
    lone = {way: said for way, said in ways.items() if _is_relabelling(said) and not _has_two(said)}
    found = [
        Direction(*way, tuple(one.label for one in said if one.label.label == way[1] and len(one.people) == 1))
        for way, said in lone.items()
    ]
    return sorted((one for one in found if one.texts), key=lambda one: (-len(one.texts), one.before, one.after))


@dataclass(frozen=True, slots=True)
class _Said:
    """A text of a direction. people: who say the direction's label. is_disputed: whether others say another one.
    is_sure: whether the corpus is sure that it is its own label's."""

    label: TextLabel
    people: tuple[str, ...]
    is_disputed: bool
    is_sure: bool


def _is_relabelling(said: Sequence[_Said]) -> bool:
    return sum(one.is_sure for one in said) >= DIRECTION_TEXTS


def _has_two(said: Sequence[_Said]) -> bool:
    """Whether a second person says the same: on the first one's texts, or others than the first on enough of their own.
    One who was asked and says something else counts against."""
    agreed = sum(len(one.people) > 1 or one.label.is_confirmed for one in said)
    disputed = sum(one.is_disputed for one in said)
    if agreed >= SECOND_PERSON_TEXTS and agreed > disputed:
        return True
    by_person = Counter(by for one in said for by in one.people)
    others = by_person.total() - max(by_person.values())
    return others > disputed and others >= OTHERS_SHARE * len(said)


def is_new(direction: Direction, table: TextTable, by_corpus: Evidence, by_all: Evidence) -> bool:
    """Whether the label after is one of its own: its texts know each other without being asked with their labels, and
    the label before keeps its texts of the corpus. by_all: corpus and feedback together."""
    if direction.after in by_corpus.labels:
        return False
    known = np.mean([by_all.best(table.rows[one.key]) == direction.after for one in direction.texts])
    old = [row for row in np.flatnonzero(table.corpus).tolist() if table.labels[row] == direction.before]
    lost = np.mean([by_all.best(row) == direction.after for row in old]) if old else 0.0
    return bool(known >= 0.5 and lost <= LOST_SHARE)
