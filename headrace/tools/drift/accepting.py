"""`headrace drift accept`: an episode of drift is to be expected, for some days or for good."""

from typing import Final

from connectors.errors import TopicMismatch
from headrace.tools.alerts import DRIFT_RULE, StandingAlert
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import moment
from streams.clock import wall_clock_ms
from streams.monitor.episodes.accepted import AcceptedEpisodes
from streams.topics import ACCEPTED_TOPIC
from streams.wire.records import AcceptedDrift, format_time
from streams.wire.text import clean_text

# Monitors hear of it within seconds. Signals written before this is over count as they did, so that all who read the
# topics, live or later, agree from which signal on it holds.
AFTER_MS: Final = 10_000
DAY_MS: Final = 86_400_000
LONGEST_DAYS: Final = 3_650


def acceptance(standing: StandingAlert, days: int | None, by: str, now_ms: int | None = None) -> AcceptedDrift:
    """Of an episode that fires. days: None: for good. Raises ConfigError saying why there is nothing to accept."""
    alert = standing.alert
    if alert.rule != DRIFT_RULE:
        raise ConfigError(
            f"{alert.fingerprint} is about {alert.rule}, not drift: `headrace alerts silence` keeps it quiet"
        )
    if not standing.is_firing:
        raise ConfigError(f"{alert.fingerprint} is over: there is nothing to accept")
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise ConfigError(f"between 1 and {LONGEST_DAYS} days, not {days}")
    if not alert.values.get("centre"):
        raise ConfigError(
            f"nobody knows where the texts of {alert.fingerprint} lie, so others could not be told from them: "
            f"`headrace alerts silence {alert.fingerprint}` keeps it quiet"
        )
    now = wall_clock_ms() if now_ms is None else now_ms
    return AcceptedDrift(
        app=alert.values["app"],
        fingerprint=alert.fingerprint,
        name=str(alert.values.get("name") or ""),
        version=str(alert.values.get("version") or ""),
        centre=alert.values["centre"],
        part_centres=[str(place) for place in alert.values.get("part_centres") or ()],
        from_ms=now + AFTER_MS,
        until_ms=None if days is None else now + AFTER_MS + days * DAY_MS,
        by=clean_text(by),
        at=format_time(now),
    )


def accept(wiring: Wiring, accepted: AcceptedDrift) -> None:
    """Write it; confirmed when it returns. Raises BrokerUnavailable, and ConfigError where there is no such topic."""
    _standing(wiring, accepted.app)
    _write(wiring, accepted.record_key, accepted.encode())


def withdraw(wiring: Wiring, standing: StandingAlert) -> AcceptedDrift:
    """Take back what was said of an episode. Raises as `accept` does, and ConfigError where nothing stands."""
    app, fingerprint = str(standing.alert.values.get("app")), standing.alert.fingerprint
    accepted = _standing(wiring, app).of(fingerprint)
    if accepted is None:
        raise ConfigError(f"nobody has accepted {fingerprint}")
    _write(wiring, accepted.record_key, None)
    return accepted


def in_words(accepted: AcceptedDrift) -> str:
    """Who expects what until when."""
    until = "for good" if accepted.until_ms is None else f"until {moment(format_time(accepted.until_ms))}"
    return (
        f"{accepted.app} {accepted.fingerprint} ({accepted.name or 'no name'}) is expected {until}, says {accepted.by}"
    )


def _standing(wiring: Wiring, app: str) -> AcceptedEpisodes:
    episodes, reader = AcceptedEpisodes(app), wiring.reader()
    try:
        for record in reader.read(ACCEPTED_TOPIC):
            episodes.take(record)
    except TopicMismatch as error:
        raise ConfigError(f"there is no topic {ACCEPTED_TOPIC}: `headrace up APP` makes it") from error
    finally:
        reader.close()
    return episodes


def _write(wiring: Wiring, key: bytes, value: bytes | None) -> None:
    publisher = wiring.publisher()
    try:
        publisher.send(ACCEPTED_TOPIC, value, key)
        publisher.flush()
    finally:
        publisher.close()
