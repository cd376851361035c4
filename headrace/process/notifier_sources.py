"""What notifiers stand on: topics, and the receivers that an application's file names."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from connectors.addresses import hosts
from connectors.errors import BrokerUnavailable
from connectors.outbound.destinations import AllowedHosts
from connectors.outbound.http import Url
from connectors.ports import Publisher, Receiver, Record
from connectors.receivers.alertmanager import Alertmanager
from connectors.receivers.email import Email, MailServer
from connectors.receivers.log import LogReceiver
from connectors.receivers.slack import Slack
from connectors.receivers.webhook import Webhook
from headrace.settings import Settings
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import ReceiverSpec
from streams.topics import TOLD_TOPIC
from streams.wire.records import Told
from streams.wire.topic_follower import TopicFollower

CLOSE_SECONDS = 2.0


class KafkaNotifierSources:
    """`streams.notifier.service.NotifierSources`. One publisher for all receivers' threads."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring, self._hosts = wiring, allowed_hosts(wiring.settings)
        self._publisher: Publisher | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def read(self, topic: str) -> Iterator[Record]:
        """See the port."""
        return all_records(self._wiring, topic)

    def follow(self, topic: str, take: Callable[[Record], None]) -> Callable[[], None]:
        """See the port."""
        follower = TopicFollower(self._wiring.reader, topic, take)
        follower.start()
        return follower.close

    def note(self, told: Told) -> None:
        """See the port."""
        with self._lock:
            if self._closed.is_set():
                raise BrokerUnavailable("this notifier ends")
            if self._publisher is None:
                self._publisher = self._wiring.publisher()
            self._publisher.send(TOLD_TOPIC, told.encode(), told.record_key)
            self._publisher.flush()

    def receiver(self, spec: ReceiverSpec) -> Receiver:
        """See the port."""
        return make_receiver(spec, self._hosts)

    def close(self) -> None:
        """Release connections; where a note is still being written, the process ends with it."""
        self._closed.set()
        if self._lock.acquire(timeout=CLOSE_SECONDS):
            try:
                if self._publisher is not None:
                    self._publisher.close()
                    self._publisher = None
            finally:
                self._lock.release()


def allowed_hosts(settings: Settings) -> AllowedHosts:
    """What the operator has named. Raises ConfigError."""
    named = hosts(settings.alertmanager) if settings.alertmanager else []
    return AllowedHosts(",".join([settings.alert_hosts, *named]))


def make_receiver(spec: ReceiverSpec, allowed: AllowedHosts) -> Receiver:
    """Raises ConfigError for an address that is none, or a file that cannot be read."""
    what = f"the receiver {spec.name}'s"
    match spec.kind:
        case "webhook":
            return Webhook(_url(spec), _read(spec.secret_file, f"{what} secret_file").encode(), allowed)
        case "alertmanager":
            return Alertmanager(_url(spec), allowed)
        case "slack":
            return Slack(_url(spec), allowed)
        case "email":
            host, _, port = spec.server.rpartition(":")
            if not host or not port.isdigit():
                raise ConfigError(f"{what} server must be host:port, got {spec.server!r}")
            password = _read(spec.password_file, f"{what} password_file")
            server = MailServer(host, int(port), spec.tls, spec.user, password)
            return Email(server, spec.sender, spec.recipients, allowed)
    return LogReceiver()


def _url(spec: ReceiverSpec) -> Url:
    what = f"the receiver {spec.name}'s url"
    return Url.of(spec.url or _read(spec.url_file, f"{what}_file"), what)


def _read(path: Path | None, what: str) -> str:
    """A secret without the line end that editors add; empty where no file is named."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{what} {path} cannot be read: {reason}") from None
