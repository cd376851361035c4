"""Accuracy against the share of texts that are answered: what another threshold would do.

Source: El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification (2010): risk and coverage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision

MAX_POINTS: Final = 100


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one threshold does. answered: share of all texts. accuracy: share of the answered ones that are right; an
    out-of-scope text that is answered is wrong. right_in_all: share of all texts that are answered rightly, or are out
    of scope and rejected. oos_answered: share of the out-of-scope texts that is answered; None without any. threshold:
    the highest score, or the lowest probability, that is answered; None where the fast path alone answers, and where
    the release itself stands."""

    answered: float
    accuracy: float
    right_in_all: float
    oos_answered: float | None
    threshold: float | None

    def as_json(self) -> dict[str, float | None]:
        """Plain values, rounded for people."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if value is None else round(float(value), 4) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Curve:
    """points: from few answers to all. served: at the release's own threshold. ranked_by: what decides who is answered
    first: the out-of-scope score where there are out-of-scope texts, else the probability."""

    texts: int
    oos_texts: int
    ranked_by: str
    points: tuple[CurvePoint, ...]
    served: CurvePoint | None

    @classmethod
    def of(cls, decisions: Sequence[HeadDecision], right: NDArray[np.bool_], in_scope: NDArray[np.bool_]) -> Self:
        """right, in_scope: of each decision's text; one that is out of scope is never right. What the fast path decides
        has no score, and is answered first, whatever the threshold."""
        scored = np.array([decision.oos_score is not None for decision in decisions])
        by_score = bool(scored.any() and not in_scope.all())
        probabilities = np.array([decision.probability for decision in decisions])
        scores = np.array([-np.inf if one.oos_score is None else one.oos_score for one in decisions])
        farness = scores if by_score else np.where(scored | ~scored.any(), -probabilities, -np.inf)
        surest_first = np.lexsort([-probabilities, farness])
        good, strange = (right & in_scope)[surest_first], ~in_scope[surest_first]
        ranks = farness[surest_first] if by_score else -farness[surest_first]
        texts, answered = len(decisions), np.array([not decision.rejected for decision in decisions])
        counts = np.unique(np.linspace(1, texts, min(texts, MAX_POINTS)).round().astype(int)).tolist()
        first = [np.arange(texts) < count for count in counts]
        return cls(
            texts,
            int(strange.sum()),
            "oos_score" if by_score else "probability",
            tuple(_point(kept, good, strange, ranks[count - 1]) for kept, count in zip(first, counts, strict=True)),
            _point(answered, right & in_scope, ~in_scope, None) if answered.any() else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "texts": self.texts,
            "oos_texts": self.oos_texts,
            "ranked_by": self.ranked_by,
            "served": None if self.served is None else self.served.as_json(),
            "points": [point.as_json() for point in self.points],
        }


def _point(
    answered: NDArray[np.bool_], right: NDArray[np.bool_], strange: NDArray[np.bool_], last: float | None
) -> CurvePoint:
    good, oos_rejected, oos = int(right[answered].sum()), int(strange[~answered].sum()), int(strange.sum())
    return CurvePoint(
        float(answered.mean()),
        good / int(answered.sum()),
        (good + oos_rejected) / len(right),
        1 - oos_rejected / oos if oos else None,
        float(last) if last is not None and np.isfinite(last) else None,
    )
