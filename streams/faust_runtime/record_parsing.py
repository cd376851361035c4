"""aiokafka reads records with any header name, see connectors.header_names.

Its compiled parser cannot be taught. So the bytes of a fetch are kept until its records are read, and a fetch that the
parser stumbles over is read again, from the record it stumbled over, by the client's parser in Python.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from connectors.header_names import AnyHeaderName

MAGIC_OF_HEADERS = 2  # older formats of a batch have no headers


class _LenientBatch(AnyHeaderName, _DefaultRecordBatchPy):  # type: ignore[misc]  # final for type checkers only
    """The client's parser of one batch, in Python."""


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]
    """What a fetch brought, batch by batch, in Python."""

    def next_batch(self, *arguments: Any) -> Any:
        """As the client's own."""
        batch = self._next_slice
        made = super().next_batch(*arguments)
        if batch is None or batch[self.MAGIC_OFFSET] < MAGIC_OF_HEADERS:
            return made
        return _LenientBatch(batch)


class FetchedBytes:
    """What a fetch brought, by the compiled parser, with its bytes."""

    def __init__(self, fetched: bytes) -> None:
        records = MemoryRecords(fetched)
        self.fetched = fetched
        self.has_next = records.has_next
        self.next_batch = records.next_batch
        self.size_in_bytes = records.size_in_bytes


class LenientPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped there
    """The records of one partition in a fetch: the client's own, with a second reading."""

    def __init__(
        self, tp: Any, records: FetchedBytes, aborted: Iterable[Any] | None, offset: int, *arguments: Any
    ) -> None:
        super().__init__(tp, records, aborted, offset, *arguments)
        self._fetched = records.fetched
        self._second_reading = (list(aborted or []), arguments)

    def __next__(self) -> Any:
        """As the client's own."""
        try:
            return super().__next__()
        except UnicodeDecodeError:
            aborted, arguments = self._second_reading
            records = _LenientRecords(self._fetched)
            super().__init__(self._tp, records, aborted, self.next_fetch_offset, *arguments)
            return super().__next__()


def accept_any_header_name() -> None:
    """For every consumer of this process, as the client has no place to name a parser. May be called again."""
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = LenientPartitionRecords
