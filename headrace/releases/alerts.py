"""Alerts about releases that workers refuse: one for each application, derived from what all of them say.

The alert itself carries who refuses what, and when each said so last: a worker says it again every minute while it does
so. A word that is older than three minutes is that of a worker that is gone. The alert fires while there is one younger
word, whatever other workers serve, and whoever looks and sees none left ends it.
"""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import TopicMismatch
from connectors.ports import Publisher, TopicReader
from models.errors import MessageError
from streams.clock import wall_clock_ms
from streams.topics import ALERTS_TOPIC
from streams.wire.alerts import fingerprint
from streams.wire.records import Alert, decode, format_time

RULE: Final = "release_refused"
WORKERS: Final = "workers"  # of an alert's values: worker to its refusal
GONE_MS: Final = 180_000  # three times what lies between two words of a worker that refuses; what clocks differ by, too
WORKERS_KEPT: Final = 20  # that spoke last: where hundreds refuse, some are enough


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a worker refuses. at_ms: when it said so last, milliseconds since 1970."""

    at_ms: int
    versions: tuple[str, ...]


class ReleaseAlerts:
    """Of one worker; tells of each application."""

    def __init__(
        self,
        open_reader: Callable[[], TopicReader],
        open_publisher: Callable[[], Publisher],
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._open_reader, self._open_publisher, self._now_ms = open_reader, open_publisher, now_ms
        self._worker = f"{socket.gethostname()}-{secrets.token_hex(4)}"

    def tell(self, model: str, refused: Mapping[str, str]) -> None:
        """refused: version to reason; empty where this worker serves all that is wanted. To be told at each change,
        every minute while it refuses, and now and then else. Raises BrokerUnavailable: tell it again later."""
        now_ms, name, old = self._now_ms(), fingerprint(RULE, model), f"release-refused|{model}"
        firing = self._firing({name, old})
        if old in firing:  # of an older Headrace, which never ended it
            self._publish(_over(firing[old][0], model, format_time(now_ms)))
        standing, said_ms = firing.get(name, (None, 0))
        before = {} if standing is None else _refusals(standing, said_ms)
        refusals = {worker: one for worker, one in before.items() if now_ms - one.at_ms < GONE_MS}
        refusals.pop(self._worker, None)
        if refused:
            refusals[self._worker] = Refusal(now_ms, tuple(sorted(refused)))
        if refusals and (refused or self._worker in before):
            self._publish(_alert(model, name, refusals, refused, standing, format_time(now_ms)))
        elif not refusals and standing is not None:
            self._publish(_over(standing, model, format_time(now_ms)))

    def _publish(self, alert: Alert) -> None:
        publisher = self._open_publisher()
        try:
            publisher.send(ALERTS_TOPIC, alert.encode(), alert.fingerprint.encode())
            publisher.flush()
        finally:
            publisher.close()

    def _firing(self, names: set[str]) -> dict[str, tuple[Alert, int]]:
        """Of these alerts those that fire, and when each was said, milliseconds since 1970."""
        reader, firing = self._open_reader(), dict[str, tuple[Alert, int]]()
        keys = {name.encode(): name for name in names}
        try:
            for record in reader.read(ALERTS_TOPIC):
                if (name := keys.get(record.key or b"")) is None:
                    continue
                firing.pop(name, None)
                try:
                    alert = decode(Alert, record.value)
                except MessageError:
                    continue
                if alert.state == "firing":
                    firing[name] = alert, record.timestamp_ms
        except TopicMismatch:  # the topic is not there yet
            return {}
        finally:
            reader.close()
        return firing


def _refusals(alert: Alert, said_ms: int) -> dict[str, Refusal]:
    """Worker to its refusal. said_ms: when the alert was said; of an older Headrace's no more is known."""
    said = alert.values.get(WORKERS)
    if not isinstance(said, dict):
        return {"": Refusal(said_ms, ())}
    refusals = {worker: _refusal(one) for worker, one in said.items()}
    return {worker: one for worker, one in refusals.items() if one is not None}


def _refusal(said: Any) -> Refusal | None:
    """None where it is none: anybody may write there."""
    if not isinstance(said, dict) or not isinstance(said.get("at_ms"), int):
        return None
    versions = said.get("versions")
    return Refusal(said["at_ms"], tuple(map(str, versions)) if isinstance(versions, list) else ())


def _alert(
    model: str, name: str, refusals: Mapping[str, Refusal], refused: Mapping[str, str], standing: Alert | None, at: str
) -> Alert:
    """refused: by this worker. In whoever's words as long as it is about the same versions: two must not take turns
    with theirs."""
    last = sorted(refusals.items(), key=lambda item: item[1].at_ms)[-WORKERS_KEPT:]
    versions = sorted({version for _, one in last for version in one.versions})
    headline = "; ".join(f"release {model}@{version} was refused, the champion goes on" for version in versions)
    if standing is not None and standing.values.get("headline") == headline:
        summary = standing.summary
    else:
        summary = "; ".join(
            f"release {model}@{version} was refused, the champion goes on: "
            + refused.get(version, "a worker's log says why")
            for version in versions
        )
    workers = {worker: {"at_ms": one.at_ms, "versions": list(one.versions)} for worker, one in last}
    return Alert(
        fingerprint=name,
        rule=RULE,
        severity="critical",
        state="firing",
        summary=summary,
        values={"app": model, "headline": headline, WORKERS: workers},
        at=at,
        fired_at=at if standing is None else standing.fired_at,
    )


def _over(fired: Alert, model: str, at: str) -> Alert:
    return Alert(
        fingerprint=fired.fingerprint,
        rule=RULE,
        severity="info",
        state="resolved",
        summary=f"{model} serves what is wanted again, or who did not is gone",
        values={"app": model},
        at=at,
        fired_at=fired.fired_at,
    )
