"""What the monitors of a campaign should have come to, from the topics alone: as one that never stopped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from bench.faults.ledger import Alerted, MonitorState
from connectors.kafka.client import KafkaReader
from connectors.ports import Record, ReleaseRegistry
from headrace.releases.references import release_reference
from models.errors import MessageError
from streams.application import Application
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.state.parts import state_of
from streams.topics import ALERTS_TOPIC, MONITOR_STATE_TOPIC, RELEASES_TOPIC
from streams.wire.records import Alert, decode
from streams.wire.release_state import states_of
from streams.wire.signals import read_signals

NOT_COMPARED = ("format", "app", "epoch", "alerts")  # of a kept state: what a core does not know, and how often it told


def look_at_monitors(address: str, app: Application, registry: ReleaseRegistry, now: float) -> MonitorState:
    """The state that the last monitor put down, beside that of one that took everything in without a stop."""
    signals, releases = _read(address, app.signals_topic), _read(address, RELEASES_TOPIC)
    core = core_after(app, registry, signals, releases)
    kept = [r.value for r in _read(address, MONITOR_STATE_TOPIC) if r.key == app.name.encode() and r.value is not None]
    state: Mapping[str, Any] = orjson.loads(kept[-1]) if kept else {}
    wanted: Mapping[str, Any] = orjson.loads(orjson.dumps(state_of(core)))
    differing = [
        name for name in sorted({*state, *wanted}) if name not in NOT_COMPARED and state.get(name) != wanted.get(name)
    ]
    firing = tuple(sorted(alert.fingerprint for alert in core.alerts("")))
    return MonitorState(tuple(differing), firing, core.totals.events, now)


def alerts_told(address: str, app: str, now: float) -> Iterator[Alerted]:
    """Every record of `alerts` about an application, in its order."""
    for record in _read(address, ALERTS_TOPIC):
        try:
            alert = decode(Alert, record.value)
        except MessageError:
            continue
        if alert.values.get("app") == app:
            yield Alerted(alert.fingerprint, alert.rule, alert.state, now)


def core_after(
    app: Application, registry: ReleaseRegistry, signals: Sequence[Record], releases: Sequence[Record]
) -> MonitorCore:
    """A monitor's state after all of these."""

    def make_drift(version: str) -> DriftMonitor:
        reference = release_reference(registry, app.name, version)
        return DriftMonitor.from_reference(reference, false_alarm_every=app.false_alarm_every, seed=0)

    core = MonitorCore(app, RetrainPolicy(), make_drift, lambda _: True)
    core.take_releases(list(states_of(releases, app.name)))
    for record in signals:
        batch = read_signals(record.value)
        core.prepare([batch])
        core.observe((record.partition, record.offset), record.timestamp_ms, batch)
    core.watch_champion()
    return core


def _read(address: str, topic: str) -> list[Record]:
    reader = KafkaReader(address)
    try:
        return list(reader.read(topic))
    finally:
        reader.close()
