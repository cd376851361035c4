"""A log of who touched what, and when, and the items' words: two files, as numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.recommendation.plain import plain_interactions, plain_items
from connectors.table_files import Reject, Row, read_rows
from models.errors import ConfigError
from streams.wire.source_times import read_time

TEST_PART = "test"


@dataclass(frozen=True, slots=True)
class Columns:
    """Names in the files. text: of the items' file; those that are there are put together. time may be missing in the
    file, split too."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    split: str = "split"
    action: str = "action"
    text: tuple[str, ...] = ("title", "authors", "description", "tags")


@dataclass(frozen=True, slots=True)
class Log:
    """Interactions in the file's order: users and items, int64 (events,); days: when, in days since 1970, float64, or
    None; is_test: the file's own test part, or None. actions: what was done,
    "click" where nobody says. texts: of each item, empty where nothing is known. skipped: rows of the file without a
    user, and without an item, as a worker passes them over."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    days: NDArray[np.float64] | None
    is_test: NDArray[np.bool_] | None
    actions: tuple[str, ...]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """How many users and items."""
        return len(self.user_ids), len(self.item_ids)


def read_log(interactions: Path, items: Path | None, columns: Columns) -> Log:
    """Raises ConfigError where a file or one of its needed columns is of no use."""
    rows, skipped = _events(interactions, columns)
    item_ids = tuple(dict.fromkeys(str(row.fields[columns.item]) for row in rows))
    texts = _texts(items, columns, item_ids) if items is not None else {}
    user_ids = tuple(dict.fromkeys(str(row.fields[columns.user]) for row in rows))
    return Log(
        _numbers([str(row.fields[columns.user]) for row in rows], user_ids),
        _numbers([str(row.fields[columns.item]) for row in rows], item_ids),
        _days(interactions, rows, columns.time),
        _test_part(rows, columns.split),
        tuple(str(row.fields.get(columns.action) or "click") for row in rows),
        user_ids,
        item_ids,
        tuple(texts.get(item, "") for item in item_ids),
        skipped,
    )


def _events(path: Path, columns: Columns) -> tuple[list[Row], dict[str, int]]:
    """Rows with a user and an item, and how many had none."""
    plain = plain_interactions(path, (columns.user, columns.item, columns.time))
    given = _rows(path, (columns.user, columns.item)) if plain is None else plain
    skipped, rows = {"no_user": 0, "no_item": 0}, []
    for row in given:
        nothing = [str(row.fields[name] or "").strip() == "" for name in (columns.user, columns.item)]
        skipped["no_user"] += nothing[0]
        skipped["no_item"] += nothing[1] and not nothing[0]
        if not any(nothing):
            rows.append(row)
    if not rows:
        raise ConfigError(f"{path.name}: no row has both a {columns.user} and an {columns.item}")
    return rows, skipped


def _rows(path: Path, needed: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    for row in read_rows(path):
        if isinstance(row, Reject):
            raise ConfigError(f"{path.name} line {row.line}: {row.reason}")
        if missing := [name for name in needed if name not in row.fields]:
            raise ConfigError(
                f"{path.name} line {row.line}: no column {missing[0]}; it has: {', '.join(row.fields)} (--user-column, "
                f"--item-column)"
            )
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path.name} has no rows")
    return rows


def _texts(path: Path, columns: Columns, known: Collection[str]) -> dict[str, str]:
    plain = plain_items(path, columns.item, known)
    if plain is not None:
        return plain
    there = _rows(path, (columns.item,))
    return {
        str(row.fields[columns.item]): " ".join(str(row.fields[name]) for name in columns.text if row.fields.get(name))
        for row in there
    }


def _numbers(values: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[value] for value in values], np.int64)


def _days(path: Path, rows: Sequence[Row], column: str) -> NDArray[np.float64] | None:
    if column not in rows[0].fields:
        return None
    times = []
    for row in rows:
        given = row.fields.get(column)
        time = read_time(int(given) if isinstance(given, str) and given.isdigit() else given)
        if time is None:
            raise ConfigError(
                f"{path.name} line {row.line}: {column} {given!r} is no time; ISO 8601 or seconds since 1970"
            )
        times.append(time)
    return np.array(times, np.float64) / 86_400_000


def _test_part(rows: Sequence[Row], column: str) -> NDArray[np.bool_] | None:
    parts = np.array([row.fields.get(column) == TEST_PART for row in rows])
    return parts if parts.any() and not parts.all() else None
