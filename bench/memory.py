"""Memory of one worker process that holds three applications, at half load, and how soon it decides after a start.

The first start trains what has no model yet, fills the caches and measures the maximum rate on a loaded backlog; the
second is timed and watched.
"""

import csv
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from confluent_kafka import Producer
from scipy.stats import theilslopes

from bench.bed import Bed, Running, cpu_name
from bench.measuring import steady_rate
from bench.records import TopicView
from bench.rounds import SILENCE_SECONDS, START_SECONDS, Progress
from bench.texts import LabelledText, unique_texts
from headrace.applications import SHIPPED, file_of, load_application
from headrace.wiring import Wiring
from models.errors import ConfigError, HeadraceError
from streams.application import Application

BACKLOG_EVENTS: Final = 6_000
WARM_UP_SHARE: Final = 0.2  # of the samples: caches and pools fill
SAMPLE_SECONDS: Final = 2.0
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """rate: events a second in all; None takes half of the measured maximum."""

    minutes: float = 10.0
    rate: float | None = None
    seed: int = 0


class Load:
    """One application's topic and the events for it, endless and each different."""

    def __init__(self, bed: Bed, name: str, seed: int) -> None:
        shipped = load_application(name)
        self.name, self.partitions = f"{bed.run}-{name}", shipped.partitions
        self.topic = f"{self.name}.events"
        bed.create_topic(self.topic, self.partitions)
        self.output = bed.create_output(self.name, self.partitions)
        try:
            bed.copy_model(self.name, shipped)
        except ConfigError:
            pass  # none in the registry: the worker's first start trains one from the application's corpus
        bed.pin(self.name, self.topic)
        self.toml = bed.write(f"{self.name}.toml", renamed(name, self.name, self.topic))
        self._events = _events(shipped, seed)
        self.sent = 0

    def send(self, producer: Producer) -> None:
        """The next event."""
        producer.produce(
            self.topic, orjson.dumps(next(self._events)), str(self.sent).encode(), self.sent % self.partitions
        )
        producer.poll(0)
        self.sent += 1


def run(wiring: Wiring, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Both starts; returns the report. Raises ConfigError, ConnectorError."""
    with Bed(wiring, load_application(SHIPPED[0])) as bed:
        loads = [Load(bed, name, plan.seed) for name in SHIPPED]
        views = [bed.view(load.output, load.partitions) for load in loads]
        producer = Producer({**bed.config, "linger.ms": 5, "acks": "all"})
        maximum = _first_start(bed, loads, views, producer, progress)
        rate = plan.rate or maximum / 2
        first_decision, running = _second_start(bed, loads, views, producer)
        samples = _watch(running, loads, producer, rate, plan.minutes * 60, progress)
        _wait_until_decided(running, loads, views, producer)
        decided = sum(sum(view.ends().values()) for view in views)
        sent = sum(load.sent for load in loads)
        running.stop()
        for view in views:
            view.close()
    return summary(samples) | {
        "applications": list(SHIPPED),
        "minutes": plan.minutes,
        "events_per_second": round(rate, 1),
        "maximum_per_second": round(maximum, 1),
        "events": sent,
        "lost": max(sent - decided, 0),
        "repeated": max(decided - sent, 0),
        "first_decision_seconds": round(first_decision, 2),
        "cpu": cpu_name(),
    }


def summary(samples: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """samples: seconds and bytes. The slope is Theil and Sen's (the median of all pairs' slopes) after the warm-up."""
    if len(samples) < 10:
        raise ConfigError(f"{len(samples)} samples of memory are too few; watch for longer (--minutes)")
    seconds, size = np.array(samples, dtype=np.float64).T
    settled = seconds >= seconds[0] + WARM_UP_SHARE * (seconds[-1] - seconds[0])
    slope, _, low, high = theilslopes(size[settled] / MEGABYTE, seconds[settled] / 3600)
    return {
        "rss_mb": {
            "start": round(size[0] / MEGABYTE, 1),
            "median": round(float(np.median(size)) / MEGABYTE, 1),
            "largest": round(size.max() / MEGABYTE, 1),
            "end": round(size[-1] / MEGABYTE, 1),
        },
        "slope_mb_per_hour": {
            "slope": round(float(slope), 2),
            "low": round(float(low), 2),
            "high": round(float(high), 2),
        },
    }


def renamed(name: str, new_name: str, topic: str) -> str:
    """An application's TOML under another name, on another topic, its files where they are. name: of a shipped one, or
    a path."""
    file = file_of(name)
    folder, text = file.parent.resolve(), file.read_text(encoding="utf-8")
    text = re.sub(r'^name = ".*"$', f'name = "{new_name}"', text, count=1, flags=re.MULTILINE)
    text = re.sub(r'^topic = ".*"$', f'topic = "{topic}"', text, count=1, flags=re.MULTILINE)
    return re.sub(
        r'^(corpus|catalog|names) = "(.*)"$',
        lambda match: f'{match[1]} = "{folder / match[2]}"',
        text,
        flags=re.MULTILINE,
    )


def rss_bytes(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError as error:
        raise ConfigError(f"the memory of process {pid} cannot be read from /proc: {error}") from error
    raise ConfigError(f"process {pid} has no memory any more: it has ended")


def _first_start(
    bed: Bed, loads: Sequence[Load], views: Sequence[TopicView], producer: Producer, progress: Progress
) -> float:
    """The maximum rate on all three together, and warm caches."""
    progress("first start", 0, 1)
    for load in loads:
        for _ in range(BACKLOG_EVENTS):
            load.send(producer)
    producer.flush(SILENCE_SECONDS)
    running = bed.start_worker(*(load.toml for load in loads), name="first-worker")
    _wait_until_decided(running, loads, views, producer)
    running.stop()
    stamps = [message.timestamp()[1] for view in views for message in view.read()]
    progress("first start", 1, 1)
    # to the last one of all: until the first application is through, its events, the cheapest, would count for more
    # than a third
    return steady_rate(stamps, warm_up_ms=0).per_second


def _second_start(
    bed: Bed, loads: Sequence[Load], views: Sequence[TopicView], producer: Producer
) -> tuple[float, Running]:
    """Seconds from the start of the process until each application has decided an event that was waiting for it."""
    before = [sum(view.ends().values()) for view in views]
    for load in loads:
        load.send(producer)
    producer.flush(SILENCE_SECONDS)
    started = time.monotonic()
    running = bed.start_worker(*(load.toml for load in loads), name="worker")
    while any(sum(view.ends().values()) <= count for view, count in zip(views, before, strict=True)):
        running.check()
        if time.monotonic() - started > START_SECONDS:
            raise ConfigError(f"the worker decided nothing within {START_SECONDS:.0f} s: {running.tail()}")
        time.sleep(0.05)
    return time.monotonic() - started, running


def _watch(
    running: Running, loads: Sequence[Load], producer: Producer, rate: float, seconds: float, progress: Progress
) -> list[tuple[float, int]]:
    """Send evenly, one event to each application in turn, and sample the memory."""
    started, next_sample, samples, count = time.monotonic(), 0.0, [], 0
    while (now := time.monotonic() - started) < seconds:
        if now >= next_sample:
            running.check()
            samples.append((now, rss_bytes(running.process.pid)))
            next_sample += SAMPLE_SECONDS
            progress("half load, seconds", int(now), int(seconds))
        wait = count / rate - now
        if wait > 0:
            time.sleep(min(wait, SAMPLE_SECONDS))
            continue
        loads[count % len(loads)].send(producer)
        count += 1
    progress("half load, seconds", int(seconds), int(seconds))
    return samples


def _wait_until_decided(
    running: Running, loads: Sequence[Load], views: Sequence[TopicView], producer: Producer
) -> None:
    """Raises ConfigError where nothing moves any more."""
    producer.flush(SILENCE_SECONDS)
    total, last, moved, patience = sum(load.sent for load in loads), -1, time.monotonic(), START_SECONDS * 2
    while (done := sum(sum(view.ends().values()) for view in views)) < total:
        running.check()
        if done > last:
            patience = START_SECONDS * 2 if last < 0 else SILENCE_SECONDS
            last, moved = done, time.monotonic()
        if time.monotonic() - moved > patience:
            raise ConfigError(f"{total - done} of {total} events were not decided: {running.tail()}")
        time.sleep(0.5)


def _events(app: Application, seed: int) -> Iterator[Mapping[str, Any]]:
    """From the application's own corpus, over and over; every text another one."""
    if app.corpus is None:
        raise HeadraceError(f"{app.name} has no corpus to make events of")
    with app.corpus.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    while True:
        if app.kind == "recommend":
            yield from ({name: row[name] for name in ("user_id", "item_id", "action")} for row in rows)
        else:
            texts = {row["text"]: LabelledText(row["text"], None) for row in rows}
            yield from ({"text": row.text} for row in unique_texts(list(texts.values()), 100_000, seed))
        seed += 1
