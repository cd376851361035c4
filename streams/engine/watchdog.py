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
    topic gone, made again, cut below the position; cluster  LogChanged at once
    replaced
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from models.errors import HeadraceError
from streams.engine.offset_tracker import Partition

TURN_SHARE = 5.0  # times stuck_seconds: how long a fetched event may wait behind those of other partitions
STANDING_BY_SECONDS = 600.0  # between two words about having nothing to read
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
    in which the broker no longer has what was to be read next.
    """

    name: str
    positions: Mapping[Partition, Position] | None
    finished: int
    in_flight: int
    may_take_long: bool = False
    truncated: Collection[Partition] = ()


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


@dataclass(slots=True)
class _Since:
    """A value and since when it stands."""

    value: object
    at: float


@dataclass(slots=True)
class RoleWatch:
    """Watches one role. `check` is called about once a second; times are seconds of a monotonic clock."""

    stuck_seconds: float
    _moved: dict[Partition, _Since] = field(default_factory=dict)
    _finished: _Since | None = None
    _placeless_since: float | None = None
    _standing_by_since: float | None = None

    def check(self, now: float, role: RoleState, log: LogState | None) -> str | None:
        """Raises Stuck or LogChanged. Returns a warning where there is one to give."""
        if self._finished is None or self._finished.value != role.finished or not role.in_flight:
            self._finished = _Since(role.finished, now)
        for partition in role.truncated:
            raise LogChanged(self._truncated(role, partition))
        if role.positions is None:
            self._check_placeless(now, role)
            return None
        self._placeless_since = None
        self._check_flight(now, role)
        self._check_positions(now, role, role.positions, log)
        return self._standing_by(now, role, role.positions, log)

    def _check_placeless(self, now: float, role: RoleState) -> None:
        self._moved.clear()
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
        if role.in_flight and still > self.stuck_seconds and not role.may_take_long:
            raise Stuck(
                f"{role.name}: {role.in_flight} events in flight and none finished for {still:.0f} s; start it again"
            )

    def _check_positions(
        self, now: float, role: RoleState, positions: Mapping[Partition, Position], log: LogState | None
    ) -> None:
        assert self._finished is not None
        for partition in self._moved.keys() - positions.keys():
            del self._moved[partition]
        for partition, position in positions.items():
            known = self._moved.get(partition)
            bounds = None if log is None else log.bounds(partition)
            if known is None or known.value != position.committed or bounds is None or not is_behind(position, bounds):
                self._moved[partition] = _Since(position.committed, now)
                continue
            still = now - known.at
            if role.may_take_long and role.in_flight:
                continue
            works = role.finished > 0 and now - self._finished.at <= self.stuck_seconds and role.in_flight > 0
            if works and position.paused:
                continue
            limit = self.stuck_seconds * (TURN_SHARE if works and position.outstanding else 1.0)
            if still > limit:
                raise Stuck(
                    f"{role.name}: stuck at {partition[0]}[{partition[1]}] position "
                    f"{max(position.committed or 0, bounds[0])} of "
                    f"{bounds[1]}: nothing moved for {still:.0f} s (fetched up to {_shown(position.read)}); start "
                    f"it again"
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

    def _truncated(self, role: RoleState, partition: Partition) -> str:
        position = (role.positions or {}).get(partition)
        return (
            f"{role.name}: {partition[0]}[{partition[1]}] no longer has what stands at position "
            f"{_shown(position.committed if position else None)} (retention overtook the reader, or the topic was "
            f"made again): "
            f"choose with --reset-position beginning|end"
        )


@dataclass(slots=True)
class LogWatch:
    """Watches the logs that a process works on, by what the broker says at each look. The first look is what must last.

    read: topics whose positions count, so that another topic of the same name is noticed.
    """

    read: Collection[str]
    stuck_seconds: float
    first: LogState | None = None
    latest: LogState | None = None
    _missing: dict[str, int] = field(default_factory=dict)
    _answered_at: float | None = None
    _silence: str = ""

    def looked(self, now: float, log: LogState) -> None:
        """The broker answered. Raises LogChanged."""
        self._answered_at = now
        if self.first is None:
            self.first = log
        self._compare(self.first, log)
        self.latest = log

    def unanswered(self, now: float, reason: str) -> None:
        """The broker did not answer, or not usefully."""
        if self._answered_at is None:
            self._answered_at = now
        self._silence = reason

    def check(self, now: float) -> None:
        """Raises BrokerGone where no look was answered for too long (also where the looks themselves hang)."""
        if self._answered_at is None:
            self._answered_at = now
        silent = now - self._answered_at
        if silent > self.stuck_seconds:
            raise BrokerGone(
                f"the broker has not answered for {silent:.0f} s ({self._silence or 'no answer'}); positions are "
                f"kept: start again when it is back"
            )

    def check_positions(self, role: str, positions: Mapping[Partition, Position], log: LogState) -> None:
        """Raises LogChanged where what is to be read next is gone. log: a look that is older than these positions."""
        for partition, position in positions.items():
            bounds = log.bounds(partition)
            if bounds is None or position.read is None or bounds[0] <= position.read:
                continue
            raise LogChanged(
                f"{role}: stands at {partition[0]}[{partition[1]}] offset {position.read}, but the log holds "
                f"{bounds[0]} to "
                f"{bounds[1]} (retention overtook the reader): choose with --reset-position beginning|end"
            )

    def _compare(self, first: LogState, log: LogState) -> None:
        if first.cluster_id and log.cluster_id and first.cluster_id != log.cluster_id:
            raise LogChanged(
                f"another Kafka cluster answers now ({log.cluster_id}, was {first.cluster_id}): its topics and "
                f"positions are "
                f"not ours; check HEADRACE_BROKER, then start again"
            )
        for name, topic in first.topics.items():
            found = log.topics.get(name)
            self._missing[name] = self._missing.get(name, 0) + 1 if found is None else 0
            if self._missing[name] >= MISSING_LOOKS:
                raise LogChanged(f"topic {name} is gone; make it again, or start again: a start creates missing topics")
            if found is not None and found.epoch != topic.epoch and name in self.read:
                raise LogChanged(
                    f"topic {name} was made again (epoch {found.epoch}, was {topic.epoch}): its offsets start "
                    f"afresh; start "
                    f"again with --reset-position beginning|end"
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
    found = {}
    for partition, position in positions.items():
        bounds = log.bounds(partition)
        if bounds is not None:
            committed = bounds[0] if position.committed is None else position.committed
            found[partition] = max(bounds[1] - committed, 0) if is_behind(position, bounds) else 0
    return found


def _shown(offset: int | None) -> str:
    return "unknown" if offset is None else str(offset)
