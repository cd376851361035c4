"""A file's rows, all of them: what a check looks at, and what is written again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.table_files import Reject, Row, Table, open_table
from connectors.table_lines import summary
from models.errors import TrainingDataError
from retrain.preparation.rows import DataRow, Where, columns_of, data_row
from retrain.progress import Progress, no_progress

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class DataFile:
    """name: what it is called. columns: of the file. where: those that stand for something. rejects: rows that cannot
    be read. is_json: values are JSON's, else texts."""

    name: str
    columns: tuple[str, ...]
    where: Where
    rows: tuple[DataRow, ...]
    rejects: tuple[Reject, ...]
    is_json: bool


def read_data(path: Path, asked: Where, progress: Progress = no_progress) -> DataFile:
    """Read a whole file. Raises ConfigError for one that is of no use, TrainingDataError where a column is missing, or
    no row can be read."""
    with open_table(path) as table:
        where = columns_of(table.columns, asked, table.name)
        twice = sorted(
            column
            for column in (where.text, where.label, where.split, where.group, where.time)
            if column is not None and column in table.twice
        )
        if twice:
            raise TrainingDataError(f"{table.name} has two columns {twice[0]!r}; rename one")
        rows, rejects = _rows(table, lambda row: data_row(row.line, row.fields, where), progress)
    if not rows:
        why = f"{len(rejects)} cannot be read: {summary(rejects)}" if rejects else "nothing below its header"
        raise TrainingDataError(f"{table.name} has no row to look at ({why})")
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
