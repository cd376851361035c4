"""When a role must stop because it no longer does its work: pure rules over what it and the broker say.

A process that is alive and idle is worse than one that died: nobody starts it again. So every way of doing nothing ends
in a `Stuck`, and every change of the log below a group, which no retry mends, in a `LogChanged`. Both are one line that
names topic, partition and both positions, and says what to do.

    what is seen                                             what follows
    a partition is behind and its position does not move     Stuck after stuck_seconds
    ... paused by back-pressure, and the engine finishes     nothing: it waits for its turn
    ... fetched, and the engine finishes others              Stuck after TURN_SHARE times stuck_seconds
    events in flight and none finished                       Stuck after stuck_seconds
    no place in the group                                    Stuck after stuck_seconds
    a place without partitions                               a warning, now and then: it stands by
    the broker does not answer                               BrokerGone after stuck_seconds
    a partition was cut below the position                   it is held: nothing of it is read, not ready, the reason
    ... and so were all partitions of the role's topics      LogChanged at once
    topic gone, made again; cluster replaced                 LogChanged at once
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from models.errors import HeadraceError
from streams.engine.offset_tracker import Partition

TURN_SHARE = 5.0  # times stuck_seconds: how long a fetched event may wait behind those of other partitions
HELD_SPELT_OUT = 3  # partitions that are named with their positions
STANDING_BY_SECONDS = 600.0  # between two words about having nothing to read
RESET_ADVICE = (
    "start the same command again with --reset-position beginning (what the log still holds) or --reset-position end "
    "(only what comes)"
)
MISSING_LOOKS = 2  # a topic is gone when so many looks in a row did not find it


class Stopped(HeadraceError):
    """A role can no longer do its work; its process leaves with a non-zero code."""


class Stuck(Stopped):
    """Nothing moves though there is work: another process, or this one started again, may do it."""


class BrokerGone(Stopped):
    """No broker has answered for too long."""


class LogChanged(Stopped):
    """The log below a consumer group is another one, or lacks what was to be read. A position must not be committed
    to it."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer is in a partition.

    committed: next offset to be decided, as the group knows it; None before the first is known. read: next offset to be
    fetched. outstanding: whether something was fetched and is not committed. paused: by back-pressure.
    """

    committed: int | None
    read: int | None
    outstanding: bool
    paused: bool = False


@dataclass(frozen=True, slots=True)
class RoleState:
    """What a role says of itself. positions: of the partitions it was given; None while it has no place in its group.

    finished: events since it started; any growth is progress. in_flight: taken and not finished. truncated: partitions
    in which the broker no longer has what was to be read next. topics: that it reads. may_take_long: what is in flight
    now may take minutes, and counts for nothing afterwards.
    """

    name: str
    positions: Mapping[Partition, Position] | None
    finished: int
    in_flight: int
    may_take_long: bool = False
    truncated: Collection[Partition] = ()
    topics: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class TopicLog:
    """A topic as the broker has it. bounds: partition to (oldest offset, last stable offset: as far as a reader of
    committed records gets). ends: partition to the log's end, which lies behind that where a transaction is open."""

    epoch: str
    bounds: Mapping[int, tuple[int, int]]
    ends: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogState:
    """What the broker said at one look. topics: those that stand, of those that were asked for."""

    cluster_id: str | None
    topics: Mapping[str, TopicLog]

    def bounds(self, partition: Partition) -> tuple[int, int] | None:
        """(oldest offset, last stable offset)."""
        topic = self.topics.get(partition[0])
        return None if topic is None else topic.bounds.get(partition[1])

    def partitions(self, topics: Collection[str]) -> set[Partition]:
        """All of them, whoever has them."""
        return {(name, p) for name, topic in self.topics.items() if name in topics for p in topic.bounds}


@dataclass(slots=True)
class _Since:
    """A value and since when it stands."""

    value: object
    at: float


@dataclass(slots=True)
class _Still:
    """A committed position and for how long it has stood there, behind, while the partition was ours. Kept over a
    rebalance: in a group that flaps, each of many short stays is too short to be noticed."""

    committed: int | None
    seconds: float = 0.0


@dataclass(slots=True)
class RoleWatch:
    """Watches one role. `check` is called about once a second; times are seconds of a monotonic clock."""

    stuck_seconds: float
    _still: dict[Partition, _Still] = field(default_factory=dict)
    _placed: frozenset[Partition] = frozenset()
    _checked_at: float = 0.0
    _finished: _Since | None = None
    _placeless_since: float | None = None
    _standing_by_since: float | None = None

    def check(self, now: float, role: RoleState, log: LogState | None) -> str | None:
        """Raises Stuck or LogChanged. Returns a warning where there is one to give."""
        is_new = self._finished is None or self._finished.value != role.finished
        if is_new or not role.in_flight or role.may_take_long:
            self._finished = _Since(role.finished, now)
        elapsed, self._checked_at = now - self._checked_at, now
        placed, self._placed = self._placed, frozenset(role.positions or {})
        if role.positions is None:
            self._check_placeless(now, role)
            return None
        self._placeless_since = None
        self._check_flight(now, role)
        cut = cut_partitions(role, log)
        readable = log.partitions(role.topics) - cut.keys() if log is not None else set()
        if cut and role.topics and log is not None and not readable:
            raise LogChanged(f"{role.name}: {cut_words(cut)}: {RESET_ADVICE}")
        going = {partition: position for partition, position in role.positions.items() if partition not in cut}
        self._check_positions(now, role, going, log, dict.fromkeys(placed, elapsed))
        return self._standing_by(now, role, role.positions, log)

    def _check_placeless(self, now: float, role: RoleState) -> None:
        if self._placeless_since is None:
            self._placeless_since = now
        if now - self._placeless_since > self.stuck_seconds:
            raise Stuck(
                f"{role.name}: no place in its consumer group for {now - self._placeless_since:.0f} s (a rebalance "
                f"that does not end, or no coordinator); start it again; `headrace doctor` if that does not help"
            )

    def _check_flight(self, now: float, role: RoleState) -> None:
        assert self._finished is not None
        still = now - self._finished.at
        if role.in_flight and still > self.stuck_seconds:
            raise Stuck(
                f"{role.name}: {role.in_flight} events in flight and none finished for {still:.0f} s; start it again"
            )

    def _check_positions(
        self,
        now: float,
        role: RoleState,
        positions: Mapping[Partition, Position],
        log: LogState | None,
        elapsed: Mapping[Partition, float],
    ) -> None:
        """elapsed: seconds since the last check, of the partitions that were this role's then."""
        assert self._finished is not None
        for partition, position in positions.items():
            known = self._still.get(partition)
            bounds = None if log is None else log.bounds(partition)
            if (
                known is None
                or known.committed != position.committed
                or bounds is None
                or not is_behind(position, bounds)
                or (role.may_take_long and role.in_flight)
            ):
                self._still[partition] = _Still(position.committed)
                continue
            known.seconds += elapsed.get(partition, 0.0)
            works = role.finished > 0 and now - self._finished.at <= self.stuck_seconds and role.in_flight > 0
            if works and position.paused:
                continue
            limit = self.stuck_seconds * (TURN_SHARE if works and position.outstanding else 1.0)
            if known.seconds > limit:
                place, at = f"{partition[0]}[{partition[1]}]", max(position.committed or 0, bounds[0])
                raise Stuck(
                    f"{role.name}: stuck at {place} position {at} of {bounds[1]}: nothing moved for "
                    f"{known.seconds:.0f} s (fetched up to {_shown(position.read)}); start it again"
                )

    def _standing_by(
        self, now: float, role: RoleState, positions: Mapping[Partition, Position], log: LogState | None
    ) -> str | None:
        if positions or log is None:
            self._standing_by_since = None
            return None
        if self._standing_by_since is None:
            self._standing_by_since = now
        if now - self._standing_by_since < min(self.stuck_seconds, STANDING_BY_SECONDS):
            return None
        self._standing_by_since = now + STANDING_BY_SECONDS
        return (
            f"{role.name}: no partition is left for this process; it stands by (more processes than partitions "
            f"are fine)"
        )


def cut_partitions(role: RoleState, log: LogState | None) -> dict[Partition, str]:
    """Partition to the reason, of those that the role was given and in which what it reads next is gone: the client
    says so, or the log's beginning does. log: a look that is older than the role's state."""
    cut = {}
    for partition, position in (role.positions or {}).items():
        bounds = None if log is None else log.bounds(partition)
        next_offset = position.committed if position.read is None else position.read
        overtaken = bounds is not None and position.read is not None and position.read < bounds[0]
        if overtaken or partition in role.truncated:
            begins = f", the log begins at {bounds[0]}" if bounds is not None and overtaken else ""
            cut[partition] = (
                f"{partition[0]}[{partition[1]}] no longer has what stands at position {_shown(next_offset)}{begins} "
                f"(retention overtook the reader, or the log was cut)"
            )
    return cut


def cut_words(cut: Mapping[Partition, str]) -> str:
    """The reasons in one line, the first few spelt out."""
    words = [reason for _, reason in sorted(cut.items())]
    return "; ".join(words[:HELD_SPELT_OUT]) + (
        f" and {len(words) - HELD_SPELT_OUT} more" if len(words) > HELD_SPELT_OUT else ""
    )


def is_behind(position: Position, bounds: tuple[int, int]) -> bool:
    """Whether there is something left to decide.

    A log may end in offsets that no reader ever gets (transaction markers, compacted records): a reader that fetched to
    the end and has nothing outstanding is not behind, whatever the numbers say.
    """
    committed = bounds[0] if position.committed is None else max(position.committed, bounds[0])
    if committed >= bounds[1]:
        return False
    return position.outstanding or position.read is None or position.read < bounds[1]


def lags(positions: Mapping[Partition, Position], log: LogState) -> dict[Partition, int]:
    """Events between each committed position and its partition's end."""
    behind = {}
    for partition, position in positions.items():
        bounds = log.bounds(partition)
        if bounds is not None:
            committed = bounds[0] if position.committed is None else position.committed
            behind[partition] = max(bounds[1] - committed, 0) if is_behind(position, bounds) else 0
    return behind


def _shown(offset: int | None) -> str:
    return "unknown" if offset is None else str(offset)
