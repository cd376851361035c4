"""What stands in a topic, for commands and roles that look at all of it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.wiring import Wiring
from models.errors import MessageError
from streams.wire.records import read_decision

log = logging.getLogger(__name__)


def all_records(wiring: Wiring, topic: str, starts: Mapping[int, int] | None = None) -> Iterator[Record]:
    """All of a topic, or what stands from `starts` (partition to offset) on; nothing where nobody has made it yet.
    Raises BrokerUnavailable."""
    reader = wiring.reader()
    try:
        yield from reader.read(topic, starts)
    except TopicMismatch:
        return
    finally:
        reader.close()


def decisions_of(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """The decisions among records of `decisions.<app>`, in their order. What no worker has written is passed over; how
    many those were is logged at the end, with the first one's place and fault."""
    strangers, first = 0, ""
    for record in records:
        if record.value is None:
            continue
        try:
            decision = read_decision(record.value)
        except MessageError as error:
            strangers += 1
            first = first or f"{record.topic}, partition {record.partition}, offset {record.offset}: {error}"
        else:
            yield decision
    if strangers:
        log.warning("%d records are passed over, as no worker wrote them; the first: %s", strangers, first)
