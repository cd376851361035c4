"""Silences and acknowledgements: said by people, in `alerts.silences`; the notifier keeps to them."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.tools.alerts import StandingAlert
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import moment
from streams.clock import wall_clock_ms
from streams.notifier.silences import ACKNOWLEDGEMENT, Silences
from streams.topics import SILENCES_TOPIC
from streams.wire.records import Silence, format_time
from streams.wire.text import clean_text

LONGEST_DAYS: Final = 366
UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def standing_silences(wiring: Wiring) -> Silences:
    """All that stands in the topic; nothing where nobody has made it yet. Raises BrokerUnavailable."""
    return Silences(all_records(wiring, SILENCES_TOPIC))


def duration_ms(written: str) -> int:
    """`90m`, `2h`, `1d12h` in milliseconds. Raises ConfigError."""
    parts = re.findall(r"(\d+)([smhdw])", written)
    if not parts or "".join(number + unit for number, unit in parts) != written.replace(" ", ""):
        raise ConfigError(f"{written!r} is no length of time: write 45m, 2h, 3d or 1d12h")
    seconds = sum(int(number) * UNIT_SECONDS[unit] for number, unit in parts)
    if not 0 < seconds <= LONGEST_DAYS * 86_400:
        raise ConfigError(f"a silence lasts up to {LONGEST_DAYS} days, not {written}")
    return seconds * 1_000


def silences(
    alert: StandingAlert | None,
    app: str | None,
    rules: Sequence[str],
    *,
    length_ms: int,
    by: str,
    because: str,
    now_ms: int | None = None,
) -> list[Silence]:
    """One for each rule, or the alert's. Raises ConfigError where it would be about every alert there is."""
    if alert is None and app is None and not rules:
        raise ConfigError("say what nobody is to hear of: an alert as `headrace alerts list` shows it, --app or --rule")
    now = wall_clock_ms() if now_ms is None else now_ms
    chosen: list[str | None] = [*rules] or [None]
    return [
        Silence(
            kind="silence",
            fingerprint=None if alert is None else alert.alert.fingerprint,
            app=app,
            rule=rule,
            until_ms=now + length_ms,
            by=_said(by),
            because=_said(because),
            at=format_time(now),
        )
        for rule in chosen
    ]


def acknowledgement(alert: StandingAlert, by: str, because: str, now_ms: int | None = None) -> Silence:
    """Of the firing that goes on. Raises ConfigError where none does."""
    if not alert.is_firing:
        raise ConfigError(f"{alert.alert.fingerprint} is over: there is nothing to look after")
    return Silence(
        kind=ACKNOWLEDGEMENT,
        fingerprint=alert.alert.fingerprint,
        fired_at=alert.alert.fired_at,
        by=_said(by),
        because=_said(because),
        at=format_time(wall_clock_ms() if now_ms is None else now_ms),
    )


def say(wiring: Wiring, words: Iterable[Silence], *, withdraw: bool = False) -> list[Silence]:
    """Write them, or take back what stands of the same kind about the same; confirmed when it returns.

    Raises BrokerUnavailable, and ConfigError where there is no such topic, or nothing to take back."""
    said, known = list(words), _records(wiring)
    if withdraw:
        standing = {one.record_key: one for one in Silences(known).standing(0)}
        said = [standing[one.record_key] for one in said if one.record_key in standing]
        if not said:
            raise ConfigError("nothing like that stands: `headrace alerts list` shows what does")
    publisher = wiring.publisher()
    try:
        for one in said:
            publisher.send(SILENCES_TOPIC, None if withdraw else one.encode(), one.record_key)
        publisher.flush()
    finally:
        publisher.close()
    return said


def in_words(silence: Silence) -> str:
    """Who keeps whom from hearing of what, until when."""
    because = f": {silence.because}" if silence.because else ""
    if silence.kind == ACKNOWLEDGEMENT:
        return f"looked after by {silence.by}{because}"
    return f"silenced until {moment(format_time(silence.until_ms or 0))} by {silence.by}{because}"


def about(silence: Silence) -> str:
    """What it is about."""
    parts = (("alert", silence.fingerprint), ("app", silence.app), ("rule", silence.rule))
    return ", ".join(f"{name} {value}" for name, value in parts if value is not None)


def about_nothing(words: Iterable[Silence], standing: Sequence[StandingAlert]) -> list[Silence]:
    """Silences of an application or a rule that no alert stands of: meant for what is to come, or a slip."""
    return [word for word in words if not any(one.is_of(word.app, word.rule) for one in standing)]


def hold_of(known: Silences, standing: StandingAlert, now_ms: int) -> Silence | None:
    """What keeps an alert from being told, the acknowledgement first."""
    return known.acknowledgement_of(standing.alert) or known.silence_of(standing.alert, now_ms)


def _records(wiring: Wiring) -> list[Record]:
    reader = wiring.reader()
    try:
        return list(reader.read(SILENCES_TOPIC))
    except TopicMismatch as error:
        raise ConfigError(f"there is no topic {SILENCES_TOPIC}: `headrace up APP` makes it") from error
    finally:
        reader.close()


def _said(text: str) -> str:
    return " ".join(clean_text(text).split())[:500]
