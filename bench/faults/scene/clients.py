"""The campaign's own clients of Kafka: who sends and who reads, and what they know of the topics."""

import contextlib
import time

from bench.faults.ground import Ground
from bench.faults.ledger import Committed, Decided, Ledger, Sent
from bench.faults.scene.product import NAME, PARTITIONS
from bench.faults.scene.traffic import Loader, Positions, TopicFollower, decision_listener
from bench.faults.waiting import wait_until
from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from headrace.wiring import group_name
from streams.application import Application
from streams.topics import ALERTS_TOPIC, RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_state import states_of

KEYS = 60
READ_SECONDS = 180.0


class Clients:
    """loader: sends events at a steady rate. publisher: for labels, requests and announcements. decisions: puts what is
    decided into the ledger. heard_alerts: every alert so far. epoch: of the application's topic, which must stand."""

    def __init__(self, address: str, app: Application, ground: Ground, ledger: Ledger, seed: int) -> None:
        config = {"bootstrap.servers": address, "log_level": 0}
        self._address, self._app, self._ledger = address, app, ledger
        self._closing = contextlib.ExitStack()
        admin = KafkaAdmin(address)
        self.epoch = admin.describe([app.topic])[app.topic].epoch
        admin.close()
        self.positions = Positions(config)
        self.publisher = KafkaPublisher(address)
        self._closing.callback(self.publisher.close)
        self.heard_alerts: list[bytes] = []
        hear = decision_listener(ledger, self.epoch)
        self.decisions = TopicFollower(config, app.decisions_topic, PARTITIONS, hear)
        self._alerts = TopicFollower(
            config, ALERTS_TOPIC, 1, lambda message: self.heard_alerts.append(message.value() or b"")
        )
        self.loader = Loader(
            config, app.topic, ground.texts, ledger, keys=KEYS, per_second=ground.events_per_second, seed=seed
        )

    def start(self) -> None:
        """Read, then send."""
        for follower in (self.decisions, self._alerts):
            follower.start()
            self._closing.callback(follower.close)
        self.loader.start()
        self._closing.callback(self.loader.stop)

    def close(self) -> None:
        """Send no more, read no more."""
        self._closing.close()

    def releases(self) -> list[Release]:
        """All that stands in `model.releases` of the application, in its order."""
        reader = KafkaReader(self._address)
        try:
            return list(states_of(reader.read(RELEASES_TOPIC), NAME))
        finally:
            reader.close()

    def confirmed(self) -> dict[int, int]:
        """Partition to the offset after the last event known to be in the log."""
        ends: dict[int, int] = {}
        for entry in self._ledger.entries():
            if isinstance(entry, Sent):
                partition, offset = entry.source
                ends[partition] = max(ends.get(partition, 0), offset + 1)
        return ends

    def decided_after(self, start: int) -> list[Decided]:
        """Decisions in the ledger from entry number `start` on."""
        return [entry for entry in self._ledger.entries(start) if isinstance(entry, Decided)]

    def look_at_commits(self) -> dict[int, int]:
        """The workers' positions, and into the ledger with them, once all decisions that stood there by then are
        read."""
        committed = self.positions.committed(group_name("worker", NAME), self._app.topic, PARTITIONS)
        ends = self.positions.ends(self._app.decisions_topic, PARTITIONS)
        wait_until(lambda: self.decisions.has_read(ends), READ_SECONDS, lambda: f"decisions up to {ends} were not read")
        now = time.monotonic()
        for partition, offset in committed.items():
            self._ledger.append(Committed(partition, offset, now))
        return committed

    def indexed(self) -> dict[int, int]:
        """The indexer's positions in the decisions topic."""
        return self.positions.committed(group_name("indexer", NAME), self._app.decisions_topic, PARTITIONS)
