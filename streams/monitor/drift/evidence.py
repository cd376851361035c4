"""How much one text speaks for drift: the increments that the drift monitor adds up.

Three parts, in natural logarithms of odds, each of which averages at most one (before the logarithm) on a
stream that is like the reference:

- *distance*: the text's distance to the nearest label centroid, as a tail probability among the reference's;
- *confidence*: how unsure the model is, as a tail probability among the reference's;
- *direction*: the mean embedding of any mix of known labels lies in the span of the centroids. What is left
  of a text outside that span has mean zero, whatever the mix; if new texts keep pointing where the unusual
  ones before them pointed, a new subject has come. The direction is always chosen before the text is seen.

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
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DETECTORS: Final = ("embeddings", "confidence", "both")
EMBEDDINGS, CONFIDENCE, BOTH = range(3)
_SHARE: Final = 0.4  # of unusual texts in the alternative that the tails are tested for
_POWER: Final = 0.5  # their tail probabilities' density there: power * p ** (power - 1)
_BET: Final = 0.35  # evidence per standard deviation of agreement with the direction
_AGREEMENT: Final = (-2.5, 6.0)  # standard deviations, clipped: 1 - 0.35 * 2.5 stays above zero


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    """direction_half_life: texts after which a text counts half in the direction.

    The stream is never quite like the training texts: mostly a little farther out. So exponents are divided
    by a scale, which is taken for `expected_scale` at first and learnt from their mean over the first
    `settle_events`, the expectation counting as `expected_weight` of them, within `scale_limits`. A text enters
    only `lag_events` later, so that a drift is not learnt as normal before it is seen. The place of the parts
    outside the span is learnt in the same way.
    """

    direction_half_life: float = 60.0
    expected_scale: float = 1.1
    expected_weight: float = 200.0
    lag_events: int = 100
    settle_events: int = 3_000
    scale_limits: tuple[float, float] = (1.0, 1.5)


class Reference:
    """The release's reference, in the form that increments need.

    basis: (dimensions, kept), maps an embedding to its part outside the span of the centroids; its mean
    squared length on the reference is 1. spread: variance of that part along the direction of another
    reference text. place: (kept,), mean of that part. All three over the texts that the encoder sees.
    full_share: share of those, in (0, 1]; 1 without a fast path.
    """

    def __init__(
        self,
        centroids: Floats,
        distances: Floats,
        confidence: Floats,
        embeddings: Floats | None,
        fast: NDArray[np.bool_] | None = None,
    ) -> None:
        """See `from_arrays`. embeddings: of texts that the encoder sees. fast: None where it sees all."""
        self.dimensions = centroids.shape[1]
        self._directions = np.ascontiguousarray(centroids.T)
        # References of distance and confidence are two views of the same texts where they have the same length.
        pairs = min(len(distances), len(confidence))
        self.size = pairs
        self.full_share = 1.0
        if fast is not None:
            distances, confidence = np.where(fast, -np.inf, distances), np.where(fast, np.inf, confidence)
            # As if one more text went to the encoder, where none does: no exponent is infinite.
            self.full_share = (np.count_nonzero(~fast) + 1.0) / (len(fast) + 1.0)
        self._distances, self._doubts = np.sort(distances), np.sort(-confidence)
        self.pairs = np.stack([distances[:pairs], -confidence[:pairs]], axis=1).astype(np.float64)
        sums = self._exponents(self.pairs[:, 0], self._distances) + self._exponents(self.pairs[:, 1], self._doubts)
        self._sums = np.sort(sums)
        self.basis, self.residuals, self.spread = _outside_span(centroids, embeddings)
        # Any mix of all texts has mean zero here; a selection of them has a mean of its own.
        self.place = np.zeros(self.basis.shape[1], np.float32)
        if fast is not None and len(self.residuals):
            self.place = self.residuals.mean(axis=0)
        self.sample_distances = self.distances(embeddings) if embeddings is not None else np.empty(0, np.float32)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, fast_path: bool = True) -> Self:
        """arrays: `centroids` (labels, dimensions), `reference_distances` (texts,), `reference_confidence`
        (texts,), of the same texts in the same order, which none of their centroids and heads was fitted on;
        optionally `reference_embeddings` (texts, dimensions), without which the direction is not tested.
        Optionally, of a release with a fast path: `reference_fast` (texts,), not 0 for those that it decides, and
        `reference_full_embeddings` (texts, dimensions), of others. fast_path: whether the application uses it.

        Raises ModelError when one is missing, empty, not finite or of the wrong shape.
        """
        centroids = _checked(arrays, "centroids", 2)
        distances, confidence = (_checked(arrays, f"reference_{name}", 1) for name in ("distances", "confidence"))
        fast, sample = None, "reference_embeddings"
        if fast_path and "reference_fast" in arrays:
            fast, sample = _checked(arrays, "reference_fast", 1) != 0, "reference_full_embeddings"
            if not len(fast) == len(distances) == len(confidence):
                raise ModelError(
                    f"the release's reference_fast is for {len(fast)} texts, its distances for {len(distances)}"
                )
        embeddings = _checked(arrays, sample, 2) if np.size(arrays.get(sample, ())) else None
        if embeddings is not None and embeddings.shape[1] != centroids.shape[1]:
            raise ModelError(f"{sample} of {embeddings.shape[1]} dimensions for centroids of {centroids.shape[1]}")
        return cls(centroids, distances, confidence, embeddings, fast)

    def distances(self, embeddings: Floats) -> Floats:
        """Cosine distance to the nearest centroid, (texts,)."""
        nearest: Floats = 1.0 - (embeddings @ self._directions).max(axis=1)
        return nearest

    def surprisals(self, distances: Doubles, uncertainty: Doubles) -> Doubles:
        """Minus the logarithm of each detector's tail probability, (texts, 3), of texts that the encoder saw:
        exponential with mean 1 on the reference; beside a fast path, the part of that above minus the logarithm of
        `full_share`. A text that the fast path decided has 0."""
        far, unsure = self._exponents(distances, self._distances), self._exponents(uncertainty, self._doubts)
        return np.stack([far, unsure, self._exponents(far + unsure, self._sums)], axis=1)

    @staticmethod
    def _exponents(values: Doubles, ordered: NDArray[Any]) -> Doubles:
        """The reference text itself counts, so that no probability is zero."""
        above = len(ordered) - np.searchsorted(ordered, values, side="left")
        surprisals: Doubles = -np.log((above + 1.0) / (len(ordered) + 1.0))
        return surprisals


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
        full_share: float = 1.0,
    ) -> None:
        """dimensions, spread, place: of the parts outside the span (`Reference.basis`, `Reference.spread`,
        `Reference.place`; None: zero). full_share: `Reference.full_share`."""
        self._policy = policy
        self._keep = np.float32(0.5 ** (1.0 / policy.direction_half_life))
        self._direction = np.zeros((runs, dimensions), np.float32)
        self._offset = np.zeros((runs, dimensions), np.float32)
        if place is not None:
            self._offset += place
        self._spread = np.full(runs, spread)
        self._scales = np.linspace(*policy.scale_limits, 51)
        self._means_of_scales = mean_exponent(self._scales, full_share)
        self._means = np.full((runs, len(DETECTORS)), mean_exponent(policy.expected_scale, full_share))
        self._waiting: deque[tuple[Doubles, Floats | None, NDArray[np.bool_]]] = deque()
        self._settled = np.zeros(len(DETECTORS))
        self._placed = np.zeros(runs)
        self._texts = np.zeros(runs)

    def add(self, surprisals: Doubles, outside: Floats | None, fast: NDArray[np.bool_] | None = None) -> Doubles:
        """One new text per stream: its increment for each detector, (runs, 3).

        exponents: (runs, 3). outside: (runs, dimensions), or None where no embedding is known; then only the
        confidence counts. fast: (runs,), whether the fast path decided the text: its exponents are 0, and its row of
        `outside` says nothing.
        """
        full = np.ones(len(surprisals), dtype=bool) if fast is None else ~fast
        corrected = self._corrected(surprisals)
        increments = tail_evidence(corrected)
        if outside is None:
            increments[full, EMBEDDINGS] = increments[full, BOTH] = 0.0
        elif outside.shape[1]:
            agreement = self._agreement(outside - self._offset, unusual_share(corrected[:, EMBEDDINGS]), full)
            increments[:, [EMBEDDINGS, BOTH]] += np.log1p(_BET * agreement)[:, None]
        self._settle(surprisals, outside, full)
        return increments

    def repeated(self, surprisals: Doubles, *, is_fast: bool, has_embedding: bool) -> Doubles:
        """The increment of a text seen before: its tails only, and nothing is learnt from it."""
        increments = tail_evidence(self._corrected(surprisals))
        if not has_embedding and not is_fast:
            increments[:, [EMBEDDINGS, BOTH]] = 0.0
        return increments

    def _corrected(self, surprisals: Doubles) -> Doubles:
        corrected: Doubles = surprisals / np.interp(self._means, self._means_of_scales, self._scales)
        return corrected

    def _agreement(self, centred: Floats, weights: Doubles, full: NDArray[np.bool_]) -> Doubles:
        """How far the full texts point along the direction so far, in standard deviations; then they turn the
        direction. 0 for the others."""
        lengths = np.linalg.norm(self._direction, axis=1)
        along = np.einsum("ij,ij->i", centred, self._direction) / np.maximum(lengths, 1e-12)
        known = full & (self._texts >= 5)
        agreement: Doubles = np.where(known, np.clip(along / np.sqrt(self._spread), *_AGREEMENT), 0.0)
        # A few texts far along must not widen what is usual: cut at three standard deviations.
        memory = np.minimum(100 + self._texts, 1_000)
        self._spread += known * (np.minimum(along**2, 9 * self._spread) - self._spread) / memory
        self._texts += full
        self._direction *= np.where(full, self._keep, np.float32(1.0))[:, None]
        self._direction += (full * weights).astype(np.float32)[:, None] * centred
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


def tail_evidence(surprisals: Doubles) -> Doubles:
    """Log of the likelihood ratio of a share of unusual texts against none; the ratio averages 1 on the
    reference."""
    return np.log(1.0 - _SHARE + _SHARE * _POWER * np.exp((1.0 - _POWER) * surprisals))


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
    unusual = _SHARE * _POWER * np.exp((1.0 - _POWER) * surprisals)
    share: Doubles = unusual / (1.0 - _SHARE + unusual)
    return share


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, axes: int) -> Floats:
    array = np.asarray(arrays.get(name, ()), dtype=np.float32)
    if array.ndim != axes or not array.size or not np.isfinite(array).all():
        raise ModelError(
            f"the release's {name} has shape {array.shape}; it must be finite, {axes}-dimensional, not empty"
        )
    return array


def _outside_span(centroids: Floats, embeddings: Floats | None) -> tuple[Floats, Floats, float]:
    """The basis of what lies outside the centroids' span, the reference in it, and its spread (see
    Reference).

    With more labels than half the dimensions, only the strongest directions of the centroids are taken out.
    """
    if embeddings is None:
        return np.zeros((centroids.shape[1], 0), np.float32), np.zeros((0, 0), np.float32), 1.0
    _, strengths, axes = np.linalg.svd(centroids.astype(np.float64), full_matrices=True)
    shares = np.cumsum(strengths**2) / np.sum(strengths**2)
    taken = min(int(np.searchsorted(shares, 0.999)) + 1, centroids.shape[1] // 2)
    outside = embeddings.astype(np.float64) @ axes[taken:].T
    # Ordered by strength, so that a simulation may keep the first few.
    variances, turn = np.linalg.eigh(outside.T @ outside / len(outside))
    order = np.argsort(-variances)
    scale = 1.0 / max(float(np.sqrt(variances.sum())), 1e-12)
    basis = (axes[taken:].T @ turn[:, order]) * scale
    spread = float(np.sum((variances * scale**2) ** 2))
    return (
        np.ascontiguousarray(basis, np.float32),
        (embeddings @ basis).astype(np.float32),
        max(spread, 1e-12),
    )
