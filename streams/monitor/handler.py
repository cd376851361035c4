"""The monitor's engine: signals and feedback in; alerts and retrain requests out.

State lives in memory and belongs to the release that decided: a signal of a new version brings its own reference.
"""

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.errors import MessageError
from streams.application import Application
from streams.engine.delivery import Acknowledge, Delivery, OutRecord
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.monitor.drift.alerts import alert_for_episode
from streams.monitor.drift.detector import DriftMonitor, Episode, Signal
from streams.monitor.retrain_policy import RetrainPolicy, RetrainState
from streams.monitor.surges.rules import AlertRules
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.outcomes import dead_letter, wall_clock_ms
from streams.wire.records import Alert, Feedback, RetrainRequest, decode, format_time

log = logging.getLogger(__name__)

Reference = Mapping[str, NDArray[Any]]


@dataclass(slots=True)
class MonitoredRelease:
    """What the monitor holds of one application while one version serves."""

    version: str
    drift: DriftMonitor
    retrain: RetrainState
    episode: Episode | None = None
    events: int = 0
    next_total: int = 0  # labels before the next request: a challenger that was refused needs more, not the same again


@dataclass(slots=True)
class MonitorTotals:
    """What a monitor saw since it started."""

    events: int = 0
    alerts: int = 0
    episodes: list[tuple[str, Episode]] = field(default_factory=list)
    requests: list[RetrainRequest] = field(default_factory=list)


class MonitorHandler:
    """Turns batches of signals and feedback into alerts and retrain requests."""

    def __init__(
        self,
        apps: Sequence[Application],
        reference: Callable[[str, str], Reference],
        policy: RetrainPolicy,
        *,
        seed: int = 0,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._by_signals = {app.signals_topic: app for app in apps}
        self._by_source = {topic: app for app in apps for topic in app.source_topics}
        self._reference, self._policy, self._seed, self._now_ms = reference, policy, seed, now_ms
        self._watched: dict[str, MonitoredRelease] = {}
        self._rules = {app.name: AlertRules(app.surges) for app in apps}
        self.counts = MonitorTotals()

    def observe(self, batch: Sequence[Delivery]) -> None:
        """Sets each delivery's `result` to the records it leads to."""
        for delivery in batch:
            try:
                if delivery.topic == FEEDBACK_TOPIC:
                    delivery.result = self._on_feedback(delivery.value)
                else:
                    delivery.result = self._on_signals(self._by_signals[delivery.topic], delivery)
            except MessageError as error:
                delivery.result = dead_letter(delivery, error).records

    def _on_signals(self, app: Application, delivery: Delivery) -> list[OutRecord]:
        try:
            signals = orjson.loads(delivery.value or b"")
            records: list[OutRecord] = []
            for raw in signals:
                records += self._on_signal(app, raw, delivery.timestamp_ms)
            return records
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise MessageError("bad_record", f"no signals: {error!r}") from error

    def _on_signal(self, app: Application, raw: dict[str, Any], arrival_ms: int) -> list[OutRecord]:
        self.counts.events += 1
        alerts = self._rules[app.name].observe(app.name, raw, raw["at"], arrival_ms)
        records = [self._alert(alert) for alert in alerts]
        if not app.heads:
            return records
        watched = self._watched_for(app, raw["version"])
        if watched is None:
            return records
        watched.events += 1
        episode = watched.drift.update(_signal(raw, app.head_names[0], watched.events))
        if episode is not None:
            watched.episode = episode
            watched.retrain = RetrainState()  # what was corrected before says little about what is new
            watched.next_total = 0
            self.counts.episodes.append((app.name, episode))
            records.append(self._alert(alert_for_episode(app.name, watched.version, episode, raw["at"])))
        return records

    def _watched_for(self, app: Application, version: str) -> MonitoredRelease | None:
        watched = self._watched.get(app.name)
        if watched is None or int(version) > int(watched.version):
            drift = DriftMonitor.from_reference(
                self._reference(app.name, version),
                false_alarm_every=app.false_alarm_every,
                seed=self._seed,
                fast_path=app.fast_path == "on",
            )
            watched = self._watched[app.name] = MonitoredRelease(version, drift, RetrainState())
        return watched if watched.version == version else None  # a straggler of the release before

    def _on_feedback(self, value: bytes | None) -> list[OutRecord]:
        if value is None:
            return []  # a tombstone withdraws a label; the retrainer reads the compacted state
        feedback = decode(Feedback, value)
        app = self._by_source.get(feedback.decision_id.partition("@")[0])
        watched = self._watched.get(app.name) if app else None
        if app is None or watched is None or feedback.head != app.head_names[0]:
            return []
        watched.retrain.add(feedback.label)
        if watched.retrain.total < watched.next_total or not self._policy.is_due(
            watched.retrain, has_episode=watched.episode is not None
        ):
            return []
        watched.next_total = watched.retrain.total * 3 // 2
        return [self._retrain_request(app, watched)]

    def _retrain_request(self, app: Application, watched: MonitoredRelease) -> OutRecord:
        at = format_time(self._now_ms())
        labels = watched.retrain.total
        request = RetrainRequest(
            id=f"{app.name}@{watched.version}-{watched.events}",
            app=app.name,
            reason=f"drift since event {watched.episode.onset_event}" if watched.episode else "new labels",
            evidence={"version": watched.version, "labels": labels},
            at=at,
        )
        self.counts.requests.append(request)
        log.info("%s@%s: asking for a retrained model, %d labels are in", app.name, watched.version, labels)
        return OutRecord(RETRAIN_REQUESTS_TOPIC, app.name.encode(), request.encode())

    def _alert(self, alert: Alert) -> OutRecord:
        self.counts.alerts += 1
        log.warning("alert %s (%s): %s", alert.rule, alert.state, alert.summary)
        return OutRecord(ALERTS_TOPIC, alert.fingerprint.encode(), alert.encode())


def _signal(raw: dict[str, Any], primary: str, number: int) -> Signal:
    label, probability = raw["labels"][primary]
    embedding = raw.get("embedding")
    return Signal(
        id=raw["id"],
        event_number=number,
        text=raw.get("text"),
        label=label,
        confidence=float(probability),
        oos_score=raw.get("oos"),
        embedding=np.frombuffer(base64.b64decode(embedding), np.float16).astype(np.float32) if embedding else None,
        fast=raw.get("path") == "fast",
    )


def monitor_pipeline(
    handler: MonitorHandler,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Acknowledge,
    observer: PipelineObserver | None = None,
) -> BatchPipeline:
    """Observe in a thread, send what follows, move on."""

    async def publish(batch: Sequence[Delivery]) -> None:
        records = [record for delivery in batch for record in delivery.result]
        if records:
            await send_all(records)

    stages = [Stage("observe", in_thread(handler.observe, "monitor")), Stage("publish", publish)]
    return BatchPipeline("monitor", stages, acknowledge, observer=observer)
