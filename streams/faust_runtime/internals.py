"""The private names of Faust, aiokafka and kafka-python that Headrace stands on, checked before a role starts.

No release of them promises to keep these. A name that is gone would in part break nothing loudly: without the gate a
worker fetches without bounds, without the patched positions it jumps over what retention took.
"""

import importlib
import importlib.metadata
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import FunctionType

from models.errors import ConfigError

log = logging.getLogger(__name__)

# What the tests of this repository ran with; pyproject.toml pins the same.
TESTED_VERSIONS: Mapping[str, str] = {
    "faust-streaming": "0.15.3",
    "mode-streaming": "0.7.1",
    "aiokafka": "0.14.0",
    "kafka-python": "3.0.12",
}


@dataclass(frozen=True, slots=True)
class Internals:
    """Names of one class. methods: called or overridden, so the class must have them. attributes: set on its instances,
    so some method of it must speak of them."""

    place: str
    methods: Sequence[str] = ()
    attributes: Sequence[str] = ()


INTERNALS: Sequence[Internals] = (
    Internals(  # backpressure, role, offsets
        "faust.transport.drivers.aiokafka.Consumer",
        (
            "_drain_messages",
            "_wait_next_records",
            "_getmany",
            "_get_active_partitions",
            "_new_consumer_thread",
            "_commit",
            "perform_seek",
            "assignment",
            "consumer_stopped_errors",
        ),
        ("_read_offset", "_committed_offset", "_stopped", "_thread", "flow_active", "can_resume_flow", "callback"),
    ),
    Internals(  # no_reset_transport, embedded_transport
        "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread",
        ("_create_worker_consumer", "_ensure_consumer", "on_start"),
        ("_consumer",),
    ),
    Internals("faust.transport.drivers.aiokafka.Transport", ("Consumer",)),
    Internals("faust.transport.drivers.aiokafka.Producer", ("_ensure_producer",)),  # producer
    Internals("faust.tables.TableManager", ("_update_channels", "on_start"), ("recovery",)),  # app
    Internals("faust.app.base.App", ("consumer", "producer"), ("_consumer", "consumer_generation_id")),
    Internals("aiokafka.AIOKafkaConsumer", (), ("_isolation_level", "_fetch_max_wait_ms", "_fetcher", "_subscription")),
    Internals(  # no_reset_transport, lookout
        "aiokafka.consumer.fetcher.Fetcher", ("_update_fetch_positions", "_proc_fetch_request", "close"), ("_client",)
    ),
    Internals("aiokafka.protocol.fetch.FetchRequest_v4", ("build_request_header", "encode", "RESPONSE_TYPE")),
    Internals(  # record_parsing
        "aiokafka.consumer.fetcher.PartitionRecords", ("__next__",), ("next_fetch_offset", "_tp")
    ),
    Internals("aiokafka.consumer.fetcher.MemoryRecords"),  # ours once an app was made (record_parsing)
    Internals("aiokafka.record.memory_records.MemoryRecords", ("has_next", "next_batch", "size_in_bytes")),
    Internals("aiokafka.record.memory_records._MemoryRecordsPy", ("next_batch", "MAGIC_OFFSET"), ("_next_slice",)),
    Internals("aiokafka.record.default_records._DefaultRecordBatchPy", ("_read_msg",), ("_buffer",)),
    Internals("aiokafka.consumer.subscription_state.SubscriptionState", ("subscription",)),
    Internals("aiokafka.consumer.subscription_state.Subscription", ("assignment",), ("_reassignment_in_progress",)),
    Internals("aiokafka.consumer.subscription_state.Assignment", ("state_value", "tps")),
    Internals(
        "aiokafka.consumer.subscription_state.TopicPartitionState",
        ("has_valid_position", "position", "awaiting_reset"),
    ),
    Internals(
        "aiokafka.AIOKafkaProducer", ("partitions_for", "create_batch", "send_batch"), ("_metadata", "_partitioner")
    ),
    Internals("aiokafka.cluster.ClusterMetadata", ("available_partitions_for_topic",)),
    Internals("kafka.net.compat.KafkaNetClient", ("close",)),  # connectors.kafka
    Internals("kafka.net.manager.KafkaConnectionManager", ("get_connection",)),
    Internals("kafka.net.selector.NetworkSelector"),
    Internals("kafka.producer.sender.Sender", ("force_close",)),
    Internals("kafka.record.default_records.DefaultRecordBatch", ("_read_msg", "_buffer")),
    Internals("kafka.record.memory_records.DefaultRecordBatch"),
)


def missing_internals(internals: Sequence[Internals] = INTERNALS) -> list[str]:
    """Full names of those that the installed libraries do not have."""
    missing: list[str] = []
    for internal in internals:
        kind = _found(internal.place)
        if kind is None:
            missing.append(internal.place)
            continue
        missing += [f"{internal.place}.{name}" for name in internal.methods if not _has(kind, name)]
        missing += [f"{internal.place}.{name}" for name in internal.attributes if not _speaks_of(kind, name)]
    return missing


def untested_versions(installed: Callable[[str], str] = importlib.metadata.version) -> dict[str, str]:
    """Package to the installed version, where that is another than the tested one."""
    versions = {package: installed(package) for package in TESTED_VERSIONS}
    return {package: version for package, version in versions.items() if version != TESTED_VERSIONS[package]}


@cache
def check_internals() -> None:
    """Look once in a process. Raises ConfigError naming what is missing; warns of versions that were not tested."""
    tested = ", ".join(f"{package}=={version}" for package, version in TESTED_VERSIONS.items())
    untested = ", ".join(f"{package} {version}" for package, version in untested_versions().items())
    if missing := missing_internals():
        raise ConfigError(
            f"the Kafka clients lack {', '.join(missing)}, which Headrace stands on"
            f"{f' (installed: {untested})' if untested else ''}: pip install {tested.replace(',', '')}"
        )
    if untested:
        log.warning("Headrace was not tested with %s, but with %s", untested, tested)


def _found(place: str) -> type | None:
    module, _, name = place.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _has(kind: type, name: str) -> bool:
    """Whether a class can do this: where it only inherits the promise (an abstract method), it cannot."""
    return hasattr(kind, name) and not getattr(getattr(kind, name), "__isabstractmethod__", False)


def _speaks_of(kind: type, name: str) -> bool:
    """Whether a class, or one that it is made of, has this name or uses it in a method: as attributes that are set on
    instances stand nowhere else."""
    return hasattr(kind, name) or any(
        name in function.__code__.co_names
        for part in kind.__mro__
        for function in vars(part).values()
        if isinstance(function, FunctionType)
    )
