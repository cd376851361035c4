"""Every metric of Headrace, and when it is set. Labels come from small fixed sets; no id, no offset, no text.

docs/operations.md explains them; a test holds it to this file.
"""

from collections import Counter as Count
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from streams.engine.delivery import Outcome
from streams.engine.offset_tracker import Partition
from streams.engine.open_transactions import OpenTransaction
from streams.indexer import IndexerCounts
from streams.metric_families import (
    ConsumerFamilies,
    DecisionFamilies,
    EngineFamilies,
    ProcessFamilies,
    ReleaseFamilies,
)
from streams.role_counts import RoleCounts

if TYPE_CHECKING:  # a worker counts as well, and starts without a monitor's statistics
    from streams.monitor.core import MonitorTotals

RETRAINING_OUTCOMES = ("finished", "failed")
LABEL_OUTCOMES = ("taken", "contested", "copy", "over the cap", "relabelling", "unlikely")  # retrain.feedback.policy


class Metrics:
    """One registry per process, so that tests and several runs in one process do not meet. Also an EngineObserver.

    Releases are told by their followers' threads, all else by the event loop; scrapes come from any thread.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._of_decisions = DecisionFamilies(registry)
        self._of_engines = EngineFamilies(registry)
        self._of_consumers = ConsumerFamilies(registry)
        self._of_releases = ReleaseFamilies(registry)
        self._of_process = ProcessFamilies(registry)
        self._counted = RoleCounts()
        registry.register(self._counted)
        ProcessCollector(registry=registry)
        self._known_lags: set[tuple[str, str, str]] = set()
        self._known_roles: dict[str, set[str]] = {}  # by application, each of which one thread tells of at a time

    def decided(self, app: str, outcomes: Sequence[Outcome]) -> None:
        """Count a confirmed batch."""
        decided = [outcome for outcome in outcomes if outcome.rejected_because is None and outcome.passed_over is None]
        for path, events in Count(outcome.path for outcome in decided).items():
            self._of_decisions.decisions.labels(app, path).inc(events)
        if len(decided) < len(outcomes):
            for reason, events in Count(outcome.rejected_because for outcome in outcomes).items():
                if reason is not None:
                    self._of_decisions.dead_letters.labels(app, reason).inc(events)
            for reason, events in Count(outcome.passed_over for outcome in outcomes).items():
                if reason is not None:
                    self._of_decisions.passed_over.labels(app, reason).inc(events)
        for agrees, events in Count(outcome.agrees for outcome in decided if outcome.agrees is not None).items():
            self._of_decisions.audits.labels(app, _yes(agrees)).inc(events)
        for (role, agrees), events in Count(
            pair for outcome in decided for pair in outcome.trial_agrees.items()
        ).items():
            self._of_decisions.trials.labels(app, role, _yes(agrees)).inc(events)
        if decided:
            self._of_decisions.latency.observe_all(app, [outcome.latency_seconds for outcome in decided])

    def left_out(self, app: str, topic: str) -> None:
        """A record of this topic was refused for good."""
        self._of_decisions.left_out.labels(app, topic).inc()

    def batch_taken(self, engine: str, events: int, oldest_wait_seconds: float) -> None:
        """See EngineObserver."""
        self._of_engines.batch.labels(engine).observe(events)
        self._of_engines.wait.labels(engine).observe(oldest_wait_seconds)

    def stage_done(self, engine: str, stage: str, events: int, seconds: float) -> None:
        """See EngineObserver."""
        self._of_engines.stage.labels(engine, stage).observe(seconds)
        self._of_engines.stage_events.labels(engine, stage).inc(events)

    def consumers(
        self, role: str, *, partitions: int, paused: int, in_flight: int, lags: Mapping[Partition, int]
    ) -> None:
        """Say where a role stands; partitions that went away are no longer told."""
        self._of_consumers.partitions.labels(role).set(partitions)
        self._of_consumers.paused.labels(role).set(paused)
        self._of_consumers.in_flight.labels(role).set(in_flight)
        known = {(role, topic, str(partition)) for topic, partition in lags}
        for gone in [labels for labels in self._known_lags - known if labels[0] == role]:
            self._of_consumers.lag.remove(*gone)
            self._known_lags.discard(gone)
        for (topic, partition), lag in lags.items():
            self._of_consumers.lag.labels(role, topic, str(partition)).set(lag)
        self._known_lags |= known

    def transactions(self, transactions: Sequence[OpenTransaction]) -> None:
        """Say which partitions wait for a transaction to end; the others are no longer told."""
        self._of_consumers.kept_back.clear()
        for transaction in transactions:
            topic, partition = transaction.partition
            self._of_consumers.kept_back.labels(topic, str(partition)).set(transaction.kept_back)

    def cut(self, role: str, partitions: int) -> None:
        """Say how many partitions are held for lack of their next record."""
        self._of_consumers.cut.labels(role).set(partitions)

    def process(self, *, loop_delay_seconds: float, broker_silence_seconds: float, ready: bool) -> None:
        """Say how the process is."""
        self._of_process.loop_delay.observe(loop_delay_seconds)
        self._of_process.silence.set(broker_silence_seconds)
        self._of_process.ready.set(ready)

    def release(self, app: str, version: str, role: str = "champion") -> None:
        """Say which version serves as what."""
        self._of_releases.model.labels(app, role).info({"version": version})
        self._known_roles.setdefault(app, set()).add(role)

    def serving(self, app: str, versions: Mapping[str, str]) -> None:
        """Say all that serves of an application: role to version. Roles that are not named serve no longer."""
        known = self._known_roles.get(app, set())
        for gone in known - versions.keys():
            self._of_releases.model.remove(app, gone)
            known.discard(gone)
        for role, version in versions.items():
            self.release(app, version, role)

    def follow_app(self, app: str) -> None:
        """Tell an application's rare events from now on, as zeros: a series that is born at its first event has not
        increased, and no rule sees it."""
        self._of_releases.swaps.labels(app)
        self._of_releases.refused.labels(app)
        for outcome in RETRAINING_OUTCOMES:
            self._of_releases.retrainings.labels(app, outcome)
        self._counted.apps.append(app)

    def retrained(self, app: str, outcome: str) -> None:
        """A retraining ended, as one of RETRAINING_OUTCOMES."""
        self._of_releases.retrainings.labels(app, outcome).inc()

    def sifted(self, app: str, texts: Mapping[str, int]) -> None:
        """A training has looked at people's labels. texts: how many count (`taken`), or do not, by reason."""
        for outcome in LABEL_OUTCOMES:
            self._of_releases.labelled.labels(app, outcome).set(texts.get(outcome, 0))

    def swapped(self, app: str) -> None:
        """A release took over."""
        self._of_releases.swaps.labels(app).inc()

    def refused(self, app: str) -> None:
        """A release was refused."""
        self._of_releases.refused.labels(app).inc()

    def follow_releases(
        self, gap_seconds: Callable[[], Mapping[str, float]], unread_seconds: Callable[[], float]
    ) -> None:
        """Ask for both whenever Prometheus asks: by application, for how long it has not served what is wanted; for how
        long `model.releases` could not be read."""
        self._counted.gap_seconds, self._counted.unread_seconds = gap_seconds, unread_seconds

    def follow_index(self, counts: IndexerCounts) -> None:
        """Read the indexer's counts whenever Prometheus asks."""
        self._counted.index = counts

    def follow_model(self, app: str, failures: Mapping[str, int]) -> None:
        """Read whenever Prometheus asks how many batches of an application its releases failed on, by step."""
        self._counted.failures[app] = failures

    def follow_source(self, app: str, times_set_aside: Mapping[str, int]) -> None:
        """Read whenever Prometheus asks how many times of an application's records were not believed, by place."""
        self._counted.times_set_aside[app] = times_set_aside

    def follow_pictures(self, app: str, counts: Mapping[str, int]) -> None:
        """Read whenever Prometheus asks what became of the pictures beside an application's texts, by outcome."""
        self._counted.pictures[app] = counts

    def follow_recommender(self, app: str, taken: Mapping[str, int]) -> None:
        """Read whenever Prometheus asks what of the items that users took had stood in their lists."""
        self._counted.taken[app] = taken

    def follow_notifier(
        self, app: str, told: Mapping[str, Mapping[str, int]], pending: Callable[[], Mapping[str, int]]
    ) -> None:
        """Read what an application's notifier has told, and has still to tell, by receiver."""
        self._counted.told[app], self._counted.to_tell[app] = told, pending

    def follow_dispatcher(
        self,
        app: str,
        dispatched: Mapping[str, int],
        standing: Callable[[], Mapping[str, int]],
        timers_silence_seconds: Callable[[], float],
    ) -> None:
        """Read what an application's dispatcher counts, which conversations people have, and for how long it has not
        looked at the time."""
        self._counted.dispatched[app], self._counted.standing[app] = dispatched, standing
        self._counted.timers_silence[app] = timers_silence_seconds

    def follow_monitor(self, app: str, totals: "MonitorTotals") -> None:
        """Read what an application's monitor counts whenever Prometheus asks."""
        self._counted.monitors[app] = totals


def _yes(agrees: bool) -> str:
    return "yes" if agrees else "no"
