"""What stands in a topic, for commands and roles that look at all of it."""

from collections.abc import Iterator, Mapping

from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.wiring import Wiring


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
