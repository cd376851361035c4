"""What an event takes in a catalogue of so many items: all of them scored, and candidates alone (by usearch).

Items are drawn in clusters of a hundred, as a shop has kinds of things; users touch some more often than others. Both
ways see the same events. Times are of computing by the thread that decides, so that a busy machine tells much the same,
and by the clock.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.candidates.neighbours import neighbours_of
from models.recommendation.events import UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender

DIMENSIONS: Final = 384  # as the default encoder has them
_CLUSTER: Final = 100
_USERS: Final = 300
_WARM: Final = 300  # events before the first that is timed, so that users have a history
_ACTIONS: Final = ("view", "click", "purchase")


def large_catalogue(items: int, events: int, seed: int, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """`{items, events, all, candidates}`; the last two `{computing_ms, clock_ms, first_s}` with p50 and p99 of an
    event, and seconds until the first one can come, an index built; candidates is None where usearch is not
    installed."""
    draw = np.random.default_rng(seed)
    vectors, cluster = _clustered(draw, items)
    ids = [f"i{number}" for number in range(items)]
    texts = [f"thing {number} of kind {kind}" for number, kind in enumerate(cluster.tolist())]
    played = [_drawn(draw, items) for _ in range(_WARM + events)]

    def timed(name: str, scored_max: int) -> dict[str, Any] | None:
        recommender = Recommender(ids, vectors, RecommendPolicy(scored_max=scored_max), texts)
        if scored_max < items and neighbours_of(recommender.catalogue) is None:
            return None
        return _timed(recommender, played, lambda done: progress(name, done, len(played)))

    return {
        "items": items,
        "events": events,
        "all": timed("all items", items),
        "candidates": timed("candidates", 0),
    }


def _timed(recommender: Recommender, played: Sequence[UserEvent], progress: Callable[[int], None]) -> dict[str, Any]:
    seconds = np.zeros((len(played), 2))
    began = time.perf_counter()
    recommender.make_ready()
    ready_s = time.perf_counter() - began
    for number, event in enumerate(played):
        if number % 50 == 0:
            progress(number)
        started = time.thread_time(), time.perf_counter()
        recommender.observe(event)
        seconds[number] = time.thread_time() - started[0], time.perf_counter() - started[1]
    progress(len(played))
    computing, clock = np.percentile(seconds[_WARM:], [50, 99], axis=0).T * 1e3
    return {
        "computing_ms": {"p50": round(computing[0], 2), "p99": round(computing[1], 2)},
        "clock_ms": {"p50": round(clock[0], 2), "p99": round(clock[1], 2)},
        "ready_s": round(ready_s, 1),
    }


def _clustered(draw: np.random.Generator, items: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    centres = draw.standard_normal((max(items // _CLUSTER, 2), DIMENSIONS)).astype(np.float32)
    cluster = draw.integers(len(centres), size=items)
    noise = draw.standard_normal((items, DIMENSIONS), np.float32)
    return centres[cluster] + np.float32(0.7) * noise, cluster


def _drawn(draw: np.random.Generator, items: int) -> UserEvent:
    item = int(items * draw.random() ** 2)
    return UserEvent(f"u{draw.integers(_USERS)}", f"i{item}", _ACTIONS[draw.integers(len(_ACTIONS))])
