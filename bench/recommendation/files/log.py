"""A log of who touched what, and when, and the items' words: two files, as numbers."""

import math
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.recommendation.files.columns import NONE, Columns, item_columns, text_columns
from bench.recommendation.files.opening import Opened, opened
from connectors.table_files import Row
from models.errors import ConfigError
from streams.wire.source_times import read_time

_BROKEN_SHARE: Final = 0.01  # of the rows, that are passed over
_TOLD_EVERY: Final = 10_000
_DAY_MS: Final = 86_400_000
_WHY: Final = {
    "no_user": "without a user",
    "no_item": "without an item",
    "no_time": "without a time",
    "rated_less": "rated less",
    "broken": "that cannot be read",
}
_SAME_AS: Final[Mapping[str, str]] = {  # what shops call it: what the recommender does
    **dict.fromkeys(("addtocart", "add_to_cart", "add-to-cart", "basket"), "cart"),
    **dict.fromkeys(("transaction", "buy", "order", "bought"), "purchase"),
    **dict.fromkeys(("pv", "impression", "detail"), "view"),
}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Log:
    """Interactions in the file's order: users and items, int64 (events,); days: when, in days since 1970, float64, or
    None. actions: what was done, "click" where nobody says. texts: of each item, empty where nothing is known. skipped:
    rows that were passed over, as a worker does, by why. read_as: by what it is the column. words: how many items have
    some, and how many the items' file has that nobody touched."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    days: NDArray[np.float64] | None
    actions: tuple[str, ...]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    read_as: Mapping[str, str | None] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """How many users and items."""
        return len(self.user_ids), len(self.item_ids)


def read_log(
    interactions: Path,
    items: Path | None,
    columns: Columns,
    least_rating: float | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Log:
    """least_rating: interactions rated less are passed over; None: all count. Raises ConfigError where a file or one of
    its needed columns is of no use."""
    with opened(interactions) as file:
        reader = _Interactions(file, columns, least_rating)
        for row in _rows(file, reader.skipped, progress):
            reader.take(row)
        log = reader.log()
    if items is None:
        return log
    skipped = Counter(log.skipped)
    with opened(items) as file:
        texts, words = _texts(file, columns, log, _rows(file, skipped, progress))
    return replace(log, texts=texts, words=words, skipped=skipped)


class _Interactions:
    """Rows, one by one, as numbers. skipped: how many were passed over, by why."""

    def __init__(self, file: Opened, columns: Columns, least_rating: float | None) -> None:
        """Raises ConfigError where a column is not there."""
        self._file, self._least = file, least_rating
        self._columns = columns.of(file)
        if least_rating is not None and self._columns["rating"] is None:
            raise ConfigError(
                f"{file.name}: no column of ratings by its name; it has: {', '.join(file.columns)}; give "
                f"--rating-column NAME, or leave --least-rating out"
            )
        self.skipped = Counter(no_user=0, no_item=0, no_time=0, rated_less=0, broken=0)
        self._users, self._items, self._days = array("q"), array("q"), array("d")
        self._actions = list[str]()
        self._user_ids: dict[str, int] = {}
        self._item_ids: dict[str, int] = {}

    def take(self, row: Row) -> None:
        """Raises ConfigError where its time or rating is none."""
        user, item = (identity(row.fields.get(self._columns[name] or "")) for name in ("user", "item"))
        day = self._day(row)
        why = "no_user" if not user else "no_item" if not item else "no_time" if day is None else self._dislike(row)
        if why or day is None:
            self.skipped[why or "no_time"] += 1
            return
        self._users.append(self._user_ids.setdefault(user, len(self._user_ids)))
        self._items.append(self._item_ids.setdefault(item, len(self._item_ids)))
        self._days.append(day)
        action = self._given(row, "action").lower()
        self._actions.append(sys.intern(_SAME_AS.get(action, action) or "click"))

    def log(self) -> Log:
        """Of all that was taken. Raises ConfigError where that is nothing."""
        if not self._users:
            why = told(self.skipped)
            raise ConfigError(f"{self._file.name}: {f'no row is left: {why}' if why else 'has no rows'}")
        has_times = self._columns["time"] is not None
        return Log(
            np.array(self._users, np.int64),
            np.array(self._items, np.int64),
            np.array(self._days, np.float64) if has_times else None,
            tuple(self._actions),
            tuple(self._user_ids),
            tuple(self._item_ids),
            ("",) * len(self._item_ids),
            self.skipped,
            self._columns,
        )

    def _given(self, row: Row, name: str) -> str:
        column = self._columns[name]
        value = None if column is None else row.fields.get(column)
        return "" if value is None else str(value).strip()

    def _day(self, row: Row) -> float | None:
        """None: nothing stands there. 0 where there is no such column."""
        if self._columns["time"] is None:
            return 0.0
        given = self._given(row, "time")
        if not given:
            return None
        time = read_time(given)
        if time is None:
            number = _number(given)  # 1.39e9, as a spreadsheet writes it
            time = None if number is None else read_time(number)
        if time is None:
            raise ConfigError(
                f"{self._file.name} line {row.line}: {self._columns['time']} {given!r} is no time; ISO 8601, or "
                f"seconds or milliseconds since 1970; --time-column names another column, `{NONE}` leaves times out"
            )
        return time / _DAY_MS

    def _dislike(self, row: Row) -> str:
        if self._least is None:
            return ""
        given = self._given(row, "rating")
        number = _number(given) if given else -math.inf  # who says nothing of it likes it no more than others do
        if number is None:
            raise ConfigError(
                f"{self._file.name} line {row.line}: {self._columns['rating']} {given!r} is no number; --rating-column "
                f"names another column"
            )
        return "" if number >= self._least else "rated_less"


def told(skipped: Mapping[str, int]) -> str:
    """How many rows were passed over, and why, in words."""
    return ", ".join(f"{count:,} {_WHY[name]}" for name, count in skipped.items() if count)


def identity(value: Any) -> str:
    """A user's or an item's id as a text: 7 and 7.0 (a column of numbers with gaps) are "7", "007" stays."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _rows(file: Opened, skipped: Counter[str], progress: Progress) -> Iterator[Row]:
    """Those that can be read. Raises ConfigError where more than a few cannot."""
    broken, first, number = 0, None, 0
    for number, row in enumerate(file.rows, 1):
        if number % _TOLD_EVERY == 0:
            progress(f"reading {file.name}", number, number)
        if isinstance(row, Row):
            yield row
            continue
        broken, first = broken + 1, first or row
    skipped["broken"] += broken
    if first is not None and broken > number * _BROKEN_SHARE:
        raise ConfigError(
            f"{file.name} line {first.line}: {first.reason} ({broken:,} of {number:,} rows cannot be read)"
        )


def _texts(file: Opened, columns: Columns, log: Log, rows: Iterable[Row]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Of each item of the log; and how many have one, and how many items of the file are none of the log's."""
    asked = item_columns(file, (columns.item, log.read_as["item"]))
    if not asked:
        raise ConfigError(
            f"{file.name}: no column of items by its name; it has: {', '.join(file.columns)}; give --item-column NAME"
        )
    said = text_columns(file, columns.text)
    by_column: dict[str, dict[str, str]] = {column: {} for column in asked}
    for row in rows:
        text = " ".join(filter(None, (_words(row.fields.get(name)) for name in said)))
        for column, texts in by_column.items():
            if item := identity(row.fields.get(column)):
                texts[item] = text
    known = set(log.item_ids)
    column = max(asked, key=lambda name: len(known & by_column[name].keys()))
    texts = by_column[column]
    if known.isdisjoint(texts):
        raise ConfigError(
            f"{file.name}: none of its items is one that the interactions name ({next(iter(texts), '')!r} here, "
            f"{log.item_ids[0]!r} there); --item-column names the column of items in both files"
        )
    found = tuple(texts.get(item, "") for item in log.item_ids)
    return found, {"with_words": sum(map(bool, found)), "touched_by_nobody": len(texts.keys() - known)}


def _words(value: Any) -> str:
    """Of a list, as JSON has it, all that is in it."""
    if isinstance(value, list | tuple):
        return " ".join(filter(None, map(_words, value)))
    return "" if value is None or isinstance(value, dict) else str(value).replace("|", " ").strip()


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
