"""kafka-python reads records with any header name, see connectors.header_names."""

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

from connectors.header_names import AnyHeaderName


class LenientRecordBatch(AnyHeaderName, DefaultRecordBatch):  # type: ignore[misc]  # kafka-python is untyped
    """The client's parser of one batch."""

    __slots__ = ()


def accept_any_header_name() -> None:
    """For every consumer of this process, as the client has no place to name a parser. May be called again."""
    memory_records.DefaultRecordBatch = LenientRecordBatch
