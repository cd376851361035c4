"""A file's rows into a topic, confirmed in steps, at a rate if wanted."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import Publisher
from connectors.table_files import Reject, Row, Table, open_table
from headrace.tools.record_shapes import RecordShape
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError
from streams.application import Application
from streams.topics import SOURCE_MAX_BYTES
from streams.wire.source_times import read_time
from streams.wire.text import clean_text

log = logging.getLogger(__name__)

FLUSH_ROWS = 500
OVERHEAD_BYTES = 512
Progress = Callable[[str, int, int], None]
Encode = Callable[[Row], tuple[bytes | None, bytes]]  # a row's key and value; raises ValueError saying why not


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load. app: whose shape the records get; None: rows go as they are. rate: records a second, None: as fast
    as it goes. limit: rows."""

    file: Path
    topic: str
    rate: float | None = None
    text_column: str | None = None
    key_column: str | None = None
    limit: int | None = None
    app: Application | None = None
    time_column: str | None = None

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Those that somebody named."""
        return tuple(filter(None, (self.text_column, self.key_column, self.time_column)))

    def shape(self, columns: Sequence[str]) -> RecordShape | None:
        """That of the application's records; None without one. Raises ConfigError where columns are missing."""
        if self.app is None:
            return None
        named = {"text_column": self.text_column, "key_column": self.key_column, "time_column": self.time_column}
        return RecordShape(self.app, columns, **named)


@dataclass(slots=True)
class LoadReport:
    """confirmed: (topic, partition, offset) of every record, as the broker confirmed it. without: see `RecordShape`.
    unread_times: of rows whose time a worker will set aside, as it is not written so that it is read; unread_time: line
    and value of the first."""

    sent: int = 0
    rejected: list[Reject] = field(default_factory=list)
    seconds: float = 0.0
    confirmed: list[tuple[str, int, int]] = field(default_factory=list)
    without: Mapping[str, str] = field(default_factory=dict)
    unread_times: int = 0
    unread_time: tuple[int, str] | None = None


def load_file(wiring: Wiring, order: LoadRequest, progress: Progress = lambda *_: None) -> LoadReport:
    """Send the rows of a file. Raises ConfigError for a file of no use, BrokerUnavailable."""
    with open_table(order.file) as table:
        shape = order.shape(table.columns)
        encode = encoder_for(table, order, shape)
        admin = wiring.admin()
        try:
            if order.topic not in admin.describe([order.topic]):
                app = "APP" if order.app is None else order.app.given_as
                raise ConfigError(
                    f"there is no topic {order.topic}: `headrace up {app} --create-topics` makes an application's"
                )
            publisher = wiring.publisher()
            try:
                report = LoadReport(without={} if shape is None else shape.without)
                rows = _watched(islice(table.rows, order.limit), shape, report)
                return send_rows(publisher, order, rows, encode, _Share(table, order, progress), report)
            finally:
                publisher.close()
        finally:
            admin.close()


def encoder_for(table: Table, order: LoadRequest, shape: RecordShape | None) -> Encode:
    """What makes records of this file's rows. Raises ConfigError where the file has no such columns."""
    _check_columns(table, order)
    if shape is not None:
        return lambda row: shape.record(row.fields)
    return lambda row: _plain_record(row, order)


def send_rows(
    publisher: Publisher,
    order: LoadRequest,
    rows: Iterable[Row | Reject],
    encode: Encode,
    progress: Callable[[int], None] = lambda _: None,
    report: LoadReport | None = None,
) -> LoadReport:
    """Send rows, paced; every record is confirmed before this returns. report: to be filled; None: a new one."""
    report, started = report or LoadReport(), time.monotonic()
    for number, row in enumerate(_paced(rows, order.rate), 1):
        reject = row if isinstance(row, Reject) else _send(publisher, order.topic, row, encode)
        if reject is not None:
            report.rejected.append(reject)
        if number % FLUSH_ROWS == 0:
            report.confirmed += publisher.flush()
        progress(number)
    report.confirmed += publisher.flush()
    report.sent = len(report.confirmed)
    report.seconds = time.monotonic() - started
    return report


def _watched(rows: Iterable[Row | Reject], shape: RecordShape | None, report: LoadReport) -> Iterator[Row | Reject]:
    """The rows, with word of times that no worker reads."""
    for row in rows:
        given = None if shape is None or isinstance(row, Reject) else shape.time_of(row.fields)
        if given not in (None, "") and read_time(given) is None:
            report.unread_times += 1
            report.unread_time = report.unread_time or (row.line, str(given))
        yield row


class _Share:
    """Progress of a file that is read as it goes: how many rows it has is known by the share of its bytes."""

    def __init__(self, table: Table, order: LoadRequest, progress: Progress) -> None:
        self._table, self._limit, self._progress = table, order.limit, progress

    def __call__(self, number: int) -> None:
        share = self._table.share_read()
        total = max(number, round(number / share)) if share else number
        self._progress("load", number, total if self._limit is None else min(total, self._limit))


def _paced(rows: Iterable[Row | Reject], rate: float | None) -> Iterator[Row | Reject]:
    started = time.monotonic()
    for number, row in enumerate(rows):
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        yield row


def _send(publisher: Publisher, topic: str, row: Row, encode: Encode) -> Reject | None:
    try:
        key, value = encode(row)
        if len(value) > SOURCE_MAX_BYTES - OVERHEAD_BYTES:
            return Reject(row.line, f"{len(value)} bytes are more than a topic takes ({SOURCE_MAX_BYTES})")
        publisher.send(topic, value, key)
    except orjson.JSONEncodeError as error:
        return Reject(row.line, f"cannot be written as JSON: {error}")
    except (ValueError, MessageError) as error:
        return Reject(row.line, str(error))
    return None


def _plain_record(row: Row, order: LoadRequest) -> tuple[bytes | None, bytes]:
    fields: dict[str, Any] = dict(row.fields)
    if order.text_column is not None:
        text = fields.pop(order.text_column, None)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"no text in column {order.text_column}")
        fields = {**fields, "text": clean_text(text)}
    key = row.fields.get(order.key_column) if order.key_column else None
    return (clean_text(str(key)).encode() if key not in (None, "") else None), orjson.dumps(fields)


def _check_columns(table: Table, order: LoadRequest) -> None:
    for column in order.named_columns:
        if column not in table.columns and not table.is_json:
            raise ConfigError(f"{table.name} has no column {column!r}: it has {', '.join(table.columns)}")
    for column in table.twice:
        if column in (order.text_column or "text", *order.named_columns):
            raise ConfigError(f"{table.name} has two columns {column!r}; rename one")
