"""Every metric of Headrace, one line each. Labels come from small fixed sets; no id, no offset, no text."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server

from streams.classify import Outcome
from streams.indexer import IndexerCounts

LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry per process, so that tests and several runs in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter("headrace_decisions", "Decisions confirmed by the broker", ["app"], registry=self.registry)
        self._dead_letters = Counter("headrace_dead_letters", "Records that could not be decided", ["app", "reason"], registry=self.registry)
        self._batch = Histogram("headrace_batch_events", "Events in a batch", ["app"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256), registry=self.registry)
        self._latency = Histogram("headrace_decision_latency_seconds", "From the record's own time to the decision", ["app"], buckets=LATENCY_SECONDS, registry=self.registry)
        self._model = Info("headrace_model", "The release that serves", ["app"], registry=self.registry)
        self._indexed = Gauge("headrace_indexed_documents", "Documents the indexer created since it started", registry=self.registry)
        self._repeats = Gauge("headrace_indexed_repeats", "Decisions that stood in the store already", registry=self.registry)

    def decided(self, app: str, outcomes: Sequence[Outcome]) -> None:
        """Count a confirmed batch."""
        self._batch.labels(app).observe(len(outcomes))
        for outcome in outcomes:
            if outcome.rejected_because is not None:
                self._dead_letters.labels(app, outcome.rejected_because).inc()
            else:
                self._decisions.labels(app).inc()
                self._latency.labels(app).observe(outcome.latency_seconds)

    def release(self, app: str, version: str) -> None:
        """Say which version serves."""
        self._model.labels(app).info({"version": version})

    def follow_index(self, counts: IndexerCounts) -> None:
        """Read the indexer's counts whenever Prometheus asks."""
        self._indexed.set_function(lambda: counts.created)
        self._repeats.set_function(lambda: counts.repeats)

    def serve(self, port: int) -> None:
        """Answer Prometheus on 127.0.0.1 and all other addresses of this machine at /metrics."""
        start_http_server(port, registry=self.registry)
