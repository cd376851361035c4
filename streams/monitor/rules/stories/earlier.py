"""States of before stories were told apart by topic: their shares go on as those of one topic, which all had."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from streams.packing import pack


def is_earlier(state: Mapping[str, Any]) -> bool:
    """Whether it is one."""
    return "format" not in state


def of_earlier(state: Mapping[str, Any]) -> dict[str, Any]:
    """As it is written now. What fires and what is usual goes on; the stories of the last hour are counted anew.
    Raises ValueError, KeyError or TypeError where it is broken."""
    baselines = {by: _baseline(of) for by, of in state["baselines"].items()}
    now, kept = int(state["now"]), {"left_out", "began", "insufficient", "rule"}
    surges = [
        [by, name, began, window, None, members, []] for by, name, began, window, _, members, _ in state["surges"]
    ]
    new = {"now": now, "learnt": [now, now], "minutes": {}, "known": [], "heard": [], "surges": surges, "is_cut": []}
    return {name: state[name] for name in kept} | new | {"baselines": baselines}


def _baseline(state: Mapping[str, Any]) -> dict[str, Any]:
    groups = state["groups"]
    spreads = [excess / squares if squares else 0.0 for excess, squares in state["of_all"]]
    moments = [[stories, *excess, *squares] for _, stories, _, excess, squares, _ in groups]
    cells = [{int(hour): float(number) for hour, number in hours} for _, _, hours, *_ in groups]
    return {
        "stories": state["stories"],
        "memberships": state["memberships"],
        "strata": {"": state["stories"]},
        "hours": [[hour, number] for hour, number in enumerate(state["hours"]) if number],
        "spreads": spreads,
        "cut": 0.0,
        "decayed_at": state["decayed_at"],
        "names": [name for name, *_ in groups],
        "of_groups": pack(np.array(moments, np.float64)),
        "of_strata": [
            [1] * len(groups),
            pack(np.zeros(len(groups), np.uint8)),
            pack(np.array([stories for _, stories, *_ in groups], np.float32)),
        ],
        "of_hours": [
            [len(one) for one in cells],
            pack(np.fromiter((hour for one in cells for hour in one), np.uint8)),
            pack(np.fromiter((number for one in cells for number in one.values()), np.float32)),
        ],
        "without_hours": [],
        "doubtful": {},
    }
