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
    GroupIdNotFoundError,
    InvalidTopicError,
    KafkaError,
    NoError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.structs import OffsetAndMetadata

from connectors.errors import AccessDenied, TopicMismatch
from connectors.kafka.connection import CONNECT_SECONDS, REQUEST_SECONDS, Connection
from connectors.kafka.errors import translate, translated
from connectors.ports import GroupPosition, TopicSpec, TopicState
from connectors.security import Security
from models.errors import ConfigError

log = logging.getLogger(__name__)

DEFAULT_MAX_RECORD_BYTES = 1_048_588  # of Kafka's max.message.bytes
REPLICAS_THAT_MAY_LOSE_ONE = 3  # then two must have a record before it counts as written
CREATES = "`headrace up` creates Headrace's own topics, and with --create-topics the source topics"
LEARNING_SECONDS = 3.0  # within which each broker has heard of a topic that another one knows
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
        self._known: set[str] = set()  # topics that a broker told of, or that were made here

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """See the port. The embedded broker makes topics of four partitions, whatever is asked, and never compacts."""
        standing = self.describe([spec.name for spec in specs])
        for spec in specs:
            state = standing.get(spec.name)
            if (
                state is not None
                and self._epoch is None
                and state.cleanup
                and _policies(state.cleanup) != _policies(spec.cleanup)
            ):
                mismatch = (
                    f"topic {spec.name} has cleanup.policy={state.cleanup} and needs {spec.cleanup}; change it with "
                    f"kafka-configs.sh --alter --add-config cleanup.policy={spec.cleanup}, or remove the topic"
                )
                if spec.is_strict:
                    raise TopicMismatch(mismatch)
                log.warning("%s", mismatch)
        missing = [spec for spec in specs if spec.name not in standing]
        if self._epoch is not None and missing:
            self._touch([spec.name for spec in missing])
        elif missing:
            for spec in missing:
                self._create(spec)
            self._known.update(spec.name for spec in missing)
        return [spec.name for spec in missing]

    def describe(self, names: Sequence[str]) -> dict[str, TopicState]:
        """See the port. Raises AccessDenied where the topic may be there and its description is refused."""
        topics = self._described(names)
        configs = {} if self._epoch is not None else self.configs(list(topics))
        return {
            name: TopicState(
                name=name,
                partitions=len(topic["partitions"]),
                replication=min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
                cleanup=configs.get(name, {}).get("cleanup.policy", "" if self._epoch is None else "delete"),
                epoch=self._epoch or _epoch(topic),
            )
            for name, topic in topics.items()
        }

    def names(self) -> list[str]:
        """The names of all topics that may be seen."""
        with translated(self._address):
            return sorted(self._client.list_topics())

    def configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Topic to its settings in force, the broker's defaults included, without topics that are not there or whose
        settings this user may not see."""
        if not names:
            return {}
        with translated(self._address):
            return self._configs(ConfigResourceType.TOPIC, names)

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
            described = self._described([topic])
            if not described:
                raise TopicMismatch(f"topic {topic} does not exist at {self._address}; {CREATES}")
            partitions = [
                TopicPartition(topic, partition["partition_index"]) for partition in described[topic]["partitions"]
            ]
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
            places = self._client.list_partition_offsets(dict.fromkeys(partitions, time_ms))
        return {tp.partition: place.offset for tp, place in sorted(places.items()) if place.offset >= 0}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the port. A group that never was has none."""
        return {partition: position.offset for partition, position in self.positions(group, topic).items()}

    def positions(self, group: str, topic: str) -> dict[int, GroupPosition]:
        """See the port."""
        partitions = [TopicPartition(topic, p) for p in self.offsets(topic)]
        with translated(self._address):
            answer = _when_coordinated(lambda: self._client.list_group_offsets({group: partitions}))
        return {
            tp.partition: GroupPosition(committed.offset, committed.metadata or "")
            for tp, committed in sorted(answer.get(group, {}).items())
            if committed.offset >= 0
        }

    def members(self, group: str) -> list[str]:
        """The hosts of the group's running members; none where there is no such group. The embedded broker does not
        tell."""
        if self._epoch is not None:
            return []
        with translated(self._address):
            try:
                described = _when_coordinated(lambda: self._client.describe_groups([group]))
            except GroupIdNotFoundError:
                return []
        return [str(member["client_host"]).lstrip("/") for member in described[group]["members"]]

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], epoch: str = "") -> dict[int, int]:
        """See the port."""
        wanted = {TopicPartition(topic, p): OffsetAndMetadata(offset, epoch, -1) for p, offset in offsets.items()}
        with translated(self._address):
            results = _when_coordinated(lambda: self._client.alter_group_offsets(group, wanted))
            for tp, kind in results.items():
                if kind not in (NoError, UnknownMemberIdError):
                    raise kind(f"position of {group} in {tp.topic}[{tp.partition}]")
        return {tp.partition: offsets[tp.partition] for tp, kind in results.items() if kind is NoError}

    def max_record_bytes(self, topic: str) -> int:
        """The topic's max.message.bytes; Kafka's default where the topic is not there."""
        return int(self.configs([topic]).get(topic, {}).get("max.message.bytes", DEFAULT_MAX_RECORD_BYTES))

    def cluster_id(self) -> str | None:
        """The cluster's own id: another one means other topics and other positions, whatever their names."""
        with translated(self._address):
            identity = self._client.describe_cluster().get("cluster_id")
        return str(identity) if identity else None

    def brokers(self) -> int:
        """How many brokers the cluster has now."""
        with translated(self._address):
            return len(self._client.describe_cluster()["brokers"])

    def delete(self, names: Sequence[str]) -> None:
        """Remove topics and what is in them (tests)."""
        with translated(self._address):
            self._client.delete_topics(list(names))
        self._known.difference_update(names)

    def close(self) -> None:
        """See the port."""
        with contextlib.suppress(Exception):  # nothing is lost by a connection that ends badly
            self._client.close()

    def _create(self, spec: TopicSpec) -> None:
        in_step = {"min.insync.replicas": "2"} if self._replicas(spec) >= REPLICAS_THAT_MAY_LOSE_ONE else {}
        settings = {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication,
            "configs": {"cleanup.policy": spec.cleanup, **in_step, **spec.config},
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

    def _replicas(self, spec: TopicSpec) -> int:
        """As many as the topic will have. 0 where that is the broker's to say and it does not tell us."""
        if spec.replication > 0:
            return spec.replication
        with contextlib.suppress(KafkaError):  # the right to read a broker's settings is rarely given
            broker = str(self._client.describe_cluster()["brokers"][0]["broker_id"])
            settings = self._configs(ConfigResourceType.BROKER, [broker]).get(broker, {})
            return int(settings.get("default.replication.factor", 0))
        return 0

    def _configs(self, kind: ConfigResourceType, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Without those that are not there or may not be seen: the client drops the broker's error."""
        described = self._client.describe_configs([ConfigResource(kind, name) for name in names], config_filter="all")
        return {
            name: {key: str(setting["value"]) for key, setting in settings.items()}
            for name, settings in described[kind.name.lower()].items()
            if settings
        }

    def _described(self, names: Sequence[str]) -> dict[str, Any]:
        """What the broker says of each topic that is there.

        Any broker may answer, and a new topic becomes known to one after the other: what one knew is asked for again
        before it is taken for gone.
        """
        standing = self._answered(names)
        deadline = time.monotonic() + LEARNING_SECONDS
        while (gone := self._known & (set(names) - set(standing))) and time.monotonic() < deadline:
            time.sleep(0.1)
            standing = self._answered(names)
        self._known = (self._known - gone) | set(standing)
        return standing

    def _answered(self, names: Sequence[str]) -> dict[str, Any]:
        """What the broker that is asked knows."""
        if not names:
            return {}
        with translated(self._address):
            answers = {topic["name"]: topic for topic in self._client.describe_topics(list(names))}
        standing = {}
        for name, topic in answers.items():
            kind = for_code(topic["error_code"])
            if kind is NoError:
                standing[name] = topic
            elif kind is TopicAuthorizationFailedError:
                raise AccessDenied(
                    f"Kafka at {self._address} does not let this user see topic {name}: it needs the rights Describe "
                    f"and DescribeConfigs"
                )
            elif kind is InvalidTopicError:
                raise TopicMismatch(
                    f"Kafka takes no topic named {name!r}: up to 249 letters, digits, '.', '_' and '-', not '.' or '..'"
                )
            elif kind is not UnknownTopicOrPartitionError:
                raise translate(kind(f"topic {name}"), self._address)
        return standing


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
