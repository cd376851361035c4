import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest

from streams.routing.opening_hours import WEEKDAYS, OpeningHours

# Summer time in the north and the south, by half an hour, none with half an hour from UTC, and at midnight
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana")
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
