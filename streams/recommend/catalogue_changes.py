"""What records of a catalogue's topic change. What a key's last record says is all that counts of that key, and of an
item the last word that a key says: so a catalogue is the same before and after compaction. Of records without
a key the last one about an item counts, whatever keys say of others."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import orjson

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import CatalogItem, decode

log = logging.getLogger(__name__)

_Key = bytes | str  # of the records, or the item that records without a key name
_KEYS: Final = 200_000  # that are remembered; twice the items of a worker, as tombstones are words too


class Gone(Enum):
    """What became of an item: it was withdrawn under its own id, or without a key, so that whatever is said there
    next is about it as well; or by a record of another key, which may stand for another item next; or no key says
    anything of it: it is as the file has it, or not there."""

    WITHDRAWN = "withdrawn"
    ELSEWHERE = "elsewhere"
    UNSAID = "unsaid"


def said_by(key: bytes | None, value: bytes | None) -> dict[str, str | Gone]:
    """By item: its text, or what became of it, as one record says. A tombstone withdraws what its key reads as an
    item's id; what stood under the key before, nobody could tell after compaction. Raises MessageError."""
    if value is None:
        return dict.fromkeys(read_as(key), Gone.WITHDRAWN)
    item = decode(CatalogItem, value)
    if not item.withdrawn:
        return {item.item_id: item.text}
    return {item.item_id: Gone.WITHDRAWN if not key or item.item_id in read_as(key) else Gone.ELSEWHERE}


class CatalogueChanges:
    """Reads records in their order. Bounded: remembers what the last keys say."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._said: dict[_Key, Mapping[str, str | Gone]] = {}  # by each key
        self._keys: dict[str, dict[_Key, None]] = {}  # that say something of an item, the last word last

    def read(self, records: Iterable[Record]) -> dict[str, str | Gone]:
        """By item that may have changed: its text, or what became of it. A record that nothing can be made of is
        logged, and what its key said before stays: a slip withdraws nothing."""
        latest: dict[str, str | Gone] = {}
        for record in records:
            try:
                said = said_by(record.key, record.value)
            except MessageError as error:
                log.warning("%s, partition %d, offset %d: %s", record.topic, record.partition, record.offset, error)
                continue
            key = record.key or next(iter(said), None)
            if key is None:  # a tombstone of nothing
                continue
            before = self._forget(key)
            self._remember(key, said)
            # Of what the key reads as a tombstone may have been that is gone by now: a snapshot still knows it.
            latest |= {item_id: self._now(item_id) for item_id in (*before, *read_as(record.key))} | said
        return latest

    def _now(self, item_id: str) -> str | Gone:
        keys = self._keys.get(item_id)
        return self._said[next(reversed(keys))][item_id] if keys else Gone.UNSAID

    def _remember(self, key: _Key, said: Mapping[str, str | Gone]) -> None:
        if len(self._said) >= _KEYS:
            self._forget(next(iter(self._said)))  # whose last word is the oldest
        self._said[key] = said
        for item_id in said:
            self._keys.setdefault(item_id, {})[key] = None

    def _forget(self, key: _Key) -> Mapping[str, str | Gone]:
        """A key says nothing now; returns what it did."""
        said = self._said.pop(key, {})
        for item_id in said:
            keys = self._keys[item_id]
            del keys[key]
            if not keys:
                del self._keys[item_id]
        return said


def read_as(key: bytes | None) -> Iterator[str]:
    """What items a key is the id of: what it says, as text and as JSON (`"i7"`, `{"item_id": "i7"}`), as serialisers
    write it."""
    if not key:
        return
    yield key.decode("utf-8", "replace")
    try:
        written: Any = orjson.loads(key)
    except orjson.JSONDecodeError:
        return
    if isinstance(written, dict):
        written = written.get("item_id")
    if isinstance(written, str | int) and not isinstance(written, bool):
        yield str(written)
