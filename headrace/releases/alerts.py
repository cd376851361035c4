"""Alerts about releases that were refused: fired when one is, resolved when everything wanted is served again.

Each worker tells what it refuses, all of them under one fingerprint, and knows nothing of the others. So one that
serves what is wanted may end what another one still has to say, and that one says it again.
"""

from collections.abc import Callable, Mapping

from connectors.errors import TopicMismatch
from connectors.ports import Publisher, TopicReader
from models.errors import MessageError
from streams.topics import ALERTS_TOPIC
from streams.wire.alerts import fingerprint
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Alert, decode, format_time

RULE = "release_refused"


class ReleaseAlerts:
    """Tells the state of each application's refusals. What a process before this one has fired is resolved as well, as
    the alerts are in the topic."""

    def __init__(self, open_reader: Callable[[], TopicReader], open_publisher: Callable[[], Publisher]) -> None:
        self._open_reader, self._open_publisher = open_reader, open_publisher
        self._told: dict[str, str] = {}  # fingerprint to the summary that fires, or "" where nothing does

    def tell(self, model: str, refused: Mapping[str, str]) -> None:
        """refused: version to reason; empty where all is well. To be told now and then while it is not: where nothing
        fires by then, it does again. Raises BrokerUnavailable: tell it again later."""
        name = fingerprint(RULE, model)
        summary = "; ".join(
            f"release {model}@{version} was refused, the champion goes on: {reason}"
            for version, reason in sorted(refused.items())
        )
        before = self._told.get(name)
        if before is None:
            before = self._firing(name)
            self._resolve_old(model)
        elif summary and summary == before:
            before = self._firing(name) and summary  # in whoever's words: two must not take turns with theirs
        if summary != before:
            self._publish(model, name, summary)
        self._told[name] = summary

    def _resolve_old(self, model: str) -> None:
        """End what an older Headrace fired under another name and never resolved."""
        if self._firing(old := f"release-refused|{model}"):
            self._publish(model, old, "")

    def _publish(self, model: str, name: str, summary: str) -> None:
        alert = Alert(
            fingerprint=name,
            rule=RULE,
            severity="critical" if summary else "info",
            state="firing" if summary else "resolved",
            summary=summary or f"{model} serves what is wanted again",
            values={"app": model},
            at=format_time(wall_clock_ms()),
        )
        publisher = self._open_publisher()
        try:
            publisher.send(ALERTS_TOPIC, alert.encode(), name.encode())
            publisher.flush()
        finally:
            publisher.close()

    def _firing(self, name: str) -> str:
        """The summary of what fires in the topic; empty where nothing does."""
        reader, summary = self._open_reader(), ""
        try:
            for record in reader.read(ALERTS_TOPIC):
                if record.key == name.encode():
                    summary = _summary(record.value)
        except TopicMismatch:  # the topic is not there yet
            return ""
        finally:
            reader.close()
        return summary


def _summary(value: bytes | None) -> str:
    try:
        alert = decode(Alert, value)
    except MessageError:
        return ""
    return alert.summary if alert.state == "firing" else ""
