"""How much one text speaks for drift: the increments that the drift monitor adds up.

Four parts, in natural logarithms of odds. Each averages at most one (before the logarithm) on a stream of independent
texts that is like the reference; the sum of a text's distance and of where it points need not, as both are of the same
text.

- *distance*: the text's distance to the nearest label centroid, as a tail probability among the reference's;
- *confidence*: how unsure the model is, as a tail probability among the reference's;
- *direction*: the mean embedding of any mix of known labels lies in the span of the centroids. What is left
  of a text outside that span has mean zero, whatever the mix; if new texts keep pointing where the unusual
  ones before them pointed, a new subject has come. The direction is always chosen before the text is seen.
  Of few texts that mean is known roughly only. An error in it would be found again in text after text, so what
  agreement the likely error explains is taken off first;
- *neighbours*: a subject's texts seldom lie in one heap, and heaps may cancel each other. So the same bet counts how
  much nearer a text lies to the unusual texts of late than known texts do (streams/monitor/drift/neighbours.py).

Texts that the fast path decides are the least suspicious of all, whatever their distance would be: one rule orders the
whole stream, so that the tail probability of any other text counts among all texts. They say the least that a text can
say, and nothing of the direction, whose mean is that of the texts which are left to the encoder.

The same arithmetic runs for one live stream and, to set thresholds, for many simulated ones side by side.

Sources: mixture alternatives for p-values, Sellke, Bayarri, Berger (2001), The American Statistician 55;
sequential tests by betting, Shekhar and Ramdas (2023), arXiv 2112.09162; e-detectors, Shin, Ramdas, Rinaldo
(2024), arXiv 2203.03532.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.neighbours import UnusualTexts
from streams.monitor.drift.reference import Doubles, Floats
from streams.monitor.drift.small_share import SmallShare, new_share, unusual
from streams.monitor.seasons.texts import TextSeasons
from streams.packing import pack, unpack

TAILS: Final = ("embeddings", "confidence", "both")
DETECTORS: Final = (*TAILS, "small_share")
EMBEDDINGS, CONFIDENCE, BOTH, SMALL_SHARE = range(4)
_SHARE: Final = 0.4  # of unusual texts in the alternative that the tails are tested for
_POWER: Final = 0.5  # their tail probabilities' density there: power * p ** (power - 1)
_BET: Final = 0.175  # evidence per standard deviation of agreement with the direction
_NEAR: Final = 0.08  # evidence for each time as near to the unusual ones as known texts are, beyond the first
_MOST_NEAR: Final = 10.0  # times as near as known texts are: more says no more
_FIRST: Final = 5  # texts, before which there is no direction
_WITHOUT_EMBEDDING: Final = np.array([0.0, 1.0, 0.0, 0.0])  # of each detector's increment
_AGREEMENT: Final = (-2.5, 6.0)  # standard deviations, clipped: 1 - 0.175 * 2.5 - 0.08 stays above zero


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    """direction_half_life: texts after which a text counts half in the direction.

    The stream is never quite like the training texts: mostly a little farther out. So exponents are divided
    by a scale, which is taken for `expected_scale` at first and learnt from their mean over the first
    `settle_events`, the expectation counting as `expected_weight` of them, within `scale_limits`. A text enters
    only `lag_events` later, so that a drift is not learnt as normal before it is seen. The place of the parts
    outside the span is learnt in the same way. season_limit: of the scale at an hour of the week, never below the whole
    stream's; higher, as it was told as drift the first time. place_errors: times its expected squared error, of a mean
    of so many texts, which may explain agreement with the direction; above 1, as unusual texts and other mixes of
    labels know less of them than all texts. repeated_limit, repeated_texts: see `Evidence.repeated`.
    """

    direction_half_life: float = 60.0
    repeated_limit: float = 2.0
    repeated_texts: int = 100
    expected_scale: float = 1.1
    expected_weight: float = 200.0
    place_errors: float = 2.0
    lag_events: int = 100
    settle_events: int = 3_000
    scale_limits: tuple[float, float] = (1.0, 1.5)
    season_limit: float = 3.0


class Evidence:
    """Increments for `runs` streams at once; knows what each stream was like so far.

    Not thread-safe. Memory per stream: `lag_events` texts and two vectors.
    """

    def __init__(
        self,
        policy: EvidencePolicy,
        runs: int,
        dimensions: int,
        spread: float,
        *,
        place: Floats | None = None,
        place_texts: float = np.inf,
        full_share: float = 1.0,
        seasons: TextSeasons | None = None,
    ) -> None:
        """dimensions, spread, place, place_texts: of the parts outside the span, which are 1 long in the root mean
        square (`Reference.basis`, `Reference.spread`, `Reference.place`; None: zero; `Reference.place_texts`).
        full_share: `Reference.full_share`. seasons: of the one stream; None: it has none."""
        self._policy = policy
        self._seasons = seasons
        self._keep = np.float32(0.5 ** (1.0 / policy.direction_half_life))
        self._direction = np.zeros((runs, dimensions), np.float32)
        self._direction_weight = np.zeros(runs)
        self._place_texts = place_texts
        self._offset = np.zeros((runs, dimensions), np.float32)
        if place is not None:
            self._offset += place
        self._spread = np.full(runs, spread)
        self._scales = np.linspace(*policy.scale_limits, 51)
        self._means_of_scales = mean_exponent(self._scales, full_share)
        self._scales_of_seasons = np.linspace(policy.scale_limits[0], policy.season_limit, 51)
        self._means_of_seasons = mean_exponent(self._scales_of_seasons, full_share)
        self._means = np.full((runs, len(TAILS)), mean_exponent(policy.expected_scale, full_share))
        self._waiting: deque[tuple[Doubles, Floats | None, NDArray[np.bool_]]] = deque()
        self._settled = np.zeros(len(TAILS))
        self._placed = np.zeros(runs)
        self._texts = np.zeros(runs)
        self._allowance = np.full((runs, len(DETECTORS)), policy.repeated_limit)
        self._small_share = SmallShare(runs)
        self._neighbours = UnusualTexts(runs, dimensions, spread)

    def add(self, surprisals: Doubles, outside: Floats | None, fast: NDArray[np.bool_] | None = None) -> Doubles:
        """One new text per stream: its increment for each detector, (runs, 4).

        exponents: (runs, 3), in the order of TAILS. outside: (runs, dimensions), or None where no embedding is known;
        then only the confidence counts. fast: (runs,), whether the fast path decided the text: its exponents are 0, and
        its row of `outside` says nothing.
        """
        full = np.ones(len(surprisals), dtype=bool) if fast is None else ~fast
        corrected = self._corrected(surprisals)
        increments = _of_tails(corrected)
        if outside is None:
            increments[full] *= _WITHOUT_EMBEDDING
        elif outside.shape[1]:
            self._point(increments, corrected, outside - self._offset, full)
        self._settle(surprisals, outside, full)
        self._refill()
        self.take_season(surprisals, outside, full)
        return increments

    def enter(self, hour: int | None) -> None:
        """The hour of the next text, since 1970; None where it counts in none."""
        if self._seasons is not None:
            self._seasons.enter(hour)

    def end_episodes(self, *, ceased: bool) -> None:
        """See TextSeasons.end_episodes."""
        if self._seasons is not None:
            self._seasons.end_episodes(ceased=ceased)

    def take_season(
        self, surprisals: Doubles, outside: Floats | None, full: NDArray[np.bool_], *, of_episode: bool = False
    ) -> None:
        """Learn of a text what its hour is like. of_episode: it lies at the place of an open one, and says nothing
        else."""
        if self._seasons is not None:
            has_tail = outside is not None or not bool(full[0])
            vector = outside[0] if outside is not None else None
            self._seasons.add(surprisals[0], vector, has_tail=has_tail, of_episode=of_episode)

    def repeated(self, surprisals: Doubles, nth: int, *, is_fast: bool, has_embedding: bool) -> Doubles:
        """The increment of the `nth` text of what counts as one: its tails only, and nothing is learnt from it. It
        speaks for drift as one n-th of a text, against it as any other (else a stream of repeats would have no way
        down). All such texts together lift a sum by no more than `repeated_limit` in `repeated_texts`, twice that in
        the first."""
        increments = _of_tails(self._corrected(surprisals))
        increments[increments > 0.0] /= nth
        if not has_embedding and not is_fast:
            increments *= _WITHOUT_EMBEDDING
        np.minimum(increments, self._allowance, out=increments)
        self._allowance -= np.maximum(increments, 0.0)
        self._refill()
        return increments

    def _refill(self) -> None:
        limit = self._policy.repeated_limit
        self._allowance += limit / self._policy.repeated_texts
        np.minimum(self._allowance, limit, out=self._allowance)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here, for JSON."""
        return {name: pack(value) for name, value in self._learnt().items()} | {
            "waiting": [
                [pack(surprisals), None if outside is None else pack(outside), pack(full)]
                for surprisals, outside, full in self._waiting
            ],
            "seasons": self._seasons.state() if self._seasons is not None else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        for name, value in self._learnt().items():
            if name in state or name not in self._added():
                value[...] = unpack(state[name], value.dtype, value.shape)
        runs, dimensions = self._direction.shape
        self._waiting = deque(
            (
                unpack(surprisals, np.float64, (runs, len(TAILS))),
                None if outside is None else unpack(outside, np.float32, (runs, dimensions)),
                unpack(full, np.bool_, (runs,)),
            )
            for surprisals, outside, full in state["waiting"]
        )
        if self._seasons is not None and state.get("seasons") is not None:  # states of earlier versions have none
            self._seasons.restore(state["seasons"])

    def _learnt(self) -> dict[str, NDArray[Any]]:
        """What was learnt of the streams so far, beside the texts that wait to enter it."""
        learnt: dict[str, NDArray[Any]] = {
            "direction": self._direction,
            "direction_weight": self._direction_weight,
            "offset": self._offset,
            "spread": self._spread,
            "means": self._means,
            "settled": self._settled,
            "placed": self._placed,
            "texts": self._texts,
        }
        return learnt | self._added()

    def _added(self) -> dict[str, NDArray[Any]]:
        """What states of earlier versions lack."""
        learnt = self._small_share.learnt() | self._neighbours.learnt()
        small_share = {f"small_share_{name}": value for name, value in learnt.items()}
        return {"allowances": self._allowance} | small_share

    def _corrected(self, surprisals: Doubles) -> Doubles:
        scales = np.interp(self._means, self._means_of_scales, self._scales)
        if self._seasons is not None and self._seasons.exponents is not None:
            of_hour = np.interp(self._seasons.exponents, self._means_of_seasons, self._scales_of_seasons)
            scales = np.maximum(scales, of_hour)
        corrected: Doubles = surprisals / scales
        return corrected

    def _point(self, increments: Doubles, corrected: Doubles, centred: Floats, full: NDArray[np.bool_]) -> None:
        """Add what the texts' directions say."""
        known = full & (self._texts >= _FIRST)
        memory = np.minimum(100 + self._texts, 1_000)
        squared_error = self._policy.place_errors / (self._place_texts + self._placed)
        moved: Floats | None = None  # by which this hour's place is another one
        if self._seasons is not None and self._seasons.place is not None:
            moved = self._seasons.place - self._offset
            centred = centred - moved
            squared_error = squared_error + self._policy.place_errors * self._seasons.squared_error
        agreement = self._agreement(centred, moved, unusual_share(corrected[:, EMBEDDINGS]), squared_error, full)
        near = self._neighbours.odds(centred, moved, squared_error, known, memory)
        self._neighbours.remember(centred, new_share(tail_ratio(corrected[:, BOTH])), known)
        nearness = np.minimum(near, _MOST_NEAR) - 1.0
        increments[:, [EMBEDDINGS, BOTH]] += np.log1p(_BET * agreement + _NEAR * nearness)[:, None]
        increments[:, SMALL_SHARE] += self._small_share.pointing(agreement, near, known, memory)

    def _agreement(
        self,
        centred: Floats,
        moved: Floats | None,
        weights: Doubles,
        squared_error: Doubles,
        full: NDArray[np.bool_],
    ) -> Doubles:
        """How far the full texts point along the direction so far, in standard deviations; then they turn the
        direction. 0 for the others."""
        lengths = np.maximum(np.linalg.norm(self._direction, axis=1), 1e-12)
        along = np.einsum("ij,ij->i", centred, self._direction)
        if moved is not None:  # what the hour explains is taken off; it never adds anything
            along += np.minimum(np.einsum("ij,ij->i", moved, self._direction), 0.0)
        along = along / lengths
        # An error of the place turns the direction its way with every text; the texts to come then point there as well.
        explained = self._direction_weight * squared_error / lengths
        known = full & (self._texts >= _FIRST)
        agreement: Doubles = np.where(known, np.clip((along - explained) / np.sqrt(self._spread), *_AGREEMENT), 0.0)
        # A few texts far along must not widen what is usual: cut at three standard deviations.
        memory = np.minimum(100 + self._texts, 1_000)
        self._spread += known * (np.minimum(along**2, 9 * self._spread) - self._spread) / memory
        self._texts += full
        keep = np.where(full, self._keep, np.float32(1.0))
        self._direction *= keep[:, None]
        self._direction += (full * weights).astype(np.float32)[:, None] * centred
        self._direction_weight *= keep
        self._direction_weight += full * weights
        return agreement

    def _settle(self, surprisals: Doubles, outside: Floats | None, full: NDArray[np.bool_]) -> None:
        """Move the location a little towards the text of `lag_events` ago, while the stream is young."""
        if len(self._waiting) > self._policy.lag_events:
            before, vectors, placed = self._waiting.popleft()
            has_tail = vectors is not None or not placed.any()
            known = np.array([has_tail, True, has_tail]) & (self._settled < self._policy.settle_events)
            self._settled += known
            steps = known / (self._policy.expected_weight + self._settled)
            self._means += steps * (before - self._means)
            if vectors is not None and known[EMBEDDINGS]:
                self._placed += placed
                moves = (placed / (self._policy.expected_weight + self._placed)).astype(np.float32)
                self._offset += moves[:, None] * (vectors - self._offset)
        if (
            self._settled[CONFIDENCE] < self._policy.settle_events
            or self._settled[EMBEDDINGS] < self._policy.settle_events
        ):
            self._waiting.append((surprisals, outside, full))
        else:
            self._waiting.clear()  # nothing of them would be learnt any more


def tail_evidence(surprisals: Doubles) -> Doubles:
    """Log of the likelihood ratio of a share of unusual texts against none; the ratio averages 1 on the
    reference."""
    return np.log(1.0 - _SHARE + _SHARE * tail_ratio(surprisals))


def tail_ratio(surprisals: Doubles) -> Doubles:
    """Density of an unusual text's tail probability against that of a known one; averages 1 on the reference."""
    return _POWER * np.exp((1.0 - _POWER) * surprisals)


def _of_tails(corrected: Doubles) -> Doubles:
    """What each detector takes from the tail probabilities alone, (runs, 4)."""
    return np.column_stack([tail_evidence(corrected), unusual(tail_ratio(corrected[:, BOTH]))])


def mean_exponent(scale: float | Doubles, full_share: float) -> Doubles:
    """Mean of exponents on a stream whose texts lie `scale` times as far out, at or above 1, as the reference's do.

    The order of all texts gives exponents that are exponential with mean `scale`; of those at or below minus the
    logarithm of `full_share` nothing is known (the fast path decided them), and they are counted as 0.
    """
    hidden = -np.log(full_share)
    mean: Doubles = np.exp(-hidden / scale) * (hidden + scale)
    return mean


def unusual_share(surprisals: Doubles) -> Doubles:
    """Probability that a text is one of the unusual ones, were the alternative true."""
    weights = _SHARE * tail_ratio(surprisals)
    share: Doubles = weights / (1.0 - _SHARE + weights)
    return share
