"""The monitor tells each item's story, and a restart of monitor or worker changes nothing in what was told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitor_in_memory import APP, LABELS, POLICY, REFERENCE, Process, World, signal
from repeats import repeats

from connectors.ports import Record
from models.errors import ConfigError
from streams.application import parse_application
from streams.application.stories import Stories as StorySettings
from streams.engine.delivery import Delivery
from streams.monitor.drift import detector
from streams.monitor.drift.thresholds import simulate_thresholds
from streams.monitor.state.news import MAX_BYTES, news_key
from streams.monitor.trends.news import News
from streams.monitor.trends.repeats import SeenItems
from streams.packing import pack
from streams.topics import MONITOR_STATE_TOPIC, own_specs
from streams.wire.records import StoryTold, TrendWindow, decode
from streams.wire.signals import read_signals

NEWS = APP.model_copy(update={"stories": StorySettings(cosine=0.4, open=10)})


@pytest.fixture(autouse=True, scope="module")
def one_simulation() -> Iterator[None]:
    known = detector.Reference.from_arrays(REFERENCE)
    thresholds = simulate_thresholds(
        known, POLICY.evidence, expected_run_events=12_000.0, seed=0, policy=POLICY.simulation
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "simulate_thresholds", lambda *_, **__: thresholds)
        yield


def told(world: World) -> dict[str, StoryTold]:
    """By item; what was told twice was the same."""
    by_item: dict[str, StoryTold] = {}
    for record in world.records.get(NEWS.stories_topic, []):
        one = decode(StoryTold, record.value)
        assert (record.key or b"").decode() == one.id
        assert by_item.setdefault(one.id, one) == one
    return by_item


def windows(world: World) -> dict[str, TrendWindow]:
    """As they stand: the last word on each."""
    standing: dict[str, TrendWindow] = {}
    for record in world.records.get(NEWS.trends_topic, []):
        one = decode(TrendWindow, record.value)
        assert (record.key or b"").decode() == one.id
        standing[one.id] = one
    return standing


def publish(process: Process, records: int | None = None) -> None:
    """As the service does, states last. records: that were confirmed before it was killed; None: it was not."""
    outbox = sorted(process.handler.outbox, key=lambda record: record.topic == MONITOR_STATE_TOPIC)
    for record in outbox[:records]:
        process._send(record)
    process.handler.outbox.clear()


def follow(process: Process, killed_after: int | None = None) -> None:
    """Take what is there; all but the last record is published and committed, of that one so many records."""
    world = process.world
    end = len(world.records.get(APP.signals_topic, []))
    while process.given < end:
        record, is_last = world.records[APP.signals_topic][process.given], process.given == end - 1
        process.handler.observe([one_delivery(world, record.offset)])
        process.given = record.offset + 1
        publish(process, killed_after if is_last else None)
        if not is_last or killed_after is None:
            world.committed = process.given


def one_delivery(world: World, offset: int) -> Delivery:
    record = world.records[APP.signals_topic][offset]
    return Delivery(record.topic, 0, record.offset, None, record.value, record.timestamp_ms)


actions = st.lists(
    st.one_of(
        st.tuples(st.just("items"), st.integers(1, 12)),
        st.tuples(st.just("worker killed"), st.integers(1, 6)),
        st.tuples(st.just("kill"), st.integers(0, 30)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    min_size=1,
    max_size=14,
)


@given(actions, st.integers(0, 20), st.sampled_from([0.0, 5.0, 1e9]))
@settings(deadline=None, max_examples=repeats(12, 50))
def test_killed_anywhere_every_item_has_the_story_that_an_undisturbed_monitor_tells(
    steps: list[tuple[str, int]], seed: int, snapshot_seconds: float
) -> None:
    random, world, calm = np.random.default_rng(seed), World(), World()
    for twin in (world, calm):
        twin.announce("1")
    steady, process = Process(calm, app=NEWS), Process(world, app=NEWS, snapshot_seconds=snapshot_seconds)
    items = 0
    for action, count in [*steps, ("items", 1)]:
        match action:
            case "items":
                for _ in range(count):
                    world.now_ms += 1_000
                    subjects = random.integers(LABELS + 1, size=2)
                    batch = [signal(items + n, "1", int(one), random, world.now_ms) for n, one in enumerate(subjects)]
                    items += len(batch)
                    world.signals(batch)
                    calm.now_ms = world.now_ms
                    calm.signals(batch)
            case "worker killed":  # it decides its last records again
                last = world.records.get(APP.signals_topic, [])[-count:]
                for record in last:
                    world.append(APP.signals_topic, record.value)
            case "kill":
                follow(process, killed_after=count)
                process = Process(world, app=NEWS, snapshot_seconds=snapshot_seconds)
            case "stop":
                follow(process)
                process.stop()
                process = Process(world, app=NEWS, snapshot_seconds=snapshot_seconds)
    for one in (process, steady):
        follow(one)
        one.tick()  # caught up, so that its state may be put down
        one.handler.hand_over()
        publish(one)
    assert windows(world) == windows(calm)
    assert sum(one.items for one in windows(world).values() if one.window == "1d" and one.topic) == items
    assert told(world) == told(calm)
    assert len(told(world)) == items
    assert all(one.story_id in told(world) for one in told(world).values())


def test_killed_after_any_record_of_what_it_was_to_publish_nothing_is_lost_or_doubled() -> None:
    """Between the states of windows and of stories as well, and where windows changed that nobody told yet."""
    calm, ends = World(), list[int]()
    calm.announce("1")
    random = np.random.default_rng(0)
    for number in range(6):
        calm.now_ms += 1_000
        subjects = random.integers(LABELS + 1, size=2)
        calm.signals([signal(2 * number + n, "1", int(one), random, calm.now_ms) for n, one in enumerate(subjects)])
    steady = Process(calm, app=NEWS)
    follow(steady)
    steady.tick()
    steady.stop()
    for killed_after in range(40):
        world = World(records={APP.signals_topic: calm.records[APP.signals_topic][:2]}, releases=calm.releases)
        world.now_ms = calm.now_ms
        before = Process(world, app=NEWS)
        follow(before)
        before.tick()
        before.stop()
        world.records[APP.signals_topic] = calm.records[APP.signals_topic][:4]
        kept = len(world.records[MONITOR_STATE_TOPIC])
        first = Process(world, app=NEWS)
        follow(first, killed_after=killed_after)
        ends.append(len(world.records[MONITOR_STATE_TOPIC]) - kept)
        world.records[APP.signals_topic] = [*calm.records[APP.signals_topic]]
        second = Process(world, app=NEWS)
        follow(second)
        second.tick()
        second.stop()
        assert windows(world) == windows(calm) and told(world) == told(calm)
    assert {0, 1, 2, 3} <= set(ends)


def test_a_kept_state_is_told_after_all_that_it_has_behind_it() -> None:
    """A state that stood while what it had behind it was lost would keep those items without a story for ever."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    world.signals([signal(n, "1", 0, random, world.now_ms) for n in range(3)])
    process = Process(world, app=NEWS)
    process.handler.observe([one_delivery(world, 0)])
    process.tick()
    process.stop()
    topics = [record.topic for topic in world.records.values() for record in topic]
    assert topics.count(NEWS.stories_topic) == 3 and news_key("support") in {
        record.key for record in world.records[MONITOR_STATE_TOPIC]
    }


def test_stories_kept_long_ago_are_brought_up_to_date_no_longer_than_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, random, kept = World(), np.random.default_rng(0), list[Record]()
    world.announce("1")
    for _ in range(2):
        world.signals([signal(len(world.records.get(APP.signals_topic, [])), "1", 0, random, world.now_ms)])
        process = Process(world, app=NEWS)
        process.follow()
        process.stop()
        kept += [one for one in world.records[MONITOR_STATE_TOPIC] if one.key == news_key("support")][:1]
    world.append(MONITOR_STATE_TOPIC, kept[0].value, news_key("support"))  # of the first signal alone
    late = Process(world, app=NEWS)
    read, given = late.sources.read, list[Record]()

    def without_end(topic: str, *stretch: Any) -> Iterator[Record]:
        for record in read(topic, *stretch):
            yield record
            while topic == APP.signals_topic and len(given) < 1_000:
                given.append(record)
                late.handler.relieve()
                yield record

    monkeypatch.setattr(late.sources, "read", without_end)
    late.handler.observe([])
    assert late.handler.core is None and len(given) == 1


@pytest.mark.parametrize("value", [b"", b"{}\n", b'{"format": 1, "app": "support", "epoch": "0a1b2c3d"}\n', b"\xff"])
def test_a_state_that_cannot_be_used_begins_anew_and_is_counted(value: bytes) -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    world.append(MONITOR_STATE_TOPIC, value, news_key("support"))
    world.signals([signal(0, "1", 0, random, world.now_ms)])
    process = Process(world, app=NEWS)
    process.follow()
    assert process.handler.counts.parts_lost["news"] == 1
    assert list(told(world)) == ["support.chats@0a1b2c3d-0-0"]


def test_an_application_without_stories_tells_none_and_has_no_topic_for_them() -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    world.signals([signal(0, "1", 0, random, world.now_ms)])
    process = Process(world)
    process.follow()
    process.stop()
    assert APP.stories_topic not in world.records
    assert not any(record.key == news_key("support") for record in world.records[MONITOR_STATE_TOPIC])
    assert NEWS.stories_topic in {spec.name for spec in own_specs([NEWS])}
    assert APP.stories_topic not in {spec.name for spec in own_specs([APP])}


def test_an_item_dated_years_ahead_closes_no_story() -> None:
    random = np.random.default_rng(0)
    now_ms = World().now_ms
    values = [signal(n, "1", 0, random, now_ms + n) for n in range(4)]
    values[1]["at"] = "2099-01-01T00:00:00.000Z"
    news = News(NEWS)
    for offset, one in enumerate(read_signals(orjson.dumps(values)).signals):
        news.take(one, (0, offset), now_ms)
    assert {one.story_id for one in news.told} == {str(values[0]["id"])}


def test_signals_of_several_partitions_each_have_their_place() -> None:
    """As on the embedded broker."""
    random, news = np.random.default_rng(0), News(NEWS)
    for partition in (3, 1):
        for offset in range(2):
            (one,) = read_signals(orjson.dumps([signal(10 * partition + offset, "1", 0, random, 1)])).signals
            one = one.model_copy(update={"id": f"support.chats@0a1b2c3d-{partition}-{offset}"})
            news.take(one, (partition, offset), 1)
            news.passed((partition, offset))
    assert len(news.told) == 4 and news.next_offsets == {3: 2, 1: 2}


def test_what_is_kept_of_full_stories_stays_below_what_any_broker_takes() -> None:
    """At 384 and at 1,024 dimensions, with ids as long as topics' names may be."""
    for dimensions in (384, 1_024):
        news = News(NEWS.model_copy(update={"stories": StorySettings()}))
        random = np.random.default_rng(0)
        vectors = random.standard_normal((900, dimensions)).astype(np.float16)
        for number, vector in enumerate(vectors):
            one = signal(number, "1", 0, random, World().now_ms)
            one |= {"embedding": pack(vector), "text": None}
            one |= {"id": f"{'t' * 60}@0a1b2c3d-0-{number}"}
            (read,) = read_signals(orjson.dumps([one])).signals
            news.take(read, (0, number), World().now_ms)
        value = news.encode("0a1b2c3d")
        assert 500_000 < len(value) < MAX_BYTES
        again = News(NEWS.model_copy(update={"stories": StorySettings()}))
        again.restore(value, "0a1b2c3d")
        assert again.encode("0a1b2c3d") == value


def test_partitions_that_are_not_heard_of_make_room_and_an_id_of_nobody_is_new() -> None:
    seen = SeenItems()
    assert seen.is_new("news@e-0-5") and not seen.is_new("news@e-0-5") and not seen.is_new("news@e-0-4")
    assert seen.is_new("news@e-1-0") and seen.is_new("by hand") and seen.is_new("by hand")
    for number in range(5_000):
        seen.is_new(f"other@e-{number}-0")
    assert len(seen.state()) == 4_096 and seen.is_new("news@e-0-5")


def test_only_what_classifies_has_stories() -> None:
    text = 'name = "shop"\nkind = "recommend"\ntopic = "user.events"\ncatalog = "items.csv"\n[stories]\n'
    with pytest.raises(ConfigError, match="stories"):
        parse_application(text, Path("."), "shop.toml")
