"""The pipeline re-decides with the live handler: same labels alone or in any batch, nothing lost, bounded, errors
told."""

import time
from collections.abc import Iterator

import pytest
from small_release import manifest_bytes, small_release, small_rows

from connectors.ports import Record
from headrace.replay import pipeline
from headrace.replay.backtest import by_time
from headrace.replay.collecting import Replayed, take
from headrace.replay.pipeline import Prefetcher, decide_records, replay_handler
from headrace.replay.report.charts import decisions_over_time
from models.bundle import unpack
from models.classifier import Classifier
from models.errors import ModelError
from streams.application import Application, HeadSpec, Source
from streams.replay.answers import Answers
from streams.replay.stretch import Stretch

APP = Application(
    name="support",
    topic="chats",
    source=Source(text="/text"),
    heads=(HeadSpec(name="intent", column="intent"), HeadSpec(name="urgency", column="urgency")),
)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    release = small_release()
    return unpack(manifest_bytes(release), release.blobs.__getitem__, version="1", threads=1)


def records(count: int) -> list[Record]:
    texts = [row.text for row in small_rows()]
    made = [
        Record("chats", n % 3, n // 3, None, f'{{"text": "{texts[n % len(texts)]}"}}'.encode(), 1_000 + n)
        for n in range(count)
    ]
    return [*made, Record("chats", 0, count, None, b"{broken", 1), Record("chats", 0, count + 1, None, None, 1)]


def labels(classifier: Classifier, read: list[Record]) -> dict[tuple[int, int], str | None]:
    handler = replay_handler(APP, classifier, "chats", "0a1b2c3d")
    events = [event for batch in decide_records(read, [handler], APP.decisions_topic) for event in batch]
    assert [(event.record.partition, event.record.offset) for event in events] == [
        (record.partition, record.offset) for record in read
    ]
    return {
        (event.record.partition, event.record.offset): None
        if event.decisions[0] is None
        else event.decisions[0]["labels"]["intent"]["label"]
        for event in events
    }


def test_every_record_is_decided_or_a_dead_letter_in_the_order_of_reading(classifier: Classifier) -> None:
    handler = replay_handler(APP, classifier, "chats", "0a1b2c3d")
    events = [event for batch in decide_records(records(40), [handler], APP.decisions_topic) for event in batch]
    assert [event.rejected_because[0] for event in events] == [None] * 40 + ["not_json", None]
    assert [event.passed_over for event in events] == [None] * 41 + ["tombstone"]
    assert events[4].decisions[0] is not None and events[4].decisions[0]["id"] == "chats@0a1b2c3d-1-1"
    assert events[40].raw == (None,)


def test_labels_are_the_same_in_batches_of_any_size(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = labels(classifier, records(90))
    for size in (1, 7, 64):
        monkeypatch.setattr(pipeline, "BATCH_EVENTS", size)
        assert labels(classifier, records(90)) == whole


def test_a_batch_is_bounded_by_bytes_as_well(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_BYTES", 200)
    handler = replay_handler(APP, classifier, "chats", "0a1b2c3d")
    sizes = [len(batch) for batch in decide_records(records(40), [handler], APP.decisions_topic)]
    assert sum(sizes) == 42 and max(sizes) < 10


def test_two_releases_decide_each_record_without_touching_each_other(classifier: Classifier) -> None:
    handlers = [replay_handler(APP, classifier, "chats", "0a1b2c3d") for _ in range(2)]
    for batch in decide_records(records(20), handlers, APP.decisions_topic):
        for event in batch:
            first, second = event.decisions
            assert (first and first["labels"]) == (second and second["labels"])


def test_an_application_with_a_deadline_finds_no_old_event_late(classifier: Classifier) -> None:
    hurried = APP.model_copy(update={"deadline_seconds": 0.001})
    handler = replay_handler(hurried, classifier, "chats", "0a1b2c3d")
    events = [event for batch in decide_records(records(10)[:10], [handler], APP.decisions_topic) for event in batch]
    assert [event.rejected_because[0] for event in events] == [None] * 10


def test_a_release_that_fails_on_every_text_ends_the_replay(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replay_handler(APP, classifier, "chats", "0a1b2c3d")

    def fail(*_: object, **__: object) -> None:
        raise ValueError("broken head")

    monkeypatch.setattr(Classifier, "classify", fail)
    monkeypatch.setattr(Classifier, "classify_texts", fail)
    with pytest.raises(ModelError, match="known to be good"):
        list(decide_records(records(5)[:5], [broken], APP.decisions_topic))


def test_what_reading_raises_reaches_the_one_who_takes() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ConnectionError("gone")

    taken: list[int] = []
    with Prefetcher(failing(), 2) as ahead, pytest.raises(ConnectionError, match="gone"):
        taken.extend(iter(ahead))
    assert taken == [1]
    with Prefetcher(failing(), 2) as ahead:
        assert next(iter(ahead)) == 1


def test_no_more_is_read_ahead_than_the_bound_and_leaving_ends_the_thread() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    with Prefetcher(endless(), 2) as ahead:
        assert next(iter(ahead)) == 0
        time.sleep(0.1)
        assert len(made) <= 4
    ahead._thread.join(300)  # its own: others of earlier tests may end meanwhile
    assert not ahead._thread.is_alive()


def test_nothing_to_read_ends_at_once(classifier: Classifier) -> None:
    handler = replay_handler(APP, classifier, "chats", "0a1b2c3d")
    assert list(decide_records([], [handler], APP.decisions_topic)) == []


NOW_MS = 1_789_999_000_123


def test_history_of_any_age_and_in_any_unit_of_time_is_replayed_and_drawn(
    classifier: Classifier,
) -> None:
    """F-10: a record time in microseconds ended the replay as well, and where it did not, the page's time axis."""
    times = (NOW_MS, NOW_MS * 1_000, NOW_MS - 3_650 * 86_400_000, 2**63 - 1, -1)
    old = b'{"text": "refund please", "at": "1999-12-31T23:59:59Z"}'
    read = [Record("chats", 0, offset, None, b'{"text": "refund please"}', at) for offset, at in enumerate(times)]
    read.append(Record("chats", 0, len(times), None, old, NOW_MS))
    handler = replay_handler(APP, classifier, "chats", "0a1b2c3d")
    replayed = Replayed(("support@1",), Answers(APP.head_names, ("support@1",)))
    decided_times = []
    for batch in decide_records(read, [handler], APP.decisions_topic):
        take(batch, replayed, APP, None, None)
        decided_times += [decided.decisions[0]["at"] for decided in batch if decided.decisions[0] is not None]
    seen = "2026-09-21T13:56:40.123Z"
    assert decided_times == [seen, seen, "2016-09-23T13:56:40.123Z", *decided_times[3:5], "1999-12-31T23:59:59.000Z"]
    assert decisions_over_time(replayed.answers, ("support@1",), "intent") is not None


def test_signals_of_every_event_are_given_where_they_are_asked_for_only(classifier: Classifier) -> None:
    read = records(20)
    for with_signals in (False, True):
        handler = replay_handler(APP, classifier, "chats", "0a1b2c3d", with_signals=with_signals)
        events = [event for batch in decide_records(read, [handler], APP.decisions_topic) for event in batch]
        decided = [event for event in events if event.decisions[0] is not None]
        assert len(decided) == 20
        assert all((event.signal is not None) == with_signals for event in decided)


def test_partitions_are_read_by_their_records_times_and_each_in_its_order() -> None:
    """A stream's dependence is in its order: one partition after the other is another stream."""
    times = {0: (1, 5, 4, 9), 1: (2, 3, 8), 2: ()}
    stretch = Stretch({p: 0 for p in times}, {p: len(times[p]) for p in times})

    def partition(number: int) -> Iterator[Record]:
        for offset, at_ms in enumerate(times[number]):
            yield Record("chats", number, offset, None, b"", at_ms)

    read = list(by_time(stretch, partition))
    assert [(record.partition, record.offset) for record in read] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (0, 1),
        (0, 2),
        (1, 2),
        (0, 3),
    ]
