"""The verdict over a campaign: a pure function of what was seen."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.faults.ledger import (
    Agreed,
    Alerted,
    Committed,
    Decided,
    Entry,
    FaultDone,
    Left,
    MonitorState,
    Retrained,
    Sent,
    Source,
    Worked,
)

AGREE_SECONDS = 10.0  # after an announcement, for all workers to serve it
SHOWN = 20  # ids in a breach; a count says the rest


@dataclass(frozen=True, slots=True)
class Least:
    """Below these a campaign proves nothing and fails. kinds: names of faults that must have been seen."""

    events: int = 1
    faults: int = 1
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures, and every breach in words; without a breach the campaign has passed."""

    figures: Mapping[str, Any]
    faults: Sequence[Mapping[str, Any]]
    breaches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.breaches

    def as_json(self) -> dict[str, Any]:
        """What `headrace bench faults --json` prints."""
        return {**self.figures, "passed": self.passed, "breaches": list(self.breaches), "per_fault": list(self.faults)}


def judge(
    ledger: Sequence[Entry], store_ids: Iterable[Source], log_ends: Mapping[int, int], *, seed: int, least: Least
) -> Verdict:
    """ledger: in the order of arrival. store_ids: the source event of every document in the store, one for each
    document. log_ends: partition of the application's topic to the offset after its last event; its offsets have no
    gaps.

    An event that stands in the log counts, also where the producer never heard of its confirmation; one that was
    confirmed and is not in the log is lost as well. Repeats in the decisions topic are allowed after a hard fault and
    counted.
    """
    sent = [entry for entry in ledger if isinstance(entry, Sent)]
    decided = [entry for entry in ledger if isinstance(entry, Decided)]
    done = [entry for entry in ledger if isinstance(entry, FaultDone)]
    left = [entry for entry in ledger if isinstance(entry, Left)]
    idle = [entry.name for entry in ledger if isinstance(entry, Worked) and not entry.finished]
    events = {(p, offset) for p, end in log_ends.items() for offset in range(end)} | {entry.source for entry in sent}
    documents = Counter(store_ids)
    first, repeats = _first_and_repeats(decided)
    lost = sorted(events - documents.keys())
    doubled = sorted(source for source, count in documents.items() if count > 1)
    seen = [fault for fault in done if fault.seen]
    disorder = _out_of_order(first)
    breaches = [
        *_breach("lost: no document in the store for", lost),
        *_breach("doubled: more than one document for", doubled),
        *_breach("documents for events that are not in the log:", sorted(documents.keys() - events)),
        *_breach("no decision in the topic for", sorted(events - {entry.source for entry in first})),
        *_breach("out of order within their key:", disorder),
        *_breach("committed before its decision was written:", _committed_early(ledger)),
        *_breach("alive and idle at the end:", idle),
        *_slow(seen),
        *_repeats_after_clean_faults(done, left, repeats),
        *_disagreements(ledger),
        *_not_once_retrained(ledger),
        *_monitors(ledger),
        *_too_little(least, len(events), seen),
    ]
    figures = {
        "seed": seed,
        "kills": sum(fault.kill for fault in seen),
        "outages": sum(fault.outage for fault in seen),
        "faults": len(seen),
        "faults_not_seen": len(done) - len(seen),
        "events": len(events),
        "lost": len(lost),
        "duplicated": sum(count - 1 for count in documents.values()),
        "out_of_order": len(disorder),
        "repeats_in_decisions": len(repeats),
        "idle_workers": len(idle),
        "left_by_themselves": len(left),
        "longest_gap_seconds": _longest_gap(first),
        "releases_agreed": sum(isinstance(entry, Agreed) for entry in ledger),
        "longest_disagreement_seconds": _longest_disagreement(ledger),
        "retrainings": sum(isinstance(entry, Retrained) for entry in ledger),
        "alerts": sum(isinstance(entry, Alerted) for entry in ledger),
        "signals": sum(entry.events for entry in ledger if isinstance(entry, MonitorState)),
    }
    rows = [_row(fault, repeats) for fault in done]
    return Verdict(figures, rows, tuple(breaches))


def _first_and_repeats(decided: Sequence[Decided]) -> tuple[list[Decided], list[Decided]]:
    known: set[Source] = set()
    first: list[Decided] = []
    repeats: list[Decided] = []
    for entry in decided:
        (repeats if entry.source in known else first).append(entry)
        known.add(entry.source)
    return first, repeats


def _out_of_order(first: Sequence[Decided]) -> list[Source]:
    """First decisions that came after one of a later event with the same key."""
    latest: dict[str, Source] = {}
    late = []
    for entry in first:
        if entry.source < latest.get(entry.key, entry.source):
            late.append(entry.source)
        else:
            latest[entry.key] = entry.source
    return late


def _committed_early(ledger: Sequence[Entry]) -> list[Source]:
    """Events below a committed position that had no decision when the position was seen."""
    pending: dict[int, set[int]] = {}  # decided out of turn, above the first undecided offset
    reached: dict[int, int] = {}
    early: set[Source] = set()
    for entry in ledger:
        if isinstance(entry, Decided):
            partition, offset = entry.source
            ahead = pending.setdefault(partition, set())
            if offset >= reached.get(partition, 0):
                ahead.add(offset)
            while reached.get(partition, 0) in ahead:
                ahead.discard(reached.get(partition, 0))
                reached[partition] = reached.get(partition, 0) + 1
        elif isinstance(entry, Committed):
            missing = range(reached.get(entry.partition, 0), entry.offset)
            early.update((entry.partition, n) for n in missing if n not in pending.get(entry.partition, ()))
    return sorted(early)


def _longest_gap(first: Sequence[Decided]) -> float:
    """Seconds between two new decisions, whatever their partition."""
    times = sorted(entry.at for entry in first)
    return round(max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0), 2)


def _slow(seen: Sequence[FaultDone]) -> list[str]:
    breaches = []
    for fault in seen:
        if fault.limit is not None and (fault.recovery is None or fault.recovery > fault.limit):
            took = "never" if fault.recovery is None else f"after {fault.recovery:.1f} s"
            breaches.append(
                f"{fault.name} (fault {fault.number}): new decisions {took}, promised within {fault.limit:g} s"
            )
    return breaches


def _disagreements(ledger: Sequence[Entry]) -> list[str]:
    """Announcements after which workers served different releases for too long."""
    breaches = []
    for entry in ledger:
        if isinstance(entry, Agreed) and (entry.seconds is None or entry.seconds > AGREE_SECONDS):
            took = "never" if entry.seconds is None else f"after {entry.seconds:.1f} s"
            breaches.append(
                f"all workers served release {entry.version} {took}, promised within {AGREE_SECONDS:g} s: "
                f"{entry.detail}"
            )
    return breaches


def _longest_disagreement(ledger: Sequence[Entry]) -> float:
    times = [entry.seconds for entry in ledger if isinstance(entry, Agreed) and entry.seconds is not None]
    return round(max(times, default=0.0), 2)


def _not_once_retrained(ledger: Sequence[Entry]) -> list[str]:
    return [
        f"request {entry.request} led to {entry.versions} releases and {entry.announcements} announcements"
        for entry in ledger
        if isinstance(entry, Retrained) and (entry.versions, entry.announcements) != (1, 1)
    ]


def _repeats_after_clean_faults(
    done: Sequence[FaultDone], left: Sequence[Left], repeats: Sequence[Decided]
) -> list[str]:
    """Not where a process left by itself meanwhile: then something was broken off, though not by the fault."""
    breaches = []
    for fault in done:
        count = _repeats_of(fault, repeats)
        undisturbed = not any(fault.injected <= leaving.at <= fault.ended for leaving in left)
        if fault.guarantee == "once" and count and undisturbed:
            breaches.append(
                f"{fault.name} (fault {fault.number}): {count} decisions repeated, though nothing was broken off"
            )
    return breaches


def _monitors(ledger: Sequence[Entry]) -> list[str]:
    """Alerts that fire though nothing is there, or that a monitor told twice, and a state that stops have changed."""
    states = [entry for entry in ledger if isinstance(entry, MonitorState)]
    heard: dict[str, list[Alerted]] = {}
    for entry in ledger:
        if isinstance(entry, Alerted):
            heard.setdefault(entry.fingerprint, []).append(entry)
    wanted = {name for state in states for name in state.firing}
    firing = {name for name, alerts in heard.items() if alerts[-1].state == "firing"}
    twice = [
        f"{name} ({alerts[0].rule})"
        for name, alerts in heard.items()
        if alerts[0].rule != "release_refused"  # each worker tells its own
        and any(alert.state == later.state for alert, later in itertools.pairwise(alerts))
    ]
    return [
        *_breach("alerts that fire though nothing is there:", sorted(firing - wanted)),
        *_breach("alerts that should fire and do not:", sorted(wanted - firing)),
        *_breach("alerts told twice:", twice),
        *_breach(
            "the monitor's state is not that of one that never stopped:",
            [part for state in states for part in state.differing],
        ),
    ]


def _repeats_of(fault: FaultDone, repeats: Sequence[Decided]) -> int:
    return sum(fault.injected <= entry.at <= fault.ended for entry in repeats)


def _too_little(least: Least, events: int, seen: Sequence[FaultDone]) -> list[str]:
    breaches = []
    if events < least.events:
        breaches.append(f"too little traffic: {events} events, at least {least.events} are needed")
    if len(seen) < least.faults:
        breaches.append(f"too few faults were seen: {len(seen)}, at least {least.faults} are needed")
    if missing := sorted(least.kinds - {fault.name for fault in seen}):
        breaches.append(f"never seen: {', '.join(missing)}")
    return breaches


def _breach(words: str, culprits: Sequence[object]) -> list[str]:
    if not culprits:
        return []
    shown = ", ".join(
        f"{culprit[0]}-{culprit[1]}" if isinstance(culprit, tuple) else str(culprit) for culprit in culprits[:SHOWN]
    )
    return [f"{words} {len(culprits)}: {shown}{' ...' if len(culprits) > SHOWN else ''}"]


def _row(fault: FaultDone, repeats: Sequence[Decided]) -> dict[str, Any]:
    return {
        "number": fault.number,
        "fault": fault.name,
        "seen": fault.seen,
        "recovery_seconds": None if fault.recovery is None else round(fault.recovery, 2),
        "limit_seconds": fault.limit,
        "guarantee": fault.guarantee,
        "repeats": _repeats_of(fault, repeats),
        "seconds": round(fault.ended - fault.injected, 1),
        "detail": fault.detail,
    }
