"""One, two and four workers in one group on a topic of eight partitions, with inference replaced by a sleep.

Two cores cannot compute for four workers, so each sleeps for the seconds that one core takes for a text (measured, or
given). What is shown is that nothing but inference holds a worker up: groups, engine, broker and records are the real
ones.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from bench.bed import Bed, Running, cpu_name
from bench.records import load_texts
from bench.rounds import START_SECONDS, Progress, Source, session_round
from bench.texts import read_texts, unique_texts
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import Application

PARTITIONS: Final = 8
WORKERS: Final = (1, 2, 4)
MEASURED_SECONDS: Final = 8.0
SETTLED_SECONDS: Final = 5.0
GRID_SECONDS: Final = 0.05
LOADED_SHARE: Final = 1.4
GROUP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """sleep_seconds: per text; None measures what one core takes. seconds: measured for each number of workers."""

    data: Path
    sleep_seconds: float | None = None
    seconds: float = 40.0
    seed: int = 0


def run(wiring: Wiring, app: Application, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Each number of workers in turn; returns the report. Raises ConfigError, ConnectorError."""
    texts = read_texts(plan.data, label_column=None)
    with Bed(wiring, app) as bed:
        topic = f"{bed.run}.texts"
        bed.create_topic(topic, PARTITIONS)
        version, epoch = bed.copy_model(bed.run), bed.admin.describe([topic])[topic].epoch
        first = unique_texts(texts, 2_000, plan.seed)
        load_texts(bed.config, topic, [row.text for row in first], PARTITIONS)
        sleep = plan.sleep_seconds
        if sleep is None:
            source = Source(topic, epoch, PARTITIONS, len(first), version, 1)
            sleep = (
                1
                / session_round(
                    bed,
                    source,
                    MEASURED_SECONDS,
                    {"threads": 1, "sessions": 1, "batch": 16, "window": 256, "spinning": False},
                ).rate.per_second
            )
        # a group that is not settled yet works as well: enough for its start and for the time
        count = int(max(WORKERS) / sleep * (plan.seconds + 30) * LOADED_SHARE)
        load_texts(
            bed.config,
            topic,
            [row.text for row in unique_texts(texts, count, plan.seed)[len(first) :]],
            PARTITIONS,
            len(first),
        )
        rates = {}
        for number, workers in enumerate(WORKERS):
            progress("workers", number, len(WORKERS))
            rates[workers] = _rate(bed, topic, workers, sleep, plan.seconds)
        progress("workers", len(WORKERS), len(WORKERS))
    return {
        "workers": {str(workers): round(rate, 1) for workers, rate in rates.items()},
        "ratios": {f"{workers}/1": round(rate / rates[1], 3) for workers, rate in rates.items() if workers > 1},
        "inference": "replaced by a sleep: this shows the stream engine's scaling, not the encoder's",
        "sleep_seconds_per_text": round(sleep, 6),
        "sleep_measured": plan.sleep_seconds is None,
        "partitions": PARTITIONS,
        "seconds": plan.seconds,
        "cpu": cpu_name(),
    }


def slope_per_second(stamps_ms: Sequence[int], start_ms: int, end_ms: int) -> float:
    """Answers a second as the slope of a straight line through their cumulative count, least squares on an even grid.

    Workers answer in batches that take seconds each; the slope of such a staircase is off by the square of the step's
    share of the time only, where counting between two moments is off by the share itself.
    """
    stamps = np.sort(np.asarray(stamps_ms, dtype=np.int64))
    grid = np.arange(start_ms, end_ms, GRID_SECONDS * 1000)
    counts = np.searchsorted(stamps, grid, side="right")
    return float(np.polyfit((grid - start_ms) / 1000, counts, 1)[0])


def _rate(bed: Bed, topic: str, workers: int, sleep: float, seconds: float) -> float:
    name = f"{bed.run}-w{workers}"
    output = bed.create_output(name, PARTITIONS)
    bed.copy_model(name)
    group = bed.pin(name, topic)
    toml = bed.application_file(name, topic, PARTITIONS, fast_path=False)
    running = [bed.start("bench.sleeping_worker", str(toml), str(sleep), name=f"worker-{n}") for n in range(workers)]
    view = bed.view(output, PARTITIONS)
    try:
        _wait_for_group(AdminClient(bed.config), group, running)
        time.sleep(SETTLED_SECONDS)
        start_ms = time.time_ns() // 1_000_000
        time.sleep(seconds)
        end_ms = time.time_ns() // 1_000_000
        for worker in running:
            worker.check()
        for worker in running:
            worker.process.terminate()
        for worker in running:
            worker.stop()
        stamps = [message.timestamp()[1] for message in view.read()]
    finally:
        view.close()
    bed.drop(output, f"signals.{name}")
    return slope_per_second(stamps, start_ms, end_ms)


def _wait_for_group(admin: AdminClient, group: str, running: Sequence[Running]) -> None:
    """Until every worker is a member that owns its share of the partitions."""
    deadline = time.monotonic() + START_SECONDS
    share = PARTITIONS // len(running)
    while time.monotonic() < deadline:
        for worker in running:
            worker.check()
        described = admin.describe_consumer_groups([group])[group].result(GROUP_SECONDS)
        owned = [len(member.assignment.topic_partitions) if member.assignment else 0 for member in described.members]
        if described.state == ConsumerGroupState.STABLE and owned == [share] * len(running):
            return
        time.sleep(0.5)
    raise ConfigError(
        f"{len(running)} workers did not share {PARTITIONS} partitions within {START_SECONDS:.0f} s: "
        f"{running[0].tail()}"
    )
