"""How fast a replay goes beside a live worker on the same texts, and whether both decide alike.

They take turns on one loaded topic. Live is measured as in `bench throughput`; a replay by what it says of itself: all
events over the time from the first read to the last decision, start-up not counted.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bench.bed import Bed, cpu_name
from bench.measuring import Answer
from bench.records import load_texts
from bench.rounds import HEADRACE, Progress, Source, kafka_round
from bench.texts import read_texts, unique_texts
from headrace.wiring import Wiring
from models.encoder.encoder import available_cores
from models.errors import ConfigError
from streams.application import Application

WHOLE_TOPIC_SECONDS: Final = 3_600.0  # longer than any round: each goes through all texts
LIMIT_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """events: texts in the topic. rounds: each of a live worker and a replay."""

    data: Path
    events: int = 50_000
    rounds: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """events_per_second: as the replay says. labels: by the text's number; None where it was rejected."""

    events_per_second: float
    labels: Mapping[int, str | None]


def run(wiring: Wiring, app: Application, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Load, take turns, compare; returns the report. Raises ConfigError, ConnectorError."""
    texts = [row.text for row in unique_texts(read_texts(plan.data, label_column=None), plan.events, plan.seed)]
    live: list[float] = []
    replayed: list[float] = []
    different = missing = 0
    with Bed(wiring, app) as bed:
        source = _load(bed, texts, progress)
        for number in range(plan.rounds):
            progress(f"{number + 1}/{plan.rounds}", 0, 2)
            live_round = kafka_round(bed, source, HEADRACE, "", WHOLE_TOPIC_SECONDS, lambda _: None)
            progress(f"{number + 1}/{plan.rounds}", 1, 2)
            again = _replay(bed, source)
            progress(f"{number + 1}/{plan.rounds}", 2, 2)
            live.append(live_round.rate.per_second)
            replayed.append(again.events_per_second)
            different += count_different(live_round.answers, again.labels)
            missing += len(texts) - len(again.labels)
    rates = statistics.median(live), statistics.median(replayed)
    return {
        "events": plan.events,
        "rounds": plan.rounds,
        "events_per_second": {"live": round(rates[0], 1), "replay": round(rates[1], 1)},
        "ratio": round(rates[1] / rates[0], 3),
        "rounds_raw": {"live": [round(rate, 1) for rate in live], "replay": [round(rate, 1) for rate in replayed]},
        "different_labels": different,
        "missing": missing,
        "data": plan.data.name,
        "seed": plan.seed,
        "cpu": cpu_name(),
    }


def count_different(live: Sequence[Answer], replayed: Mapping[int, str | None]) -> int:
    """Texts that a replay labels otherwise than the live worker, or that only one of them decided."""
    first = {answer.number: None if answer.rejected else answer.label for answer in reversed(live)}
    return sum(first.get(number, "") != replayed.get(number, "") for number in first.keys() | replayed.keys())


def _load(bed: Bed, texts: Sequence[str], progress: Progress) -> Source:
    topic, partitions = f"{bed.run}.texts", bed.app.partitions
    bed.create_topic(topic, partitions)
    version, epoch = bed.copy_model(bed.run), bed.admin.describe([topic])[topic].epoch
    progress("loading", 0, 1)
    load_texts(bed.config, topic, texts, partitions)
    progress("loading", 1, 1)
    return Source(topic, epoch, partitions, len(texts), version, bed.wiring.settings.threads or available_cores())


def _replay(bed: Bed, source: Source) -> Replayed:
    toml = bed.application_file(bed.run, source.topic, source.partitions, fast_path=True)
    decisions = toml.with_suffix(".jsonl")
    running = bed.start(
        "headrace.cli",
        "replay",
        source.topic,
        "--app",
        str(toml),
        "--decisions",
        str(decisions),
        "--json",
        name="replay",
    )
    running.process.wait(LIMIT_SECONDS)
    if running.process.returncode:
        raise ConfigError(f"the replay left with code {running.process.returncode}: {running.tail()}")
    report = orjson.loads(running.log.read_text("utf-8").splitlines()[-1])
    head = bed.app.head_names[0]
    labels = {}
    for line in decisions.read_bytes().splitlines():
        decision = orjson.loads(line)
        answer = decision["labels"][head]
        labels[int(decision["key"])] = None if answer.get("rejected", False) else answer["label"]
    return Replayed(float(report["events_per_second"]), labels)
