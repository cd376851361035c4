"""What records of a catalogue's topic change. What a key's last record says is all that counts of that key, and of an
item the last word that a key says: so a catalogue is the same before and after compaction."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import orjson

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import CatalogItem, decode

log = logging.getLogger(__name__)

_KEYS: Final = 200_000  # that are remembered; twice the items of a worker, as tombstones are words too


class Gone(Enum):
    """What became of an item: a tombstone withdrew it, which compaction takes out of the topic in time; or a record
    did, which stands there; or no key says anything of it: it is as the file has it, or not there."""

    TOMBSTONE = "tombstone"
    WITHDRAWN = "withdrawn"
    UNSAID = "unsaid"


def said_by(key: bytes, value: bytes | None) -> dict[str, str | Gone]:
    """By item: its text, or what became of it, as one record says. A tombstone withdraws what its key reads as an
    item's id; what stood under the key before, nobody could tell after compaction. Raises MessageError."""
    if value is None:
        return dict.fromkeys(_read_as(key), Gone.TOMBSTONE)
    item = decode(CatalogItem, value)
    return {item.item_id: Gone.WITHDRAWN if item.withdrawn else item.text}


class CatalogueChanges:
    """Reads records in their order. Bounded: remembers what the last keys say."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._said: dict[bytes, Mapping[str, str | Gone]] = {}  # by each key
        self._keys: dict[str, dict[bytes, None]] = {}  # that say something of an item, the last word last

    def read(self, records: Iterable[Record]) -> dict[str, str | Gone]:
        """By item that may have changed: its text, or what became of it. A record that nothing can be made of is
        logged, and what its key said before stays: a slip withdraws nothing."""
        latest: dict[str, str | Gone] = {}
        for record in records:
            key = record.key or b""
            try:
                said = said_by(key, record.value)
            except MessageError as error:
                log.warning("%s, partition %d, offset %d: %s", record.topic, record.partition, record.offset, error)
                continue
            before = self._forget(key)
            self._remember(key, said)
            # Of what the key reads as a tombstone may have been that is gone by now: a snapshot still knows it.
            latest |= {item_id: self._now(item_id) for item_id in (*before, *_read_as(key))} | said
        return latest

    def _now(self, item_id: str) -> str | Gone:
        keys = self._keys.get(item_id)
        return self._said[next(reversed(keys))][item_id] if keys else Gone.UNSAID

    def _remember(self, key: bytes, said: Mapping[str, str | Gone]) -> None:
        if not key:
            return
        if len(self._said) >= _KEYS:
            self._forget(next(iter(self._said)))  # whose last word is the oldest
        self._said[key] = said
        for item_id in said:
            self._keys.setdefault(item_id, {})[key] = None

    def _forget(self, key: bytes) -> Mapping[str, str | Gone]:
        """A key says nothing now; returns what it did."""
        said = self._said.pop(key, {})
        for item_id in said:
            keys = self._keys[item_id]
            del keys[key]
            if not keys:
                del self._keys[item_id]
        return said


def _read_as(key: bytes) -> Iterator[str]:
    """What items a key is the id of: what it says, as text and as JSON (`"i7"`, `{"item_id": "i7"}`), as serialisers
    write it."""
    yield key.decode("utf-8", "replace")
    try:
        written: Any = orjson.loads(key)
    except orjson.JSONDecodeError:
        return
    if isinstance(written, dict):
        written = written.get("item_id")
    if isinstance(written, str | int) and not isinstance(written, bool):
        yield str(written)
