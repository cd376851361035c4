"""Builds a Faust app that commits, declares and waits for nothing by itself."""

import logging
from pathlib import Path
from typing import Any

import faust
from faust.tables import TableManager

from streams.faust_runtime.backpressure import MAX_POLL_RECORDS
from streams.faust_runtime.internals import check_internals
from streams.faust_runtime.producer import BATCH_BYTES
from streams.faust_runtime.record_parsing import accept_any_header_name

SESSION_SECONDS = 10.0  # how long after a kill -9 the group gives the partitions to somebody else
HEARTBEATS_A_SESSION = 5.0
REQUEST_MAX_BYTES = 3_000_000  # a dead letter with its headers, see streams.topics


class NoTables(TableManager):
    """Faust's own waits a second for tables to be defined before the app subscribes; here there are none."""

    logger = logging.getLogger("faust.no_tables")  # below "faust", which our logging keeps silent

    async def on_start(self) -> None:
        """As Faust's own, at once."""
        await self._update_channels()
        await self.recovery.start()


def make_app(
    app_id: str,
    broker: str,
    *,
    folder: Path,
    instance: str = "",
    session_seconds: float = SESSION_SECONDS,
    credentials: Any = None,
) -> faust.App:
    """A Faust app without tables, web server or topic creation of its own. Raises ConfigError where the clients lack a
    name that we stand on. broker: `kafka://host:port;...`."""
    check_internals()
    accept_any_header_name()
    app = faust.App(
        app_id,
        broker=broker,
        broker_credentials=credentials,
        store="memory://",
        TableManager=NoTables,
        datadir=str(folder),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # no tables; with standbys Faust's assignor would leave a worker that joins without a partition
        table_standby_replicas=0,
        # first positions are pinned before joining: see headrace.process.start_offsets
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{instance}-{app_id}" if instance else None,
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=session_seconds / HEARTBEATS_A_SESSION,
        broker_commit_interval=3_600.0,  # nothing to commit there: see Role
        broker_request_timeout=30.0,
        # of one partition: a backlog in it keeps the others waiting no longer than this
        consumer_max_fetch_size=262_144,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=8
        * MAX_POLL_RECORDS,  # never full: streams.faust_runtime.backpressure bounds what is fetched
        broker_max_poll_records=MAX_POLL_RECORDS,
        producer_linger_ms=0,
        producer_max_batch_size=BATCH_BYTES,
        producer_max_request_size=REQUEST_MAX_BYTES,
        producer_acks=-1,
    )
    for sensor in list(app.sensors):  # Faust's monitor: ours are streams.metrics
        app.sensors.remove(sensor)
    return app
