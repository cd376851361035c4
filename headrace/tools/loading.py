"""A file's rows into a topic, confirmed in steps, at a rate if wanted."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import Publisher
from connectors.table_files import Reject, Row, read_rows
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.topics import SOURCE_MAX_BYTES
from streams.wire.text import clean_text

log = logging.getLogger(__name__)

FLUSH_ROWS = 500
OVERHEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load. rate: records a second, None: as fast as it goes."""

    file: Path
    topic: str
    rate: float | None = None
    text_column: str | None = None  # None: rows go as they are; the application knows where its text stands
    key_column: str | None = None
    limit: int | None = None


@dataclass(slots=True)
class LoadReport:
    """confirmed: (topic, partition, offset) of every record, as the broker confirmed it."""

    sent: int = 0
    rejected: list[Reject] = field(default_factory=list)
    seconds: float = 0.0
    confirmed: list[tuple[str, int, int]] = field(default_factory=list)


def load_file(
    wiring: Wiring, order: LoadRequest, progress: Callable[[str, int, int], None] = lambda *_: None
) -> LoadReport:
    """Send the rows of a file. Raises ConfigError for a file of no use, BrokerUnavailable."""
    rows = list(read_rows(order.file))[: order.limit]
    _check_columns(order, rows)
    admin = wiring.admin()
    if order.topic not in admin.describe([order.topic]):
        raise ConfigError(f"there is no topic {order.topic}: `headrace up APP --create-topics` makes an application's")
    publisher = wiring.publisher()
    try:
        return send_rows(publisher, order, rows, progress)
    finally:
        publisher.close()
        admin.close()


def send_rows(
    publisher: Publisher,
    order: LoadRequest,
    rows: list[Row | Reject],
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> LoadReport:
    """Send rows, paced; every record is confirmed before this returns."""
    report, started = LoadReport(), time.monotonic()
    for number, row in enumerate(_paced(rows, order.rate), 1):
        record = row if isinstance(row, Reject) else _record(row, order)
        if isinstance(record, Reject):
            report.rejected.append(record)
        else:
            publisher.send(order.topic, record[1], record[0])
        if number % FLUSH_ROWS == 0:
            report.confirmed += publisher.flush()
        progress("load", number, len(rows))
    report.confirmed += publisher.flush()
    report.sent = len(report.confirmed)
    report.seconds = time.monotonic() - started
    return report


def _paced(rows: list[Row | Reject], rate: float | None) -> Iterator[Row | Reject]:
    started = time.monotonic()
    for number, row in enumerate(rows):
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        yield row


def _record(row: Row, order: LoadRequest) -> tuple[bytes | None, bytes] | Reject:
    fields: dict[str, Any] = dict(row.fields)
    if order.text_column is not None:
        text = fields.pop(order.text_column, None)
        if not isinstance(text, str) or not text.strip():
            return Reject(row.line, f"no text in column {order.text_column}")
        fields = {**fields, "text": clean_text(text)}
    try:
        value = orjson.dumps(fields)
    except orjson.JSONEncodeError as error:
        return Reject(row.line, f"cannot be written as JSON: {error}")
    if len(value) > SOURCE_MAX_BYTES - OVERHEAD_BYTES:
        return Reject(row.line, f"{len(value)} bytes are more than a topic takes ({SOURCE_MAX_BYTES})")
    key = fields.get(order.key_column) if order.key_column else None
    return (clean_text(str(key)).encode() if key not in (None, "") else None), value


def _check_columns(order: LoadRequest, rows: list[Row | Reject]) -> None:
    first = next((row for row in rows if isinstance(row, Row)), None)
    if first is None:
        return
    for column in filter(None, (order.text_column, order.key_column)):
        if column not in first.fields and order.file.suffix.lower() in (".csv", ".tsv"):
            raise ConfigError(f"{order.file.name} has no column {column!r}: it has {', '.join(first.fields)}")
