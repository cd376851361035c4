"""Which texts of the stream belong to an episode: those that look new, and point where the other new ones point."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.evidence import unusual_share
from streams.monitor.drift.reference import Doubles

_KNOWN_AGREEMENT: Final = 1.3  # spread of known texts along a direction found in hindsight, in standard deviations
_NEW_AGREEMENT: Final = (3.0, 1.5)  # mean and spread of new texts along their common direction
_ENOUGH: Final = 5  # texts with a known place, for a direction
_LIKELY_95: Final = 3.0  # log-likelihood below its highest, within which 95 % lie: of two numbers, onset and its rise
_RAMPS: Final = (300, 1_000, 3_000)  # texts within which a share rises
_SHARES: Final = (0.5, 1.0, 2.0)  # times the share that is estimated, as the share now of one that rises is larger
_MOST_SHARE: Final = 0.98
_RAMP_ROWS: Final = 60  # beginnings of a rise that are looked at


@dataclass(frozen=True, slots=True)
class SeenText:
    """A text as the monitor remembers it. surprisal: minus the logarithm of its tail probability. copies: 1 for
    the first of equal texts, 0 for one that people said is to be expected. outside: its embedding outside the
    centroids' span, float16, or None. at: the source's time. offset: of the record that brought it; -1 where
    there is none. fields: the application's segments, such as its channel, and their values. confidence:
    calibrated probability of its label. distance: minus the logarithm of the tail probability of its distance alone, of
    a text that the encoder decided. is_fast: whether the fast path decided it; where it was audited, its place is known
    and its surprisal is one among fast texts."""

    id: str
    event_number: int
    text: str | None
    label: str
    surprisal: float
    copies: int
    outside: NDArray[np.float16] | None
    at: str = ""
    offset: int = -1
    fields: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 1.0
    distance: float | None = None
    is_fast: bool = False


def newness(before: Sequence[SeenText], after: Sequence[SeenText], spread: float) -> tuple[Doubles, Doubles]:
    """Log-likelihood ratio, new against known, of each text: by its tail, and by how it points where unusual
    texts `after` the onset point (a text is not counted for its own direction).

    spread: variance of a reference text's part outside the span along a given direction.
    """
    tails = [0.5 * np.array([seen.surprisal for seen in texts]) + np.log(0.5) for texts in (before, after)]
    rows = [row for row, seen in enumerate(after) if seen.outside is not None]
    if sum(after[row].copies == 1 for row in rows) < _ENOUGH:
        return tails[0], tails[1]
    vectors = _vectors(after[row] for row in rows)
    weights = unusual_share(np.array([after[row].surprisal for row in rows]))[:, None]
    weights = weights * np.array([[after[row].copies == 1] for row in rows])
    direction = (weights * vectors).sum(axis=0)
    tails[1][rows] += _agreement_odds(vectors, direction - weights * vectors, spread)
    known = [row for row, seen in enumerate(before) if seen.outside is not None]
    if known:
        earlier = _vectors(before[row] for row in known)
        tails[0][known] += _agreement_odds(earlier, np.broadcast_to(direction, earlier.shape), spread)
    return tails[0], tails[1]


def is_near(outside: Doubles, surprisal: float, direction: Doubles, spread: float) -> bool:
    """Whether a text lies where `odds_there` says. outside: (kept,)."""
    return bool(np.isfinite(odds_there(outside[None], np.array([surprisal]), direction, spread)[0]))


def odds_there(outside: Doubles, surprisals: Doubles, direction: Doubles, spread: float) -> Doubles:
    """How much more texts point along a direction than known ones do, as a log-likelihood ratio; minus infinity of
    those that do not lie there: that are not unusual, or are but point elsewhere, as those of another new subject do.
    outside: (texts, kept). surprisals: (texts,)."""
    agreement = _agreement_odds(outside, np.broadcast_to(direction, outside.shape), spread)
    is_there = (agreement > 0.0) & (0.5 * surprisals + np.log(0.5) + agreement > 0.0)
    odds: Doubles = np.where(is_there, agreement, -np.inf)
    return odds


def probably_new(log_odds: Doubles, share: float) -> Doubles:
    """Probability that a text is new, by its log-likelihood ratio and the share of new texts."""
    ratio = share * np.exp(np.minimum(log_odds, 30.0))
    probability: Doubles = ratio / (1.0 - share + ratio)
    return probability


def onset_range(log_odds: Doubles, share: float, first: int, last: int) -> tuple[int, int]:
    """Rows between which the change began, with about 95 %, by the likelihood of each. log_odds: in order of arrival,
    from well before to the newest. share: of new texts, about as large as it is now. first, last: between which it is
    looked for.

    New texts may come all at once, or more and more of them: each beginning counts by what explains it best, a step or
    a share that rises evenly within some hundreds or thousands of texts. Of a slow rise the first texts are too few to
    tell, so its interval is wide, where that of a step alone would be narrow and miss it.
    Source: likelihood-based interval of a change point, Siegmund (1988), "Confidence sets in change-point problems",
    International Statistical Review 56.
    """
    odds = np.expm1(np.minimum(log_odds, 30.0))
    rows = np.unique(np.linspace(first, last, _RAMP_ROWS).round().astype(np.int64))
    after = np.arange(len(odds)) - rows[:, None] + 1.0
    best = np.full(last + 1 - first, -np.inf)
    for now in np.clip(share * np.array(_SHARES), 0.0, _MOST_SHARE):
        steps = np.cumsum(np.log1p(now * odds)[::-1])[::-1][first : last + 1]
        np.maximum(best, steps, out=best)
        for texts in _RAMPS:
            rising = np.log1p(now * np.clip(after / texts, 0.0, 1.0) * odds).sum(axis=1)
            best[rows - first] = np.maximum(best[rows - first], rising)
    likely = np.flatnonzero(best >= best.max() - _LIKELY_95)
    return first + int(likely[0]), first + int(likely[-1])


def _agreement_odds(vectors: Doubles, directions: Doubles, spread: float) -> Doubles:
    """Normal densities of the agreement, new against known, as a log ratio."""
    lengths = np.maximum(np.linalg.norm(directions, axis=1), 1e-12)
    agreement = np.einsum("ij,ij->i", vectors, directions) / (lengths * np.sqrt(spread))
    mean, width = _NEW_AGREEMENT
    odds: Doubles = (agreement / _KNOWN_AGREEMENT) ** 2 / 2 - ((agreement - mean) / width) ** 2 / 2
    odds -= np.log(width / _KNOWN_AGREEMENT)
    return np.where(agreement < 0.0, np.minimum(odds, 0.0), odds)


def _vectors(texts: Iterable[SeenText]) -> Doubles:
    return np.stack([seen.outside for seen in texts if seen.outside is not None]).astype(np.float64)
