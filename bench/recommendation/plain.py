"""Files of public data sets that have no header: interactions as `user item rating timestamp` (MovieLens' u.data and
ratings.dat, Amazon's ratings), items as `item title ...` (u.item, movies.dat)."""

import gzip
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from connectors.table_lines import Row
from models.errors import ConfigError

_SEPARATORS: Final = ("::", "\t", "|", ";", ",")
_EARLIEST: Final = 1e8  # seconds since 1970; what is less is a rating


def plain_interactions(path: Path, names: tuple[str, str, str]) -> list[Row] | None:
    """Rows with these names for user, item and time; None: the file is none of that shape. Raises ConfigError where a
    line of it is not."""
    lines = _lines(path) if path.is_file() else iter(())
    first = next(lines, None)
    if first is None:
        return None
    separator = _separator(first[1])
    fields = first[1].split(separator)
    time_at = _time_place(fields)
    if set(names) & set(fields) or not _is_shaped(fields):
        return None
    rows = []
    for number, line in (first, *lines):
        parts = line.split(separator)
        if len(parts) != len(fields):
            raise ConfigError(f"{path.name} line {number}: {len(parts)} fields where the first line has {len(fields)}")
        row = dict(zip(names, parts[:2], strict=False))
        if time_at is not None:
            row[names[2]] = parts[time_at]
        rows.append(Row(number, row))
    return rows


def plain_items(path: Path, item_column: str, known: Collection[str]) -> dict[str, str] | None:
    """By item, its title, and its kinds where they stand beside it (`::`); None: the file has a header, or its first
    field is no item that anybody touched."""
    found = {}
    for _, line in _lines(path) if path.is_file() else ():
        separator = _separator(line)
        item_id, *said = line.split(separator)
        if item_column in (item_id, *said):
            return None
        found[item_id] = " ".join(said[:2]).replace("|", " ") if separator == "::" else (said or [""])[0]
    return found if not found.keys().isdisjoint(known) else None


def _is_shaped(fields: list[str]) -> bool:
    return len(fields) in (3, 4) and all(fields[:2]) and all(_number(field) is not None for field in fields[2:])


def _time_place(fields: list[str]) -> int | None:
    """Of the field that is a time."""
    return next((place for place, field in enumerate(fields) if place > 1 and (_number(field) or 0) > _EARLIEST), None)


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _separator(line: str) -> str:
    return next((separator for separator in _SEPARATORS if separator in line), ",")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered, those that hold something, as UTF-8, or else as Latin-1, in which MovieLens' are."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw:
            for number, content in enumerate(raw, 1):
                try:
                    line = content.decode("utf-8")
                except UnicodeDecodeError:
                    line = content.decode("latin-1")
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
