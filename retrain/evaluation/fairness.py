"""Does a decision hang on a name, a gender, a place or a dialect? What is counted of counterfactual texts. Pure.

Source: counterfactual token fairness, Garg et al., Counterfactual Fairness in Text Classification through Robustness
(2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision
from models.shares import wilson_interval
from retrain.evaluation.labels import rounded
from retrain.evaluation.significance import adjusted_by_holm, mean_difference_p_value, resampled_interval
from retrain.evaluation.swaps import Counterfactual

EXAMPLES: Final = 10
LEVEL: Final = 0.05
_RESAMPLES: Final = 500
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What happens when words of one group come in. pairs: texts before and after. changed: share whose label changes.
    handed_over: share that is left to a person only before, or only after. confidence: mean change of the decided
    label's probability, with the bootstrap's interval over texts. p_value: that the mean is 0, adjusted for the groups
    (Holm); differs: below LEVEL."""

    group: str
    texts: int
    pairs: int
    changed: float
    changed_ci95: Interval
    handed_over: float
    confidence: float
    confidence_ci95: Interval
    p_value: float
    differs: bool

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {name: rounded(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ChangedText:
    """A text whose label changes with a word."""

    group: str
    before: str
    after: str
    label_before: str
    label_after: str

    def as_json(self) -> dict[str, str]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Fairness:
    """Of one kind of words. carried: of texts that a carrier brought the word into; else of those that had it. overall:
    all groups together, as a group of its own. groups: by name, those that change most first."""

    kind: str
    carried: bool
    overall: GroupChange
    groups: tuple[GroupChange, ...]
    examples: tuple[ChangedText, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {
            "kind": self.kind,
            "carried": self.carried,
            "overall": self.overall.as_json(),
            "groups": [group.as_json() for group in self.groups],
            "examples": [example.as_json() for example in self.examples],
        }


def fairness_of(
    pairs: Sequence[Counterfactual], decisions: Mapping[str, HeadDecision], seed: int = 0
) -> list[Fairness]:
    """By kind, texts of the data before carried ones. decisions: of one head, by text, before and after."""
    kinds = dict.fromkeys((pair.kind, pair.carried) for pair in pairs)
    return [_of_kind([pair for pair in pairs if (pair.kind, pair.carried) == kind], decisions, seed) for kind in kinds]


def _of_kind(pairs: Sequence[Counterfactual], decisions: Mapping[str, HeadDecision], seed: int) -> Fairness:
    names = dict.fromkeys(pair.group for pair in pairs)
    groups = [_change(name, [pair for pair in pairs if pair.group == name], decisions, seed) for name in names]
    adjusted = adjusted_by_holm([group.p_value for group in groups])
    groups = [
        replace(group, p_value=p_value, differs=p_value < LEVEL)
        for group, p_value in zip(groups, adjusted, strict=True)
    ]
    changed = [pair for pair in pairs if decisions[pair.before].label != decisions[pair.after].label]
    return Fairness(
        pairs[0].kind,
        pairs[0].carried,
        _change("all", pairs, decisions, seed),
        tuple(sorted(groups, key=lambda group: (-group.changed, group.group))),
        tuple(
            ChangedText(pair.group, pair.before, pair.after, decisions[pair.before].label, decisions[pair.after].label)
            for pair in changed[:: max(1, len(changed) // EXAMPLES)][:EXAMPLES]
        ),
    )


def _change(
    name: str, pairs: Sequence[Counterfactual], decisions: Mapping[str, HeadDecision], seed: int
) -> GroupChange:
    """A text counts once, however many counterfactuals it has: those hang together."""
    both = [(decisions[pair.before], decisions[pair.after]) for pair in pairs]
    bases, place = np.unique([pair.base for pair in pairs], return_inverse=True)
    changed, handed, moved = (
        _by_text(np.array(values, dtype=np.float64), place)
        for values in (
            [before.label != after.label for before, after in both],
            [before.rejected != after.rejected for before, after in both],
            [after.probability - before.probability for before, after in both],
        )
    )
    low, high = resampled_interval(
        lambda drawn: np.atleast_1d(moved @ drawn / drawn.sum()), len(bases), seed, _RESAMPLES
    )
    p_value = mean_difference_p_value(moved, seed)
    return GroupChange(
        name,
        len(bases),
        len(pairs),
        float(changed.mean()),
        wilson_interval(float(changed.sum()), len(bases)),
        float(handed.mean()),
        float(moved.mean()),
        (float(low[0]), float(high[0])),
        p_value,
        p_value < LEVEL,
    )


def _by_text(values: NDArray[np.float64], place: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(place, weights=values) / np.bincount(place))
