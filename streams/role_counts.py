"""Metrics of what roles count for themselves, in their own objects: read whenever Prometheus asks."""

from collections import Counter as Count
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from streams.indexer import IndexerCounts
from streams.monitor.drift.evidence import DETECTORS
from streams.monitor.drift.fast_audits import FAST_AUDITS

if TYPE_CHECKING:  # a worker counts as well, and starts without a monitor's statistics
    from streams.monitor.core import MonitorTotals


class RoleCounts(Collector):
    """Holds the roles' own counts. by application: monitors, failures (of a release, by step), times_set_aside (by
    place), pictures (by outcome), taken (of recommenders, by whether it was new and listed).
    told, to_tell: of notifiers, by receiver. dispatched, standing, timers_silence: of dispatchers. gap_seconds,
    unread_seconds: see `Metrics.follow_releases`.

    Read while other threads count, and while roles are still being added: each table is copied before it is gone
    through, and what may become None is read once."""

    def __init__(self) -> None:
        self.index = IndexerCounts()
        self.apps: list[str] = []
        self.monitors: dict[str, MonitorTotals] = {}
        self.failures: dict[str, Mapping[str, int]] = {}
        self.times_set_aside: dict[str, Mapping[str, int]] = {}
        self.pictures: dict[str, Mapping[str, int]] = {}
        self.taken: dict[str, Mapping[str, int]] = {}
        self.told: dict[str, Mapping[str, Mapping[str, int]]] = {}
        self.to_tell: dict[str, Callable[[], Mapping[str, int]]] = {}
        self.dispatched: dict[str, Mapping[str, int]] = {}
        self.standing: dict[str, Callable[[], Mapping[str, int]]] = {}
        self.timers_silence: dict[str, Callable[[], float]] = {}
        self.gap_seconds: Callable[[], Mapping[str, float]] = dict
        self.unread_seconds: Callable[[], float] = float

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        yield from self._of_indexer()
        yield from self._of_workers()
        yield from self._of_monitors(dict(self.monitors))
        yield from self._of_releases()
        yield from self._of_notifiers()
        yield from self._of_dispatchers()

    def _of_dispatchers(self) -> Iterable[Metric]:
        yield _by_application(
            "headrace_dispatched",
            "What dispatchers did with decisions, people's changes and the time, by outcome (docs/hand_over.md)",
            "outcome",
            self.dispatched,
        )
        standing = GaugeMetricFamily(
            "headrace_conversations",
            "Conversations by state: people (have them), overdue (somebody waits longer than was promised)",
            labels=["app", "state"],
        )
        for app, states in list(self.standing.items()):
            for state, number in states().items():
                standing.add_metric([app, state], number)
        yield standing
        silence = GaugeMetricFamily(
            "headrace_timers_silence_seconds",
            "For how long a dispatcher that has partitions has not looked at what is due: promises, steps of the chain",
            labels=["app"],
        )
        for app, seconds in list(self.timers_silence.items()):
            silence.add_metric([app], seconds())
        yield silence

    def _of_notifiers(self) -> Iterable[Metric]:
        told = CounterMetricFamily(
            "headrace_notifications",
            "Alerts by receiver and outcome: told, refused (it will never take them), failed (to be told again)",
            labels=["app", "receiver", "outcome"],
        )
        pending = GaugeMetricFamily(
            "headrace_notifications_pending", "Alerts that a receiver is still to be told", labels=["app", "receiver"]
        )
        for app, receivers in list(self.told.items()):
            for receiver, outcomes in dict(receivers).items():
                for outcome, number in dict(outcomes).items():
                    told.add_metric([app, receiver, outcome], number)
        for app, to_tell in list(self.to_tell.items()):
            for receiver, number in to_tell().items():
                pending.add_metric([app, receiver], number)
        yield told
        yield pending

    def _of_indexer(self) -> Iterable[Metric]:
        index = self.index
        yield CounterMetricFamily(
            "headrace_indexed_documents", "Documents that the indexer created", value=index.created
        )
        yield CounterMetricFamily(
            "headrace_indexed_repeats", "Decisions that stood in the store already", value=index.repeats
        )
        yield CounterMetricFamily(
            "headrace_index_dead_letters", "Decisions that the store refused for good", value=index.rejected
        )

    def _of_workers(self) -> Iterable[Metric]:
        yield _by_application(
            "headrace_model_failures",
            "Batches that a release failed on (their texts are then asked one by one), by step: prepare, encode, "
            "decide, trial",
            "step",
            self.failures,
        )
        yield _by_application(
            "headrace_times_set_aside",
            "Times of records that made no sense or lay outside the span, by where they stood: source (in the body), "
            "record (its own)",
            "place",
            self.times_set_aside,
        )
        yield _by_application(
            "headrace_pictures",
            "Pictures beside texts, by outcome: decided, or what was wrong with them (docs/models/pictures.md)",
            "outcome",
            self.pictures,
        )
        yield _by_application(
            "headrace_recommended_taken",
            "What users with a list clicked or bought: new or again, listed or missed (docs/recommendation.md)",
            "outcome",
            self.taken,
        )

    def _of_monitors(self, monitors: Mapping[str, "MonitorTotals"]) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "headrace_alerts",
            "Alerts that monitors found, firing and resolved",
            value=sum(totals.alerts for totals in monitors.values()),
        )
        yield CounterMetricFamily(
            "headrace_retrain_requests",
            "Retrained models that monitors asked for",
            value=sum(len(totals.requests) for totals in monitors.values()),
        )
        yield _by_application(
            "headrace_signals_skipped",
            "Signals of no use to the monitor, by reason: bad_signal, unknown_version, other_version, internal_error",
            "reason",
            {app: totals.skipped for app, totals in monitors.items()},
        )
        yield _by_application(
            "headrace_monitor_parts_lost",
            "Parts of a monitor's state that could not be kept or taken up again, and began anew, by part: release, "
            "signals, surges, watch, labelled, rate, book, thresholds, stories, totals, news",
            "part",
            {app: totals.parts_lost for app, totals in monitors.items()},
        )
        yield _by_application(
            "headrace_news_items",
            "Items of feeds with [stories], by what became of them: told (a story), repeat; and those that windows of "
            "trends do not count: future, late, no_time, long_name (once for each group), window, story (once for each "
            "window that is one too many, or has one story too many)",
            "outcome",
            {app: totals.news for app, totals in monitors.items()},
        )
        by_chance = GaugeMetricFamily(
            "headrace_stated_false_alarms_per_day",
            "Drift alarms a day of a stream that does not change, by the stated rate and the events seen of late",
            labels=["app"],
        )
        for app, totals in monitors.items():
            if (stated := totals.by_chance) is not None:
                by_chance.add_metric([app], stated.per_day)
        yield by_chance
        drift = CounterMetricFamily(
            "headrace_drift_detections", "Drift episodes, by application and detector", labels=["app", "detector"]
        )
        detected = Count({(app, detector): 0 for app in self.apps for detector in (*DETECTORS, FAST_AUDITS)})
        for app, totals in monitors.items():
            detected.update({(app, detector): episodes for detector, episodes in list(totals.detections.items())})
        for (app, detector), episodes in detected.items():
            drift.add_metric([app, detector], episodes)
        yield drift

    def _of_releases(self) -> Iterable[Metric]:
        gaps = GaugeMetricFamily(
            "headrace_release_gap_seconds",
            "For how long another release than the wanted one has served; 0: the wanted one serves",
            labels=["app"],
        )
        for app, seconds in self.gap_seconds().items():
            gaps.add_metric([app], seconds)
        yield gaps
        yield GaugeMetricFamily(
            "headrace_releases_unread_seconds",
            "For how long model.releases could not be read; 0: it can",
            value=self.unread_seconds(),
        )


def _by_application(name: str, meaning: str, label: str, counts: Mapping[str, Mapping[str, int]]) -> Metric:
    """A counter by application and one more label. The counts may grow in another thread meanwhile."""
    family = CounterMetricFamily(name, meaning, labels=["app", label])
    for app, by_label in list(counts.items()):
        for value, count in list(by_label.items()):
            family.add_metric([app, value], count)
    return family
