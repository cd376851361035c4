"""Which of the last texts are of a burst, whatever the model calls them, and what they added to the sums of drift.

An outage is known as one after ten texts or so, and until then each of its texts counts as one of its own; some it
gives to another label, as its texts lie near. Pure and bounded.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.bursts import LabelBurst
from streams.monitor.drift.reference import Floats
from streams.monitor.packing import pack, unpack

TEXTS: Final = 200
_LAST: Final = 20  # texts of its label, that another one is compared with,
_NEAR: Final = 2  # and to how many of them it must be near


@dataclass(frozen=True, slots=True)
class _Text:
    label: str
    embedding: Floats | None
    increments: tuple[float, ...]


class BurstTexts:
    """Remembers the last texts of a stream. Not thread-safe. Memory: `TEXTS` embeddings."""

    def __init__(self, cosine: float, detectors: int, texts: int = TEXTS) -> None:
        """cosine: from which on two texts are near; infinite: none are. detectors: whose sums there are. texts: that
        are remembered, at most `TEXTS`."""
        self._cosine, self._detectors = cosine, detectors
        self._texts: deque[_Text] = deque(maxlen=min(texts, TEXTS))

    def add(self, label: str, embedding: Floats | None, increments: Sequence[float]) -> None:
        """Take a text in. increments: what it added to each sum; empty: nothing."""
        self._texts.append(_Text(label, embedding, tuple(increments)))

    def is_near(self, burst: LabelBurst, embedding: Floats | None) -> bool:
        """Whether a text of another label is one of the burst's."""
        return embedding is not None and bool(self._near(burst.label, embedding[None])[0])

    def lifted(self, burst: LabelBurst) -> list[float]:
        """How high its texts alone have lifted each sum since the first one, as far as they are remembered."""
        since = list(self._texts)[-max(burst.events - 1, 0) :] if burst.events > 1 else []
        rows = [text.embedding for text in since if text.embedding is not None and text.label != burst.label]
        near = iter(self._near(burst.label, np.array(rows)).tolist() if rows else [])
        heights = [0.0] * self._detectors
        for text in since:
            is_own = text.label == burst.label or (text.embedding is not None and next(near))
            if is_own and text.increments:
                heights = [max(height + one, 0.0) for height, one in zip(heights, text.increments, strict=True)]
        return heights

    def state(self) -> dict[str, Any]:
        """What `restore` needs beside the texts' embeddings, for JSON."""
        nothing = (0.0,) * self._detectors
        added = np.array([text.increments or nothing for text in self._texts], np.float64)
        return {
            "labels": [text.label for text in self._texts],
            "added": pack(added),
            "counted": [bool(text.increments) for text in self._texts],
        }

    def restore(self, state: Mapping[str, Any], embeddings: Sequence[Floats | None]) -> None:
        """Go on where `state` was taken. embeddings: of the last texts taken in before, in their order; where some of
        the first are lost, less is remembered. Raises ValueError, KeyError or TypeError where it does not fit."""
        labels, counted = [str(label) for label in state["labels"]], list(state["counted"])
        added = unpack(state["added"], np.float64, (len(labels), self._detectors)).tolist()
        known = min(len(labels), len(embeddings))
        self._texts.clear()
        for place in range(known):
            row = len(labels) - known + place
            embedding = embeddings[len(embeddings) - known + place]
            self.add(labels[row], embedding, added[row] if counted[row] else ())

    def _near(self, label: str, embeddings: Floats) -> NDArray[np.bool_]:
        own = [text.embedding for text in self._texts if text.label == label and text.embedding is not None][-_LAST:]
        if len(own) < _NEAR or embeddings.shape[1:] != own[0].shape:
            return np.zeros(len(embeddings), dtype=bool)
        near: NDArray[np.bool_] = np.count_nonzero(embeddings @ np.array(own).T >= self._cosine, axis=1) >= _NEAR
        return near
