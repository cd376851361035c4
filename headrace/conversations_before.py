"""Where a worker reads what conversations were, before its next message of them."""

import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from connectors.errors import TopicMismatch
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from streams.application import Application
from streams.conversations.memory import Past, source_place
from streams.engine.offset_tracker import Partition

log = logging.getLogger(__name__)

MOST_WINDOWS: Final = 8  # of each partition of the decisions, at most


def conversations_before(wiring: Wiring, app: Application, group: str) -> Past | None:
    """How it is read, of a group of workers; None for an application without conversations."""
    table = app.conversations
    if table is None:
        return None
    return lambda partitions: decisions_before(wiring, app.decisions_topic, group, partitions, table.window_records)


def decisions_before(
    wiring: Wiring, topic: str, group: str, partitions: Collection[Partition], window: int
) -> list[Mapping[str, Any]]:
    """The decisions about the last `window` records below the group's positions in these partitions.

    They lie near the end of their topic, nobody knows how near: more is read until the decision about the record
    before the window is among them, for each partition, or the topic's beginning. Raises ConnectorError.
    """
    admin = wiring.admin()
    try:
        committed = {
            (source, partition): offset
            for source in sorted({source for source, _ in partitions})
            for partition, offset in admin.committed(group, source).items()
            if (source, partition) in partitions
        }
        bounds = admin.readable_offsets(topic)
    except TopicMismatch:
        return []
    finally:
        admin.close()
    if not any(committed.values()):
        return []
    for windows in (1, 2, 4, MOST_WINDOWS):
        starts = {p: max(first, last - windows * window) for p, (first, last) in bounds.items()}
        decisions, is_whole = _within(wiring, topic, starts, committed, window)
        if is_whole or all(starts[p] == first for p, (first, _) in bounds.items()):
            return decisions
    log.warning("%s: of conversations that are far behind others nothing is known", topic)
    return decisions


def _within(
    wiring: Wiring, topic: str, starts: Mapping[int, int], committed: Mapping[Partition, int], window: int
) -> tuple[list[Mapping[str, Any]], bool]:
    """The decisions from these offsets on that belong to the windows, and whether none of those lies before."""
    decisions: list[Mapping[str, Any]] = []
    reached: set[Partition] = set()
    for decision in decisions_of(all_records(wiring, topic, starts)):
        place = source_place(decision["id"])
        if place is None or (place.partition not in committed):
            continue
        end = committed[place.partition]
        if place.offset < end - window:
            reached.add(place.partition)
        elif place.offset < end:
            decisions.append(decision)
    return decisions, len(reached) == sum(offset > 0 for offset in committed.values())
