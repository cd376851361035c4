"""Two releases side by side by what they say of the names of labelled texts: micro F1 of spans with sentiment.

A span counts where both of its ends and what is said of it are right. Where the first release finds names that no list
holds, both are to find the labelled ones by that; where it has a list alone, which need not hold those names, the spans
are given to both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.bundle import load_entities
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.entities.gazetteer import Mention
from models.entities.judging import Asked, judge
from models.entities.reader import EntityReader
from models.entities.views import ReadAs
from retrain.entities.release import entity_rows_of, reading_of
from retrain.entities.rows import EntityRow
from retrain.evaluation.significance import resampled_interval
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key

Ints = NDArray[np.int64]
Blob = Callable[[str], bytes]

_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class ReadsNames:
    """What a release says of names, without the rest of it. reader: None where it looks for none."""

    reader: EntityReader | None
    encoder: Encoder
    read_as: ReadAs

    @classmethod
    def of(cls, described: Mapping[str, Any], blob: Blob, classifier: Classifier) -> Self:
        """described: the release's manifest, also of one that is not published yet. blob: gives its files by their
        sha256. classifier: of its texts. Raises ReleaseCorrupt, ModelError."""
        encoder = classifier.encoder
        return cls(load_entities(described, blob, encoder.hidden), encoder, reading_of(classifier))

    @property
    def finds(self) -> bool:
        """Whether it finds names that no list holds."""
        return self.reader is not None and self.reader.tagger is not None


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """By text, all int64 (texts,). told: spans that the release tells. right: of these, wholly right ones."""

    told: Ints
    right: Ints

    def f1(self, labelled: Ints, drawn: Ints | None = None) -> float:
        """Micro F1. labelled: spans of each text. drawn: how often each text counts; None: once. NaN without spans."""
        of_all = [int(one.sum() if drawn is None else drawn @ one) for one in (self.right, self.told, labelled)]
        both = of_all[1] + of_all[2]
        return 2 * of_all[0] / both if both else float("nan")


@dataclass(frozen=True)
class EntityComparison:
    """Both on the same texts. labelled: int64 (texts,), spans of each. found: whether both had to find them."""

    labelled: Ints
    champion: SpanCounts
    challenger: SpanCounts
    found: bool

    @property
    def texts(self) -> int:
        """How many."""
        return len(self.labelled)

    @property
    def names(self) -> int:
        """Labelled spans."""
        return int(self.labelled.sum())

    @property
    def before(self) -> float:
        """The champion's F1."""
        return self.champion.f1(self.labelled)

    @property
    def after(self) -> float:
        """The challenger's F1."""
        return self.challenger.f1(self.labelled)

    @property
    def change(self) -> float:
        """Of F1, in [-1, 1]."""
        return self.after - self.before

    @property
    def lost_and_won(self) -> tuple[int, int]:
        """Texts of which the challenger says fewer names rightly beside those that it tells wrongly, and more."""
        was, now = (2 * one.right - one.told for one in (self.champion, self.challenger))
        return int((now < was).sum()), int((now > was).sum())

    @cached_property
    def ci95(self) -> tuple[float, float]:
        """Of the change, texts drawn anew."""
        return self.interval(0.025, 0.025)

    def interval(self, below: float, above: float) -> tuple[float, float]:
        """Of the change. below, above: the chance that is left on either side."""

        def change(drawn: Ints) -> NDArray[np.float64]:
            sides = [one.f1(self.labelled, drawn) for one in (self.challenger, self.champion)]
            return np.array([sides[0] - sides[1]])

        low, high = resampled_interval(change, self.texts, ends=(below, 1 - above))
        return float(low[0]), float(high[0])

    def holds(self, limit_points: float) -> bool:
        """Whether no more than so many points of F1 are lost."""
        return bool(-100 * self.change <= limit_points + 1e-9)

    @property
    def words(self) -> str:
        """All of it, for people."""
        low, high = self.ci95
        what = "names found, with what is said of each" if self.found else "what is said of each name"
        return (
            f"{what}: F1 {self.after:.3f} against {self.before:.3f} on {self.names} names of {self.texts} texts, "
            f"{self.change * 100:+.1f} points (95 %: {low * 100:+.1f} to {high * 100:+.1f})"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {
            "texts": self.texts,
            "names": self.names,
            "names_are": "found" if self.found else "given",
            "f1_before": round(self.before, 4),
            "f1_after": round(self.after, 4),
            "f1_change": round(self.change, 4),
            "f1_change_ci95": [round(bound, 4) for bound in self.ci95],
        }


def compare_entities(
    champion: ReadsNames, challenger: ReadsNames, rows: Sequence[EntityRow], progress: Progress = no_progress
) -> EntityComparison | None:
    """Both on rows that neither was trained on. None without a champion that says something of names, or without rows
    that name any. Raises ModelError."""
    named = [row for row in rows if row.mentions]
    if champion.reader is None or not named:
        return None
    labelled = np.array([len(row.mentions) for row in named], dtype=np.int64)
    both = [_counted(one, named, champion.finds, progress) for one in (champion, challenger)]
    return EntityComparison(labelled, both[0], both[1], champion.finds)


def rows_that_judge(*releases: tuple[Mapping[str, Any], Blob]) -> list[EntityRow]:
    """Test rows of the releases that none of them was trained on, each text once. releases: manifest, and what gives
    the files by their sha256. Raises ReleaseCorrupt."""
    kept = [rows for rows in (entity_rows_of(*one) for one in releases) if rows is not None]
    trained = {same_text_key(row.text) for rows in kept for row in rows.part("train")}
    tested = {same_text_key(row.text): row for rows in kept for row in rows.part("test")}
    return [row for key, row in tested.items() if key not in trained]


def _counted(release: ReadsNames, rows: Sequence[EntityRow], find: bool, progress: Progress) -> SpanCounts:
    parts = []
    for start in range(0, len(rows), _TEXTS):
        progress("comparing what is said of entities", start, len(rows))
        parts.append(_counted_part(release, rows[start : start + _TEXTS], find))
    progress("comparing what is said of entities", len(rows), len(rows))
    return SpanCounts(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def _counted_part(release: ReadsNames, rows: Sequence[EntityRow], find: bool) -> tuple[Ints, Ints]:
    reader = release.reader
    spans = _spans(release, rows, find)
    told = np.array([len(of_text) for of_text in spans], dtype=np.int64)
    right = np.zeros(len(rows), dtype=np.int64)
    if reader is None or not told.any():
        return told, right
    asked = [Asked(row.text, of_text, of_text) for row, of_text in zip(rows, spans, strict=True)]
    best = judge(reader.head, release.encoder, asked, release.read_as).argmax(axis=1)
    said = iter([reader.head.head.labels[number] for number in best.tolist()])
    for place, (row, of_text) in enumerate(zip(rows, spans, strict=True)):
        wanted = {(one.start, one.end): label for one, label in zip(row.mentions, row.labels, strict=True)}
        right[place] = sum(wanted.get((one.start, one.end)) == next(said) for one in of_text)
    return told, right


def _spans(release: ReadsNames, rows: Sequence[EntityRow], find: bool) -> list[Sequence[Mention]]:
    """What a release is to judge: what it finds, or all that is labelled."""
    if release.reader is None or (find and release.reader.tagger is None):
        return [() for _ in rows]
    if not find:
        return [row.mentions for row in rows]
    assert release.reader.tagger is not None
    found = release.reader.tagger.find([row.text for row in rows], release.encoder)
    return [[mention for mention, _ in of_text] for of_text in found]
