"""`headrace drift backtest`, `headrace alerts backtest`: what would have alarmed on a stretch of a topic, with this
release and these rules?

The stretch is decided anew and shown, in the order of its records' times, to the monitor that watches live streams.
Nothing live is touched.
"""

import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from connectors.ports import Record
from headrace.process.garbage import spared_collector
from headrace.releases.announcing import hash_to_compare
from headrace.releases.references import release_reference
from headrace.replay.known_events import AlertVerdict, KnownEvent, judge_alerts
from headrace.replay.pipeline import Decided, decide_records, replay_handler
from headrace.replay.run import (
    Progress,
    ReplayRequest,
    counted,
    load_classifiers,
    stretch_of,
    tell_gone,
    topic_epoch,
)
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.errors import ConfigError
from streams.application import Application
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor
from streams.monitor.event_clock import seconds_of
from streams.monitor.retrain_policy import RetrainPolicy
from streams.replay.stretch import Stretch
from streams.wire.records import Alert, Release, format_time
from streams.wire.signals import read_signals

OpenPartition = Callable[[int], Iterator[Record]]


@dataclass(slots=True)
class Backtest:
    """What came of it. events: by day (UTC, of the events' own times, as alerts are), those that were decided. alerts:
    in their order, fired and resolved, as they would have been told. skipped: events without a decision. insufficient:
    stories of which too little was known to say what is usual. span_seconds: the earliest and the latest time of an
    event, since 1970. verdict: beside known events, where some were given."""

    topic: str
    model: str
    false_alarm_every: int
    events: Counter[str] = field(default_factory=Counter)
    alerts: list[Alert] = field(default_factory=list)
    skipped: int = 0
    insufficient: int = 0
    seconds: float = 0.0
    span_seconds: tuple[float, float] | None = None
    verdict: AlertVerdict | None = None

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Alerts that fire or are over now. One that fires already, and whose story has grown, is told in its new words
        and is no second one."""
        for alert in alerts:
            same = [number for number, one in enumerate(self.alerts) if one.fingerprint == alert.fingerprint]
            if same and alert.state == self.alerts[same[-1]].state == "firing":
                self.alerts[same[-1]] = alert
            else:
                self.alerts.append(alert)

    def judge(self, known: Sequence[KnownEvent], tolerance_minutes: float) -> None:
        """Say what the alerts are worth beside known events."""
        self.verdict = judge_alerts(self.fired, known, self.span_seconds, tolerance_minutes)

    @property
    def fired(self) -> list[Alert]:
        """Alerts that would have reached somebody."""
        return [alert for alert in self.alerts if alert.state == "firing"]

    def days(self) -> list[dict[str, Any]]:
        """By day: events, and alerts that would have fired."""
        fired = Counter(alert.at[:10] for alert in self.fired)
        rules = defaultdict[str, Counter[str]](Counter)
        for alert in self.fired:
            rules[alert.at[:10]][alert.rule] += 1
        return [
            {"day": day, "events": self.events[day], "alerts": fired[day], "rules": dict(rules[day])}
            for day in sorted(self.events.keys() | fired.keys())
        ]

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "topic": self.topic,
            "model": self.model,
            "false_alarm_every": self.false_alarm_every,
            "events": self.events.total(),
            "skipped": self.skipped,
            "insufficient": self.insufficient,
            "days": self.days(),
            "alerts": [alert.model_dump() for alert in self.alerts],
            "seconds": round(self.seconds, 3),
        } | ({} if self.verdict is None else {"known": self.verdict.as_json()})


def backtest(
    wiring: Wiring, order: ReplayRequest, false_alarm_every: int | None = None, progress: Progress = lambda *_: None
) -> Backtest:
    """false_alarm_every: of drift; None: as the application's file says. Rules that go by the clock go by the records'
    own times; those about labels, dead letters and releases are about what no stretch of a topic tells, and are silent.
    Raises what `replay` raises."""
    if order.app.kind != "classify":
        raise ConfigError(f"{order.app.name} ranks items; only streams that are classified are watched for drift")
    chosen = {} if false_alarm_every is None else {"false_alarm_every": false_alarm_every}
    app = order.app.model_copy(update=chosen)
    with ExitStack() as stack:
        admin, reader = wiring.admin(), wiring.reader()
        stack.callback(admin.close)
        stack.callback(reader.close)
        epoch, stretch = topic_epoch(admin, order.topic), stretch_of(admin, order)
        tell_gone(order.topic, stretch)
        (classifier,) = load_classifiers(wiring, order)
        core = _monitor(wiring, app, classifier)
        handler = replay_handler(app, classifier, order.topic, epoch, with_signals=True)
        stack.enter_context(spared_collector())
        started = time.monotonic()
        result = Backtest(order.topic, f"{classifier.model}@{classifier.version}", app.false_alarm_every)
        one = partial(reader.read, order.topic, stretch.starts, stretch.ends)
        records = by_time(stretch, lambda partition: one([partition]))
        for batch in counted(decide_records(records, [handler], app.decisions_topic), stretch, progress):
            for event in batch:
                _observe(core, event, result)
        result.insufficient = core.book.insufficient
        result.seconds = time.monotonic() - started
    return result


def by_time(stretch: Stretch, open_partition: OpenPartition) -> Iterator[Record]:
    """A stretch's records as they came: by their own times across partitions, in order within each."""
    return heapq.merge(
        *(open_partition(partition) for partition in stretch.starts), key=lambda record: record.timestamp_ms
    )


def _monitor(wiring: Wiring, app: Application, classifier: Classifier) -> MonitorCore:
    """The live monitor's core with the release as its champion from the beginning."""
    model, version = classifier.model, classifier.version
    hash_ = hash_to_compare(wiring, model, version)
    arrays = release_reference(wiring.registry(), model, version, hash_)

    def make_drift(_: str) -> DriftMonitor:
        return DriftMonitor.from_reference(
            arrays, false_alarm_every=app.false_alarm_every, seed=0, fast_path=app.fast_path == "on"
        )

    core = MonitorCore(app, RetrainPolicy(), make_drift, lambda _: True)
    serves = Release(model=app.name, champion=version, revision=1, manifest_sha256={}, by="backtest", at=format_time(0))
    core.take_releases([serves])
    core.watch_champion()
    return core


def _observe(core: MonitorCore, event: Decided, result: Backtest) -> None:
    if event.signal is None:
        result.skipped += 1
        return
    at_seconds = seconds_of(event.signal["at"])
    if at_seconds is not None:
        first, last = result.span_seconds or (at_seconds, at_seconds)
        result.span_seconds = min(first, at_seconds), max(last, at_seconds)
    number, written_ms = result.events.total(), event.record.timestamp_ms
    result.tell(core.book.pass_time(written_ms))
    result.events[event.signal["at"][:10]] += 1
    result.tell(core.observe((0, number), written_ms, read_signals(orjson.dumps([event.signal]))))
