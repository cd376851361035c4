"""What records of a catalogue's topic change: of each item the last word that says something counts, however they are
read in pieces."""

import logging
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

import orjson

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import CatalogItem, decode

log = logging.getLogger(__name__)

_KEYS: Final = 100_000  # that are remembered


class Gone(Enum):
    """What became of an item: somebody withdrew it; or the topic says no more of it, as its key stands for another one
    now, and after compaction nothing tells that it ever did."""

    WITHDRAWN = "withdrawn"
    UNSAID = "unsaid"


class CatalogueChanges:
    """Reads records in their order. An item is what the last of the keys says that stand for it, so it is the same
    whether earlier records of a key are still there or not. Bounded: remembers what the last keys stand for."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._said: dict[bytes, tuple[str, str | None]] = {}  # item and text; None: it is withdrawn
        self._keys: dict[str, dict[bytes, None]] = {}  # that stand for an item, the last word last

    def read(self, records: Iterable[Record]) -> dict[str, str | Gone]:
        """By item: its text, or what became of it. A record that nothing can be made of is logged, and what was said of
        its item before stays."""
        latest: dict[str, str | Gone] = {}
        for record in records:
            key = record.key or b""
            if record.value is None:
                left = self._forget(key)
                latest |= (
                    {left: self._now(left, Gone.WITHDRAWN)} if left else dict.fromkeys(_meant_by(key), Gone.WITHDRAWN)
                )
                continue
            try:
                item = decode(CatalogItem, record.value)
            except MessageError as error:
                log.warning("%s, partition %d, offset %d: %s", record.topic, record.partition, record.offset, error)
                continue
            if left := self._forget(key):
                latest[left] = self._now(left, Gone.UNSAID)
            text = None if item.withdrawn else item.text
            self._remember(key, item.item_id, text)
            latest[item.item_id] = Gone.WITHDRAWN if text is None else text
        return latest

    def _now(self, item_id: str, otherwise: Gone) -> str | Gone:
        """As the keys have it that stand for an item; otherwise: where none does."""
        keys = self._keys.get(item_id)
        if not keys:
            return otherwise
        text = self._said[next(reversed(keys))][1]
        return Gone.WITHDRAWN if text is None else text

    def _remember(self, key: bytes, item_id: str, text: str | None) -> None:
        if not key:
            return
        if len(self._said) >= _KEYS:
            self._forget(next(iter(self._said)))  # whose last word is the oldest
        self._said[key] = item_id, text
        self._keys.setdefault(item_id, {})[key] = None

    def _forget(self, key: bytes) -> str | None:
        """A key stands for nothing now; returns for what it did, None: for nothing."""
        item_id, _ = self._said.pop(key, (None, None))
        if item_id is not None:
            keys = self._keys[item_id]
            del keys[key]
            if not keys:
                del self._keys[item_id]
        return item_id


def _meant_by(key: bytes) -> Iterator[str]:
    """Items that a tombstone is about whose key nothing stood under: what the key says, as text and as JSON
    (`"i7"`, `{"item_id": "i7"}`), as serialisers write it."""
    yield key.decode("utf-8", "replace")
    try:
        written: Any = orjson.loads(key)
    except orjson.JSONDecodeError:
        return
    if isinstance(written, dict):
        written = written.get("item_id")
    if isinstance(written, str | int) and not isinstance(written, bool):
        yield str(written)
