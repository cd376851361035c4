"""Where a consumer group starts: decided once, written down before the first event, never reset behind anyone's back.

Kafka's own rule ("latest" where nothing is committed) loses events: a worker killed before its first commit would start
at the new end. So the first start commits a position for every partition, and after that only commits count. Each
carries its topic's epoch, so that a position in a topic of the same name that is gone is not taken for one in this.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.kafka.client import KafkaAdmin
from connectors.ports import GroupPosition
from headrace.process.consumer_groups import ConsumerGroup
from models.errors import ConfigError
from models.figures import number_of
from streams.engine.watchdog import RESET_ADVICE

log = logging.getLogger(__name__)

WORDS_OF = 3  # lost positions that are spelt out


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands in a topic. epoch: the topic's. bounds: partition to (oldest offset, next offset)."""

    group: str
    topic: str
    epoch: str
    bounds: Mapping[int, tuple[int, int]]
    positions: Mapping[int, GroupPosition]

    def lost(self) -> dict[int, "Lost"]:
        """Partition to the reason, of the positions at which nothing can be read on."""
        reasons = {partition: self._reason(partition, position) for partition, position in self.positions.items()}
        return {partition: lost for partition, lost in reasons.items() if lost is not None}

    def _reason(self, partition: int, position: GroupPosition) -> "Lost | None":
        first, end = self.bounds.get(partition, (0, 0))
        place = f"{self.topic}[{partition}] offset {position.offset}"
        if position.epoch and position.epoch != self.epoch:
            return Lost(f"{place} of an older topic of that name (epoch {position.epoch}, now {self.epoch})", False)
        if position.offset > end:
            return Lost(f"{place}, but the log ends at {end} (the topic was made again)", False)
        if position.offset < first:
            return Lost(f"{place}, but the log begins at {first} (retention overtook it)", True)
        return None


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a position is of no use. is_cut: the topic is the same, and no longer holds what stood there."""

    reason: str
    is_cut: bool


def standing(admin: KafkaAdmin, group: str, topic: str) -> Standing:
    """Ask the broker. Raises TopicMismatch where the topic is not there."""
    # positions first: a group that runs moves on, and must not seem to stand beyond an end that was read before
    positions = admin.positions(group, topic)
    return Standing(group, topic, admin.describe([topic])[topic].epoch, admin.offsets(topic), positions)


def positions_to_pin(
    bounds: Mapping[int, tuple[int, int]], known: Mapping[int, object], *, from_beginning: bool
) -> dict[int, int]:
    """Partition to offset, for those without a committed position. A partition that appears later, in a group that has
    others, starts at its beginning: nobody has seen it."""
    missing = [partition for partition in bounds if partition not in known]
    first = from_beginning or bool(known)
    return {partition: bounds[partition][0 if first else 1] for partition in missing}


def pin(admin: KafkaAdmin, group: str, topics: Sequence[str], *, from_beginning: bool) -> dict[str, str]:
    """Commit first positions and say so. Returns each topic's epoch. Raises ConfigError where the group has lost its
    place; where only some partitions were cut, their positions stay, and the role holds them while the others go on."""
    places = [standing(admin, group, topic) for topic in topics]
    _refuse_lost(group, places)
    for place in places:
        _pin_one(admin, place, from_beginning=from_beginning)
    return {place.topic: place.epoch for place in places}


def _pin_one(admin: KafkaAdmin, place: Standing, *, from_beginning: bool) -> None:
    pinned = positions_to_pin(place.bounds, place.positions, from_beginning=from_beginning)
    if not pinned:
        return
    if not admin.commit(place.group, place.topic, pinned, place.epoch):
        log.warning(
            "%s runs already, so no first position could be written in %s%s: the beginning is read",
            place.group,
            place.topic,
            sorted(pinned),
        )
        return
    end = "the end (what stood there before is not read; --from-beginning does)"
    where = "the beginning" if from_beginning or place.positions else end
    log.info("%s reads %s from %s", place.group, place.topic, where)


def take_over(admin: KafkaAdmin, old_group: str, group: str, topics: Sequence[str]) -> None:
    """Give a group that never was the positions of the one that did its work before; what stands already stays."""
    for topic in topics:
        if admin.committed(group, topic):
            continue
        if positions := admin.committed(old_group, topic):
            admin.commit(group, topic, positions)
            log.info("%s goes on in %s where %s stands: %s", group, topic, old_group, positions)


def reset(admin: KafkaAdmin, groups: Sequence[ConsumerGroup], *, to_beginning: bool) -> int:
    """Move lost positions to the beginning or the end of their partitions and say each; those that are good stay.
    Returns how many were moved. Raises ConfigError, with nothing moved, where a member runs in one of the groups."""
    for group in groups:
        _refuse_running(admin, group.name)
    moved = 0
    for place in [standing(admin, group.name, topic) for group in groups for topic in group.topics]:
        wanted = {p: place.bounds[p][0 if to_beginning else 1] for p in place.lost() if p in place.bounds}
        if not wanted:
            continue
        done = admin.commit(place.group, place.topic, wanted, place.epoch)
        for partition, offset in sorted(done.items()):
            before = place.positions[partition].offset
            log.warning("%s: %s[%d] moved from %d to %d", place.group, place.topic, partition, before, offset)
        if done != wanted:
            _refuse_running(admin, place.group)
        moved += len(done)
    if not moved:
        log.info("--reset-position: nothing to move, every position lies within its log")
    return moved


def _refuse_lost(group: str, places: Sequence[Standing]) -> None:
    lost = [reason for place in places for reason in place.lost().values()]
    if not lost:
        return
    words = "; ".join(loss.reason for loss in lost[:WORDS_OF]) + ("; ..." if len(lost) > WORDS_OF else "")
    if len(lost) == sum(len(place.positions) for place in places) or not all(loss.is_cut for loss in lost):
        raise ConfigError(f"group {group} has lost its place: {words}: {RESET_ADVICE}")
    log.error("%s: %s: nothing is read there, the other partitions go on: %s", group, words, RESET_ADVICE)


def _refuse_running(admin: KafkaAdmin, group: str) -> None:
    if hosts := admin.members(group):
        raise ConfigError(
            f"group {group} has {number_of(len(hosts), 'running member')} on "
            f"{', '.join(sorted(set(hosts)))}, and they know their "
            f"own positions: stop them first (one that was killed counts until its session ends), then start again"
        )
