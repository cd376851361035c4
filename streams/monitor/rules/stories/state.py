"""A rule's stories as plain numbers and strings, so that a monitor that starts goes on where the last one was."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from streams.monitor.rules.stories.surges import Heard, StorySurges, Surge


def surges_state(of: StorySurges, groups: int | None = None) -> dict[str, Any]:
    """For JSON. groups: those kept, the ones heard of last; None: all."""
    heard = list(of.heard.items())
    kept = heard if groups is None else heard[len(heard) - min(groups, len(heard)) :]
    names = None if groups is None else {by: [g[1] for g, _ in kept if g[0] == by] for by in of.rule.by}
    return {
        "rule": of.rule.model_dump(mode="json"),
        "now": of.now,
        "began": of.began,
        "insufficient": of.insufficient,
        "left_out": of.left_out,
        "minutes": [[minute, n] for minute, n in of.minutes.items()],
        "known": list(of.known),
        "bins": [[start, [[*group, n] for group, n in counts.items()], total] for start, counts, total in of.bins],
        "heard": [
            [*group, [[minute, n] for minute, n in one.minutes.items()], list(one.stories), one.ids]
            for group, one in kept
        ],
        "surges": [
            [*group, one.began, one.window, one.closes, sorted(one.members), list(one.stories)]
            for group, one in of.surges.items()
        ],
        "baselines": {by: one.state(None if names is None else names[by]) for by, one in of.baselines.items()},
    }


def restore_surges(into: StorySurges, state: Mapping[str, Any]) -> None:
    """Go on where `state` was taken, of a rule that counted the same. Raises ValueError, KeyError or TypeError where it
    is broken."""
    into.now, into.left_out = int(state["now"]), int(state["left_out"])
    into.began, into.insufficient = state["began"], int(state["insufficient"])
    into.minutes = {int(minute): int(n) for minute, n in state["minutes"]}
    into.known = OrderedDict.fromkeys(int(number) for number in state["known"])
    into.bins = [
        (int(start), {(str(by), str(name)): int(n) for by, name, n in counts}, int(total))
        for start, counts, total in state["bins"]
    ]
    for by, name, minutes, stories, ids in state["heard"]:
        numbers = OrderedDict.fromkeys(int(number) for number in stories)
        into.heard[by, name] = Heard({int(m): int(n) for m, n in minutes}, numbers, list(ids))
    for by, name, began, window, closes, members, stories in state["surges"]:
        of = {(str(kind), str(member)) for kind, member in members}
        into.surges[by, name] = Surge(began, window, closes, of, OrderedDict.fromkeys(stories))
    for by, of_kind in state["baselines"].items():
        into.baselines[by].restore(of_kind)
