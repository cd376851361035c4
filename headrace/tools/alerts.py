"""Alerts as they stand in their topic: what fires, since when, and what was over."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from connectors.ports import Record
from headrace.terminal import field
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError
from models.figures import in_few_digits, moment, readable
from streams.monitor.drift.alerts import FOUND_MS
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.event_rate import BY_CHANCE, in_words
from streams.topics import ALERTS_TOPIC
from streams.wire.records import Alert, decode, format_time

VALUE_CHARACTERS = 400
DRIFT_RULE = "drift"
SIGNAL_RULE = "drift_signal"  # signals that changed, and no drift with them
FOR_PROGRAMS = ("centre", "part_centres", "headline", "workers", FOUND_MS)  # values that say nothing to a person


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """The last word on a cause. told_ms: when it was written, milliseconds since 1970; `alert.at` is the event's
    time."""

    alert: Alert
    told_ms: int

    @property
    def told_at(self) -> str:
        """The same, RFC 3339."""
        return format_time(max(self.told_ms, 0))

    @property
    def found_ms(self) -> int:
        """When a drift episode was found, milliseconds since 1970; of an alert that says it not, when it was told."""
        found_ms = self.alert.values.get(FOUND_MS)
        return found_ms if type(found_ms) is int else self.told_ms

    @property
    def is_firing(self) -> bool:
        """Whether it is still so."""
        return self.alert.state == "firing"

    def is_of(self, app: str | None, rule: str | None) -> bool:
        """Whether it is of this application and this kind of rule; None: of any."""
        return app in (None, self.alert.values.get("app")) and rule in (None, self.alert.kind, self.alert.rule)

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return self.alert.model_dump() | {"told_at": self.told_at}


def standing_alerts(wiring: Wiring) -> list[StandingAlert]:
    """The last word on each cause, what fires first, then the newest first. Raises BrokerUnavailable."""
    alerts = last_words(all_records(wiring, ALERTS_TOPIC))  # none where nothing runs yet that could tell of anything
    return sorted(alerts, key=lambda standing: (not standing.is_firing, -standing.told_ms))


def last_words(records: Iterable[Record]) -> list[StandingAlert]:
    """Of each cause, the one told last comes last. records: of the topic, in its order; what is no alert is passed
    over."""
    standing: dict[str, StandingAlert] = {}
    for record in records:
        try:
            alert = decode(Alert, record.value)
        except MessageError:
            continue
        standing.pop(alert.fingerprint, None)
        standing[alert.fingerprint] = StandingAlert(alert, record.timestamp_ms)
    return list(standing.values())


def firing_drift(records: Iterable[Record], app: str) -> list[StandingAlert]:
    """All drift alerts of an application that fire, the one told last comes last."""
    return [standing for standing in last_words(records) if standing.is_firing and standing.is_of(app, DRIFT_RULE)]


def find_alert(alerts: Iterable[StandingAlert], fingerprint: str) -> StandingAlert:
    """The one whose fingerprint begins so. Raises ConfigError where none or several do."""
    fitting = [standing for standing in alerts if standing.alert.fingerprint.startswith(fingerprint)]
    if len(fitting) != 1:
        count = "several alerts begin" if fitting else "no alert begins"
        raise ConfigError(f"{count} with {fingerprint!r}: `headrace alerts list --all` shows them")
    return fitting[0]


def lines(standing: StandingAlert) -> Iterator[tuple[str, str]]:
    """For a person: name and value."""
    alert = standing.alert
    yield "alert", alert.fingerprint
    yield "state", f"{alert.state}, {alert.severity}"
    yield "rule", alert.rule
    yield "summary", alert.summary
    yield "at", moment(alert.at)
    yield "told", moment(standing.told_at)
    for name, value in alert.values.items():
        if name == BY_CHANCE and (words := chance_in_words(alert)):
            yield "by chance", words
        elif name == "symptoms":
            yield from (("changed", _symptom(symptom)) for symptom in value or ())
        elif value not in (None, [], {}, "") and name not in FOR_PROGRAMS:
            yield readable(name), moment(value) if name.endswith("_at") and isinstance(value, str) else _in_words(value)
    for example in alert.evidence:
        yield "example", _example(example)


def chance_in_words(alert: Alert) -> str:
    """How often a stream that does not change gives such an alert; empty where it does not say."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return in_words(alert.values[BY_CHANCE])
    return ""


def chances(alerts: Iterable[StandingAlert]) -> dict[str, str]:
    """Application to the same, as the alert that was told last says it."""
    told = sorted(alerts, key=lambda standing: standing.told_ms)
    words = {
        str(one.alert.values.get("app")): chance_in_words(one.alert) for one in told if BY_CHANCE in one.alert.values
    }
    return {app: said for app, said in words.items() if said}


def _symptom(symptom: Any) -> str:
    with contextlib.suppress(TypeError, ValueError):
        known = Symptom(**symptom)
        return f"{known.in_words()}, certain at {known.id} ({known.detector})"
    return _in_words(symptom)


def _in_words(value: Any) -> str:
    if isinstance(value, float):
        return in_few_digits(value, 4)
    if isinstance(value, list):
        return field(", ".join(map(_in_words, value)), VALUE_CHARACTERS)
    if isinstance(value, dict):
        return field(", ".join(f"{name} {_in_words(one)}" for name, one in value.items()), VALUE_CHARACTERS)
    return str(value)


def _example(example: Any) -> str:
    if isinstance(example, dict) and "text" in example:
        return field(f"{example.get('id', '')} {example.get('label', '')}: {example['text']}", VALUE_CHARACTERS)
    return _in_words(example)
