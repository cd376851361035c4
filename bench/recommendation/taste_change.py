"""A change of taste: is the recommender that goes on learning soon ahead of the same one that does not?

From an event on, everybody touches other things: each item's events go to another item, drawn once, so that what goes
together, what is popular and what items read like point to yesterday's items. Both see users' latest items; one of them
learns no more. Over the last 500 events of users with a list, McNemar's exact test on who had the next item listed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from scipy.stats import binomtest

from models.recommendation.events import UserEvent
from models.recommendation.recommender import Recommender

WINDOW: Final = 500
_LEAST: Final = 0.05


def changed(events: Sequence[UserEvent], item_ids: Sequence[str], at: int, seed: int) -> list[UserEvent]:
    """The events, those from `at` on with other items: each item's place is taken by one other."""
    drawn = dict(zip(item_ids, np.random.default_rng(seed).permutation(list(item_ids)).tolist(), strict=True))
    return [*events[:at], *(replace(event, item_id=drawn.get(event.item_id or "")) for event in events[at:])]


def race(
    make: Callable[[], Recommender], events: Sequence[UserEvent], at: int, progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """`{change_at, ahead_after, events_after, online, frozen}`: events from the change until the one that learns is
    ahead for the first time (p < 0.05), None: never; online, frozen: hit rates from the change on."""
    online, frozen = make(), make()
    lists: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
    wins: deque[int] = deque(maxlen=WINDOW)
    ahead, counted, hits = None, 0, [0, 0]
    for number, event in enumerate(events):
        if number % 500 == 0:
            progress("taste change", number, len(events))
        if number == at:
            frozen.freeze()
        assert event.user_id is not None and event.item_id is not None
        if number >= at and event.user_id in lists[0]:
            counted += 1
            listed = [event.item_id in of[event.user_id] for of in lists]
            hits = [hits[0] + listed[0], hits[1] + listed[1]]
            wins.append(int(listed[0]) - int(listed[1]))
            if ahead is None and _is_ahead(wins):
                ahead = number - at + 1
        for recommender, of in zip((online, frozen), lists, strict=True):
            of[event.user_id] = {item.item_id for item in recommender.observe(event).items}
    progress("taste change", len(events), len(events))
    rates = [round(hit / counted, 4) if counted else None for hit in hits]
    return {
        "change_at": at,
        "ahead_after": ahead,
        "events_after": len(events) - at,
        "online": rates[0],
        "frozen": rates[1],
    }


def _is_ahead(wins: Sequence[int]) -> bool:
    won, lost = sum(win > 0 for win in wins), sum(win < 0 for win in wins)
    return won > lost and float(binomtest(won, won + lost).pvalue) < _LEAST
