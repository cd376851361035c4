"""CSV as people and spreadsheets write it: which dialect, where the header stands, which rows can be read.

A stray quote must not swallow the rest of a file: a record that spans several lines and does not fit the header is
refused for its first line only, and reading goes on at the next.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.table_lines import NOT_UTF8, Lines, Reject, Row, is_undecodable
from models.errors import ConfigError

MAX_RECORD_LINES: Final = 1_000
SAMPLE_LINES: Final = 20
DELIMITERS: Final = (",", ";", "\t", "|")
csv.field_size_limit(16 * 1024 * 1024)

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    has_blanks_before_quotes: bool

    def reader(self, lines: Iterator[str], *, strict: bool) -> Any:
        """The standard library's reader of this dialect."""
        return csv.reader(
            lines, delimiter=self.delimiter, skipinitialspace=self.has_blanks_before_quotes, strict=strict
        )


@dataclass(frozen=True, slots=True)
class CsvTable:
    """columns: of the header, those without a name left out. twice: names that stand in it more than once; the later
    ones are called note_2, note_3. rows: to be taken once."""

    columns: tuple[str, ...]
    twice: frozenset[str]
    rows: Iterator[Row | Reject]


def csv_table(lines: Lines, name: str) -> CsvTable:
    """Header and rows. Raises ConfigError where there is no header."""
    dialect = _skip_to_header(lines)
    reader = dialect.reader(lines.ahead(MAX_RECORD_LINES), strict=False)
    names = [column.strip() for column in next(reader, [])]
    header = _named_apart(names)
    if not any(header):
        raise ConfigError(f"{name} is empty: its first line must name the columns")
    if any(is_undecodable(column) or "\0" in column for column in header):
        raise ConfigError(
            f"{name}: its first line holds bytes that are not UTF-8, or NULs: save it as UTF-8 (in a spreadsheet: "
            "CSV UTF-8)"
        )
    lines.drop(reader.line_num)
    twice = frozenset(column for column, count in Counter(names).items() if column and count > 1)
    return CsvTable(tuple(column for column in header if column), twice, _csv_rows(lines, header, dialect))


def _skip_to_header(lines: Lines) -> _Dialect:
    """Leave out what stands before the header: blank lines, Excel's `sep=` line, lines of comment."""
    delimiter: str | None = None
    while (line := lines.next()) is not None:
        if match := _SEPARATOR_LINE.fullmatch(line.rstrip("\n")):
            delimiter = match[1]
        elif line.strip() and not _is_comment(line, lines):
            break
        lines.drop(1)
    sample = [line for line in lines.ahead(SAMPLE_LINES) if line.strip()]
    chosen = delimiter or _delimiter_of(sample)
    has_blanks = any(re.search(re.escape(chosen) + ' +"', line) for line in sample)
    return _Dialect(chosen, has_blanks)


def _is_comment(line: str, lines: Lines) -> bool:
    """A line that begins with # is a comment where the next one has other fields; `#,text,label` is a header."""
    if not line.lstrip().startswith("#"):
        return False
    below = [other for other in lines.ahead(SAMPLE_LINES) if other.strip() and not other.lstrip().startswith("#")]
    if not below:
        return True
    delimiter = _delimiter_of(below)
    return _fields(line, delimiter) != _fields(below[0], delimiter)


def _delimiter_of(sample: Sequence[str]) -> str:
    """What makes most columns of the header; of two that make as many, what most rows agree with."""
    header = sample[0] if sample else ""

    def merit(delimiter: str) -> tuple[int, int]:
        columns = _fields(header, delimiter)
        return columns, sum(_fields(line, delimiter) == columns for line in sample[1:])

    return max(DELIMITERS, key=merit)


def _fields(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), []))


def _named_apart(header: list[str]) -> list[str]:
    """Names that occur again get a number, so that no column hides another: note, note_2."""
    seen: Counter[str] = Counter()
    apart = []
    for column in header:
        seen[column] += bool(column)
        apart.append(column if seen[column] < 2 else f"{column}_{seen[column]}")
    return apart


def _csv_rows(lines: Lines, header: list[str], dialect: _Dialect) -> Iterator[Row | Reject]:
    while (line := lines.next()) is not None:
        record, used = _record(lines, dialect)
        if (record or line.strip()) and not _is_blank(record, header):
            row = _judged(record, used, header, lines.number)
            if isinstance(row, Row) or line.strip():
                yield row
        lines.drop(used if len(record) == len(header) else 1)


def _is_blank(record: list[str], header: list[str]) -> bool:
    """Whether each of several cells is empty: spreadsheets save such rows below their last one."""
    return len(record) == len(header) > 1 and not any(value.strip() for value in record)


def _record(lines: Lines, dialect: _Dialect) -> tuple[list[str], int]:
    """The next record, and how many lines it takes; no fields where its quote never closes."""
    reader = dialect.reader(lines.ahead(MAX_RECORD_LINES), strict=True)
    try:
        record = next(reader)
    except (csv.Error, StopIteration):
        return [], 1
    return record, reader.line_num


def _judged(record: list[str], used: int, header: list[str], number: int) -> Row | Reject:
    if not record or (used > 1 and len(record) != len(header)):
        return Reject(number, "not a CSV row: a quote that does not close where the field ends")
    if any(is_undecodable(value) for value in record):
        return Reject(number, NOT_UTF8)
    if any("\0" in value for value in record):
        return Reject(number, "NUL character")
    if len(record) != len(header):
        return Reject(number, f"{len(record)} fields where the header has {len(header)}")
    return Row(number, {column: value for column, value in zip(header, record, strict=True) if column})
