"""What is usual of a rule's groups as plain numbers and strings: what is there of each group, as packed columns."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from streams.monitor.rules.stories.baseline import Baseline, Usual
from streams.packing import pack, unpack

Cells = Sequence[Mapping[int, float]]  # of each group, place to number


def baseline_state(of: Baseline, kept: Collection[str]) -> dict[str, Any]:
    """For JSON. kept: groups that are; others leave no more than that they may have been there."""
    groups = {name: usual for name, usual in of.groups.items() if name in kept}
    left_out = [usual.stories for name, usual in of.groups.items() if name not in kept]
    strata = {name: place for place, name in enumerate(of.strata)}
    usual = list(groups.values())
    return {
        "stories": of.stories,
        "memberships": of.memberships,
        "strata": of.strata,
        "hours": [[hour, *(by.get(name, 0.0) for name in strata)] for hour, by in of.hours.items()],
        "spreads": of.spreads,
        "cut": max([of.cut, *left_out]),
        "decayed_at": of.decayed_at,
        "names": list(groups),
        "of_groups": pack(np.array([[one.stories, *one.excess, *one.squares] for one in usual], np.float64)),
        "of_strata": _cells([{strata[name]: n for name, n in one.strata.items() if name in strata} for one in usual]),
        "of_hours": _cells([one.hours or {} for one in usual]),
        "without_hours": [place for place, one in enumerate(usual) if one.hours is None],
        "doubtful": {name: one.doubtful_until for name, one in groups.items() if one.doubtful_until},
    }


def restore_baseline(into: Baseline, state: Mapping[str, Any]) -> None:
    """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it is broken."""
    strata, names, windows = list(state["strata"]), list(state["names"]), len(into.spreads)
    into.stories, into.memberships = float(state["stories"]), float(state["memberships"])
    into.strata = {str(name): float(number) for name, number in state["strata"].items()}
    into.hours = {int(hour): dict(zip(strata, map(float, of), strict=True)) for hour, *of in state["hours"]}
    into.spreads, into.cut = [float(one) for one in state["spreads"]], float(state["cut"])
    into.decayed_at = None if state["decayed_at"] is None else int(state["decayed_at"])
    of_groups = unpack(state["of_groups"], np.float64, (len(names), 1 + 2 * windows)).tolist()
    of_strata, of_hours = _of_cells(state["of_strata"]), _of_cells(state["of_hours"])
    without, doubtful = set(state["without_hours"]), state["doubtful"]
    for place, (name, (stories, *moments)) in enumerate(zip(names, of_groups, strict=True)):
        by_stratum = {strata[stratum]: number for stratum, number in next(of_strata)}
        by_hour = dict(next(of_hours))
        excess, squares = moments[:windows], moments[windows:]
        hours = None if place in without else by_hour
        into.groups[str(name)] = Usual(stories, by_stratum, hours, excess, squares, int(doubtful.get(name, 0)))
    into.cells = sum(len(usual.hours or ()) for usual in into.groups.values())


def _cells(of_groups: Cells) -> list[Any]:
    """How many there are of each group, where they are, and what is there."""
    places = np.fromiter((place for one in of_groups for place in one), np.uint8)
    numbers = np.fromiter((number for one in of_groups for number in one.values()), np.float32)
    return [[len(one) for one in of_groups], pack(places), pack(numbers)]


def _of_cells(written: Sequence[Any]) -> Iterator[list[tuple[int, float]]]:
    lengths, places, numbers = written
    pairs = zip(unpack(places, np.uint8, (-1,)).tolist(), unpack(numbers, np.float32, (-1,)).tolist(), strict=True)
    return (list(islice(pairs, length)) for length in lengths)
