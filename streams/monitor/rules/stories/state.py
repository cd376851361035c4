"""A rule's stories as plain numbers and strings, so that a monitor that starts goes on where the last one was.

Of some hundred groups it takes 10 to 50 kB. Of 1,000 that are all busy it may be more than is to be had: then fewer are
kept, those that fire and those with the most stories. One that was left out is followed for a day before anything is
said of it (`Baseline.knows`).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from operator import eq
from typing import Any, Final

from streams.monitor.rules.stories.baseline_state import baseline_state, restore_baseline
from streams.monitor.rules.stories.counts import Heard
from streams.monitor.rules.stories.earlier import is_earlier, of_earlier
from streams.monitor.rules.stories.surges import StorySurges, Surge

FORMAT: Final = 2


def surges_state(of: StorySurges, groups: int | None = None) -> dict[str, Any]:
    """For JSON. groups: kept of each kind beside those that fire; None: all."""
    counts, now = of.counts, of.counts.now
    kept = {by: _most_valuable(of, by, groups) for by in of.rule.by}
    heard = [(group, one) for group, one in counts.heard.items() if group[1] in kept[group[0]]]
    return {
        "rule": of.rule.model_dump(mode="json"),
        "format": FORMAT,
        "now": now,
        "began": of.began,
        "insufficient": of.insufficient,
        "left_out": of.left_out,
        "learnt": of.learnt,
        "minutes": _minutes(counts.minutes, now),
        "known": _differences(list(counts.known)),
        "heard": [[*group, *_heard_state(one, now)] for group, one in heard],
        "surges": [
            [*group, one.began, one.window, one.closes, sorted(one.members), _differences(list(one.stories))]
            for group, one in of.surges.items()
        ],
        "baselines": {by: baseline_state(one, kept[by]) for by, one in of.baselines.items()},
        "is_cut": sorted(by for by, names in kept.items() if len(names) < len(_names(of, by))),
    }


def restore_surges(into: StorySurges, state: Mapping[str, Any]) -> None:
    """Go on where `state` was taken, of a rule that counted the same. Raises ValueError, KeyError or TypeError where it
    is broken."""
    if is_earlier(state):
        state = of_earlier(state)
    counts, now = into.counts, int(state["now"])
    into.left_out, into.began, into.insufficient = int(state["left_out"]), state["began"], int(state["insufficient"])
    into.learnt = [int(minute) for minute in state["learnt"]]
    counts.minutes = _of_minutes(state["minutes"], now)
    of_groups = {}
    for by, name, strata, stories, ids, until in state["heard"]:
        heard = Heard({}, _of_minutes(strata, now), OrderedDict.fromkeys(_sums(stories)), _of_ids(ids), int(until))
        heard.minutes = {minute: sum(of.values()) for minute, of in heard.strata.items()}
        of_groups[str(by), str(name)] = heard
    counts.restore(_sums(state["known"]), of_groups)
    counts.pass_time(now)
    for by, name, began, window, closes, members, stories in state["surges"]:
        of = {(str(kind), str(member)) for kind, member in members}
        into.surges[by, name] = Surge(began, window, closes, of, OrderedDict.fromkeys(_sums(stories)))
    for by, of_kind in state["baselines"].items():
        restore_baseline(into.baselines[by], of_kind)
        if by in state["is_cut"]:
            into.baselines[by].has_cut()


def _names(of: StorySurges, by: str) -> set[str]:
    return {*of.baselines[by].groups, *(name for kind, name in of.counts.heard if kind == by)}


def _most_valuable(of: StorySurges, by: str, groups: int | None) -> set[str]:
    names = _names(of, by)
    if groups is None or len(names) <= groups:
        return names
    firing = {name for surge in of.surges.values() for kind, name in surge.members if kind == by}
    usual = of.baselines[by].groups
    richest = sorted(names - firing, key=lambda name: (-usual[name].stories if name in usual else 0.0, name))
    return firing | set(richest[:groups])


def _heard_state(heard: Heard, now: int) -> list[Any]:
    return [_minutes(heard.strata, now), _differences(list(heard.stories)), _ids(heard.ids), heard.surge_until]


def _minutes(strata: Mapping[int, Mapping[str, int]], now: int) -> dict[str, list[int]]:
    """Stratum to minutes from now, as differences, each with its stories."""
    written: dict[str, list[int]] = {}
    before: dict[str, int] = {}
    for minute, of in strata.items():
        for stratum, number in of.items():
            written.setdefault(stratum, []).extend((minute - before.get(stratum, now), number))
            before[stratum] = minute
    return written


def _of_minutes(written: Mapping[str, Sequence[int]], now: int) -> dict[int, dict[str, int]]:
    strata: dict[int, dict[str, int]] = {}
    for stratum, numbers in written.items():
        minute = now
        for difference, number in zip(numbers[::2], numbers[1::2], strict=True):
            minute += int(difference)
            strata.setdefault(minute, {})[str(stratum)] = int(number)
    return strata


def _ids(ids: Sequence[str]) -> list[Any]:
    """Neighbours begin alike: for each how many of its characters are those of the one before, and the rest."""
    shared = [sum(takewhile(bool, map(eq, before, one))) for before, one in pairwise(["", *ids])]
    return [[length, one[length:]] for length, one in zip(shared, ids, strict=True)]


def _of_ids(written: Sequence[Any]) -> list[str]:
    ids = [""]
    for shared, rest in written:
        ids.append(ids[-1][: int(shared)] + str(rest))
    return ids[1:]


def _differences(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def _sums(differences: Iterable[int]) -> list[int]:
    numbers: list[int] = []
    for difference in differences:
        numbers.append((numbers[-1] if numbers else 0) + int(difference))
    return numbers
