"""The TopicAdmin port on Kafka: topics, their epochs, and groups' positions."""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka import IsolationLevel, KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NoError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from connectors.errors import TopicMismatch
from connectors.kafka.connection import CONNECT_SECONDS, REQUEST_SECONDS, Connection
from connectors.kafka.errors import translated
from connectors.ports import TopicSpec, TopicState
from connectors.security import Security
from models.errors import ConfigError

log = logging.getLogger(__name__)

DEFAULT_MAX_RECORD_BYTES = 1_048_588  # of Kafka's max.message.bytes
COORDINATOR_NOT_YET = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)


class KafkaAdmin:
    """The TopicAdmin port. `delete` and `brokers` are for tests, services and doctor."""

    def __init__(
        self,
        address: str,
        security: Security | None = None,
        embedded_epoch: str | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._connection = Connection(address, security, embedded_epoch, connect_seconds)
        self._address = self._connection.address
        self._epoch = embedded_epoch
        self._client: Any = self._connection.make(KafkaAdminClient)

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """See the port. The embedded broker makes topics of four partitions, whatever is asked, and never compacts."""
        standing = self.describe([spec.name for spec in specs])
        for spec in specs:
            found = standing.get(spec.name)
            if found is not None and self._epoch is None and _policies(found.cleanup) != _policies(spec.cleanup):
                raise TopicMismatch(
                    f"topic {spec.name} has cleanup.policy={found.cleanup} and needs {spec.cleanup}; change it with "
                    f"kafka-configs.sh --alter --add-config cleanup.policy={spec.cleanup}, or remove the topic"
                )
        missing = [spec for spec in specs if spec.name not in standing]
        if self._epoch is not None and missing:
            self._touch([spec.name for spec in missing])
        elif missing:
            for spec in missing:
                self._create(spec)
        return [spec.name for spec in missing]

    def describe(self, names: Sequence[str]) -> dict[str, TopicState]:
        """See the port."""
        if not names:
            return {}
        with translated(self._address):
            topics = [topic for topic in self._client.describe_topics(list(names)) if topic["error_code"] == 0]
            cleanup = self._cleanup([topic["name"] for topic in topics])
        return {
            topic["name"]: TopicState(
                name=topic["name"],
                partitions=len(topic["partitions"]),
                replication=min((len(each["replica_nodes"]) for each in topic["partitions"]), default=0),
                cleanup=cleanup.get(topic["name"], "delete"),
                epoch=self._epoch or _epoch(topic),
            )
            for topic in topics
        }

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """See the port. Raises TopicMismatch where the topic is not there."""
        return self._bounds(topic, IsolationLevel.READ_UNCOMMITTED)

    def readable_offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """See the port. Raises TopicMismatch where the topic is not there."""
        return self._bounds(topic, IsolationLevel.READ_COMMITTED)

    def _bounds(self, topic: str, isolation: IsolationLevel) -> dict[int, tuple[int, int]]:
        if self._epoch is not None and topic not in self.describe([topic]):
            self._touch([topic])
        with translated(self._address):
            described = [each for each in self._client.describe_topics([topic]) if each["error_code"] == 0]
            if not described:
                raise TopicMismatch(f"topic {topic} does not exist at {self._address}; `headrace up` creates it")
            partitions = [TopicPartition(topic, each["partition_index"]) for each in described[0]["partitions"]]
            first = self._client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
            last = self._client.list_partition_offsets(
                dict.fromkeys(partitions, OffsetSpec.LATEST), isolation_level=isolation
            )
        return {tp.partition: (first[tp].offset, last[tp].offset) for tp in sorted(partitions)}

    def offsets_at(self, topic: str, time_ms: int) -> dict[int, int]:
        """Partition to the offset of its first record of `time_ms` (milliseconds since 1970) or later, by the
        records' own times; partitions without one are left out. Raises TopicMismatch; ConfigError on the embedded
        broker, which cannot look up by time."""
        if self._epoch is not None:
            raise ConfigError("the embedded broker cannot look up by time: give offsets instead")
        partitions = [TopicPartition(topic, p) for p in self.offsets(topic)]
        with translated(self._address):
            found = self._client.list_partition_offsets(dict.fromkeys(partitions, time_ms))
        return {tp.partition: place.offset for tp, place in sorted(found.items()) if place.offset >= 0}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the port. A group that never was has none."""
        partitions = [TopicPartition(topic, p) for p in self.offsets(topic)]
        with translated(self._address):
            found = _when_coordinated(lambda: self._client.list_group_offsets({group: partitions}))
        offsets = found.get(group, {})
        return {tp.partition: each.offset for tp, each in sorted(offsets.items()) if each.offset >= 0}

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """See the port. Where the group has running members, they know their positions and nothing is changed."""
        wanted = {TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()}
        with translated(self._address):
            results = _when_coordinated(lambda: self._client.alter_group_offsets(group, wanted))
            for tp, kind in results.items():
                if kind is UnknownMemberIdError:
                    log.info("group %s is running: its position in %s[%d] stays", group, tp.topic, tp.partition)
                elif kind is not NoError:
                    raise kind(f"position of {group} in {tp.topic}[{tp.partition}]")

    def max_record_bytes(self, topic: str) -> int:
        """The topic's max.message.bytes; Kafka's default where the topic is not there."""
        with translated(self._address):
            resource = ConfigResource(ConfigResourceType.TOPIC, topic)
            try:
                found = self._client.describe_configs([resource], config_filter="all")["topic"]
            except UnknownTopicOrPartitionError:
                return DEFAULT_MAX_RECORD_BYTES
        return int(found[topic]["max.message.bytes"]["value"])

    def cluster_id(self) -> str | None:
        """The cluster's own id: another one means other topics and other positions, whatever their names."""
        with translated(self._address):
            found = self._client.describe_cluster().get("cluster_id")
        return str(found) if found else None

    def brokers(self) -> int:
        """How many brokers the cluster has now."""
        with translated(self._address):
            return len(self._client.describe_cluster()["brokers"])

    def delete(self, names: Sequence[str]) -> None:
        """Remove topics and what is in them (tests)."""
        with translated(self._address):
            self._client.delete_topics(list(names))

    def close(self) -> None:
        """See the port."""
        with contextlib.suppress(Exception):  # nothing is lost by a connection that ends badly
            self._client.close()

    def _create(self, spec: TopicSpec) -> None:
        settings = {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication,
            "configs": {"cleanup.policy": spec.cleanup, **spec.config},
        }
        with translated(self._address):
            with contextlib.suppress(TopicAlreadyExistsError):  # another role was faster
                self._client.create_topics({spec.name: settings})
            self._client.wait_for_topics([spec.name], timeout_ms=int(REQUEST_SECONDS * 1_000))

    def _touch(self, names: Sequence[str]) -> None:
        """Have the embedded broker make topics: it does when a producer asks for their partitions."""
        producer: Any = self._connection.make(KafkaProducer, max_block_ms=int(REQUEST_SECONDS * 1_000))
        try:
            with translated(self._address):
                for name in names:
                    producer.partitions_for(name)
        finally:
            producer.close(timeout=1)

    def _cleanup(self, names: Sequence[str]) -> dict[str, str]:
        if self._epoch is not None or not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        found = self._client.describe_configs(resources, config_filter="all")["topic"]
        return {
            name: str(settings["cleanup.policy"]["value"])
            for name, settings in found.items()
            if "cleanup.policy" in settings
        }


def _when_coordinated(call: Callable[[], Any]) -> Any:
    """Repeat while the group's coordinator is not up: a young cluster makes its offsets topic at the first question."""
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        try:
            return call()
        except COORDINATOR_NOT_YET:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _policies(cleanup: str) -> set[str]:
    return {policy.strip() for policy in cleanup.split(",")}


def _epoch(topic: Mapping[str, Any]) -> str:
    """First 8 hex digits of Kafka's topic id."""
    identity = topic.get("topic_id")
    return uuid.UUID(str(identity)).hex[:8] if identity else "00000000"
