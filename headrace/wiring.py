"""The one place that builds real objects from settings. Everything else gets what it needs handed in."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import AnswerStore, DecisionStore, PictureSource, Publisher
from connectors.private_folders import make_private
from connectors.registry import FolderRegistry
from connectors.security import Security
from headrace.releases.release_log import ReleaseLog
from headrace.settings import Settings

if TYPE_CHECKING:
    from connectors.kafka.embedded import EmbeddedBroker


def group_name(role: str, app: str) -> str:
    """The consumer group of a role of one application; roles and applications never share one, as a member drops what
    is not its own and the position moves on all the same."""
    return f"headrace-{role}-{app}"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is. epoch: the embedded broker's own; None on real Kafka, where each topic has one."""

    address: str
    epoch: str | None

    @property
    def is_embedded(self) -> bool:
        """Whether this is the in-memory broker of this machine."""
        return self.epoch is not None

    @property
    def faust_url(self) -> str:
        """As Faust wants it."""
        return ";".join(f"kafka://{server}" for server in self.address.split(","))


class Wiring:
    """Builds each part on request. `close` ends what it started itself (the embedded broker)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.security = _security(settings)
        self._embedded: EmbeddedBroker | None = None
        self._folder: Path | None = None

    def broker(self) -> Broker:
        """The configured broker; the embedded one must run already. Raises BrokerUnavailable with the way out."""
        if self.settings.broker != "embedded":
            return Broker(self.settings.broker.removeprefix("kafka://"), None)
        if self._embedded is not None:
            return Broker(self._embedded.address, self._embedded.epoch)
        from connectors.kafka.embedded import read_broker_file

        running = read_broker_file(self.settings.home_path)
        return Broker(running.address, running.epoch)

    def start_embedded_broker(self) -> Broker:
        """Start the embedded broker in this process and leave word of it in HEADRACE_HOME/broker.json."""
        from connectors.kafka.embedded import EmbeddedBroker, write_broker_file

        make_private(self.settings.home_path)  # first: it may not be possible
        self._embedded = EmbeddedBroker()
        self._embedded.start()
        write_broker_file(self.settings.home_path, self._embedded)
        return self.broker()

    def admin(self) -> KafkaAdmin:
        """A connected admin client."""
        broker = self.broker()
        return KafkaAdmin(broker.address, self.security, broker.epoch)

    def epoch(self, topic: str) -> str:
        """A topic's epoch; empty where there is no such topic."""
        admin = self.admin()
        try:
            state = admin.describe([topic]).get(topic)
        finally:
            admin.close()
        return "" if state is None else state.epoch

    def reader(self) -> KafkaReader:
        """A reader outside any group."""
        broker = self.broker()
        return KafkaReader(broker.address, self.security, broker.epoch)

    def publisher(self, consumer_groups: dict[str, str] | None = None) -> Publisher:
        """A publisher. consumer_groups: topic to the group that reads it on, so that the embedded broker's limit can be
        watched."""
        broker = self.broker()
        inner = KafkaPublisher(broker.address, self.security, broker.epoch)
        if not broker.is_embedded:
            return inner
        from connectors.kafka.embedded import EmbeddedPublisher

        admin = self.admin()
        groups = consumer_groups or {}

        def consumed(topic: str) -> dict[int, int]:
            return admin.committed(groups[topic], topic) if topic in groups else {}

        return EmbeddedPublisher(inner, consumed=consumed, standing=admin.offsets)

    def store(self) -> DecisionStore:
        """The decision store."""
        url = self.settings.store_url
        if url.startswith("sqlite:///"):
            from connectors.sqlite_store import SQLiteStore

            return SQLiteStore(Path(url.removeprefix("sqlite:///")).expanduser())
        from connectors.elasticsearch.indices import IndexLayout
        from connectors.elasticsearch.store import ElasticsearchStore

        settings = self.settings
        layout = IndexLayout(settings.store_shards, settings.store_replicas, settings.store_index_span)
        return ElasticsearchStore(url, self.security, layout)

    def answers(self, app: str) -> AnswerStore:
        """An application's bank of answers: beside the decisions, in a file or an index of its own."""
        url = self.settings.store_url
        if url.startswith("sqlite:///"):
            from connectors.answers.sqlite import SQLiteAnswers

            return SQLiteAnswers(self._answers_file(url, app))
        from connectors.answers.elasticsearch import ElasticsearchAnswers

        return ElasticsearchAnswers(url, app, self.security, self.settings.store_replicas)

    def has_answers(self, app: str) -> bool:
        """Whether somebody made that bank; a file that is not there is not made."""
        url = self.settings.store_url
        if url.startswith("sqlite:///"):
            return self._answers_file(url, app).exists()
        store = self.answers(app)
        try:
            return store.state() is not None
        finally:
            store.close()

    def _answers_file(self, url: str, app: str) -> Path:
        decisions = Path(url.removeprefix("sqlite:///")).expanduser()
        return decisions.with_name(f"{decisions.stem}-answers-{app}.db")

    def registry(self) -> FolderRegistry:
        """The model registry."""
        return FolderRegistry(self.settings.registry_url)

    def picture_source(self) -> PictureSource:
        """Where pictures beside texts are fetched from. Raises ConfigError where they cannot be decoded here, or a host
        is none."""
        from connectors.pictures.web import WebPictures
        from models.pictures.decoding import require_pillow

        require_pillow()
        return WebPictures(self.settings.picture_hosts)

    def release_log(self) -> ReleaseLog:
        """`model.releases` for those who announce."""
        return ReleaseLog(self.reader, self.publisher)

    def faust_app(self, group: str, epochs: Mapping[str, str]) -> Any:
        """A Faust app whose consumer group is `group`. epochs: of its topics, committed with positions."""
        from streams.faust_runtime.app import make_app
        from streams.faust_runtime.credentials import faust_credentials
        from streams.faust_runtime.embedded_transport import use_short_fetch_wait
        from streams.faust_runtime.no_reset_transport import refuse_offset_reset

        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="headrace-"))
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        app = make_app(
            group,
            self.broker().faust_url,
            folder=self._folder,
            instance=self.settings.instance,
            session_seconds=self.settings.session_seconds,
            credentials=faust_credentials(self.security.kafka(self.broker().address)),
        )
        if self.broker().is_embedded:
            use_short_fetch_wait(app)
        else:
            refuse_offset_reset(app, epochs)
        return app

    def close(self) -> None:
        """End what this object started."""
        if self._embedded is not None:
            from connectors.kafka.embedded import remove_broker_file

            remove_broker_file(self.settings.home_path)
            self._embedded.close()
            self._embedded = None


def _security(settings: Settings) -> Security:
    return Security(
        sasl_mechanism=settings.sasl_mechanism or None,
        sasl_user=settings.sasl_user or None,
        sasl_password_file=settings.sasl_password_file,
        tls=settings.tls_broker,
        tls_ca_file=settings.tls_ca_file,
        tls_cert_file=settings.tls_cert_file,
        tls_key_file=settings.tls_key_file,
        broker_tls_ca_file=settings.broker_tls_ca_file,
        broker_tls_cert_file=settings.broker_tls_cert_file,
        broker_tls_key_file=settings.broker_tls_key_file,
        store_tls_ca_file=settings.store_tls_ca_file,
        store_tls_cert_file=settings.store_tls_cert_file,
        store_tls_key_file=settings.store_tls_key_file,
        elasticsearch_api_key_file=settings.store_api_key_file,
        elasticsearch_user=settings.store_user or None,
        elasticsearch_password_file=settings.store_password_file,
        allow_plaintext=settings.allow_plaintext,
    )
