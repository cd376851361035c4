"""Kafka does not look at a header's name: whatever its bytes, the record is read, and those round it."""

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED
from aiokafka.structs import TopicPartition
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from raw_header_name import raw_name

from connectors.kafka.record_parsing import accept_any_header_name as kafka_python_accepts
from streams.faust_runtime.record_parsing import FetchedBytes, LenientPartitionRecords

GZIP = 1
NAMES = [b"trace", b"\xff\xfe", b"", "größe".encode(), "größe".encode("latin-1"), b"\xed\xa0\x80", b"last"]
READ_AS = ["trace", "\\xff\\xfe", "", "größe", "gr\\xf6\\xdfe", "\\xed\\xa0\\x80", "last"]


def batch(base: int, names: list[bytes], codec: int = 0) -> bytes:
    """One record per name, as it stands in a topic from offset `base`."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1_000_000)
    for place, name in enumerate(names):
        builder.append(place, 1_700_000_000_000, b"key", b"text", [(raw_name(name), b"content"), ("second", None)])
    built = bytearray(builder.build())
    built[0:8] = base.to_bytes(8, "big")
    return bytes(built)


@pytest.mark.parametrize("codec", [0, GZIP])
def test_a_worker_reads_records_with_any_header_name(codec: int) -> None:
    """A header name that is no UTF-8 raised UnicodeDecodeError at every fetch: the worker decided nothing more."""
    fetched = batch(10, NAMES, codec) + batch(17, NAMES[:2], codec)
    records = LenientPartitionRecords(
        TopicPartition("topic", 0), FetchedBytes(fetched), None, 11, None, None, True, READ_COMMITTED
    )
    read = list(records)
    assert [(record.offset, record.headers[0][0]) for record in read] == list(
        zip(range(11, 19), READ_AS[1:] + READ_AS[:2], strict=True)
    )
    assert {record.headers[1] for record in read} == {("second", None)}
    assert {(record.key, record.value, record.headers[0][1]) for record in read} == {(b"key", b"text", b"content")}
    assert records.next_fetch_offset == 19


def test_what_an_aborted_transaction_wrote_stays_unread_in_the_second_reading() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, True, 7, 0, 0, 1_000_000)
    builder.append(0, 1, None, b"aborted", [])
    aborted = bytearray(builder.build())
    aborted[0:8] = (5).to_bytes(8, "big")
    fetched = bytes(aborted) + batch(6, [b"\xff"])
    arguments = (TopicPartition("topic", 0), FetchedBytes(fetched), [(7, 5)], 5, None, None, True)
    assert [record.value for record in LenientPartitionRecords(*arguments, READ_COMMITTED)] == [b"text"]
    arguments = (TopicPartition("topic", 0), FetchedBytes(fetched), None, 5, None, None, True)
    assert [record.value for record in LenientPartitionRecords(*arguments, READ_UNCOMMITTED)] == [b"aborted", b"text"]


@pytest.mark.parametrize("codec", [0, GZIP])
def test_a_replay_reads_records_with_any_header_name(codec: int) -> None:
    """kafka-python ended in CorruptRecordError for the same record: a replay ended there, and a monitor, and dead
    letters could not be listed."""
    kafka_python_accepts()
    records = MemoryRecords(batch(10, NAMES, codec))
    assert [record.headers[0][0] for batch in records for record in batch] == READ_AS
