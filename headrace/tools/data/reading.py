"""The rows of a file, a topic or the store, all of them: what a check looks at, and what is written again."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.ports import Record
from connectors.table_files import Reject, Row, Table, open_table
from connectors.table_lines import summary
from headrace.replay.labels import TrueLabels
from headrace.replay.run import ReplayRequest, stretch_of, topic_epoch, true_labels
from headrace.settings import load_settings
from headrace.tools.data.stored import StoredTexts
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError, TrainingDataError
from models.label_sets import seem_sets
from retrain.preparation.rows import DataRow, Where, columns_of, data_row
from retrain.progress import Progress, no_progress
from streams.application import Application
from streams.wire.records import decision_id
from streams.wire.source_records import PassedOver, SourceReader
from streams.wire.text import cut_text

_CHUNK = 1_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataFile:
    """name: what it is called. columns: of the file. where: those that stand for something. rejects: rows that cannot
    be read. is_json: values are JSON's, else texts. ids: by line, of the decisions on a topic's records."""

    name: str
    columns: tuple[str, ...]
    where: Where
    rows: tuple[DataRow, ...]
    rejects: tuple[Reject, ...]
    is_json: bool
    ids: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A file; or (then `file` is None) a stretch of a topic, read as the application's TOML says, or the decisions in
    the store, with labels where they are asked for."""

    file: Path | None
    topic: ReplayRequest | None = None
    stored: StoredTexts | None = None

    def read(self, asked: Where, progress: Progress = no_progress) -> DataFile:
        """All its rows. Raises ConfigError, TrainingDataError, ConnectorError."""
        if self.file is not None:
            return read_data(self.file, asked, progress)
        wiring = Wiring(load_settings())
        try:
            if self.stored is not None:
                return read_stored(wiring, self.stored, asked, progress)
            assert self.topic is not None
            return read_topic(wiring, self.topic, asked, progress)
        finally:
            wiring.close()


def read_topic(wiring: Wiring, order: ReplayRequest, asked: Where, progress: Progress = no_progress) -> DataFile:
    """A stretch of a topic as rows: `id` (of the decision on it), `text` and, with labels, the head that `asked.label`
    names (the first one without). A row's line is its number in the order of reading. Nothing is committed."""
    heads = order.app.head_names
    head = asked.label or (heads[0] if heads else "label")
    if order.labels is not None and head not in heads:
        raise ConfigError(f"{order.app.name} has no head {head!r}; it has: {', '.join(heads) or 'none'}")
    with ExitStack() as stack:
        admin = wiring.admin()
        stack.callback(admin.close)
        epoch = topic_epoch(admin, order.topic)
        stretch = stretch_of(admin, order)
        labels = true_labels(wiring, order, decision_id(order.topic, epoch, 0, 0).removesuffix("0-0"))
        reader = wiring.reader()
        stack.callback(reader.close)
        records = counted(reader.read(order.topic, stretch.starts, stretch.ends), stretch.offsets, progress)
        rows, rejects, ids = topic_rows(records, order.app, epoch, head, labels)
    _warn_of_unusable(labels)
    if not rows:
        why = f"{len(rejects)} cannot be read: {summary(rejects)}" if rejects else "nothing stands in this stretch"
        raise TrainingDataError(f"{order.topic} has no text to look at ({why})")
    return _of_decisions(order.topic, rows, rejects, ids, head if labels is not None else None)


def read_stored(wiring: Wiring, order: StoredTexts, asked: Where, progress: Progress = no_progress) -> DataFile:
    """The decisions of an application in the store as rows, as `read_topic` gives a topic's. Nothing is written but the
    tables or indices that an indexer would make."""
    rows, head, labels = order.rows(wiring, asked.label, progress)
    _warn_of_unusable(labels)
    ids = {row.line: str(row.fields["id"]) for row in rows}
    return _of_decisions(f"{order.app.name} in the store", rows, [], ids, head if labels is not None else None)


def _warn_of_unusable(labels: TrueLabels | None) -> None:
    if labels is not None and labels.unusable:
        log.warning("%d labels of %s cannot be used; the first: %s", labels.unusable, labels.source, labels.reasons[0])


def _of_decisions(
    name: str, rows: Sequence[DataRow], rejects: Sequence[Reject], ids: Mapping[int, str], head: str | None
) -> DataFile:
    """head: whose labels the rows have; None without labels."""
    columns = ("id", "text") if head is None else ("id", "text", head)
    return DataFile(name, columns, Where("text", head), tuple(rows), tuple(rejects), True, ids)


def topic_rows(
    records: Iterable[Record], app: Application, epoch: str, head: str, labels: TrueLabels | None
) -> tuple[list[DataRow], list[Reject], dict[int, str]]:
    """Rows, what cannot be read, and ids by line. What holds nothing to decide (a deletion) is passed over."""
    source = SourceReader.of(app)
    rows: list[DataRow] = []
    rejects: list[Reject] = []
    ids: dict[int, str] = {}
    for line, record in enumerate(records, start=1):
        try:
            read = source.parse(record.value, record.key, record.timestamp_ms)
        except MessageError as error:
            rejects.append(Reject(line, f"{record.topic}[{record.partition}] offset {record.offset}: {error}"))
            continue
        if isinstance(read, PassedOver):
            continue
        ids[line] = decision_id(record.topic, epoch, record.partition, record.offset)
        fields: dict[str, Any] = {"id": ids[line], "text": read.text}
        label = ""
        if labels is not None:
            label = (labels.of(ids[line], cut_text(read.text)) or {}).get(head, "")
            fields[head] = label
        rows.append(DataRow(line, read.text, label, fields=fields))
    return rows, rejects, ids


def counted(records: Iterable[Record], offsets: int, progress: Progress) -> Iterator[Record]:
    """The records, with word of how far the reading is."""
    for number, record in enumerate(records):
        if number % _CHUNK == 0:
            progress("reading the topic", min(number, offsets), offsets)
        yield record
    progress("reading the topic", offsets, offsets)


def read_data(path: Path, asked: Where, progress: Progress = no_progress) -> DataFile:
    """Read a whole file. Raises ConfigError for one that is of no use, TrainingDataError where a column is missing, or
    no row can be read."""
    with open_table(path) as table:
        where = columns_of(table.columns, asked, table.name)
        twice = sorted(column for column in where.asked_for if column in table.twice)
        if twice:
            raise TrainingDataError(f"{table.name} has two columns {twice[0]!r}; rename one")
        rows, rejects = _rows(table, lambda row: data_row(row.line, row.fields, where), progress)
    if not rows:
        why = f"{len(rejects)} cannot be read: {summary(rejects)}" if rejects else "nothing below its header"
        raise TrainingDataError(f"{table.name} has no row to look at ({why})")
    if not where.several and seem_sets(row.label for row in rows):
        log.warning(
            "cells of %s hold several labels with | between them: give --app FILE.toml, in whose [[heads]] stands "
            "multi = true, or each set counts as a label of its own and an empty cell as a row without one",
            where.label,
        )
    return DataFile(table.name, table.columns, where, tuple(rows), tuple(rejects), table.is_json)


def _rows(table: Table, taken: Callable[[Row], DataRow], progress: Progress) -> tuple[list[DataRow], list[Reject]]:
    rows: list[DataRow] = []
    rejects: list[Reject] = []
    for number, entry in enumerate(table.rows):
        if isinstance(entry, Reject):
            rejects.append(entry)
        else:
            rows.append(taken(entry))
        if number % _CHUNK == 0:
            progress("reading the file", round(100 * (table.share_read() or 0)), 100)
    progress("reading the file", 100, 100)
    return rows, rejects
