"""CSV, JSON-lines and Parquet files as people and spreadsheets write them: rows, and what cannot be read with its line.

One reader for everything that takes a file, so that all take the same files: comma, semicolon, tab or pipe between the
fields, Excel's `sep=;` line, a byte order mark, any line ends, gzip, blank and comment lines before the header, index
columns without a name, `-` for standard input. It reads as it goes: a file may be larger than memory.
"""

import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from connectors.table_lines import NOT_UTF8, Lines, Reject, Row, is_undecodable
from connectors.tables.csv_rows import SAMPLE_LINES, csv_table
from connectors.tables.parquet_rows import MARK, ParquetRows
from models.errors import ConfigError, json_kind

__all__ = [
    "HEAD_BYTES",
    "Reject",
    "Row",
    "Table",
    "open_table",
    "parse_table",
    "read_lines",
    "read_rows",
    "refuse_foreign",
    "unpacked",
]

HEAD_BYTES: Final = 4_096
# What a file begins with that is no text: a name for it, and the way out.
_FOREIGN = (
    (b"\xff\xfe", "UTF-16: save it as UTF-8 (in Excel: CSV UTF-8)"),
    (b"\xfe\xff", "UTF-16: save it as UTF-8 (in Excel: CSV UTF-8)"),
    (b"PK\x03\x04", "a workbook or a zip file: save its sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old workbook: save its sheet as CSV"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """An open file. columns: of the header, those without a name left out; of JSON lines, the first object's names.
    twice: names that the header has more than once. rows: in the file's order, to be taken once. share_read: how much
    of the file is behind, 0 to 1, None where nobody knows. is_json: values are JSON's, else texts."""

    name: str
    columns: tuple[str, ...]
    twice: frozenset[str]
    rows: Iterator[Row | Reject]
    share_read: Callable[[], float | None]
    is_json: bool


def read_rows(path: Path) -> Iterator[Row | Reject]:
    """The rows of a file, `-` for standard input. Raises ConfigError when the file itself is of no use."""
    with open_table(path) as table:
        yield from table.rows


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A file to take columns and rows from; see the module for what is read. Raises ConfigError when the file itself is
    of no use: not there, another encoding or format, no header."""
    try:
        raw: BinaryIO = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        yield parse_table(raw, "standard input" if str(path) == "-" else path.name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(f"{path.name} cannot be unpacked: {error}") from error
    finally:
        if raw is not sys.stdin.buffer:
            raw.close()


def read_lines(path: Path) -> Iterator[Row | Reject]:
    """The lines of a plain text file that hold something, each as a row's `text`; gzip is unpacked. Raises ConfigError
    when the file itself is of no use."""
    try:
        with path.open("rb") as raw:
            content, _ = unpacked(raw)
            refuse_foreign(content.peek(HEAD_BYTES), path.name)
            lines = Lines(io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline=None))
            while (line := lines.next()) is not None:
                text = line.rstrip("\n")
                if text.strip():
                    is_text = not is_undecodable(text) and "\0" not in text
                    yield Row(lines.number, {"text": text}) if is_text else Reject(lines.number, NOT_UTF8)
                lines.drop(1)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(f"{path.name} cannot be unpacked: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def parse_table(raw: BinaryIO, name: str) -> Table:
    """The same for bytes at hand. name: what the file is called in errors."""
    content, is_packed = unpacked(raw)
    head = content.peek(HEAD_BYTES)
    if head.startswith(MARK):
        if is_packed:
            raise ConfigError(f"{name} is a Parquet file packed with gzip: unpack it first")
        parquet = ParquetRows(raw, name)
        return Table(name, parquet.columns, parquet.twice, iter(parquet), parquet.share_read, is_json=True)
    refuse_foreign(head, name)
    lines = Lines(io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline=None))
    first = next((line for line in lines.ahead(SAMPLE_LINES) if line.strip()), "").lstrip()
    if first.startswith("[") and name.removesuffix(".gz").lower().endswith((".json", ".jsonl", ".ndjson")):
        raise ConfigError(f"{name} is one JSON array: write an object a line (jq -c '.[]' {name})")
    share_read = _share_read(raw)
    if first.startswith("{"):
        return Table(name, _json_columns(lines, name), frozenset(), _json_rows(lines), share_read, is_json=True)
    table = csv_table(lines, name)
    return Table(name, table.columns, table.twice, table.rows, share_read, is_json=False)


def unpacked(raw: BinaryIO) -> tuple[io.BufferedReader, bool]:
    """The content, and whether it was packed with gzip."""
    stream: io.RawIOBase = raw if isinstance(raw, io.RawIOBase) else _Unbuffered(raw)
    content: io.BufferedReader = io.BufferedReader(stream, HEAD_BYTES)
    if not content.peek(2).startswith(b"\x1f\x8b"):
        return content, False
    return io.BufferedReader(_Unbuffered(cast(BinaryIO, gzip.GzipFile(fileobj=content))), HEAD_BYTES), True


class _Unbuffered(io.RawIOBase):
    """Any binary stream as a raw one: a read gives what there is, so that a pipe is answered line by line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part: bytes = self._read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def refuse_foreign(head: bytes, name: str) -> None:
    """Raises ConfigError where a file begins as one that is no text."""
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            raise ConfigError(f"{name} is {what}")
    evens, odds = head[0:200:2], head[1:200:2]
    if len(head) >= 8 and (odds.count(0) > 0.9 * len(odds) or evens.count(0) > 0.9 * len(evens)):
        raise ConfigError(f"{name} is UTF-16 without a mark: save it as UTF-8")


def _share_read(raw: BinaryIO) -> Callable[[], float | None]:
    """By the position in the file, the packed one where it is packed."""
    try:
        size = os.fstat(raw.fileno()).st_size if raw.seekable() else 0
    except (OSError, AttributeError):
        size = 0
    return lambda: min(raw.tell() / size, 1.0) if size and not raw.closed else None


def _json_columns(lines: Lines, name: str) -> tuple[str, ...]:
    said = [_json_fields(line) for line in lines.ahead(SAMPLE_LINES) if line.strip()]
    for fields in said:
        if isinstance(fields, dict):
            return tuple(fields)
    if NOT_UTF8 in said:
        raise ConfigError(f"{name} holds {NOT_UTF8}")
    raise ConfigError(f"no line of {name} is a JSON object: write an object a line (jq -c . {name})")


def _json_rows(lines: Lines) -> Iterator[Row | Reject]:
    while (line := lines.next()) is not None:
        if line.strip():
            fields = _json_fields(line)
            yield Row(lines.number, fields) if isinstance(fields, dict) else Reject(lines.number, fields)
        lines.drop(1)


def _json_fields(line: str) -> dict[str, Any] | str:
    """The line's object, or why there is none."""
    if is_undecodable(line):
        return NOT_UTF8
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return fields if isinstance(fields, dict) else f"{json_kind(fields)}, not an object"
