"""Which of the last texts are of a burst, whatever the model calls them, and what they added to the sums of drift.

An outage is known as one after ten texts or so, and until then each of its texts counts as one of its own; some the
model gives to other labels. A text is of the burst where it has its label, or is near two others that are. In
hindsight, once more of the burst was seen, it is also where it holds a word that tells the burst from the stream before
(a fast path decides most texts of some labels, so that nothing may be near them), and nearness counts over texts which
the model gave to other labels as well (density-reachable). Pure and bounded.

Source: density-reachable points, Ester, Kriegel, Sander, Xu (1996), "A density-based algorithm for discovering
clusters" (DBSCAN), KDD.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.bursts import LabelBurst
from streams.monitor.drift.reference import Floats
from streams.packing import pack, unpack

TEXTS: Final = 200
_NEAR: Final = 2  # texts of the burst, that one of another label must be near to


@dataclass(slots=True)
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
        """Whether the next text, of another label, is near the last ones of the burst's label."""
        if embedding is None:
            return False
        own = [text.embedding for text in self._texts if text.label == burst.label and text.embedding is not None]
        if len(own) < _NEAR or own[0].shape != embedding.shape:
            return False
        return int(np.count_nonzero(np.stack(own) @ embedding >= self._cosine)) >= _NEAR

    def take_back(self, label: str, speaks_of_it: Sequence[bool]) -> list[float]:
        """How high a burst's texts alone have lifted each sum, as far as they are remembered and not told before.
        speaks_of_it: for each text since its first one, whether its words say that it is of the burst."""
        since, says = self._newest(len(speaks_of_it)), list(speaks_of_it)
        is_sure = np.array([text.label == label for text in since], dtype=bool) | np.array(
            says[len(says) - len(since) :], bool
        )
        heights = [0.0] * self._detectors
        for text, is_member in zip(since, self._reached(is_sure, since).tolist(), strict=True):
            if is_member and text.increments:
                heights = [max(height + one, 0.0) for height, one in zip(heights, text.increments, strict=True)]
                text.increments = ()  # told once
        return heights

    def forget_added(self) -> None:
        """The sums begin anew: nothing of what texts have added is in them any more."""
        for text in self._texts:
            text.increments = ()

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

    def _newest(self, texts: int) -> list[_Text]:
        return list(self._texts)[-texts:] if texts > 0 else []

    def _reached(self, is_sure: NDArray[np.bool_], texts: Sequence[_Text]) -> NDArray[np.bool_]:
        """Which texts are of the burst, (texts,). is_sure: (texts,), those that are wherever they lie."""
        is_member = is_sure.copy()
        rows = np.array([row for row, text in enumerate(texts) if text.embedding is not None], np.int64)
        embeddings = [text.embedding for text in texts if text.embedding is not None]
        if len({embedding.shape for embedding in embeddings}) != 1:
            return is_member
        placed = np.stack(embeddings)
        is_near = placed @ placed.T >= self._cosine
        np.fill_diagonal(is_near, val=False)
        while True:
            reached = (is_near @ is_member[rows].astype(np.int64) >= _NEAR) & ~is_member[rows]
            if not reached.any():
                return is_member
            is_member[rows[reached]] = True
