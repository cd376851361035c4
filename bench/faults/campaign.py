"""Runs faults one after the other, each gated by progress, and hands what was seen to the judge."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.faults.fault import Fault
from bench.faults.ground import Ground
from bench.faults.judge import Least, Verdict, judge
from bench.faults.ledger import FaultDone, Left, Sent, Source, Worked
from bench.faults.rows import ROWS
from bench.faults.scene.monitors import alerts_told, look_at_monitors
from bench.faults.scene.product import NAME, PARTITIONS
from bench.faults.scene.scene import Scene
from bench.faults.scene.traffic import source_of
from bench.faults.waiting import TimedOut, wait_until
from connectors.elasticsearch.store import ElasticsearchStore
from models.errors import HeadraceError

BEFORE_EVENTS = 30  # new decisions between two faults: each strikes in mid-work
SEEN_SECONDS = 90.0
RECOVERED_SECONDS = 180.0
DRAIN_SECONDS = 300.0
LAST_EVENTS = 3  # into every partition at the end, so that an idle worker shows
# A decision read so soon after a kill may be the victim's own, sent before it died.
AFTERSHOCK_SECONDS = 0.25
LOOK_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """faults: how many; every row at least once where there are enough. rows: which may strike."""

    faults: int
    seed: int
    rows: Sequence[type[Fault]] = ROWS
    least_events: int = field(default=0)

    def order(self) -> list[type[Fault]]:
        """Rows in their order: every full round of all rows in an order of its own."""
        rng = random.Random(self.seed)
        order: list[type[Fault]] = []
        while len(order) < self.faults:
            order += rng.sample(list(self.rows), len(self.rows))
        return order[: self.faults]

    @property
    def least(self) -> Least:
        """What makes the campaign worth anything: all faults seen, and events to strike at between them."""
        kinds = frozenset(row.name for row in self.order())
        return Least(self.least_events or self.faults * BEFORE_EVENTS, self.faults, kinds)


def run(ground: Ground, plan: Plan, progress: Callable[[str, int, int], None], say: Callable[[str], None]) -> Verdict:
    """A whole campaign on services of its own. Raises HeadraceError where it cannot even begin."""
    say(f"seed {plan.seed}: {', '.join(row.name for row in plan.order())}")
    with Scene(ground, plan.seed, say) as scene:
        stopped = _strike(scene, plan, progress)
        ends, ids = _end(scene, stopped)
        verdict = judge(scene.ledger.entries(), ids, ends, seed=plan.seed, least=plan.least)
        left = [
            {"process": entry.name, "code": entry.code, "reason": entry.reason}
            for entry in scene.ledger.entries()
            if isinstance(entry, Left)
        ]
    return Verdict({**verdict.figures, "left": left}, verdict.faults, (*stopped, *verdict.breaches))


def _strike(scene: Scene, plan: Plan, progress: Callable[[str, int, int], None]) -> list[str]:
    """All faults; returns why the campaign was stopped before its end, if it was."""
    for number, row in enumerate(plan.order(), start=1):
        progress("faults", number - 1, plan.faults)
        fault = row(scene)
        try:
            done = strike(scene, fault, number)
        except HeadraceError as error:
            scene.say(f"fault {number}, {row.name}: {error}")
            return [f"stopped at fault {number}, {row.name} ({fault.detail}): {error}"]
        recovery = "none" if done.recovery is None else f"{done.recovery:.1f} s"
        scene.say(
            f"fault {number} of {plan.faults}: {done.name} ({done.detail}), {'seen' if done.seen else 'NOT SEEN'}, "
            f"recovery {recovery}"
        )
    progress("faults", plan.faults, plan.faults)
    return []


def strike(scene: Scene, fault: Fault, number: int) -> FaultDone:
    """One fault from the gate to its recovery; appended to the ledger. Raises TimedOut where it does not recover."""
    _wait_for_new(scene, BEFORE_EVENTS)
    scene.crew.wait_all_owned()
    fault.prepare()
    injected = time.monotonic()
    fault.inject()
    try:
        wait_until(fault.is_seen, SEEN_SECONDS, lambda: f"{fault.name} was not seen", poll_seconds=LOOK_SECONDS)
        seen = True
    except TimedOut as error:
        scene.say(str(error))
        seen = False
    fault.heal()
    healed = time.monotonic()
    _wait_recovered(scene, fault)
    ended = time.monotonic()
    recovery = ended - healed if fault.by_index else recovery_seconds(scene, fault.concerned, injected)
    done = FaultDone(
        fault.name,
        number,
        injected,
        ended,
        seen,
        fault.guarantee,
        fault.kill,
        fault.outage,
        recovery,
        fault.limit,
        fault.detail,
    )
    scene.ledger.append(done)
    return done


def recovery_seconds(scene: Scene, partitions: set[int], injected: float) -> float | None:
    """Until each of these partitions had a decision about an event that was sent after the injection."""
    entries = scene.ledger.entries()
    sent: dict[Source, float] = {entry.source: entry.at for entry in entries if isinstance(entry, Sent)}
    first: dict[int, float] = {}
    for entry in scene.clients.decided_after(0):
        partition = entry.source[0]
        if partition in partitions and sent.get(entry.source, 0.0) > injected + AFTERSHOCK_SECONDS:
            first.setdefault(partition, entry.at)
    return max(first.values()) - injected if partitions and partitions == first.keys() else None


def _wait_for_new(scene: Scene, events: int) -> None:
    start = len(scene.ledger)
    wait_until(
        lambda: len(scene.clients.decided_after(start)) >= events,
        RECOVERED_SECONDS,
        lambda: f"{len(scene.clients.decided_after(start))} of {events} new decisions came; {scene.crew.tails()}",
    )


def _wait_recovered(scene: Scene, fault: Fault) -> None:
    """New decisions and commits in every partition, documents of what was decided by now, and what the fault asks
    for."""
    deadline = time.monotonic() + RECOVERED_SECONDS
    clients = scene.clients
    source, decided = clients.confirmed(), clients.positions.ends(scene.product.app.decisions_topic, PARTITIONS)
    seen: dict[str, Mapping[int, int]] = {}

    def moved_on() -> bool:
        seen["committed"], seen["indexed"] = clients.look_at_commits(), clients.indexed()
        committed = all(seen["committed"].get(p, 0) > end for p, end in source.items())
        return committed and all(seen["indexed"].get(p, 0) >= end for p, end in decided.items())

    def left() -> float:
        return max(deadline - time.monotonic(), 1.0)

    wait_until(
        moved_on,
        left(),
        lambda: f"positions {seen} do not pass {source} and {decided}; {scene.crew.owners()}; {scene.crew.tails()}",
        poll_seconds=LOOK_SECONDS,
    )
    wait_until(
        fault.is_recovered,
        left(),
        lambda: f"{fault.name} is not over: {scene.crew.owners()}; {scene.crew.tails()}",
        poll_seconds=LOOK_SECONDS,
    )


def _end(scene: Scene, stopped: list[str]) -> tuple[dict[int, int], list[Source]]:
    """Send no more, drain, find out who still works, stop everyone; returns the log's ends and the store's ids."""
    try:
        scene.clients.loader.stop()
        scene.proxy.mode = "pass"
        _drain(scene)
        before = {worker.name: worker.finished() for worker in scene.crew.workers}
        scene.clients.loader.send_to_each(PARTITIONS, LAST_EVENTS)
        _drain(scene)
        _look_who_works(scene, before)
        scene.crew.wait_agreed(scene.clients.releases()[-1].champion, time.monotonic(), "at the end")
    except HeadraceError as error:
        stopped.append(f"not drained: {error}")
    scene.crew.end_supervision()
    for process in scene.crew.everyone:
        if process.is_alive and (code := process.stop()):
            scene.ledger.append(Left(process.name, code, f"at the end: {process.tail()[-400:]}", time.monotonic()))
    _look_at_monitors(scene)
    ends = scene.clients.positions.ends(scene.product.app.topic, PARTITIONS)
    store = ElasticsearchStore(scene.cluster.elasticsearch)
    try:
        return ends, [source_of(identity, scene.clients.epoch) for identity in store.ids(NAME)]
    finally:
        store.close()


def _look_at_monitors(scene: Scene) -> None:
    """What monitors have told, and the state that the last one put down."""
    address, now = scene.cluster.address, time.monotonic()
    scene.ledger.append(look_at_monitors(address, scene.product.app, scene.shelf.registry, now))
    for alert in alerts_told(address, NAME, now):
        scene.ledger.append(alert)


def _look_who_works(scene: Scene, before: Mapping[str, int]) -> None:
    """Each worker with what it finished since. One that has no partition has none to be had: there are more than
    workers."""

    def moved() -> bool:
        return all(worker.finished() != before[worker.name] for worker in scene.crew.workers)

    try:
        wait_until(moved, 10.0, lambda: "")
    except TimedOut:
        pass  # the judge says who
    for worker in scene.crew.workers:
        now = worker.finished()
        finished = (
            now - before[worker.name] if now >= before[worker.name] else now
        )  # started again meanwhile: it counts from 0
        scene.ledger.append(
            Worked(worker.name, len(worker.partitions(scene.product.app.topic)), finished, time.monotonic())
        )


def _drain(scene: Scene) -> None:
    """Until every event is decided and committed, and every decision indexed."""

    app, clients = scene.product.app, scene.clients

    def is_drained() -> bool:
        ends = clients.positions.ends(app.topic, PARTITIONS)
        committed = clients.look_at_commits()
        if any(committed.get(p, 0) < end for p, end in ends.items()):
            return False
        decided = clients.positions.ends(app.decisions_topic, PARTITIONS)
        indexed = clients.indexed()
        return all(indexed.get(p, 0) >= end for p, end in decided.items())

    wait_until(
        is_drained,
        DRAIN_SECONDS,
        lambda: f"positions {clients.look_at_commits()}; {scene.crew.owners()}; {scene.crew.tails()}",
        poll_seconds=LOOK_SECONDS,
    )
