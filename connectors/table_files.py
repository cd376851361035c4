"""CSV and JSON-lines files as rows, with what cannot be read told apart by line number and reason.

A stray quote must not swallow the rest of a file: a record that spans several lines and does not fit the header is
refused for its first line only, and reading goes on at the next.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from models.errors import ConfigError

MAX_RECORD_LINES = 1_000
csv.field_size_limit(16 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Row:
    """line: where the row begins, the first line is 1."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be read, and why."""

    line: int
    reason: str


def read_rows(path: Path) -> Iterator[Row | Reject]:
    """Rows of a .csv, .tsv, .jsonl or .ndjson file, in order. Raises ConfigError when the file itself is of no use."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    lines = _lines(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(lines)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, lines, "\t" if suffix == ".tsv" else ",")
    raise ConfigError(f"{path.name}: only .csv, .tsv, .jsonl and .ndjson files are read; got {suffix or 'no ending'}")


def _lines(text: str) -> list[str]:
    """str.splitlines also splits at form feeds, U+2028 and the like; a line of a file ends at a newline only."""
    return [line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")]


def _json_rows(lines: Sequence[str]) -> Iterator[Row | Reject]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if _is_undecodable(line):
            yield Reject(number, "not UTF-8")
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Reject(number, f"not JSON: {error}")
            continue
        yield (
            Row(number, fields)
            if isinstance(fields, dict)
            else Reject(number, f"a JSON {type(fields).__name__}, not an object")
        )


def _csv_rows(path: Path, lines: list[str], delimiter: str) -> Iterator[Row | Reject]:
    header = next(csv.reader(lines[:MAX_RECORD_LINES], delimiter=delimiter), [])
    header = [name.strip() for name in header]
    if not header or len(set(header)) != len(header) or not all(header):
        raise ConfigError(
            f"{path.name}: the first line must name the columns, each once; got {', '.join(header) or 'nothing'}"
        )
    start = 1
    while start < len(lines):
        record, used = _record(lines, start, delimiter)
        yield from _judge(record, used, header, start + 1, lines[start])
        start += used if len(record) == len(header) else 1


def _record(lines: list[str], start: int, delimiter: str) -> tuple[list[str], int]:
    """The record that begins at `start`, and how many lines it takes; no fields where its quote never closes."""
    reader = csv.reader(islice(lines, start, start + MAX_RECORD_LINES), delimiter=delimiter, strict=True)
    try:
        record = next(reader)
    except (csv.Error, StopIteration):
        return [], 1
    return record, reader.line_num


def _judge(record: list[str], used: int, header: list[str], number: int, line: str) -> Iterator[Row | Reject]:
    if not line.strip() and len(record) != len(header):
        return
    if len(record) != len(header):
        yield Reject(
            number,
            f"{len(record)} fields where the header has {len(header)}" if record else "a quote that does not close",
        )
    elif any(_is_undecodable(value) for value in record):
        yield Reject(number, "not UTF-8")
    else:
        yield Row(number, dict(zip(header, record, strict=True)))


def _is_undecodable(text: str) -> bool:
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)
