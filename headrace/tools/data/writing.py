"""Rows as a new file: CSV or JSON lines, by the name's end, with every column that was read."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from models.errors import ConfigError
from retrain.data import as_word

BYTE_ORDER_MARK: Final = "\ufeff"
_JSON: Final = (".jsonl", ".ndjson", ".json")


def check_format(path: Path) -> None:
    """Raises ConfigError for a name that tells no format, before any work is done."""
    if path.suffix.lower() not in (".csv", *_JSON):
        raise ConfigError(f"--output {path} must end in .csv or .jsonl, which says what is written")


def write_rows(out: BinaryIO, path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows in the format that the path's end names. columns: for a CSV, those in front; whatever other columns
    rows have follow. In a CSV, what is no text stands as JSON."""
    if path.suffix.lower() in _JSON:
        for row in rows:
            out.write(orjson.dumps(row) + b"\n")
        return
    rows = list(rows)
    every = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    write_sheet(out, every, ([_cell(row.get(name)) for name in every] for row in rows))


def write_sheet(out: BinaryIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV that a spreadsheet reads too. Without its mark one takes UTF-8 for the encoding of its country, and shows
    no Chinese and no umlaut; plain English needs none."""
    content = io.StringIO(newline="")
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    text = content.getvalue()
    mark = "" if text.isascii() else BYTE_ORDER_MARK
    out.write((mark + text).encode(errors="backslashreplace"))


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else as_word(value)
