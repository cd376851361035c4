"""The texts around an onset, how new each of them looks, and how many each stands for.

Mostly each stands for itself. Of an episode that audits found the fast texts tell that the encoder saw as well: they
are a random share of the fast ones, so each stands for as many as there are for one of them.
Source: weights by one over the chance of being drawn, Horvitz and Thompson (1952), Journal of the American Statistical
Association 47; normalised by their sum, Hájek (1971).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.members import SeenText, newness, probably_new
from streams.monitor.episodes.shares import Weights, share_since


@dataclass(frozen=True, slots=True)
class WeightedHistory:
    """before, after: the onset, in order of arrival. odds: log-likelihood ratios, new against known, of each; 0 of
    those that say nothing. stand_for: how many texts each stands for; 0 of those that say nothing. by_audits: whether
    that is not always 1."""

    before: Sequence[SeenText]
    after: Sequence[SeenText]
    odds: tuple[Doubles, Doubles]
    stand_for: Weights
    by_audits: bool

    @classmethod
    def of(cls, history: Sequence[SeenText], since: int, detectors: Sequence[str], spread: float) -> Self:
        """since: the first text after the onset, counted from the end of `history`. detectors: that found the episode.
        spread: see `newness`."""
        if tuple(detectors) == (FAST_AUDITS,):
            history = _fast_only(history)
        before, after = history[:-since], history[-since:]
        by_audits = FAST_AUDITS in detectors
        odds = newness(before, after, spread)
        stand_for = _weights(before, by_audits=by_audits), _weights(after, by_audits=by_audits)
        known = odds[0] * (stand_for[0] > 0.0), odds[1] * (stand_for[1] > 0.0)
        return cls(before, after, known, stand_for, by_audits)

    @property
    def weights(self) -> Weights | None:
        """How many texts each stands for, where not each stands for itself."""
        return self.stand_for if self.by_audits else None

    def share_since(self, detected_event: int) -> tuple[float, tuple[float, float]]:
        """The share of new texts after the onset, and its 95 % interval: see `shares.share_since`."""
        return share_since(*self.odds, self._is_later(detected_event), self.weights)

    def share_before(self, share: float) -> float:
        """Of the texts before the onset, those that look as new as those after it. share: of new texts since."""
        weights, is_new = self.stand_for[0], probably_new(self.odds[0], share) > 0.5
        return float(weights @ is_new / max(weights.sum(), 1.0))

    def new(self, share: float) -> tuple[list[SeenText], Doubles]:
        """Those since the onset that are probably new, and their odds; of none, the three that look newest. share: of
        new texts."""
        odds = self.odds[1]
        is_new = (probably_new(odds, share) > 0.5) & (self.stand_for[1] > 0.0)
        rows = np.flatnonzero(is_new) if is_new.any() else np.argsort(-odds, kind="stable")[:3]
        return [self.after[row] for row in rows.tolist()], odds[rows]

    def later(self, detected_event: int) -> Sequence[SeenText]:
        """Those after the detection, which nothing was chosen by; all since the onset, where none came or only few of
        them tell."""
        if self.by_audits:
            return self.after
        is_later = self._is_later(detected_event)
        return [seen for seen, late in zip(self.after, is_later, strict=True) if late] or self.after

    def _is_later(self, event: int) -> list[bool]:
        return [seen.event_number > event for seen in self.after]


def _fast_only(texts: Iterable[SeenText]) -> list[SeenText]:
    """The same, those that the encoder decided told as known ones. Their selection has a place of its own, which would
    be taken for that of the new texts: they are many, audited ones few."""
    return [seen if seen.is_fast else replace(seen, surprisal=0.0, outside=None) for seen in texts]


def _weights(texts: Sequence[SeenText], *, by_audits: bool) -> Doubles:
    """How many texts each stands for. By audits: 1 of those that the encoder decided, 0 of fast ones that it never
    saw."""
    if not by_audits:
        return np.ones(len(texts))
    is_fast = np.array([seen.is_fast for seen in texts], dtype=bool)
    audited = is_fast & np.array([seen.outside is not None for seen in texts], dtype=bool)
    weights = np.where(is_fast, 0.0, 1.0)
    if audited.any():
        weights[audited] = float(is_fast.sum()) / float(audited.sum())
    return weights
