"""How each label is decided, and which are taken for each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.label_sets import labels_of
from models.shares import wilson_interval
from retrain.evaluation.significance import RESAMPLES, resampled_interval

Interval = tuple[float, float]
Names = NDArray[np.object_]
MAP_LABELS: Final = 24


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label's, on the texts in scope. texts: that people gave it. decided: that got it. Precision and recall with
    Wilson's interval, F1 with the bootstrap's; precision None where no text got the label."""

    label: str
    texts: int
    decided: int
    precision: float | None
    precision_ci95: Interval | None
    recall: float
    recall_ci95: Interval
    f1: float
    f1_ci95: Interval

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {name: rounded(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class LabelTable:
    """labels: the worst F1 first. macro_f1_ci95: the bootstrap's."""

    labels: tuple[LabelFigures, ...]
    macro_f1_ci95: Interval

    @classmethod
    def of(
        cls, wanted: Names, decided: Names, seed: int = 0, resamples: int = RESAMPLES, *, several: bool = False
    ) -> "LabelTable":
        """wanted: what people say of each text, decided: what it got, both (texts,). Labels that nobody gave are in no
        table, but spoil the precision of none: they are told by the confusions. several: whether these are sets of
        labels; each of a set counts by itself, and a drawn text brings all of its."""
        split = labels_of if several else _alone
        sets = [
            [(text, label) for text, one in enumerate(all_of) for label in split(str(one))]
            for all_of in (wanted, decided)
        ]
        names = sorted({label for _, label in sets[0]})
        if not names:  # sets that are all empty: no label says anything, for the better or worse
            return cls((), (0.0, 1.0))
        place = {name: number for number, name in enumerate(names)}
        hits, numbers, given = (_Counted.of(pairs, place) for pairs in (sorted({*sets[0]} & {*sets[1]}), *sets))

        def f1(weights: NDArray[np.int64]) -> NDArray[np.float64]:
            right, texts, taken = (one.count(weights, len(names)) for one in (hits, numbers, given))
            with np.errstate(invalid="ignore"):
                scores = 2 * right / (texts + taken)  # NaN for a label that was not drawn, which says nothing of it
            return np.append(scores, np.nanmean(scores))

        low, high = resampled_interval(f1, len(wanted), seed, resamples)
        once = np.ones(len(wanted), dtype=np.int64)
        right, texts, taken = (one.count(once, len(names)).astype(np.int64) for one in (hits, numbers, given))
        labels = [
            LabelFigures(
                name,
                int(texts[n]),
                int(taken[n]),
                float(right[n] / taken[n]) if taken[n] else None,
                wilson_interval(int(right[n]), int(taken[n])) if taken[n] else None,
                float(right[n] / texts[n]),
                wilson_interval(int(right[n]), int(texts[n])),
                float(2 * right[n] / (texts[n] + taken[n])),
                (float(low[n]), float(high[n])),
            )
            for n, name in enumerate(names)
        ]
        worst_first = tuple(sorted(labels, key=lambda one: (one.f1, one.label)))
        return cls(worst_first, (float(low[-1]), float(high[-1])))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Labels of texts, one after the other: which text's each is, and its number; one more than there are names for
    those that have none."""

    texts: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, str]], place: Mapping[str, int]) -> "_Counted":
        numbers = [place.get(label, len(place)) for _, label in pairs]
        return cls(np.array([text for text, _ in pairs], dtype=np.int64), np.array(numbers, dtype=np.int64))

    def count(self, weights: NDArray[Any], names: int) -> NDArray[np.float64]:
        """How often each name comes, (names,), each text as often as its weight says."""
        return np.bincount(self.numbers, weights=weights[self.texts], minlength=names + 1)[:-1].astype(np.float64)


def _alone(label: str) -> tuple[str, ...]:
    return (label,)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Texts of `label` that got `decided`. share: of the label's texts."""

    label: str
    decided: str
    texts: int
    share: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {name: rounded(getattr(self, name)) for name in self.__slots__}


def confused_pairs(wanted: Names, decided: Names) -> tuple[ConfusedPair, ...]:
    """The most frequent first."""
    texts = Counter(wanted.tolist())
    wrong = Counter((given, got) for given, got in zip(wanted.tolist(), decided.tolist(), strict=True) if given != got)
    ordered = sorted(wrong.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(ConfusedPair(given, got, count, count / texts[given]) for (given, got), count in ordered)


@dataclass(frozen=True, slots=True)
class ConfusionMap:
    """Texts by label (rows) and decision (columns), of the labels that are confused most, those that are taken for each
    other beside each other. hidden: wrongly decided texts that stand in none of its cells."""

    labels: tuple[str, ...]
    texts: tuple[tuple[int, ...], ...]
    hidden: int


def confusion_map(
    wanted: Names, decided: Names, pairs: Sequence[ConfusedPair], most: int = MAP_LABELS
) -> ConfusionMap | None:
    """None where nothing is confused. pairs: of `confused_pairs`."""
    chosen = _in_groups(pairs, most)
    if not chosen:
        return None
    place = {label: number for number, label in enumerate(chosen)}
    table = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
    for given, got in zip(wanted.tolist(), decided.tolist(), strict=True):
        if given in place and got in place:
            table[place[given], place[got]] += 1
    shown = int(table.sum() - np.trace(table))
    return ConfusionMap(tuple(chosen), tuple(map(tuple, table.tolist())), sum(pair.texts for pair in pairs) - shown)


def _in_groups(pairs: Sequence[ConfusedPair], most: int) -> list[str]:
    """At most so many labels: each pair, the most frequent first, joins the groups of its two labels."""
    groups: list[list[str]] = []
    for pair in pairs:
        touched = [group for group in groups if pair.label in group or pair.decided in group]
        known = [label for group in touched for label in group]
        new = [label for label in (pair.label, pair.decided) if label not in known]
        if sum(map(len, groups)) + len(new) > most:
            continue
        groups = [group for group in groups if group not in touched] + [[*known, *new]]
    return [label for group in sorted(groups, key=len, reverse=True) for label in group]


def rounded(value: Any) -> Any:
    """A figure or an interval for people; anything else as it is."""
    if isinstance(value, float):
        return round(value, 4)
    return [rounded(one) for one in value] if isinstance(value, tuple) else value
