"""Which stretch of a topic a replay reads: places given as times or offsets, bounds fixed once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from models.errors import ConfigError

MAX_OFFSET = 2**63 - 1


class WrongStretch(ConfigError):
    """A place that cannot be read, or a start that lies after the end: wrong usage."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch begins or ends: an offset (the same in every partition) or a time, milliseconds since 1970,
    UTC."""

    offset: int | None = None
    time_ms: int | None = None


def parse_place(text: str) -> Place:
    """Digits are an offset, anything else is an ISO 8601 time; without a zone it is UTC. Raises WrongStretch."""
    stripped = text.strip()
    if stripped.isascii() and stripped.isdigit():
        if int(stripped) > MAX_OFFSET:
            raise WrongStretch(f"{text!r} is larger than any offset; a time is written as 2026-11-24T10:00:00Z")
        return Place(offset=int(stripped))
    try:
        moment = datetime.fromisoformat(stripped)
        return Place(time_ms=round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise WrongStretch(
            f"{text!r} is neither an offset (digits) nor an ISO time such as 2026-11-24T10:00:00Z"
        ) from error


def check_order(start: Place | None, end: Place | None) -> None:
    """Raises WrongStretch where the start lies after the end; an offset and a time are compared later, by
    `choose_stretch`."""
    if start is None or end is None:
        return
    for first, last in ((start.offset, end.offset), (start.time_ms, end.time_ms)):
        if first is not None and last is not None and first > last:
            raise WrongStretch("--from lies after --to: a stretch ends where it begins, or later")


@dataclass(frozen=True, slots=True)
class Stretch:
    """starts, ends: by partition, the first offset to read and the one after the last. gone: by partition, the oldest
    offset that is left, where records before it, which were asked for, are no longer in the topic."""

    starts: Mapping[int, int]
    ends: Mapping[int, int]
    gone: Mapping[int, int] = field(default_factory=dict)

    @property
    def offsets(self) -> int:
        """How many offsets it spans; compaction, transactions and retention leave fewer records."""
        return sum(self.ends[partition] - start for partition, start in self.starts.items())


def choose_stretch(
    bounds: Mapping[int, tuple[int, int]],
    starts: Mapping[int, int] | None = None,
    ends: Mapping[int, int] | None = None,
    *,
    by_time: bool = False,
) -> Stretch:
    """The stretch within what the topic holds.

    bounds: partition to (oldest, next) offset, read once: the end stays there whatever is written meanwhile. starts,
    ends: wanted offsets by partition; a partition that is left out has none as late as was asked for, so it starts (or
    ends) at its end. None: from the oldest, to the end. by_time: the starts were looked up by time; one at an oldest
    offset above 0 then counts as `gone`, because what stood before it may have been of that time as well. Raises
    WrongStretch where the start lies after the end in every partition that holds anything.
    """
    chosen_starts, chosen_ends, gone, crossed = {}, {}, {}, []
    for partition, (first, last) in bounds.items():
        wanted = first if starts is None else starts.get(partition, last)
        end = last if ends is None else min(ends.get(partition, last), last)
        if first > 0 and (starts is None or wanted < first or (by_time and wanted == first)):
            gone[partition] = first
        if first < last:
            crossed.append(starts is not None and ends is not None and wanted > ends.get(partition, last))
        end = max(end, first)
        chosen_starts[partition], chosen_ends[partition] = min(max(wanted, first), end), end
    if crossed and all(crossed):
        raise WrongStretch("--from lies after --to in every partition: a stretch ends where it begins, or later")
    return Stretch(chosen_starts, chosen_ends, gone)
