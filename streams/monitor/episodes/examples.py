"""Which texts of an episode to show: telling ones, each unlike those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.words.counts import words_of
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.members import SeenText
from streams.monitor.episodes.naming import COPY

EXAMPLES: Final = 10
_CHOSEN_FROM: Final = 3  # times as many of the most telling texts


@dataclass(frozen=True, slots=True)
class Example:
    """One of the texts that speak most for the episode."""

    id: str
    event_number: int
    label: str
    text: str | None


def choose_examples(members: Sequence[SeenText], newness: Doubles) -> tuple[Example, ...]:
    """Up to EXAMPLES texts of an episode. newness: of each, as `members.newness` gives it.

    The most telling first; then, of some of the most telling, each the one whose words are least like those chosen.
    Source: greedy k-centre, Gonzalez (1985), "Clustering to minimize the maximum intercluster distance".
    """
    order = [row for row in np.argsort(-newness, kind="stable").tolist() if members[row].copies == 1]
    candidates = [members[row] for row in order[: _CHOSEN_FROM * EXAMPLES]]
    words = [words_of(seen.text or seen.id) for seen in candidates]
    gaps = np.ones(len(candidates))
    chosen: list[int] = []
    while len(chosen) < min(EXAMPLES, len(candidates)):
        best = int(np.argmax(gaps))  # of equals the most telling
        if gaps[best] <= 0.0:
            break  # what is left are copies
        chosen.append(best)
        gaps = np.minimum(gaps, [_unlikeness(words[best], other) for other in words])
        gaps[best] = -1.0
    return tuple(Example(one.id, one.event_number, one.label, one.text) for one in (candidates[row] for row in chosen))


def _unlikeness(words: set[str], others: set[str]) -> float:
    """1 for texts without a common word; 0 and less for near copies."""
    return 1.0 - len(words & others) / max(COPY * len(words | others), 1.0)
