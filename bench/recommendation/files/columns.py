"""Which columns of a file are the user, the item, the time: as somebody says, or by the names and values that public
data sets have."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.recommendation.files.opening import Opened, is_iso
from models.errors import ConfigError

# Names without blanks, signs and capitals; of several that a file has, the first one here.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": (
        *("userid", "user", "uid", "visitorid", "customerid", "reviewerid", "memberid", "customer", "reviewer"),
        *("personid", "clientid", "accountid", "playerid", "steamid", "username", "profileid", "sessionid"),
    ),
    # parent_asin before asin: Amazon's items are described by it
    "item": (
        *("itemid", "item", "iid", "movieid", "parentasin", "asin", "productid", "artistid", "bookid", "isbn"),
        *("trackid", "songid", "gameid", "appid", "businessid", "articleid", "newsid", "videoid", "recipeid"),
        *("animeid", "locationid", "venueid", "stockcode", "sku", "product", "movie", "book", "artist", "article"),
    ),
    "time": (
        *("timestamp", "unixreviewtime", "time", "ts", "eventtime", "createdat", "ratedat", "datetime", "at", "date"),
        *("invoicedate", "orderdate", "reviewtime"),
    ),
    "rating": ("rating", "overall", "stars", "bookrating", "score", "ratings"),
    "action": ("action", "event", "eventtype", "behaviortype", "behavior"),
}
_OPTIONS: Final = {name: f"--{name}-column" for name in _NAMES}
_NEEDED: Final = ("user", "item")
_TIMES: Final = (1e8, 1e14)  # seconds and milliseconds since 1970, from 1973 on
_MOST_STARS: Final = 100
NONE: Final = "none"  # given for a column that is not to be read


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a file's columns, or numbers from 1 where it has no header. None: by what public sets call them; `time`
    may be `none`, which leaves times out. text: of the items' file; those that are there are put together."""

    user: str | None = None
    item: str | None = None
    time: str | None = None
    rating: str | None = None
    action: str | None = None
    text: tuple[str, ...] | None = None

    def of(self, file: Opened) -> dict[str, str | None]:
        """Of user, item, time, rating and action the column that holds it; of the last three None: there is none.
        Raises ConfigError where one that is needed, or that was given, is not there."""
        given = {name: getattr(self, name) for name in _NAMES}
        found: dict[str, str | None] = {}
        for name, column in given.items():
            if column is not None and column not in file.columns and column != NONE:
                raise ConfigError(f"{file.name}: no column {column}; it has: {_told(file)} ({_OPTIONS[name]})")
            found[name] = None if column == NONE else column
        free = [column for column in file.columns if column not in found.values()]
        guess = _by_name if file.has_header else _by_values
        guessed = guess(file, [name for name in _NAMES if given[name] is None], free)
        found |= guessed
        if missing := [name for name in _NEEDED if found[name] is None]:
            options = " ".join(f"{_OPTIONS[name]} NAME" for name in missing)
            what = " and no column of ".join(f"{name}s" for name in missing)
            raise ConfigError(f"{file.name}: no column of {what} by its name; it has: {_told(file)}; give {options}")
        return found


def item_columns(file: Opened, asked: Sequence[str | None]) -> list[str]:
    """Columns of an items' file that may hold its ids, the likeliest first. asked: what the interactions call it."""
    if not file.has_header:
        return [file.columns[0]]
    plain = {_plain(column): column for column in reversed(file.columns)}
    named = [plain[_plain(name)] for name in asked if name is not None and _plain(name) in plain]
    usual = [plain[name] for name in (*_NAMES["item"], "id") if name in plain]
    return list(dict.fromkeys([*named, *usual]))


_WORDS: Final = ("title", "authors", "description", "tags")
_OTHER_WORDS: Final = (
    *("name", "author", "brand", "genres", "genre", "category", "categories", "artist", "booktitle", "bookauthor"),
    *("publisher", "moviename", "artistname", "trackname", "features"),
)


def text_columns(file: Opened, asked: Sequence[str] | None) -> list[str]:
    """Those that hold words about the items. Raises ConfigError where there is none."""
    if not file.has_header and asked is None:
        return list(file.columns[1 : 3 if file.separator == "::" else 2])  # movies.dat has kinds, u.item a date
    plain = {_plain(column): column for column in reversed(file.columns)}
    if asked is not None:
        found = [column for column in asked if column in file.columns]
    else:
        found = [plain[name] for name in (*_WORDS, *_OTHER_WORDS) if name in plain]
    if not found:
        raise ConfigError(
            f"{file.name}: no column of words ({', '.join(asked or _WORDS)}); it has: {_told(file)}; "
            f"give --text-columns NAME,NAME"
        )
    return found


def _told(file: Opened) -> str:
    if file.has_header:
        return ", ".join(file.columns)
    shown = ", ".join(f"{number} ({value})" for number, value in zip(file.columns, file.sample[0], strict=True))
    return f"no header, and in its first line the columns {shown}"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.split(":")[0]).lower()  # RecBole's `user_id:token`


def _by_name(file: Opened, wanted: Sequence[str], free: Sequence[str]) -> dict[str, str | None]:
    plain = {_plain(column): column for column in reversed(free)}
    return {name: next((plain[usual] for usual in _NAMES[name] if usual in plain), None) for name in wanted}


def _by_values(file: Opened, wanted: Sequence[str], free: Sequence[str]) -> dict[str, str | None]:
    """The last column of times, then the first two of what is left, and a third one of small numbers."""
    whole = [row for row in file.sample if len(row) == len(file.columns)]
    values = {column: [row[int(column) - 1] for row in whole] for column in free}
    found: dict[str, str | None] = dict.fromkeys(wanted)
    left = list(free)

    def of(order: Sequence[str], fits: Callable[[str], bool]) -> str | None:
        return next((column for column in order if all(map(fits, values[column]))), None)

    if len(left) > sum(name in found for name in _NEEDED):
        time = of(left, is_iso) or of(left[:1:-1], _is_seconds)
        left = [column for column in left if column != time]
        if "time" in found:
            found["time"] = time
    for name in _NEEDED:
        if name in found and left:
            found[name] = left.pop(0)
    if "rating" in found:
        found["rating"] = of(left[:1], _is_stars)
    return found


def _is_seconds(value: str) -> bool:
    number = _number(value)
    return number is not None and _TIMES[0] < number < _TIMES[1]


def _is_stars(value: str) -> bool:
    number = _number(value)
    return number is not None and abs(number) <= _MOST_STARS


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
