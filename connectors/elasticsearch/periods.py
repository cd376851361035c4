"""Which index a decision lies in: the month, week or day of its source record's own time, so that a repeat meets its
document whenever it comes.

    decisions-<app>-2026.11       a month
    decisions-<app>-2026.w48      a week (ISO 8601)
    decisions-<app>-2026.11.24    a day

What stands beside decisions lies in indices of its own, named likewise: `stories-<app>-2026.11`,
`trends-<app>-2026.11`.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

Span = Literal["month", "week", "day"]

_PERIOD = r"(?P<year>\d{1,4})\.(?:w(?P<week>\d\d)|(?P<month>\d\d)(?:\.(?P<day>\d\d))?)"
_INDEX = re.compile(rf"(?P<kind>[a-z]+)-(?P<app>.+)-{_PERIOD}")  # years before 1000 were written with fewer digits


@dataclass(frozen=True, slots=True)
class Period:
    """Whose decisions of which time an index holds. end: the first day after it."""

    app: str
    first: date
    end: date


@lru_cache(maxsize=4096)
def index_names(app: str, day: date, kind: str = "decisions") -> dict[Span, str]:
    """The names that an index with this day's decisions can have, the narrowest first."""
    week = day.isocalendar()
    prefix = f"{kind}-{app}"
    return {
        "day": f"{prefix}-{day.year:04}.{day.month:02}.{day.day:02}",
        "week": f"{prefix}-{week.year:04}.w{week.week:02}",
        "month": f"{prefix}-{day.year:04}.{day.month:02}",
    }


def period_of(index: str, kind: str = "decisions") -> Period | None:
    """What an index holds as its name says; None for one that is not Headrace's."""
    match = _INDEX.fullmatch(index)
    if match is None or match["kind"] != kind:
        return None
    year = int(match["year"])
    try:
        if match["week"]:
            first = date.fromisocalendar(year, int(match["week"]), 1)
            end = first + timedelta(days=7)
        elif match["day"]:
            first = date(year, int(match["month"]), int(match["day"]))
            end = first + timedelta(days=1)
        else:
            first = date(year, int(match["month"]), 1)
            end = (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):  # a thirteenth month: some other program's index
        return None
    return Period(match["app"], first, end)
