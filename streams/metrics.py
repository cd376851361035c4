"""Every metric of Headrace, one line each. Labels come from small fixed sets; no id, no offset, no text.

docs/operations.md explains them; a test holds it to this file.
"""

from collections import Counter as Count
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

from streams.batch_histogram import BatchHistogram
from streams.engine.delivery import Outcome
from streams.engine.offset_tracker import Partition
from streams.engine.open_transactions import OpenTransaction
from streams.indexer import IndexerCounts
from streams.monitor.core import MonitorTotals
from streams.role_counts import RoleCounts

RETRAINING_OUTCOMES = ("finished", "failed")
LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
BATCH_EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """One registry per process, so that tests and several runs in one process do not meet. Also an EngineObserver.

    Releases are told by their follower's thread, all else by the event loop; scrapes come from any thread.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        # what the worker decided
        self._decisions = Counter(
            "headrace_decisions",
            "Decisions confirmed by the broker, by the way they took: fast, full or cache",
            ["app", "path"],
            registry=registry,
        )
        self._dead_letters = Counter(
            "headrace_dead_letters",
            "Records that could not be decided, by reason",
            ["app", "reason"],
            registry=registry,
        )
        self._passed_over = Counter(
            "headrace_passed_over",
            "Records with nothing to decide in them, by reason: tombstone, delete",
            ["app", "reason"],
            registry=registry,
        )
        self._audits = Counter(
            "headrace_audits",
            "Fast decisions that the encoder made as well, by whether both agree",
            ["app", "agrees"],
            registry=registry,
        )
        self._trials = Counter(
            "headrace_trials",
            "Decisions that a canary or shadow made as well, by whether it agrees with the champion",
            ["app", "role", "agrees"],
            registry=registry,
        )
        self._latency = BatchHistogram(
            "headrace_decision_latency_seconds", "From the record's own time to the decision", "app", LATENCY_SECONDS
        )
        registry.register(self._latency)
        # how the engines work
        self._batch = Histogram(
            "headrace_batch_events", "Events in a batch", ["engine"], buckets=BATCH_EVENTS, registry=registry
        )
        self._wait = Histogram(
            "headrace_queue_wait_seconds",
            "How long a batch's oldest event waited for it",
            ["engine"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._stage = Histogram(
            "headrace_stage_seconds",
            "Time of a batch in a stage: prepare (parse, n-grams, tokenise), encode (encoder), decide (heads, "
            "records), publish (produce and confirm), index, observe, retrain",
            ["engine", "stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._stage_events = Counter(
            "headrace_stage_events", "Events that a stage finished", ["engine", "stage"], registry=registry
        )
        # where the consumers stand
        self._lag = Gauge(
            "headrace_lag_events",
            "Events between the committed position and the partition's end",
            ["role", "topic", "partition"],
            registry=registry,
        )
        self._kept_back = Gauge(
            "headrace_behind_open_transaction_events",
            "Offsets from a partition's oldest open transaction to its end, which are not read before it ends",
            ["topic", "partition"],
            registry=registry,
        )
        self._partitions = Gauge(
            "headrace_partitions", "Partitions that this process was given", ["role"], registry=registry
        )
        self._paused = Gauge(
            "headrace_paused_partitions", "Partitions paused by back-pressure", ["role"], registry=registry
        )
        self._in_flight = Gauge(
            "headrace_in_flight_events", "Events taken and not finished", ["role"], registry=registry
        )
        self._cut = Gauge(
            "headrace_cut_partitions",
            "Partitions held because their next record is no longer in the log",
            ["role"],
            registry=registry,
        )
        # what serves
        self._model = Info(
            "headrace_model",
            "The releases that serve, by role: champion, canary, shadow",
            ["app", "role"],
            registry=registry,
        )
        self._swaps = Counter("headrace_release_swaps", "Releases that took over", ["app"], registry=registry)
        self._refused = Counter(
            "headrace_releases_refused",
            "Releases that were refused, so that the champion went on",
            ["app"],
            registry=registry,
        )
        self._retrainings = Counter(
            "headrace_retrainings",
            "Retrainings that ended, by outcome: finished (released or not better), failed",
            ["app", "outcome"],
            registry=registry,
        )
        # the process
        self._loop_delay = Histogram(
            "headrace_event_loop_delay_seconds",
            "How much later than asked the event loop woke a sleeper",
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._silence = Gauge(
            "headrace_broker_silence_seconds", "Since the broker last answered a look", registry=registry
        )
        self._ready = Gauge("headrace_ready", "Whether /health/ready says yes: 1 or 0", registry=registry)
        self._counted = RoleCounts()
        registry.register(self._counted)
        ProcessCollector(registry=registry)
        self._known_lags: set[tuple[str, str, str]] = set()
        self._known_roles: set[tuple[str, str]] = set()

    def decided(self, app: str, outcomes: Sequence[Outcome]) -> None:
        """Count a confirmed batch."""
        decided = [outcome for outcome in outcomes if outcome.rejected_because is None and outcome.passed_over is None]
        for path, events in Count(outcome.path for outcome in decided).items():
            self._decisions.labels(app, path).inc(events)
        if len(decided) < len(outcomes):
            for reason, events in Count(outcome.rejected_because for outcome in outcomes).items():
                if reason is not None:
                    self._dead_letters.labels(app, reason).inc(events)
            for reason, events in Count(outcome.passed_over for outcome in outcomes).items():
                if reason is not None:
                    self._passed_over.labels(app, reason).inc(events)
        for agrees, events in Count(outcome.agrees for outcome in decided if outcome.agrees is not None).items():
            self._audits.labels(app, _yes(agrees)).inc(events)
        for (role, agrees), events in Count(
            pair for outcome in decided for pair in outcome.trial_agrees.items()
        ).items():
            self._trials.labels(app, role, _yes(agrees)).inc(events)
        if decided:
            self._latency.observe_all(app, [outcome.latency_seconds for outcome in decided])

    def batch_taken(self, engine: str, events: int, oldest_wait_seconds: float) -> None:
        """See EngineObserver."""
        self._batch.labels(engine).observe(events)
        self._wait.labels(engine).observe(oldest_wait_seconds)

    def stage_done(self, engine: str, stage: str, events: int, seconds: float) -> None:
        """See EngineObserver."""
        self._stage.labels(engine, stage).observe(seconds)
        self._stage_events.labels(engine, stage).inc(events)

    def consumers(
        self, role: str, *, partitions: int, paused: int, in_flight: int, lags: Mapping[Partition, int]
    ) -> None:
        """Say where a role stands; partitions that went away are no longer told."""
        self._partitions.labels(role).set(partitions)
        self._paused.labels(role).set(paused)
        self._in_flight.labels(role).set(in_flight)
        told = {(role, topic, str(partition)) for topic, partition in lags}
        for gone in [labels for labels in self._known_lags - told if labels[0] == role]:
            self._lag.remove(*gone)
            self._known_lags.discard(gone)
        for (topic, partition), lag in lags.items():
            self._lag.labels(role, topic, str(partition)).set(lag)
        self._known_lags |= told

    def transactions(self, transactions: Sequence[OpenTransaction]) -> None:
        """Say which partitions wait for a transaction to end; the others are no longer told."""
        self._kept_back.clear()
        for transaction in transactions:
            topic, partition = transaction.partition
            self._kept_back.labels(topic, str(partition)).set(transaction.kept_back)

    def cut(self, role: str, partitions: int) -> None:
        """Say how many partitions are held for lack of their next record."""
        self._cut.labels(role).set(partitions)

    def process(self, *, loop_delay_seconds: float, broker_silence_seconds: float, ready: bool) -> None:
        """Say how the process is."""
        self._loop_delay.observe(loop_delay_seconds)
        self._silence.set(broker_silence_seconds)
        self._ready.set(ready)

    def release(self, app: str, version: str, role: str = "champion") -> None:
        """Say which version serves as what."""
        self._model.labels(app, role).info({"version": version})
        self._known_roles.add((app, role))

    def serving(self, app: str, versions: Mapping[str, str]) -> None:
        """Say all that serves of an application: role to version. Roles that are not named serve no longer."""
        for known in [pair for pair in self._known_roles if pair[0] == app and pair[1] not in versions]:
            self._model.remove(*known)
            self._known_roles.discard(known)
        for role, version in versions.items():
            self.release(app, version, role)

    def follow_app(self, app: str) -> None:
        """Tell an application's rare events from now on, as zeros: a series that is born at its first event has not
        increased, and no rule sees it."""
        self._swaps.labels(app)
        self._refused.labels(app)
        for outcome in RETRAINING_OUTCOMES:
            self._retrainings.labels(app, outcome)
        self._counted.apps.append(app)

    def retrained(self, app: str, outcome: str) -> None:
        """A retraining ended, as one of RETRAINING_OUTCOMES."""
        self._retrainings.labels(app, outcome).inc()

    def swapped(self, app: str) -> None:
        """A release took over."""
        self._swaps.labels(app).inc()

    def refused(self, app: str) -> None:
        """A release was refused."""
        self._refused.labels(app).inc()

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

    def follow_monitor(self, app: str, totals: MonitorTotals) -> None:
        """Read what an application's monitor counts whenever Prometheus asks."""
        self._counted.monitors[app] = totals


def _yes(agrees: bool) -> str:
    return "yes" if agrees else "no"
