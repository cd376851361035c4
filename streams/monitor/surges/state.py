"""The surge rules' state as plain numbers and strings, so that a monitor that starts goes on where the last one was.

Of a window only what can still be seen is kept: which entries are hits, when they were, and the names of the last hits.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from streams.monitor.surges.alerts import EVIDENCE
from streams.monitor.surges.rules import AlertRules, FiringSurge, Rule
from streams.monitor.surges.windows import LabelWindow, WindowEntry

_OTHER_LABEL = ""  # what an entry that is no hit is called afterwards: nobody asks which label it was


def rules_state(rules: AlertRules, groups: int | None = None) -> dict[str, Any]:
    """For JSON. groups: windows kept of each rule, those heard of last, beside those in a surge; None: all."""
    firing = {member for surge in rules.surges.values() for member in surge.members}
    return {
        "surges": _surges(rules),
        "events": rules.events,
        "clock": rules.clock.state(),
        "rules": [_rule_state(rule, groups, {name for n, name in firing if n == rule.number}) for rule in rules.rules],
        "firing": [_firing_state(name, surge) for name, surge in rules.surges.items()],
    }


def restore_rules(rules: AlertRules, state: Mapping[str, Any]) -> None:
    """Go on where `state` was taken. Rules that count something else than any did then begin anew, and what fires of
    those that are gone is forgotten. Raises ValueError, KeyError or TypeError where it is broken; the rules are then to
    be thrown away."""
    rules.events = int(state["events"])
    rules.clock.restore([float(time) for time in state["clock"]])
    then = [_counted(surge) for surge in state["surges"]]
    numbers: dict[int, int] = {}  # of a rule then to what it is now
    for rule in rules.rules:
        before = [n for n, one in enumerate(then) if one == _counted(rule.surge.model_dump()) and n not in numbers]
        if before:
            numbers[before[0]] = rule.number
            _restore_rule(rule, state["rules"][before[0]])
    for name, number, group, hits, members in state["firing"]:
        of = {(numbers[int(rule)], member) for rule, member in members if int(rule) in numbers}
        if int(number) in numbers and of:
            rules.surges[name] = FiringSurge(numbers[int(number)], group, set(_sums(hits)), of)


def _counted(surge: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a rule counts; its limit may change."""
    return surge["head"], surge["label"], surge["window"], surge["by"], surge.get("relevance_min")


def _surges(rules: AlertRules) -> list[dict[str, Any]]:
    return [rule.surge.model_dump() for rule in rules.rules]


def _rule_state(rule: Rule, groups: int | None, firing: Collection[str]) -> dict[str, Any]:
    windows = list(rule.windows.windows.items())
    first = 0 if groups is None else max(len(windows) - groups, 0)
    kept = [(name, window) for n, (name, window) in enumerate(windows) if n >= first or name in firing]
    names = {name for name, _ in kept} | {""}
    return {
        "windows": [[name, *_window_state(window, rule.surge.label)] for name, window in kept],
        "baseline": {name: share for name, share in rule.baseline.items() if groups is None or name in names},
        "cooldown": {name: left for name, left in rule.cooldown_events.items() if left > 0},
    }


def _restore_rule(rule: Rule, state: Mapping[str, Any]) -> None:
    for name, hits, numbers, times, ids in state["windows"]:
        window = rule.windows.windows[name] = LabelWindow(rule.surge.window, rule.windows.max_age_seconds)
        named = [""] * (hits.count("1") - len(ids)) + list(ids)
        for is_hit, number, at_ms in zip(hits, _sums(numbers), _sums(times), strict=True):
            label = rule.surge.label if is_hit == "1" else _OTHER_LABEL
            window.entries.append(WindowEntry(number, label, at_ms / 1_000, named.pop(0) if is_hit == "1" else ""))
            window.counts[label] += 1
    rule.baseline = {name: float(share) for name, share in state["baseline"].items()}
    rule.cooldown_events = {name: int(left) for name, left in state["cooldown"].items()}


def _window_state(window: LabelWindow, label: str) -> list[Any]:
    """A 1 for each hit, numbers, times in ms (both as differences), ids of the last hits."""
    entries = list(window.entries)
    return [
        "".join("1" if entry.label == label else "0" for entry in entries),
        _differences([entry.number for entry in entries]),
        _differences([round(entry.at_seconds * 1_000) for entry in entries]),
        [entry.id for entry in entries if entry.label == label][-EVIDENCE:],
    ]


def _firing_state(name: str, surge: FiringSurge) -> list[Any]:
    members = sorted([number, group] for number, group in surge.members)
    return [name, surge.rule, surge.group, _differences(sorted(surge.hits)), members]


def _differences(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def _sums(differences: Sequence[int]) -> list[int]:
    numbers: list[int] = []
    for difference in differences:
        numbers.append((numbers[-1] if numbers else 0) + int(difference))
    return numbers
