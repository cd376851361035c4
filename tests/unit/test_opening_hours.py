import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest

from streams.routing.opening_hours import WEEKDAYS, OpeningHours

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",  # summer time in the south
    "Australia/Lord_Howe",  # by half an hour
    "America/Havana",  # at midnight
    "Pacific/Chatham",  # three quarters of an hour from UTC's, changed at 02:45
    "Asia/Kolkata",  # none
    "Asia/Kathmandu",
)
STEP = timedelta(minutes=5)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = 366 * 24 * 12


def minutes(written: str) -> int:
    hours, rest = written.split(":")
    return int(hours) * 60 + int(rest)


def is_open(local: datetime, week: dict[str, list[str]], holidays: Sequence[date]) -> bool:
    """By the clock on the wall alone, whatever has been open before."""
    now = local.hour * 60 + local.minute
    for back in (0, 1):  # the day, and the one before, whose night may last until now
        day = local.date() - timedelta(days=back)
        for period in week.get(WEEKDAYS[day.weekday()], []) if day not in holidays else []:
            begins, ends = map(minutes, period.split("-"))
            ends += 24 * 60 if ends <= begins else 0
            if begins <= now + back * 24 * 60 < ends:
                return True
    return False


def random_week(chance: random.Random) -> dict[str, list[str]]:
    """Up to three periods a day; now and then a night."""
    week = {}
    for day in WEEKDAYS:
        edges = sorted(chance.sample(range(20 * 12), 2 * chance.randint(0, 3)))
        written = [f"{edge // 12:02d}:{edge % 12 * 5:02d}" for edge in edges]
        week[day] = [f"{first}-{last}" for first, last in zip(written[::2], written[1::2], strict=True)]
        if chance.random() < 0.3:
            week[day].append("22:00-00:00" if chance.random() < 0.5 else "21:15-24:00")
    week["friday"] = ["22:00-02:30"]
    week["saturday"] = ["02:30-06:00", "23:00-01:30"]
    week["sunday"] = ["01:30-03:10", "23:20-00:05"]
    week["monday"] = ["00:05-00:40", "08:00-12:00"]
    return week


@pytest.mark.parametrize("zone", ZONES)
def test_open_time_is_what_a_clock_on_the_wall_says_at_every_fifth_minute_of_a_year(zone: str) -> None:
    chance = random.Random(zone)
    week = random_week(chance)
    holidays = [date(2026, 1, 1) + timedelta(days=chance.randrange(365)) for _ in range(12)]
    hours = OpeningHours.of(zone, week, holidays)
    known = ZoneInfo(zone)
    opened = [is_open((YEAR + number * STEP).astimezone(known), week, holidays) for number in range(STEPS)]
    before = [0, *accumulate(opened)]  # open steps before each step

    for _ in range(300):
        first = chance.randrange(STEPS // 2)
        last = first + chance.choice([1, 12, 288, 4_000, 50_000])
        start, end = YEAR + first * STEP, YEAR + last * STEP
        assert hours.between(start, end) == (before[last] - before[first]) * STEP
        asked = chance.randrange(1, 400)
        reached = before.index(before[first] + asked)  # the first moment by which so many open steps have passed
        assert hours.after(start, asked * STEP) == YEAR + reached * STEP


@pytest.mark.parametrize(
    ("zone", "put_forward", "lost", "put_back", "twice", "minutes_twice"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "02:10-02:50", date(2026, 10, 25), "02:10-02:50", 80),
        ("America/New_York", date(2026, 3, 8), "02:00-03:00", date(2026, 11, 1), "01:00-02:00", 120),
        ("Australia/Sydney", date(2026, 10, 4), "02:00-03:00", date(2026, 4, 5), "02:30-03:30", 90),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:05-02:25", date(2026, 4, 5), "01:35-02:05", 55),
        ("America/Havana", date(2026, 3, 8), "00:00-01:00", date(2026, 11, 1), "00:10-00:40", 60),
        ("Pacific/Chatham", date(2026, 9, 27), "02:45-03:45", date(2026, 4, 5), "02:45-03:45", 120),
    ],
)
def test_what_is_open_in_the_hour_that_is_left_out_is_not_that_day_and_in_the_one_that_comes_twice_is_twice(
    zone: str, put_forward: date, lost: str, put_back: date, twice: str, minutes_twice: int
) -> None:
    known = ZoneInfo(zone)

    def open_time(day: date, period: str) -> timedelta:
        hours = OpeningHours.of(zone, {WEEKDAYS[day.weekday()]: [period]})
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=known).astimezone(UTC)
        return hours.between(noon - timedelta(days=1), noon + timedelta(hours=11))

    assert open_time(put_forward, lost) == timedelta()
    assert open_time(put_back, twice) == timedelta(minutes=minutes_twice)
    weekday, begins = WEEKDAYS[put_forward.weekday()], minutes(lost.partition("-")[0])
    promised = OpeningHours.of(zone, {weekday: [lost]}).after(
        datetime(put_forward.year, put_forward.month, put_forward.day, 12, tzinfo=known).astimezone(UTC)
        - timedelta(days=1),
        timedelta(minutes=5),
    )
    week_later = put_forward + timedelta(days=7)
    local = promised.astimezone(known)
    assert (local.date(), local.hour * 60 + local.minute) == (week_later, begins + 5)


def test_no_time_at_all_is_over_at_once_or_when_it_opens_next() -> None:
    hours = OpeningHours.of("UTC", {"monday": ["09:00-17:00"]})
    assert hours.after(datetime(2026, 11, 30, 10, tzinfo=UTC), timedelta()) == datetime(2026, 11, 30, 10, tzinfo=UTC)
    assert hours.after(datetime(2026, 11, 30, 17, tzinfo=UTC), timedelta()) == datetime(2026, 12, 7, 9, tzinfo=UTC)


def test_seconds_are_kept() -> None:
    hours = OpeningHours.of("Europe/Berlin", {"monday": ["09:00-17:00"]})
    late = datetime(2026, 11, 30, 15, 59, 30, 250_000, tzinfo=UTC)  # 16:59:30.25 in Berlin
    assert hours.after(late, timedelta(minutes=1)) == datetime(2026, 12, 7, 8, 0, 30, 250_000, tzinfo=UTC)


def test_an_answer_that_is_due_when_it_closes_is_due_then_and_not_when_it_opens_again() -> None:
    hours = OpeningHours.of("UTC", {"monday": ["09:00-17:00"]})
    assert hours.after(datetime(2026, 11, 30, 9, tzinfo=UTC), timedelta(hours=8)).hour == 17


@pytest.mark.parametrize(
    ("zone", "periods", "says"),
    [
        ("Europe/Berlln", {"monday": ["09:00-17:00"]}, "there is no time zone 'Europe/Berlln'"),
        ("UTC", {}, "nothing is ever open"),
        ("UTC", {"monday": ["9-17"]}, "'9-17' is no period of a day: write it as 09:00-12:30"),
        ("UTC", {"monday": ["09:75-17:00"]}, "begins by 23:59"),
        ("UTC", {"monday": ["24:00-25:00"]}, "begins by 23:59"),
        ("UTC", {"monday": ["09:00-12:00", "11:00-17:00"]}, "two periods of monday overlap"),
        ("UTC", {"monday": ["22:00-06:00"], "tuesday": ["05:00-09:00"]}, "two periods of monday and tuesday overlap"),
        ("UTC", {"monday": ["00:00-08:00"], "sunday": ["20:00-02:00"]}, "two periods of sunday and monday overlap"),
    ],
)
def test_hours_that_cannot_be_meant_are_refused(zone: str, periods: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("?", ".")):
        OpeningHours.of(zone, periods)
