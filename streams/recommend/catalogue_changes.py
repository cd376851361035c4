"""What records of a catalogue's topic change: of each item the last word that says something counts, however they are
read in pieces."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import CatalogItem, decode

log = logging.getLogger(__name__)

_KEYS: Final = 100_000  # that do not read as their item's id, and are remembered


class CatalogueChanges:
    """Reads records in their order. Bounded: remembers which item a key stood for, where the two differ."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._named: dict[bytes, str] = {}

    def read(self, records: Iterable[Record]) -> dict[str, CatalogItem | None]:
        """By item: what it is now, None: it is withdrawn. A record that nothing can be made of is logged, and what was
        said of its item before stays."""
        latest: dict[str, CatalogItem | None] = {}
        for record in records:
            if record.value is None:
                latest |= dict.fromkeys(self._meant_by(record.key or b""))
                continue
            try:
                item = decode(CatalogItem, record.value)
            except MessageError as error:
                log.warning("%s, partition %d, offset %d: %s", record.topic, record.partition, record.offset, error)
                continue
            self._remember(record.key, item.item_id)
            latest[item.item_id] = None if item.withdrawn else item
        return latest

    def _remember(self, key: bytes | None, item_id: str) -> None:
        if not key:
            return
        self._named.pop(key, None)  # what it stood for before
        if key == item_id.encode("utf-8", "replace"):
            return
        if len(self._named) >= _KEYS:
            del self._named[next(iter(self._named))]  # whose last word is the oldest
        self._named[key] = item_id

    def _meant_by(self, key: bytes) -> Iterator[str]:
        """Items that a tombstone is about: what stood under its key before, else what the key says, as text and as
        JSON (`"i7"`, `{"item_id": "i7"}`), as serialisers write it."""
        known = self._named.get(key)
        if known is not None:
            yield known
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
