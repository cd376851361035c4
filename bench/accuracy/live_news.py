"""What the monitor's part for news costs: time of an item, memory over many items, bytes of its kept state."""

import base64
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import orjson
import psutil
from numpy.typing import NDArray

from streams.application import Application, HeadSpec, Source, Stories
from streams.monitor.handler import SNAPSHOT_SECONDS, TRENDS_SECONDS
from streams.monitor.trends.news import News
from streams.wire.records import TrendWindow, format_time
from streams.wire.signals import read_signals

Progress = Callable[[str, int, int], None]
TELL_EVERY: Final = 1_000
TOPICS, SYMBOLS = 6, 100  # of the items that are made
NEIGHBOURS: Final = 40  # items in a row that name the same symbols: copies, which come close together, do
STATE_SECONDS = int(SNAPSHOT_SECONDS)
START_MS: Final = 1_795_910_400_000
MOODS: Final = ("positive", "neutral", "negative")


def measure_live(
    texts: Sequence[str], embeddings: NDArray[np.float32], items: int, per_second: int, progress: Progress, seed: int
) -> dict[str, Any]:
    """Items are the feed's, each moved at random so that stories begin all the time; labels and symbols are drawn.
    per_second: of event time. Resident bytes are the process's after each tenth; microseconds are of CPU, with what is
    read, told and kept."""
    app = Application(
        name="bench",
        topic="news",
        heads=(HeadSpec(name="topic", column="t"), HeadSpec(name="sentiment", column="s")),
        source=Source(symbols="/symbols"),
        stories=Stories(),
    )
    news, draws, process = News(app), np.random.default_rng(seed), psutil.Process()
    stories, windows, told_bytes, spent, resident = 0, 0, 0, 0.0, list[int]()
    for number in range(items):
        if number % TELL_EVERY == 0:
            progress("memory", number, items)
        row, at_ms = number % len(texts), START_MS + number * 1_000 // per_second
        record = orjson.dumps([_signal(number, texts[row], _moved(embeddings[row], draws), at_ms, draws)])
        began = time.process_time()
        (signal,) = read_signals(record).signals
        news.take(signal, (0, number), at_ms)
        news.passed((0, number))
        stories += sum(one.nth == 1 for one in news.told)
        told_bytes += sum(len(one.encode()) for one in news.told)
        news.told.clear()
        due = [name for name, seconds in TRENDS_SECONDS.items() if number % int(seconds * per_second) == 0]
        for window in news.trends.documents(due) if due else ():
            told_bytes += len(TrendWindow(**window).encode())
            windows += 1
        if number % (STATE_SECONDS * per_second) == 0:
            news.encode_trends("0"), news.encode("0")
        spent += time.process_time() - began
        if (number + 1) * 10 // items > len(resident):
            resident.append(process.memory_info().rss)
    progress("memory", items, items)
    return {
        "items": items,
        "per_second": per_second,
        "stories_begun": stories,
        "windows_told": windows,
        "told_bytes_per_item": round(told_bytes / items),
        "left_out": dict(news.trends.left_out),
        "microseconds_per_item": round(1e6 * spent / items, 1),
        "state_bytes": {"stories": len(news.encode("0")), "windows": len(news.encode_trends("0"))},
        "resident_bytes": resident,
    }


def _moved(embedding: NDArray[np.float32], draws: np.random.Generator) -> NDArray[np.float32]:
    moved = embedding + draws.standard_normal(len(embedding), np.float32) * 2 / math.sqrt(len(embedding))
    unit: NDArray[np.float32] = (moved / np.linalg.norm(moved)).astype(np.float32)
    return unit


def _signal(
    number: int, text: str, embedding: NDArray[np.float32], at_ms: int, draws: np.random.Generator
) -> dict[str, Any]:
    topic, mood = draws.integers((TOPICS, len(MOODS)))
    symbols = np.random.default_rng(number // NEIGHBOURS).integers(SYMBOLS, size=2)
    at = format_time(at_ms)
    return {
        "id": f"finance.news@0a1b2c3d-0-{number}",
        "at": at,
        "decided_at": at,
        "version": "1",
        "labels": {"topic": (f"topic {topic}", 0.9), "sentiment": (MOODS[mood], 0.9)},
        "text": f"{text} {number}",
        "symbols": [f"SYM{one}" for one in symbols[: 1 + number % 2]],
        "embedding": base64.b64encode(embedding.astype(np.float16).tobytes()).decode(),
    }
