"""What people read: numbers of few digits with commas between thousands, counts with their noun, times to the minute,
names without underscores. Machines get the exact values."""

from datetime import UTC, datetime


def in_few_digits(value: float, digits: int = 3) -> str:
    """Rounded to so many significant digits: 25,900 and 0.0123. An exponent only below a ten-thousandth and from a
    quadrillion on."""
    return f"{float(f'{value:.{digits}g}'):,.15g}"


def number_of(count: int, noun: str, plural: str | None = None) -> str:
    """A count and what is counted: "1 label", "2,000 labels". plural: where it is more than the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def moment(at: str | datetime) -> str:
    """A time to the minute: "29 Nov 2026 12:03 UTC". at: RFC 3339 or with a time zone; any other text, as of a record
    that a person wrote, stays as it is."""
    words = minute(at)
    return str(at) if words is None else f"{words} UTC"


def minute(at: str | datetime) -> str | None:
    """The same without its zone, for a column whose head says "UTC"; None where it is no time."""
    try:
        time = datetime.fromisoformat(at) if isinstance(at, str) else at
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one before the year 1 in UTC
        return None
    return f"{time.day} {time:%b} {time.year} {time:%H:%M}"


def moments(first: str, last: str, *, link: str = "to") -> str:
    """From one time to another, what both have in common said once: "29 Nov 2026 12:03 to 12:40 UTC"."""
    begin, end = moment(first), moment(last)
    if begin == end:
        return begin
    day, _, minute = end.removesuffix(" UTC").rpartition(" ")
    if begin.endswith(" UTC") and end.endswith(" UTC"):
        begin, end = begin.removesuffix(" UTC"), f"{minute} UTC" if begin.startswith(f"{day} ") else end
    return f"{begin} {link} {end}"


def readable(name: str) -> str:
    """A label or another name as people write it: "card lost" for `card_lost`."""
    return " ".join(name.replace("_", " ").split()) or name
