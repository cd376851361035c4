"""The unusual texts of late, and how much likelier the next text is near them than a known one would be.

A new subject is seldom one heap: its texts lie in several places. So beside the one direction of all unusual texts each
of the last few is kept, and the next text is compared with every one of them (a kernel density estimate). What known
texts give on average is learnt from the stream and divided by, as known texts have neighbours, too.

Source: kernel density estimate, Rosenblatt (1956), Annals of Mathematical Statistics 27.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.reference import Doubles, Floats

_TEXTS: Final = 24
_HALF_LIFE: Final = 100.0  # texts after which a text counts half
_SHIFT: Final = 1.5  # standard deviations by which a new text lies nearer to another one than known texts do
_CUT: Final = (-2.0, 6.0)  # standard deviations, clipped
_COPY_COSINE: Final = 0.8  # outside the span, from which a text says nearly the same again, and is no neighbour
_LEAST_WEIGHT: Final = 0.2  # of all that is kept, below which nothing is said
_LEAST: Final = 1e-12


class UnusualTexts:
    """For `runs` streams at once. Not thread-safe. Memory per stream: 48 vectors."""

    def __init__(self, runs: int, dimensions: int, spread: float) -> None:
        """dimensions, spread: of the parts outside the span (`Reference.basis`, `Reference.spread`)."""
        self._rows = np.arange(runs)
        self._kept = np.zeros((runs, _TEXTS, dimensions), np.float32)
        self._chosen = np.empty_like(self._kept)  # of some streams, to work on
        self._weights = np.zeros((runs, _TEXTS))
        self._spread = np.full(runs, spread)
        self._usual = np.ones(runs)

    def odds(
        self,
        centred: Floats,
        moved: Floats | None,
        squared_error: Doubles,
        counts: NDArray[np.bool_],
        memory: Doubles,
    ) -> Doubles:
        """How much likelier these texts are near the kept ones than known texts are on average, (runs,); 1 where
        nothing is known.

        centred: (runs, dimensions), parts outside the span less their place. moved: (runs, dimensions), by which that
        is another one at this hour, None: by nothing; it makes no text nearer to another one. squared_error: (runs,),
        of that place: a neighbourhood which it explains is none. counts: (runs,), for which streams this is learnt
        from. memory: (runs,), texts over which what is usual is remembered.
        """
        odds = np.ones(len(counts))
        rows = self._rows[counts]
        if not len(rows):
            return odds
        kept = self._kept_of(rows)
        products = np.matmul(kept, centred[rows, :, None])[:, :, 0]
        if moved is not None:
            products += np.minimum(np.matmul(kept, moved[rows, :, None])[:, :, 0], 0.0)
        spread = self._spread[rows]
        lengths = np.maximum(np.linalg.norm(centred[rows], axis=1), _LEAST)[:, None]
        weights = np.where(products > _COPY_COSINE * lengths, 0.0, self._weights[rows])
        total = weights.sum(axis=1)
        known = total > _LEAST_WEIGHT
        shares = weights / np.maximum(total, _LEAST)[:, None]
        nearness = np.clip((products - squared_error[rows, None]) / np.sqrt(spread)[:, None], *_CUT)
        ratio = np.sum(shares * likelihood_ratio(nearness, _SHIFT), axis=1)
        odds[rows] = np.where(known, ratio / self._usual[rows], 1.0)
        squares = np.sum(shares * np.minimum(products**2, 9 * spread[:, None]), axis=1)
        self._spread[rows] += known * (squares - spread) / memory[rows]
        self._usual[rows] += known * (ratio - self._usual[rows]) / memory[rows]
        return odds

    def _kept_of(self, rows: NDArray[np.int64]) -> Floats:
        """What these streams keep, (rows, 24, dimensions), to be read at once. Never in new memory: of hundreds of
        streams it is megabytes, which a process that gives memory back takes from the system anew for each text."""
        if len(rows) == len(self._rows):
            return self._kept
        return np.take(self._kept, rows, axis=0, out=self._chosen[: len(rows)], mode="clip")

    def remember(self, centred: Floats, weights: Doubles, counts: NDArray[np.bool_]) -> None:
        """Keep these texts where they are more unusual than the least of those kept. weights: (runs,), how likely each
        is a new one; counts: (runs,), which of them are seen at all."""
        self._weights *= np.where(counts, 0.5 ** (1.0 / _HALF_LIFE), 1.0)[:, None]
        least = self._weights.argmin(axis=1)
        runs = self._rows[counts & (weights > self._weights[self._rows, least])]
        lengths = np.maximum(np.linalg.norm(centred[runs], axis=1, keepdims=True), _LEAST)
        self._kept[runs, least[runs]] = centred[runs] / lengths
        self._weights[runs, least[runs]] = weights[runs]

    def learnt(self) -> dict[str, NDArray[Any]]:
        """All that it knows, by name; may be written to."""
        return {"spread": self._spread, "usual": self._usual, "weights": self._weights, "kept": self._kept}


def likelihood_ratio(deviations: Doubles, shift: float) -> Doubles:
    """Of a normal variable moved up by `shift` standard deviations against one that is not."""
    return np.exp(shift * deviations - shift**2 / 2)
