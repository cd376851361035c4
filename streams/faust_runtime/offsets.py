"""What Faust and its client know of a group's positions, without a request to the broker.

Both keep it in attributes of their own, as no public call gives all of it without a round trip
(streams.faust_runtime.internals lists them):

    Faust's `_committed_offset`    the *next* offset to be decided, as the group has it
    Faust's `_read_offset`         the *last* offset handed to the engine; after a seek the next one
    aiokafka's `position`          the *next* offset to be fetched

aiokafka's are changed by the consumer's own thread at any moment, so each is read once.
"""

from collections.abc import Callable
from typing import Any

import faust

from streams.engine.offset_tracker import Partition
from streams.engine.watchdog import Position
from streams.faust_runtime.backpressure import FetchGate


def positions(
    app: faust.App, gate: FetchGate, is_outstanding: Callable[[Partition], bool]
) -> dict[Partition, Position] | None:
    """Of each partition that this member was given; None while it has no place in the group. Call on the app's loop.

    In a Position, committed and read are both *next* offsets.

    is_outstanding: whether the engine holds something of a partition that is not acknowledged.
    """
    consumer: Any = app._consumer
    subscription = _subscription(app)
    assignment = None if subscription is None else subscription.assignment
    if assignment is None or subscription._reassignment_in_progress:
        return None
    positions = {}
    for tp in list(assignment.tps):
        committed, last_read = consumer._committed_offset.get(tp), consumer._read_offset.get(tp)
        read = _position(assignment.state_value(tp))
        outstanding = is_outstanding((tp.topic, tp.partition)) or (
            last_read is not None and last_read > (committed or 0)
        )
        positions[tp.topic, tp.partition] = Position(committed, read, outstanding, not gate.is_open(tp.topic))
    return positions


def truncated_partitions(app: faust.App) -> set[Partition]:
    """Where the next record is not in the log any more (see streams.faust_runtime.no_reset_transport)."""
    return set(getattr(_thread(app), "truncated_partitions", ()))


def _position(state: Any) -> int | None:
    """None where it has none. Asked and not looked at first: it may be taken away in between."""
    try:
        return None if state is None else state.position
    except AssertionError:
        return None


def _subscription(app: faust.App) -> Any:
    client = getattr(_thread(app), "_consumer", None)
    return None if client is None else client._subscription.subscription


def _thread(app: faust.App) -> Any:
    """The consumer's thread, if there is one: asking for `app.consumer` would make a consumer."""
    return getattr(app._consumer, "_thread", None)
