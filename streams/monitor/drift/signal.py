"""What the drift monitor hears of one decided text, and what that is beside the release's reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.evidence import BOTH, CONFIDENCE, EMBEDDINGS, TAILS
from streams.monitor.drift.fast_audits import FastAudits
from streams.monitor.drift.reference import Doubles, Floats, Reference
from streams.monitor.episodes.members import SeenText


@dataclass(frozen=True, slots=True)
class Signal:
    """What the monitor hears of one decided text.

    event_number: counts this application's events, growing. confidence: calibrated probability of the label, in [0, 1].
    embedding: (dimensions,), float32, unit length; None where the encoder did not run. fast: whether the fast path
    decided the text; then its confidence does not count, and its embedding, where it was audited, is compared with fast
    texts only. at: the source's time. offset: of the record that brought it; -1 where there is none. key: of its
    conversation. fields: segments and their values.
    """

    id: str
    event_number: int
    text: str | None
    label: str
    confidence: float
    oos_score: float | None = None
    embedding: NDArray[np.float32] | None = None
    fast: bool = False
    at: str = ""
    offset: int = -1
    key: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeasuredText:
    """A signal beside the reference.

    embedding: made one long again; None where it has no length. surprisals: (1, 3), in the order of TAILS; of a fast
    text: among fast ones where it was audited, else 0. outside: (1, kept), its part outside the span, where its
    embedding counts.
    """

    signal: Signal
    embedding: Floats | None
    surprisals: Doubles
    outside: Floats | None

    @classmethod
    def of(cls, signal: Signal, reference: Reference, audits: FastAudits | None) -> Self:
        """audits: of the same reference; None where it has no fast texts. Raises ValueError for an embedding of other
        dimensions than the reference has."""
        embedding = _unit(signal, reference.dimensions)
        rows = embedding[None] if embedding is not None and not (signal.fast and audits is None) else None
        distances = reference.distances(rows) if rows is not None else np.zeros(1, np.float32)
        if signal.fast:
            audited = 0.0 if audits is None or rows is None else audits.surprisal(float(distances[0]))
            surprisals = np.full((1, len(TAILS)), audited)
        else:
            surprisals = reference.surprisals(distances.astype(np.float64), np.array([-signal.confidence]))
        return cls(signal, embedding, surprisals, rows @ reference.basis if rows is not None else None)

    @property
    def place(self) -> tuple[Doubles, float] | None:
        """Where it lies outside the span, (kept,), and how far out, as a surprisal; None where nobody knows."""
        return None if self.outside is None else (self.outside[0].astype(np.float64), float(self.surprisals[0, BOTH]))

    @property
    def surprisal(self) -> float:
        """All that is known of it."""
        return float(self.surprisals[0, BOTH if self.outside is not None else CONFIDENCE])

    @property
    def audited(self) -> float | None:
        """Its surprisal among fast texts; None of one that is no audited fast text."""
        return float(self.surprisals[0, BOTH]) if self.signal.fast and self.outside is not None else None

    def among_all(self) -> tuple[Doubles, Floats | None, NDArray[np.bool_]]:
        """Surprisals and part outside the span that it has among all texts, and whether the encoder decided it, (1,): a
        fast one is the least suspicious, audited or not."""
        full = np.array([not self.signal.fast])
        return (
            (np.zeros_like(self.surprisals), None, full) if self.signal.fast else (self.surprisals, self.outside, full)
        )

    def seen(self, copies: int) -> SeenText:
        """As it is remembered. copies: see SeenText."""
        signal, outside = self.signal, self.outside
        return SeenText(
            signal.id,
            signal.event_number,
            signal.text,
            signal.label,
            self.surprisal,
            copies,
            outside[0].astype(np.float16) if outside is not None else None,
            signal.at,
            signal.offset,
            fields=signal.fields,
            confidence=signal.confidence,
            distance=float(self.surprisals[0, EMBEDDINGS]) if outside is not None and not signal.fast else None,
            is_fast=signal.fast,
        )


def _unit(signal: Signal, dimensions: int) -> Floats | None:
    if signal.embedding is None:
        return None
    if signal.embedding.shape != (dimensions,):
        raise ValueError(f"embedding of shape {signal.embedding.shape} for a reference of {dimensions} dimensions")
    length = float(np.linalg.norm(signal.embedding))
    if not np.isfinite(length) or length == 0.0:
        return None
    return (signal.embedding / length).astype(np.float32)
