"""Dates as people write them in English, German and Chinese; the value is the day, `2026-11-30`.

What is relative ("yesterday", "vor drei Tagen", "上周一") is reckoned from when the text was written. A date without
its year is the nearest one to that. What names no single day ("last week", "in November") is left.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from models.phone_numbers import WORD
from models.slots.values import Found

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january januar jan jänner",
            "february februar feb",
            "march märz mar mrz",
            "april apr",
            "may mai",
            "june juni jun",
            "july juli jul",
            "august aug",
            "september sept sep",
            "october oktober oct okt",
            "november nov",
            "december dezember dec dez",
        ),
        1,
    )
    for name in names.split()
}
_WEEKDAYS: Final = {
    name: number
    for number, names in enumerate(
        (
            "monday montag 一",
            "tuesday dienstag 二",
            "wednesday mittwoch 三",
            "thursday donnerstag 四",
            "friday freitag 五",
            "saturday samstag sonnabend 六",
            "sunday sonntag 日 天",
        )
    )
    for name in names.split()
}
_COUNTS: Final = {
    name: number
    for number, names in enumerate(
        (
            "",
            "one a ein einem einer 一",
            "two zwei 两 二",
            "three drei 三",
            "four vier 四",
            "five fünf 五",
            "six sechs 六",
            "seven sieben 七",
            "eight acht 八",
            "nine neun 九",
            "ten zehn 十",
        )
    )
    for name in names.split()
}
_NAMED_DAYS: Final = {
    "the day before yesterday": -2,
    "day before yesterday": -2,
    "vorgestern": -2,
    "大前天": -3,
    "前天": -2,
    "yesterday": -1,
    "gestern": -1,
    "昨天": -1,
    "昨日": -1,
    "today": 0,
    "heute": 0,
    "今天": 0,
    "今日": 0,
    "tomorrow": 1,
    "morgen": 1,
    "明天": 1,
    "明日": 1,
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "übermorgen": 2,
    "后天": 2,
    "大后天": 3,
}
_HAN_YEARS: Final = {"前年": -2, "去年": -1, "今年": 0, "明年": 1, "后年": 2}


def _one_of(names: object) -> str:
    return "|".join(sorted(map(re.escape, map(str, names)), key=len, reverse=True))  # type: ignore[call-overload]


def _latin(names: dict[str, int]) -> str:
    return _one_of([name for name in names if name < "\u2e80"])


def _han(names: dict[str, int]) -> str:
    return _one_of([name for name in names if name >= "\u2e80"])


_MORNING: Final = re.compile(r"(?:guten|heute|gestern|am|jeden|tag) \Z", re.IGNORECASE)  # then it is the time of day
_COUNT: Final = rf"\d{{1,3}}|{_latin(_COUNTS)}"
_HAN_COUNT: Final = rf"\d{{1,3}}|{_han(_COUNTS)}"
_MONTH: Final = _one_of(_MONTHS)
_Reading = Callable[["DateFinder", re.Match[str], date], date | None]


@dataclass(frozen=True, slots=True)
class DateFinder:
    """See the module. month_first: whether 11/03/2026 is a day in November, where both readings are possible.
    time_zone: in which it is decided what day it was when the text was written."""

    month_first: bool = False
    time_zone: str = "UTC"
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", ZoneInfo(self.time_zone))

    def find(self, text: str, at: datetime) -> Iterator[Found]:
        """See `models.slots.values.Finder`."""
        if not _MAY_HOLD_SOME.search(text):
            return
        today = at.astimezone(self._zone).date()
        for match in _DATE.finditer(text):
            reading = next(_READINGS[name] for name in _READINGS if match[name] is not None)
            try:
                day = reading(self, match, today)
            except (ValueError, OverflowError):  # the 31st of February, a year beyond the calendar
                continue
            if day is not None:
                yield Found(match.start(), match.end(), day.isoformat())


def _year(written: str | None) -> int | None:
    if not written:
        return None
    return int(written) + (2000 if len(written) <= len("00") else 0)


def _day(day: str, month: int, year: int | None, today: date) -> date:
    """Without a year the nearest one to today. Raises ValueError where there is no such day."""
    if year is not None:
        return date(year, month, int(day))
    near = []
    for candidate in (today.year - 1, today.year, today.year + 1):
        try:
            near.append(date(candidate, month, int(day)))
        except ValueError:
            continue
    return min(near, key=lambda one: abs(one - today))


def _iso(finder: DateFinder, match: re.Match[str], today: date) -> date:
    return date(int(match["iso_y"]), int(match["iso_m"]), int(match["iso_d"]))


def _dotted(finder: DateFinder, match: re.Match[str], today: date) -> date:
    return _day(match["dot_d"], int(match["dot_m"]), _year(match["dot_y"]), today)


def _slashed(finder: DateFinder, match: re.Match[str], today: date) -> date:
    first, second = int(match["slash_1"]), int(match["slash_2"])
    month_first = second > 12 or (first <= 12 and finder.month_first)
    month, day = (first, second) if month_first else (second, first)
    return _day(str(day), month, _year(match["slash_y"]), today)


def _day_month(finder: DateFinder, match: re.Match[str], today: date) -> date:
    return _day(match["dm_d"], _MONTHS[match["dm_m"].lower()], _year_behind(match, "dm", today), today)


def _month_day(finder: DateFinder, match: re.Match[str], today: date) -> date:
    return _day(match["md_d"], _MONTHS[match["md_m"].lower()], _year_behind(match, "md", today), today)


def _year_behind(match: re.Match[str], name: str, today: date) -> int | None:
    """As it is written there, or "last year"."""
    last_year = today.year - 1 if match[f"{name}_last"] else None
    return _year(match[f"{name}_y"] or match[f"{name}_yy"]) or last_year


def _chinese(finder: DateFinder, match: re.Match[str], today: date) -> date:
    year = today.year + _HAN_YEARS[match["zh_near"]] if match["zh_near"] else _year(match["zh_y"])
    return _day(match["zh_d"], int(match["zh_m"]), year, today)


def _named(finder: DateFinder, match: re.Match[str], today: date) -> date | None:
    if match["named"].lower() == "morgen" and _MORNING.search(match.string[max(0, match.start() - 10) : match.start()]):
        return None
    return today + timedelta(days=_NAMED_DAYS[match["named"].lower()])


def _count(written: str) -> int:
    return int(written) if written.isdigit() else _COUNTS[written.lower()]


def _ago(finder: DateFinder, match: re.Match[str], today: date) -> date:
    count = next(match[name] for name in ("ago_n", "vor_n", "zh_ago_n") if match[name])
    unit = next(match[name] for name in ("ago_u", "vor_u", "zh_ago_u") if match[name])
    return today - timedelta(days=_count(count) * _days_of(unit))


def _ahead(finder: DateFinder, match: re.Match[str], today: date) -> date:
    count, unit = match["in_n"] or match["zh_in_n"], match["in_u"] or match["zh_in_u"]
    return today + timedelta(days=_count(count) * _days_of(unit))


def _from(finder: DateFinder, match: re.Match[str], today: date) -> date:
    """ "A week from tomorrow"."""
    begins = _NAMED_DAYS.get(match["from_d"].lower(), 0)
    return today + timedelta(days=_count(match["from_n"]) * _days_of(match["from_u"]) + begins)


def _days_of(unit: str) -> int:
    return 7 if unit[0].lower() == "w" or unit[-1] in "周期" else 1


def _weekday(finder: DateFinder, match: re.Match[str], today: date) -> date:
    """ "last Monday" is the newest one before today, "next Monday" the first one after it."""
    wanted = _WEEKDAYS[match["wd_name"].lower()]
    if match["wd_which"].lower()[0] in "lvp":
        return today - timedelta(days=(today.weekday() - wanted - 1) % 7 + 1)
    return today + timedelta(days=(wanted - today.weekday() - 1) % 7 + 1)


def _han_weekday(finder: DateFinder, match: re.Match[str], today: date) -> date:
    """上周一 is the Monday of the week before this one."""
    weeks = {"上": -1, "下": 1}.get(match["zw_which"], 0)
    return today + timedelta(days=7 * weeks + _WEEKDAYS[match["zw_name"]] - today.weekday())


_READINGS: Final[dict[str, _Reading]] = {
    "iso_y": _iso,
    "dot_d": _dotted,
    "slash_1": _slashed,
    "dm_d": _day_month,
    "md_d": _month_day,
    "zh_d": _chinese,
    "from_n": _from,
    "named": _named,
    "ago_n": _ago,
    "vor_n": _ago,
    "zh_ago_n": _ago,
    "in_n": _ahead,
    "zh_in_n": _ahead,
    "wd_name": _weekday,
    "zw_name": _han_weekday,
}
# each date has one of these, and most texts have none; a set of literals is found much faster than the dates themselves
_MAY_HOLD_SOME: Final = re.compile(
    r"\d|day|week|morrow|gestern|heute|morgen|tag|woch|abend|[天日周]|星期|礼拜", re.IGNORECASE
)
_L, _R = rf"(?<![{WORD}./-])", rf"(?![{WORD}/-]|[.,]\d)"  # no part of a longer number or word


def _year_pattern(name: str) -> str:
    """Behind a day and its month: "2025", "'25", "25" where nothing follows that it could be a number of, "last
    year"."""
    return (
        rf"(?:,? (?P<{name}_y>\d{{4}}\b|\d\d(?=[,;!?)]|\.?\s*\Z))"
        rf"|,? ['’](?P<{name}_yy>\d\d)\b"
        rf"|,?(?P<{name}_last>(?: of| in)? last year| (?:letzt|vorig|vergangen)e[sn] jahre?s?)\b)?"
    )


_DATE: Final = re.compile(
    "|".join(
        (
            rf"{_L}(?P<iso_y>\d{{4}})([-/.])(?P<iso_m>\d{{1,2}})\2(?P<iso_d>\d{{1,2}}){_R}",
            rf"{_L}(?P<dot_d>\d{{1,2}})\.[ ]?(?P<dot_m>\d{{1,2}})\.(?:[ ]?(?P<dot_y>\d{{4}}|\d\d))?{_R}",
            rf"{_L}(?P<slash_1>\d{{1,2}})/(?P<slash_2>\d{{1,2}})/(?P<slash_y>\d{{4}}|\d\d){_R}",
            rf"{_L}(?P<dm_d>\d{{1,2}})(?:st|nd|rd|th|\.)?(?: of)? ?(?P<dm_m>{_MONTH})\b\.?{_year_pattern('dm')}",
            rf"(?<!\w)(?P<md_m>{_MONTH})\.? (?P<md_d>\d{{1,2}})(?:st|nd|rd|th)?\b{_year_pattern('md')}",
            rf"(?:(?P<zh_y>\d{{4}})年|(?P<zh_near>{_one_of(_HAN_YEARS)})的?)?(?P<zh_m>\d{{1,2}})月(?P<zh_d>\d{{1,2}})[日号]",
            rf"(?<!\w)(?P<from_n>{_COUNT}) (?P<from_u>days?|weeks?) from (?P<from_d>today|tomorrow|now)\b",
            rf"(?P<named>(?<!\w)(?:{_latin(_NAMED_DAYS)})(?!\w)|{_han(_NAMED_DAYS)})",
            rf"(?<!\w)(?P<ago_n>{_COUNT}) (?P<ago_u>days?|weeks?) ago\b",
            rf"(?<!\w)vor (?P<vor_n>{_COUNT}) (?P<vor_u>tag|tagen|woche|wochen)\b",
            rf"(?P<zh_ago_n>{_HAN_COUNT})个?(?P<zh_ago_u>天|周|星期)前",
            rf"(?<!\w)in (?P<in_n>{_COUNT}) (?P<in_u>days?|weeks?|tag|tagen|woche|wochen)\b",
            rf"(?P<zh_in_n>{_HAN_COUNT})个?(?P<zh_in_u>天|周|星期)后",
            rf"(?<!\w)(?P<wd_which>last|past|letzt\w{{1,2}}|vergangen\w{{1,2}}|next|nächst\w{{1,2}}|kommend\w{{1,2}}) "
            rf"(?P<wd_name>{_latin(_WEEKDAYS)})\b",
            r"(?P<zw_which>[上下本这])(?:周|星期|礼拜)(?P<zw_name>[一二三四五六日天])",
        )
    ),
    re.IGNORECASE,
)
