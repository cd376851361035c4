"""Windows that are counted as items come say what counting the stored decisions says, and stay bounded."""

import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repeats import repeats

from connectors.sqlite_store import SQLiteStore
from headrace.tools.digest.stories import Groups
from headrace.tools.trends.making import TrendsOrder, counted, make
from headrace.tools.trends.windows import Trends
from streams.application import Application, HeadSpec, Source, Stories
from streams.monitor.trends.live import LiveTrends, TrendPolicy
from streams.monitor.trends.news import News
from streams.monitor.trends.windows import LENGTHS, Group
from streams.wire.records import TrendWindow, format_time
from streams.wire.signals import MonitorSignal, hashed_key

APP = Application(
    name="finance",
    topic="news",
    heads=(HeadSpec(name="topic", column="t"), HeadSpec(name="sentiment", column="s")),
    source=Source(symbols="/symbols"),
)
START_MS = 1_795_910_400_000  # 29 November 2026, 00:00
NOW = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = 3_600
SOURCES = ("a blog", "a wire", "another")
WEIGHTS = {"a blog": 0.5, "a wire": 2.0}


def item(
    number: int, at_seconds: float, mood: str = "positive", *, delay: float = 0.1, topic: str = "oil", **fields: Any
) -> MonitorSignal:
    """at_seconds: since START_MS. delay: from then until it was decided."""
    at_ms = START_MS + round(1_000 * at_seconds)
    known = {
        "id": f"news@0a1b2c3d-0-{number}",
        "at": format_time(at_ms),
        "decided_at": format_time(at_ms + round(1_000 * delay)),
        "version": "1",
        "labels": {"topic": (topic, 0.9), "sentiment": (mood, 0.8)},
        "text": f"item {number}",
        "symbols": ("BRKW",),
    }
    return MonitorSignal.model_validate(known | fields)


def decision(signal: MonitorSignal) -> dict[str, Any]:
    """What the store holds of the same item."""
    labels = {head: {"label": label, "probability": p} for head, (label, p) in signal.labels.items()}
    labels["topic"]["rejected"] = bool(signal.rejected)
    beside = {"id": "b", "span": [0, 1], "probability": 0.9}
    entities = [beside | {"name": name, "sentiment": sentiment} for name, sentiment in signal.entities]
    known = {"id": signal.id, "at": signal.at, "decided_at": signal.decided_at, "labels": labels, "text": signal.text}
    return known | {"entities": entities, "extra": {"symbols": list(signal.symbols)}}


def now_seconds(signal: MonitorSignal) -> float:
    return datetime.fromisoformat(signal.at).timestamp()


def standing(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in documents}


items = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR),
        st.sampled_from(["positive", "neutral", "negative"]),
        st.sampled_from(["oil", "chips"]),
        st.integers(0, 6),
        st.sampled_from([-400.0, 0.1, 400.0, 4_000.0]),
        st.booleans(),
        st.sampled_from([(), (("Brackwater", "negative"),)]),
    ),
    max_size=40,
)


@given(items, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=4))
@settings(deadline=None, max_examples=repeats(50, 150))
def test_windows_equal_those_counted_from_the_stored_decisions_in_whatever_order_items_came(
    given_items: list[Any], order: random.Random, restarts: list[int]
) -> None:
    """With state put down and taken up in between, and stories that are over: only what is too late may differ, and
    nothing is too late here."""
    signals = [
        (
            item(
                n,
                at,
                mood,
                topic=topic,
                delay=delay,
                rejected=rejected,
                entities=entities,
                symbols=("A", "B", "")[: n % 4],
                key=hashed_key(SOURCES[n % 3]),
            ),
            f"story {story}",
        )
        for n, (at, mood, topic, story, delay, rejected, entities) in enumerate(given_items)
    ]
    expected = {length: Trends(length, WEIGHTS) for length in LENGTHS}
    groups = Groups(APP, "sentiment")
    numbers, hashed = {one.id: n for n, (one, _) in enumerate(signals)}, {hashed_key(k): w for k, w in WEIGHTS.items()}
    for signal, story in sorted(signals, key=lambda one: (one[0].at, one[0].id)):
        for trends in expected.values():
            trends.add(decision(signal) | {"key": SOURCES[numbers[signal.id] % 3]}, story, groups)
    arrived = [*signals]
    order.shuffle(arrived)
    policy = TrendPolicy(late_seconds=24 * HOUR)
    live, told = LiveTrends("finance", APP.head_names, policy, hashed), dict[str, dict[str, Any]]()
    to_come = [story for _, story in arrived]
    for number, (signal, story) in enumerate(arrived):
        live.take(signal, story, START_MS / 1_000 + HOUR, 0)
        to_come.pop(0)
        if story not in to_come and number % 2:
            live.forget([story])
        if number in restarts:
            told |= standing(live.documents())
            again = LiveTrends("finance", APP.head_names, policy, hashed)
            again.restore(live.state())
            again.left_out.update(live.left_out)
            live = again
    told |= standing(live.documents())
    told_of_decisions = {
        one["id"]: one
        for trends in expected.values()
        for one in (w.document("finance", trends.length) for w in trends.of(Group()))
    }
    assert told == told_of_decisions
    assert live.left_out["future"] == expected["1h"].future
    assert all(TrendWindow(**one).items for one in told.values())


def test_a_window_takes_late_items_in_for_as_long_as_it_is_told_then_counts_them() -> None:
    live = LiveTrends("finance", APP.head_names, TrendPolicy(late_seconds=600.0))
    live.take(item(1, 10), "a", now_seconds(item(1, 10)), 0)
    live.take(item(2, 20, delay=800.0), "a", now_seconds(item(9, 800)), 0)
    five = next(one for one in live.documents() if one["window"] == "5m" and one["symbol"] and not one["topic"])
    assert (five["items"], five["late"]) == (2, 1)
    live.take(item(3, 30, delay=1_000.0), "a", now_seconds(item(9, 1_000)), 0)
    told = standing(live.documents())
    assert not any("|5m|" in name for name in told) and any("|1h|" in name for name in told)
    assert live.left_out["late"] == 1


def test_a_window_that_closes_is_told_as_it_stood() -> None:
    live = LiveTrends("finance", APP.head_names, TrendPolicy(late_seconds=0.0))
    live.take(item(1, 10), "a", now_seconds(item(1, 10)), 0)
    live.take(item(2, 3 * HOUR), "b", now_seconds(item(2, 3 * HOUR)), 0)
    told = standing(live.documents())
    assert {(one["window"], one["items"]) for one in told.values()} == {("5m", 1), ("1h", 1), ("1d", 2)}
    assert sum("T00:00" in name for name in told) == 3 * 3  # topic, symbol and both, of each length
    assert live.documents() == []


def test_what_changed_is_told_once() -> None:
    live = LiveTrends("finance", APP.head_names)
    live.take(item(1, 10), "a", now_seconds(item(1, 10)), 0)
    live.take(item(2, 11), "a", now_seconds(item(1, 10)), 0)
    assert [one["items"] for one in live.documents()] == [2] * 9
    assert live.documents() == []
    live.take(item(9, 12), "a", now_seconds(item(1, 10)), 0)
    assert {one["window"] for one in live.documents(["5m"])} == {"5m"}
    assert {one["window"] for one in live.documents()} == {"1h", "1d"}
    live.take(item(3, 400, topic="chips", symbols=()), "a", now_seconds(item(1, 10)), 0)
    assert {(one["topic"], one["items"]) for one in live.documents()} == {("chips", 1)}


def test_memory_is_bounded_and_what_is_left_out_is_counted() -> None:
    live = LiveTrends("finance", APP.head_names, TrendPolicy(windows=12, parts=20))
    for number in range(200):
        one = item(number, number, symbols=(f"S{number}",))
        live.take(one, f"story {number}", now_seconds(one), 0)
    assert len(live._windows) == 12 and live._parts <= 20
    assert live.left_out["window"] > 0 and live.left_out["story"] > 0
    live.take(item(900, 10, symbols=("x" * 300,)), "a", now_seconds(item(1, 10)), 0)
    assert live.left_out["long_name"] == 2


def test_what_is_kept_of_full_windows_stays_below_what_any_broker_takes() -> None:
    live, stream = LiveTrends("finance", APP.head_names), random.Random(0)
    for number in range(40_000):
        words = " ".join(f"{stream.randrange(16**8):x}" for _ in range(26))[:240]
        one = item(number, number / 10, symbols=(f"S{stream.randrange(900)}",), text=words)
        live.take(one, f"finance.news@0a1b2c3d-0-{number}", now_seconds(one), 0)
        live.forget([f"finance.news@0a1b2c3d-0-{number - 800}"])
    live.documents()
    assert len(live._windows) > 4_000
    assert len(live.state()) < 900_000


def test_the_monitor_weighs_sources_as_the_file_says_and_goes_on_with_a_state_of_before_weights() -> None:
    news = News(APP.model_copy(update={"stories": Stories(sources={"a wire": 3.0, "a blog": 0.5})}))
    for number in range(8):
        source, mood = ("a wire", "positive") if number < 2 else ("a blog", "negative")
        vector = np.eye(8, dtype=np.float32)[number]
        signal = item(number, number, mood, key=hashed_key(source), text=f"{number} " * 9).model_copy(
            update={"embedding": vector}
        )
        news.take(signal, (0, number), START_MS)
    (window,) = [one for one in news.trends.documents(["1h"]) if one["symbol"] and not one["topic"]]
    assert window["stories"] == 8 and window["sentiment"]["mean"] == pytest.approx(3 / 9, abs=1e-4)
    before = LiveTrends("finance", APP.head_names)
    for number in range(6):
        before.take(item(number, number), f"{number}", now_seconds(item(number, number)), 0)
    before.forget(["0", "1"])
    state = orjson.loads(zlib.decompress(before.state()))
    assert {(len(counts), len(part)) for *_, counts, parts, _ in state["windows"] for part in parts} == {(6, 7)}
    after = LiveTrends("finance", APP.head_names, weights={hashed_key("a blog"): 0.5})
    after.restore(before.state())
    after.take(item(6, 6, "negative", key=hashed_key("a blog")), "6", now_seconds(item(6, 6)), 0)
    (window,) = [one for one in after.documents(["1h"]) if one["symbol"] and not one["topic"]]
    assert window["sentiment"]["mean"] == pytest.approx(5.5 / 6.5, abs=1e-4)


@pytest.mark.parametrize("value", [b"", b"x", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_state_of_something_else_is_refused(value: bytes) -> None:
    with pytest.raises((ValueError, zlib.error, orjson.JSONDecodeError)):
        LiveTrends("finance", APP.head_names).restore(value)


def test_an_item_of_a_sample_marks_its_windows() -> None:
    live = LiveTrends("finance", APP.head_names)
    live.take(item(1, 10, share=0.5), "a", now_seconds(item(1, 10)), 0)
    assert all(one["is_sample"] for one in live.documents())


@pytest.mark.parametrize("length", LENGTHS)
def test_the_command_reads_what_was_counted_where_it_was_for_all_of_the_stretch(tmp_path: Path, length: str) -> None:
    """The same lines as those that are counted from the decisions; and from those where some came before."""
    app = APP.model_copy(update={"stories": Stories()})
    moods = ("positive", "negative", "neutral")
    signals = [
        item(n, 60 * n, moods[n % 3], topic="oil" if n % 2 else "chips", delay=0.1 + 400 * (n % 7 == 0))
        for n in range(70)
    ]
    signals[3] = item(3, 180, entities=(("Brackwater", "negative"),), symbols=("A", "B"))
    live, store = LiveTrends("finance", app.head_names), SQLiteStore(tmp_path / "decisions.db")
    for one in signals:
        live.take(one, signals[int(one.id.rpartition("-")[2]) % 9].id, now_seconds(one), 0)
    store.prepare({"finance": app.head_names}, ["finance"])
    base = {
        "app": "finance",
        "model": "finance",
        "version": "1",
        "path": "full",
        "latency_ms": 1,
        "action": "none",
        "key": "k",
    }
    assert not store.index([decision(one) | base for one in signals]).rejected
    store.tell(
        [
            {"id": one.id, "app": "finance", "at": one.at, "story_id": signals[n % 9].id, "novelty": 0.1}
            for n, one in enumerate(signals)
        ]
    )
    assert not store.put_windows(
        [TrendWindow(**one).model_dump(exclude_none=True) for one in live.documents()]
    ).rejected
    until = datetime(2026, 11, 29, 2, tzinfo=UTC)
    for wanted in (
        Group(),
        Group(symbol="BRKW"),
        Group(topic="oil", symbol="BRKW"),
        Group(entity="Brackwater"),
        Group(topic="x"),
    ):
        order = TrendsOrder("finance", length, wanted, since=datetime(2026, 11, 29, tzinfo=UTC), until=until)
        made = make(store, app, order, lambda texts: pytest.fail("no encoder is needed"), until)
        expected = [window.as_json("finance", length, until) for window in made.of(wanted)]
        assert counted(store, app, order, until) == expected
        assert bool(expected) == (wanted != Group(topic="x"))
    everything = TrendsOrder("finance", length, since=datetime(2026, 11, 29, tzinfo=UTC), until=until)
    assert counted(store, APP, everything, until) is None
    assert counted(store, app, replace(everything, mood="topic"), until) is None
    assert counted(store, app, replace(everything, page=tmp_path / "x.html"), until) is None
    assert counted(store, app, replace(everything, until=until - timedelta(seconds=1)), until) is None
    earlier = replace(everything, since=datetime(2026, 11, 28, tzinfo=UTC))
    assert counted(store, app, earlier, until) == counted(store, app, everything, until)
    store.index([decision(item(99, -7_200)) | base])
    assert counted(store, app, earlier, until) is None
    store.close()
