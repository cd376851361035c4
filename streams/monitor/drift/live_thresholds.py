"""Thresholds of a live stream: those of the simulation, raised while the stream is young and where its texts depend.

Simulated streams have independent texts; a live one has conversations, stories and hours. So the increments that it
gave in its first texts are drawn again in blocks, which keep what depends within them, and sums over many such blocks
climb as high as this stream's do. What they need is a threshold where it is above the simulated one; a lower one is
not taken, as a young stream has not shown all that it can do. Until then thresholds stand higher.

Sources: moving blocks, Künsch (1989), "The jackknife and the bootstrap for general stationary observations", Annals of
Statistics 17; Liu and Singh (1992).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from streams.monitor.drift.reference import Doubles
from streams.monitor.drift.thresholds import threshold_from_climbs
from streams.packing import pack, unpack

_SEED: Final = 0  # of the blocks: the same increments give the same thresholds


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """young_texts: until which thresholds fall evenly from `young_factor` times what they are to that. looks: after how
    many texts blocks are drawn, the last of them for good. block_texts: of a block, longer than most conversations
    and stories. streams, stream_texts: drawn. most_factor: times the simulated threshold that one is raised to at the
    most, so that a stream which drifts from its first text on is told, later."""

    young_texts: int = 1_000
    young_factor: float = 1.5
    looks: tuple[int, ...] = (250, 500, 1_000, 2_000)
    block_texts: int = 100
    streams: int = 200
    stream_texts: int = 2_500
    most_factor: float = 3.0


class LiveThresholds:
    """One stream's thresholds. Not thread-safe. Memory: the increments of the first texts, until the last look."""

    def __init__(self, simulated: Doubles, expected_run_events: float, policy: LivePolicy | None = None) -> None:
        """simulated: one per detector, in the order of DETECTORS, for the same expected run."""
        self.policy = policy or LivePolicy()
        self._simulated, self._expected_run = np.asarray(simulated, np.float64), expected_run_events
        self._drawn = self._simulated.copy()
        self._texts = 0
        self._increments: list[Sequence[float]] = []

    def anew(self) -> "LiveThresholds":
        """The same of which nothing is known yet."""
        return LiveThresholds(self._simulated, self._expected_run, self.policy)

    def heights(self) -> Doubles:
        """What stands now, (4,)."""
        age = min(self._texts / max(self.policy.young_texts, 1), 1.0)
        heights: Doubles = self._drawn * (self.policy.young_factor + (1.0 - self.policy.young_factor) * age)
        return heights

    def add(self, increments: Sequence[float]) -> None:
        """Take in what the next text added to each sum, (4,)."""
        last = self.policy.looks[-1] if self.policy.looks else 0
        if self._texts >= max(last, self.policy.young_texts):
            return
        self._texts += 1
        if self._texts <= last:
            self._increments.append(increments)
        if self._texts in self.policy.looks:
            self._look()
        if self._texts >= last:
            self._increments.clear()

    def state(self) -> dict[str, Any]:
        """What `restore` needs, for JSON."""
        rows = np.asarray(self._increments, np.float64).reshape(-1, len(self._simulated))
        return {"texts": self._texts, "drawn": pack(self._drawn), "increments": pack(rows)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        self._texts = int(state["texts"])
        drawn = unpack(state["drawn"], np.float64, (-1,))
        missing = len(self._simulated) - len(drawn)  # of an earlier version, which had fewer detectors
        increments = unpack(state["increments"], np.float64, (-1, len(drawn)))
        self._drawn = np.concatenate([drawn, self._simulated[len(drawn) :]])
        self._increments = np.pad(increments, ((0, 0), (0, missing))).tolist()

    def _look(self) -> None:
        policy = self.policy
        increments = np.asarray(self._increments, np.float64)
        random = np.random.default_rng(_SEED)
        starts = random.integers(
            max(len(increments) - policy.block_texts, 1),
            size=(policy.streams, -(-policy.stream_texts // policy.block_texts)),
        )
        rows = (starts[:, :, None] + np.arange(policy.block_texts)).reshape(policy.streams, -1) % len(increments)
        climbs = highest_climbs(increments, rows)
        needed = [threshold_from_climbs(heights, rows.size, self._expected_run) for heights in climbs]
        self._drawn = np.clip(needed, self._simulated, policy.most_factor * self._simulated)


def highest_climbs(increments: Doubles, rows: Any) -> list[Doubles]:
    """How high each sum climbs between two zeros, for each detector. rows: (streams, texts), into `increments`, which
    is (texts, 4)."""
    sums = np.zeros((len(rows), increments.shape[1]))
    highest = sums.copy()
    climbs: list[list[Doubles]] = [[] for _ in range(increments.shape[1])]
    for row in rows.T:
        sums = np.maximum(sums + increments[row], 0.0)
        ended = (sums == 0.0) & (highest > 0.0)
        for detector, heights in enumerate(climbs):
            heights.append(highest[ended[:, detector], detector])
        highest = np.where(sums == 0.0, 0.0, np.maximum(highest, sums))
    return [np.concatenate([*heights, highest[:, detector]]) for detector, heights in enumerate(climbs)]
