"""Items that come at a given rate, to an application as its file says: from when an item is due to its decision being
readable, whatever the worker does (open loop).

Items are made of the application's own corpus: a headline, below it other texts up to a size, and listed names where
the application looks for entities. On the embedded broker the worker is a process of its own, as on Kafka. What is due
before the warm-up's end is not counted. Sender, reader, broker and worker share the machine.

Source: that latency is counted from when a request is due, not from when it could be sent, is Tene's "coordinated
omission" (HdrHistogram); Poisson arrivals are those of many independent sources.
"""

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.bed import Bed, cpu_name
from bench.faults.ground import release_of
from bench.kills.roles.stage import Model, Stage
from bench.latency import DRAIN_SECONDS, percentiles
from bench.memory import renamed
from bench.meter import Meter
from bench.rounds import START_SECONDS, Progress
from connectors.table_files import open_table
from connectors.table_lines import Reject
from headrace.applications import columns_of, file_of, load_application
from headrace.tools.record_shapes import RecordShape
from headrace.training.entities.names import read_gazetteer
from headrace.wiring import Wiring
from models.encoder.encoder import available_cores
from models.errors import ConfigError
from streams.application import Application

HEADLINE_CHARACTERS: Final = 100
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Plan:
    """rate: items a second. text_bytes: of an item, headline included; None: it is the headline alone. names: listed
    ones in an item, the first of them in its headline. poisson: gaps between items as those of independent sources;
    else all alike. warm_up: of the seconds, not counted."""

    rate: float
    text_bytes: int | None = None
    names: int = 2
    seconds: float = 60.0
    warm_up: float = 10.0
    poisson: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a worker runs. config: of clients. topic, output: what it reads and writes."""

    config: Mapping[str, Any]
    topic: str
    output: str
    partitions: int
    pid: int


def run(wiring: Wiring, name_or_path: str, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Start a worker, let items come, stop it; returns the report. Raises HeadraceError."""
    app = load_application(name_or_path)
    model, rng = Model(*release_of(wiring, app, progress)), random.Random(f"arrivals {plan.seed}")
    first, *values = [record(app, *item) for item in items(app, plan, rng)]
    due = due_seconds(plan, rng)
    place = _on_embedded if wiring.settings.broker == "embedded" else _on_kafka
    with (
        place(wiring, name_or_path, app, model) as scene,
        Meter(scene.config, scene.topic, scene.output, scene.partitions) as meter,
    ):
        _wait_until_it_answers(meter, first)
        progress("items", 0, 1)
        before, load = processor_seconds(scene.pid), os.getloadavg()[0]
        numbers = meter.open_loop(values, due)
        lost = meter.wait_for(numbers, DRAIN_SECONDS)
        spent, took = processor_seconds(scene.pid) - before, time.monotonic() - meter.sent[numbers.start]
        progress("items", 1, 1)
    counted = range(numbers.start + int(np.searchsorted(due, plan.warm_up)), numbers.stop)
    return figures(meter, counted, lost) | {
        "app": app.name,
        "broker": "embedded" if wiring.settings.broker == "embedded" else "kafka",
        "asked_per_second": plan.rate,
        "arrivals": "poisson" if plan.poisson else "even",
        "text_bytes": round(float(np.mean([len(value) for value in values]))),
        "names": plan.names if app.entities is not None else 0,
        "processor_ms_an_item": round(spent / len(numbers) * 1000, 1),
        "cores_used": round(spent / took, 2),
        "load_before": round(load, 1),
        "cpu": cpu_name(),
        "threads": wiring.settings.threads or available_cores(),
    }


def figures(meter: Meter, counted: range, lost: int) -> dict[str, Any]:
    """Of the items that count: rates of arrival and of decisions, and latency. Raises ConfigError where none was
    decided."""
    latencies = meter.latencies_ms(counted)
    first, last = meter.sent[counted.start], meter.sent[counted[-1]]
    arrived = [at for number in counted if (at := meter.arrived.get(number)) is not None and first <= at <= last]
    span = max(last - first, 1e-9)
    return {
        "items": len(counted),
        "lost": lost,
        "offered_per_second": round((len(counted) - 1) / span, 2),
        "decided_per_second": round(len(arrived) / span, 2),
        "latency_ms": percentiles(latencies),
    }


def due_seconds(plan: Plan, rng: random.Random) -> NDArray[np.float64]:
    """When each item is due, from the beginning on, rising, below `seconds`."""
    count = int(plan.rate * plan.seconds)
    if not plan.poisson:
        return np.arange(count) / plan.rate
    return np.cumsum([rng.expovariate(plan.rate) for _ in range(count)])


def items(app: Application, plan: Plan, rng: random.Random) -> Iterator[tuple[int, str, str]]:
    """Number, headline and body of each and of one that goes before them, number 0, all different; the body is empty
    where the plan has none. Raises ConfigError."""
    texts, listed = _texts(app), _names(app)
    for number in range(int(plan.rate * plan.seconds) + 1):
        names = rng.sample(listed, min(plan.names, len(listed)))
        headline = " ".join(rng.choice(texts).split())[:HEADLINE_CHARACTERS].rpartition(" ")[0]
        headline = f"{names[0]}: {headline} {number}" if names else f"{headline} {number}"
        yield (
            number,
            headline,
            "" if plan.text_bytes is None else _body(texts, names[1:], plan.text_bytes, headline, rng),
        )


def _body(texts: Sequence[str], names: Sequence[str], text_bytes: int, headline: str, rng: random.Random) -> str:
    """Texts of the corpus one after the other, each name before one of them."""
    room, parts = text_bytes - len(headline.encode()) - 1, list[str]()
    while sum(len(part.encode()) + 1 for part in parts) < room:
        parts.append(" ".join(rng.choice(texts).split()))
    for name, place in zip(names, rng.sample(range(len(parts)), min(len(names), len(parts))), strict=False):
        parts[place] = f"{name}: {parts[place]}"
    return " ".join(parts).encode()[: max(room, 0)].decode("utf-8", "ignore")


def _texts(app: Application) -> list[str]:
    if app.corpus is None or app.kind != "classify":
        raise ConfigError(f"{app.given_as} has no corpus of texts: items are made of it")
    with open_table(app.corpus) as table:
        column = columns_of(app).in_file(table.columns).text
        found = [str(row.fields.get(column) or "") for row in table.rows if not isinstance(row, Reject)]
    texts = [text for text in found if text.strip()]
    if not texts:
        raise ConfigError(f"{app.corpus} has no text in its column of texts: items are made of it")
    return texts


def _names(app: Application) -> list[str]:
    return [] if app.entities is None else [entity.name for entity in read_gazetteer(app.entities.names).entities]


def record(app: Application, number: int, headline: str, body: str) -> bytes:
    """As the application reads it; its own key is the number, by which its decision is known again."""
    fields = {"headline": headline, "key": str(number)} | ({"body": body} if body else {})
    if body and app.source.body is None:
        fields = {"headline": f"{headline}\n{body}", "key": str(number)}
    return RecordShape(app, list(fields), text_column="headline", key_column="key").record(fields)[1]


@contextlib.contextmanager
def _on_embedded(wiring: Wiring, name_or_path: str, app: Application, model: Model) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="headrace-arrivals-", ignore_cleanup_errors=True) as folder:
        threads = wiring.settings.threads
        with Stage(wiring, file_of(name_or_path), Path(folder) / "run", model, ("worker",), threads=threads) as stage:
            stage.start()
            config = {"bootstrap.servers": stage.wiring.broker().address, "log_level": 3}
            pid = stage.processes["worker"].pid
            assert pid is not None
            yield Scene(config, app.topic, app.decisions_topic, app.partitions, pid)


@contextlib.contextmanager
def _on_kafka(wiring: Wiring, name_or_path: str, app: Application, model: Model) -> Iterator[Scene]:
    with Bed(wiring, app) as bed:
        topic, output = f"{bed.run}.texts", bed.create_output(bed.run, app.partitions)
        bed.create_topic(topic, app.partitions)
        bed.publish(bed.run, model.manifest, model.blobs)
        bed.pin(bed.run, topic)
        worker = bed.start_worker(bed.write(f"{bed.run}.toml", renamed(name_or_path, bed.run, topic)))
        yield Scene(bed.config, topic, output, app.partitions, worker.process.pid)
        worker.check()
        worker.stop()


def _wait_until_it_answers(meter: Meter, value: bytes) -> None:
    first = meter.open_loop([value], [0.0])
    if meter.wait_for(first, START_SECONDS):
        raise ConfigError(f"the worker decided nothing within {START_SECONDS:.0f} s")


def processor_seconds(pid: int) -> float:
    """What a process has computed, all of its threads together (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError as error:
        raise ConfigError(f"process {pid} cannot be read from /proc: {error}; has it ended?") from error
    return (int(fields[11]) + int(fields[12])) / TICKS
