"""Whether a run in which roles were killed came to what an undisturbed one comes to. Values in, words out."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SHOWN: Final = 5
NUMBER_TOLERANCE: Final = 5e-4  # an out-of-scope score moves by 0.00027
# Of the moment and of the machine, not of what was decided: a path depends on what the process still remembers.
OF_THE_MOMENT: Final = frozenset({"id", "decided_at", "latency_ms", "path", "respond_by"})
HELD_FIELDS: Final = ("owner", "step", "queue", "assignee", "version", "revision", "reason", "slots", "courses")


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands at the end. source: `partition-offset` of each event. decisions, answers, stories, alerts: all
    records of their topics, in their order. replayed: decisions of a replay of the source. stored: ids of all
    documents. held, trends: the last record by key. told: keys of what the receiver of alerts heard. dead_letters:
    their reasons."""

    source: Sequence[str]
    decisions: Sequence[Mapping[str, Any]]
    replayed: Sequence[Mapping[str, Any]]
    stored: Sequence[str]
    answers: Sequence[Mapping[str, Any]] = ()
    held: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stories: Sequence[Mapping[str, Any]] = ()
    trends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alerts: Sequence[Mapping[str, Any]] = ()
    told: Sequence[str] = ()
    dead_letters: Sequence[str] = ()


def violations(killed: Seen, undisturbed: Seen, notifier_kills: int) -> list[str]:
    """What must not be, in words; empty: the kills cannot be told from what came of the run."""
    return [
        *_lost_or_doubled(killed),
        *_heard_again(killed, notifier_kills),
        *_repeats_that_differ("decided", killed.decisions),
        *_repeats_that_differ("told of its story", killed.stories),
        *_alerts_told_twice(killed),
        *_differ("decisions", _decided(undisturbed.decisions), _decided(killed.decisions)),
        *_differ("replayed decisions", _decided(killed.decisions), _decided(killed.replayed)),
        *_differ("answers", _answered(undisturbed), _answered(killed)),
        *_differ("conversations with people", _held(undisturbed), _held(killed)),
        *_differ("stories of items", _told_stories(undisturbed), _told_stories(killed)),
        *_differ("windows of trends", _windows(undisturbed), _windows(killed)),
        *_differ("rules that told of something", _fired(undisturbed), _fired(killed)),
        *_differ("dead letters", Counter(undisturbed.dead_letters), Counter(killed.dead_letters)),
    ]


def place(identity: str) -> str:
    """`partition-offset` in a decision's id: topics of two runs differ in their epoch."""
    return "-".join(identity.rsplit("-", 2)[1:])


def _lost_or_doubled(seen: Seen) -> Iterator[str]:
    for name, ids in (
        ("store", [place(identity) for identity in seen.stored]),
        ("decisions", list({place(str(one["id"])) for one in seen.decisions})),
    ):
        counts = Counter(ids)
        yield from _said(f"not in the {name}", sorted(set(seen.source) - counts.keys()))
        yield from _said(f"twice in the {name}", [identity for identity, count in counts.items() if count > 1])
    answers = Counter((str(one["id"]), str(one["kind"])) for one in seen.answers)
    yield from _said("told twice", [identity for (identity, _), count in answers.items() if count > 1])


def _repeats_that_differ(what: str, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """After a kill an event may come again: as it was."""
    first: dict[str, Mapping[str, Any]] = {}
    other = []
    for one in records:
        where, lasting = place(str(one["id"])), _lasting(one)
        if not _same(first.setdefault(where, lasting), lasting):
            other.append(f"{where} ({_difference(first[where], lasting)})")
    yield from _said(f"{what} again and otherwise", other)


def _alerts_told_twice(seen: Seen) -> Iterator[str]:
    last: dict[str, str] = {}
    for alert in seen.alerts:
        name, state = str(alert["fingerprint"]), str(alert["state"])
        if state == "resolved" and last.get(name) != "firing":
            yield f"the alert {name} is over and never began"
        last[name] = state


def _heard_again(seen: Seen, notifier_kills: int) -> Iterator[str]:
    """A notifier that dies between telling and noting tells that one again."""
    repeats = len(seen.told) - len(set(seen.told))
    if repeats > notifier_kills:
        yield f"the receiver was told {repeats} times again, by {notifier_kills} kills of the notifier"


def _decided(decisions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {place(str(one["id"])): _lasting(one) for one in reversed(decisions)}


def _answered(seen: Seen) -> dict[str, str]:
    return {
        f"{place(str(one['id']))} {one['kind']}": f"{one['conversation']} {one['version']} {one['text']}"
        for one in seen.answers
    }


def _held(seen: Seen) -> dict[str, Mapping[str, Any]]:
    def shown(one: Mapping[str, Any]) -> dict[str, Any]:
        said = [(said["by"], said["text"], said["version"]) for said in one["said"]]
        return {name: one.get(name) for name in HELD_FIELDS} | {"said": said}

    return {key: shown(one) for key, one in seen.held.items()}


def _told_stories(seen: Seen) -> dict[str, Mapping[str, Any]]:
    return {place(str(one["id"])): _in_place(_lasting(one)) for one in reversed(seen.stories)}


def _fired(seen: Seen) -> dict[str, None]:
    return dict.fromkeys(str(alert["rule"]) for alert in seen.alerts if alert["state"] == "firing")


def _windows(seen: Seen) -> dict[str, Any]:
    """Without the epochs in ids of stories, and without how many items were decided after the window's end."""
    return {
        key: _in_place({name: value for name, value in one.items() if name != "late"})
        for key, one in seen.trends.items()
    }


def _in_place(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: place(str(own)) if name == "story_id" else _in_place(own)
            for name, own in value.items()
            if name != "id"
        }
    return [_in_place(own) for own in value] if isinstance(value, list) else value


def _lasting(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in OF_THE_MOMENT}


def _differ(what: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    yield from _said(f"{what} missing", sorted(wanted.keys() - got.keys()))
    yield from _said(f"{what} too many", sorted(got.keys() - wanted.keys()))
    other = [
        f"{key} ({_difference(wanted[key], got[key])})"
        for key in sorted(wanted.keys() & got)
        if not _same(wanted[key], got[key])
    ]
    yield from _said(f"{what} otherwise than undisturbed", other)


def _same(one: Any, other: Any) -> bool:
    """But for the last digits of numbers, which hang on how many texts a batch had."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=NUMBER_TOLERANCE)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _difference(wanted: Any, got: Any) -> str:
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        names = sorted(wanted.keys() | got.keys())
        name = next(name for name in names if not _same(wanted.get(name), got.get(name)))
        return f"{name}: {str(got.get(name))[:120]} for {str(wanted.get(name))[:120]}"
    return f"{str(got)[:120]} for {str(wanted)[:120]}"


def _said(what: str, which: Sequence[str]) -> Iterator[str]:
    if which:
        yield f"{what}: {len(which)}, such as {', '.join(which[:SHOWN])}"
