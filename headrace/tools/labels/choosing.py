"""Which texts are worth a person's time: the unsure, the typical, and each unlike those before it.

Sources: uncertainty weighted by distance to what is chosen already, Sener and Savarese (2018), "Active learning for
convolutional neural networks: a core-set approach" (greedy k-centre), with the weights of Zhdanov (2019), "Diverse
mini-batch active learning", arXiv 1901.05954; typical texts first while labels are few, Hacohen, Dekel and Weinshall
(2022), "Active learning on a budget: opposite strategies suit high and low budgets".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain.text_keys import NearCopies, is_held_out

_LONELY: Final = 0.05  # weight of a text that the model is sure of: diversity still counts a little
_NEIGHBOURS: Final = 20  # so many say how typical a text is
_ROWS_AT_ONCE: Final = 1_000
_MEMBER_QUANTILE: Final = 0.95  # of the texts before an episode, so many are less like its examples, or decided surer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A decided text. confidence: of its label, in [0, 1]. embedding: unit length; None where the encoder did not run.
    is_rejected: as out of scope."""

    id: str
    text: str
    confidence: float
    embedding: NDArray[np.float32] | None = None
    is_rejected: bool = False


def choose_for_labelling(
    candidates: Sequence[Candidate], limit: int, seen: Sequence[Candidate] = ()
) -> list[Candidate]:
    """Up to `limit` texts, the most useful first. The same candidates give the same choice.

    seen: those that are labelled or chosen already. What is near to one of them that trains teaches little more, or
    who labels two at a time is asked about one corner of a subject only; near copies of them, and of those chosen, are
    passed over. Texts without an embedding come last: nobody knows what they are like.
    """
    if limit <= 0:
        return []
    copies = NearCopies(one.text for one in seen)
    taught = [one for one in seen if not is_held_out(one.text)]
    chosen: list[Candidate] = []
    for candidate in _in_order(candidates, taught):
        if len(chosen) >= limit:
            break
        if candidate.text not in copies:
            copies.add(candidate.text)
            chosen.append(candidate)
    return chosen


def members(
    candidates: Sequence[Candidate], before: Sequence[Candidate], examples: Sequence[Candidate]
) -> list[Candidate]:
    """Those that belong to what an episode's examples are about: more like them than nearly all texts before it."""
    centre = _centre(examples)
    if centre is None:
        return []
    usual = [float(one.embedding @ centre) for one in before if one.embedding is not None]
    least = float(np.quantile(usual, _MEMBER_QUANTILE)) if usual else -1.0
    return [one for one in candidates if one.embedding is not None and float(one.embedding @ centre) > least]


def unusually_unsure(candidates: Sequence[Candidate], before: Sequence[Candidate]) -> list[Candidate]:
    """Those that are decided less surely than nearly all texts before an episode: a broad subject has corners that are
    like none of its ten examples. They may teach; drawn among them, labels would favour any challenger, as the champion
    alone was chosen to be unsure."""
    usual = [_uncertainty(one) for one in before]  # the fast path's too, which are the surest
    least = float(np.quantile(usual, _MEMBER_QUANTILE)) if usual else 1.0 + _LONELY
    return [one for one in candidates if one.embedding is not None and _uncertainty(one) > least]


def _in_order(candidates: Sequence[Candidate], taught: Sequence[Candidate]) -> Iterator[Candidate]:
    """All of them, the most useful first: weight times distance to the nearest one before, chosen greedily. taught:
    those that come before all."""
    embedded = [one for one in candidates if one.embedding is not None]
    if embedded:
        vectors = np.stack([one.embedding for one in embedded if one.embedding is not None])
        weights = np.array([_uncertainty(one) for one in embedded]) * _typicality(vectors)
        gaps = _gaps(vectors, [one.embedding for one in taught if one.embedding is not None])
        for _ in embedded:
            best = int(np.argmax(weights * gaps))
            yield embedded[best]
            gaps = np.minimum(gaps, np.maximum(1.0 - vectors @ vectors[best], 1e-6))
            weights[best] = -1.0
    yield from sorted((one for one in candidates if one.embedding is None), key=lambda one: -_uncertainty(one))


def _gaps(vectors: NDArray[np.float32], taught: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Cosine distance of each to the nearest one of `taught`; 1 where there is none."""
    gaps = np.ones(len(vectors))
    for start in range(0, len(taught), _ROWS_AT_ONCE):
        nearest = (vectors @ np.stack(taught[start : start + _ROWS_AT_ONCE]).T).max(axis=1)
        gaps = np.minimum(gaps, np.maximum(1.0 - nearest, 1e-6))
    return gaps


def _uncertainty(candidate: Candidate) -> float:
    return _LONELY + 1.0 - (0.0 if candidate.is_rejected else min(max(candidate.confidence, 0.0), 1.0))


def _typicality(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean cosine to the nearest neighbours, in (0, 1]: a text that nothing resembles teaches little."""
    neighbours = min(_NEIGHBOURS, len(vectors) - 1)
    if neighbours < 1:
        return np.ones(len(vectors))
    means = np.empty(len(vectors))
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        cosines = vectors[start : start + _ROWS_AT_ONCE] @ vectors.T
        nearest = np.partition(cosines, -neighbours - 1, axis=1)[:, -neighbours - 1 :]
        means[start : start + _ROWS_AT_ONCE] = (nearest.sum(axis=1) - nearest.max(axis=1)) / neighbours
    return np.clip(means, 0.05, 1.0)


def _centre(examples: Sequence[Candidate]) -> NDArray[np.float32] | None:
    """Where the examples lie together; None where none has an embedding."""
    vectors = [one.embedding for one in examples if one.embedding is not None]
    if not vectors:
        return None
    total = np.sum(vectors, axis=0)
    length = float(np.linalg.norm(total))
    return total / length if length > 0 else None
