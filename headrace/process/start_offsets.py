"""Where a consumer group starts: decided once, written down before the first event, never reset behind anyone's back.

Kafka's own rule ("latest" where nothing is committed) loses events: a worker killed before its first commit would start
at the new end. So the first start commits a position for every partition, and after that only commits count.
"""

import logging
from collections.abc import Mapping, Sequence

from connectors.kafka.client import KafkaAdmin
from models.errors import ConfigError

log = logging.getLogger(__name__)


def positions_to_pin(
    bounds: Mapping[int, tuple[int, int]], committed: Mapping[int, int], *, from_beginning: bool
) -> dict[int, int]:
    """Partition to offset, for those without a committed position. A partition that appears later, in a group that has
    others, starts at its beginning: nobody has seen it."""
    missing = [partition for partition in bounds if partition not in committed]
    first = from_beginning or bool(committed)
    return {partition: bounds[partition][0 if first else 1] for partition in missing}


def pin(admin: KafkaAdmin, group: str, topics: Sequence[str], *, from_beginning: bool) -> None:
    """Commit first positions and say so. Raises ConfigError where a committed one lies outside the log."""
    for topic in topics:
        bounds, committed = admin.offsets(topic), admin.committed(group, topic)
        for partition, offset in committed.items():
            first, end = bounds.get(partition, (0, 0))
            if not first <= offset <= end:
                raise ConfigError(
                    f"group {group} stands at {topic}[{partition}] offset {offset}, but the log holds {first} to {end} "
                    f"(retention, or the topic was made again): choose with --reset-position beginning|end"
                )
        pinned = positions_to_pin(bounds, committed, from_beginning=from_beginning)
        if pinned:
            admin.commit(group, topic, pinned)
            where = (
                "the beginning"
                if from_beginning or committed
                else "the end (what stood there before is not read; --from-beginning does)"
            )
            log.info("%s reads %s from %s", group, topic, where)


def take_over(admin: KafkaAdmin, old_group: str, group: str, topics: Sequence[str]) -> None:
    """Give a group that never was the positions of the one that did its work before; what stands already stays."""
    for topic in topics:
        if admin.committed(group, topic):
            continue
        if positions := admin.committed(old_group, topic):
            admin.commit(group, topic, positions)
            log.info("%s goes on in %s where %s stands: %s", group, topic, old_group, positions)


def reset(admin: KafkaAdmin, group: str, topics: Sequence[str], *, to_beginning: bool) -> None:
    """Move a group that has no running member to the beginning or the end of its topics."""
    for topic in topics:
        admin.commit(group, topic, {p: bounds[0 if to_beginning else 1] for p, bounds in admin.offsets(topic).items()})
