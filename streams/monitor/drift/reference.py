"""The release's reference: the texts that it knows, in the form that drift detection needs.

What a text's tail probabilities are taken from, and the basis of what lies outside the span of the label centroids.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.words.counts import WordCounts
from streams.packing import pack, unpack

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_RUN_PAIRS: Final = 0.02  # share of pairs of the reference's texts that are as near as texts of a run
_COPIES: Final = 0.02  # share of the reference's texts that may look like copies of others


class Reference:
    """The release's reference, in the form that increments need.

    basis: (dimensions, kept), maps an embedding to its part outside the span of the centroids; its mean
    squared length on the reference is 1. spread: variance of that part along the direction of another
    reference text. place: (kept,), mean of that part. All three over the texts that the encoder sees.
    place_texts: how many texts that mean is known from. sample_distances, sample_labels: (sample,), to the nearest
    centroid, and its number. copy_cosine: hardly any of them has another one nearer. run_cosine: hardly any two of
    them are nearer. labels: how many. full_share: share of texts that the encoder sees, in (0, 1]; 1 without a fast
    path. fast_distances: of the texts that the fast path decides, in order. background: words of the release's own
    texts; None where it does not know them.
    """

    def __init__(
        self,
        centroids: Floats,
        distances: Floats,
        confidence: Floats,
        embeddings: Floats | None,
        fast: NDArray[np.bool_] | None = None,
        background: WordCounts | None = None,
    ) -> None:
        """See `from_arrays`. embeddings: of texts that the encoder sees. fast: None where it sees all."""
        self.background = background
        self.labels, self.dimensions = centroids.shape
        self._directions = np.ascontiguousarray(centroids.T)
        # References of distance and confidence are two views of the same texts where they have the same length.
        pairs = min(len(distances), len(confidence))
        self.size = pairs
        self.full_share = 1.0
        self.fast_distances = np.sort(distances[fast] if fast is not None else distances[:0]).astype(np.float64)
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
        self.place, self.place_texts = np.zeros(self.basis.shape[1], np.float32), pairs
        if fast is not None and len(self.residuals):
            self.place, self.place_texts = self.residuals.mean(axis=0), len(self.residuals)
        sample = embeddings if embeddings is not None else np.empty((0, self.dimensions), np.float32)
        self.copy_cosine = _nearest_cosine(sample, _COPIES)
        self.run_cosine = _pair_cosine(sample, _RUN_PAIRS)
        self.sample_distances, self.sample_labels = self.distances(sample), (sample @ self._directions).argmax(axis=1)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, fast_path: bool = True) -> Self:
        """arrays: `centroids` (labels, dimensions), `reference_distances` (texts,), `reference_confidence` (texts,), of
        the same texts in the same order, which none of their centroids and heads was fitted on; optionally
        `reference_embeddings` (texts, dimensions), without which the direction is not tested. Optionally
        `background_terms`, `background_counts` and `background_texts` (WordCounts.arrays), without which new words are
        told by the stream alone. Optionally, of a release with a fast path: `reference_fast` (texts,), not 0 for those
        that it decides, and `reference_full_embeddings` (texts, dimensions), of others. fast_path: whether the
        application uses it.

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
        return cls(centroids, distances, confidence, embeddings, fast, WordCounts.from_arrays(arrays))

    def distances(self, embeddings: Floats) -> Floats:
        """Cosine distance to the nearest centroid, (texts,)."""
        nearest: Floats = 1.0 - (embeddings @ self._directions).max(axis=1)
        return nearest

    def place_of(self, outside: Doubles) -> str:
        """A part outside the span, (kept,), as text that does not depend on this release's span: `direction_of` of any
        release on the same encoder takes it."""
        return pack((outside @ np.linalg.pinv(self.basis.astype(np.float64))).astype(np.float16))

    def direction_of(self, place: str) -> Doubles | None:
        """The direction outside the span that `place_of` wrote; None for embeddings of another size."""
        try:
            vector = unpack(place, np.float16, (self.dimensions,))
        except ValueError:
            return None
        direction: Doubles = vector.astype(np.float64) @ self.basis
        return direction if np.linalg.norm(direction) > 0.0 else None

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


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, axes: int) -> Floats:
    array = np.asarray(arrays.get(name, ()), dtype=np.float32)
    if array.ndim != axes or not array.size or not np.isfinite(array).all():
        raise ModelError(
            f"the release's {name} has shape {array.shape}; it must be finite, {axes}-dimensional, not empty"
        )
    return array


def _nearest_cosine(sample: Floats, share: float) -> float:
    """What only a share of the texts exceeds with the nearest other one; 0 of fewer than two texts."""
    if len(sample) < 2:
        return 0.0
    unit = sample / np.maximum(np.linalg.norm(sample, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1.0)
    return float(np.quantile(cosines.max(axis=1), 1.0 - share))


def _pair_cosine(sample: Floats, share: float) -> float:
    """What only a share of all pairs of texts exceeds; infinite of fewer than two texts."""
    if len(sample) < 2:
        return np.inf
    unit = sample / np.maximum(np.linalg.norm(sample, axis=1, keepdims=True), 1e-12)
    return float(np.quantile((unit @ unit.T)[np.triu_indices(len(unit), 1)], 1.0 - share))


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
