"""A file of interactions or items as columns and rows, whoever wrote it.

What `connectors.table_files` reads (CSV in any dialect, JSON lines, Parquet, gzip), and what public data sets have
besides: no header, in which case the columns are called by their numbers, from 1 (MovieLens' u.data, u.item and
ratings.dat, LastFM's tsv, Amazon's ratings); lines that are Latin-1 and no UTF-8; Python's dicts in place of JSON.
"""

import ast
import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from connectors.table_files import HEAD_BYTES, Reject, Row, parse_table, refuse_foreign, unpacked
from connectors.tables.parquet_rows import MARK
from models.errors import ConfigError
from streams.wire.source_times import read_time

SAMPLE: Final = 50  # lines that tell what a file is
_SEPARATORS: Final = ("::", "\t", "|", ";", ",")
_QUOTED: Final = (";", ",")  # between which fields may stand in quotes
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Opened:
    """columns: by name, or "1", "2" and so on where there is no header. sample: of a file without one its first
    rows. separator: of such a file. rows: to be taken once."""

    name: str
    columns: tuple[str, ...]
    has_header: bool
    rows: Iterator[Row | Reject]
    sample: tuple[tuple[str, ...], ...] = ()
    separator: str = ""


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """`-`: standard input. Raises ConfigError where the file is of no use."""
    is_input = str(path) == "-"
    name = "standard input" if is_input else path.name
    try:
        raw: BinaryIO = sys.stdin.buffer if is_input else path.open("rb")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        yield _opened(raw, name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(f"{name} cannot be unpacked: {error}") from error
    finally:
        if not is_input:
            raw.close()


def _opened(raw: BinaryIO, name: str) -> Opened:
    content, is_packed = unpacked(raw)
    head = content.peek(HEAD_BYTES)
    if head.startswith(MARK) and not is_packed:
        if raw.seekable():
            raw.seek(0)  # what was looked at is to be read again; of a pipe it says that it needs the file
        return _with_header(raw, name)
    refuse_foreign(head, name)
    lines = _lines(content)
    first = list(islice(lines, SAMPLE))
    lines = chain(first, lines)
    sample = [line.rstrip("\r\n") for line in first if line.strip()]
    if not sample:
        raise ConfigError(f"{name} is empty")
    if sample[0].lstrip().startswith(("{", "[")):
        return _with_header(_Bytes(map(_as_json, lines)), name)
    separator = _separator(sample)
    rows = tuple(tuple(_fields(line, separator)) for line in sample)
    if not any(_NUMBER.fullmatch(field) or is_iso(field) for field in rows[0]):
        return _with_header(_Bytes(lines), name)
    columns = tuple(str(number) for number in range(1, len(rows[0]) + 1))
    return Opened(name, columns, False, _rows(lines, separator, columns), rows, separator)


def _with_header(raw: BinaryIO | io.RawIOBase, name: str) -> Opened:
    table = parse_table(raw, name)  # type: ignore[arg-type]
    return Opened(name, table.columns, True, table.rows)


def _lines(content: io.BufferedReader) -> Iterator[str]:
    """Each with its end, as UTF-8, or else as Latin-1."""
    for number, line in enumerate(content):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("latin-1")
        yield text.removeprefix("\ufeff") if number == 0 else text


def _separator(sample: list[str]) -> str:
    """What parts most of the lines into as many fields as the first one has, and that into most."""

    def merit(separator: str) -> tuple[int, int]:
        counts = [len(_fields(line, separator)) for line in sample]
        return (sum(count == counts[0] for count in counts) if counts[0] > 1 else 0), counts[0]

    best = max(_SEPARATORS, key=merit)
    return best if merit(best)[0] else " "


def _fields(line: str, separator: str) -> list[str]:
    if separator in _QUOTED and '"' in line:
        return next(csv.reader([line], delimiter=separator), [])
    return line.split() if separator == " " else line.split(separator)


def is_iso(field: str) -> bool:
    """Whether a field is a time that begins with its year."""
    return field[4:5] == "-" and read_time(field) is not None


def _rows(lines: Iterator[str], separator: str, columns: tuple[str, ...]) -> Iterator[Row | Reject]:
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        fields = _fields(text, separator)
        if len(fields) == len(columns):
            yield Row(number, dict(zip(columns, fields, strict=True)))
        else:
            yield Reject(number, f"{len(fields)} fields where the first line has {len(columns)}")


def _as_json(line: str) -> str:
    """Amazon's older sets have Python's dicts, which are no JSON by their quotes."""
    if not line.startswith(("{'", "{u'")):
        return line
    try:
        said: Any = ast.literal_eval(line.strip())
        return json.dumps(said) + "\n"
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return line


class _Bytes(io.RawIOBase):
    """Lines as a file of UTF-8."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._left = lines, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._lines, "").encode("utf-8")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
