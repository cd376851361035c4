"""From producing a text to its decision being readable by a consumer: alone, at half of the maximum rate, there while
releases are swapped, and at the maximum.

The maximum is measured first, with a bounded number of texts in flight, unless it is given. Sender, worker, broker and
reader share the machine.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.bed import Bed, Running, cpu_name
from bench.meter import Meter
from bench.rounds import START_SECONDS, Progress
from bench.texts import LabelledText, read_texts, unique_texts
from headrace.wiring import Wiring
from models.encoder.encoder import available_cores
from models.errors import ConfigError
from streams.application import Application

LONE_EVENTS: Final = 200
LONE_SECONDS: Final = 0.3
FULL_IN_FLIGHT: Final = 8_192  # twice what the engine holds: it never waits for the sender
MAXIMUM_SECONDS: Final = 20.0
WARM_UP_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 2.0
DRAIN_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 0.5
SWAPS: Final = {"shared encoder": False, "own encoder": True}
SWAP_SECONDS: Final = 15.0  # before, and after each: loading, proving and warming up included
TEXTS: Final = 400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """rate: the maximum, texts a second; None measures it. seconds: at half rate and at the maximum, each."""

    data: Path
    rate: float | None = None
    seconds: float = 60.0
    lone_events: int = LONE_EVENTS
    seed: int = 0
    fast_path: bool = True


def run(wiring: Wiring, app: Application, plan: Plan, progress: Progress) -> dict[str, Any]:
    """All of them; returns the report. Raises ConfigError, ConnectorError."""
    texts = read_texts(plan.data, label_column=None)
    with Bed(wiring, app) as bed:
        topic, partitions = f"{bed.run}.texts", app.partitions
        bed.create_topic(topic, partitions)
        output = bed.create_output(bed.run, partitions)
        bed.copy_model(bed.run)
        bed.pin(bed.run, topic)
        worker = bed.start_worker(bed.application_file(bed.run, topic, partitions, fast_path=plan.fast_path))
        with Meter(bed.config, topic, output, partitions) as meter:
            phases = _phases(bed, meter, worker, plan, _endless(texts, plan.seed), progress)
        worker.check()
        worker.stop()
    return phases | {
        "fast_path": plan.fast_path,
        "data": plan.data.name,
        "seed": plan.seed,
        "cpu": cpu_name(),
        "threads": wiring.settings.threads or available_cores(),
    }


def percentiles(milliseconds: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """p50, p95, p99 and the largest, milliseconds. Raises ConfigError where there is none."""
    if not len(milliseconds):
        raise ConfigError("no text was decided, so there is no latency; `headrace doctor` tells what is wrong")
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {
        name: round(float(value), 2)
        for name, value in zip(("p50", "p95", "p99", "max"), (p50, p95, p99, max(milliseconds)), strict=True)
    }


def _phases(
    bed: Bed, meter: Meter, worker: Running, plan: Plan, texts: Iterator[str], progress: Progress
) -> dict[str, Any]:
    _wait_until_it_answers(meter, worker, texts)
    lone = _lone(meter, plan, texts, progress)
    maximum = plan.rate or _maximum_rate(meter, texts, progress)
    progress("half rate", 0, 1)
    numbers = meter.paced(texts, maximum / 2, plan.seconds)
    missing = meter.wait_for(numbers, DRAIN_SECONDS)
    latency = percentiles(meter.latencies_ms(numbers))
    half = {"texts_per_second": round(maximum / 2, 1), "events": len(numbers), "lost": missing, "latency_ms": latency}
    progress("half rate", 1, 1)
    swap = _swaps(bed, meter, texts, maximum / 2, progress)
    at_maximum = _at_maximum(meter, plan, texts, maximum, progress)
    return {"lone": lone, "half": half, "swap": swap, "maximum": at_maximum, "repeated": meter.repeated}


def _wait_until_it_answers(meter: Meter, worker: Running, texts: Iterator[str]) -> None:
    """The worker joins its group; a first text is sent and must come back, then a few more warm everything up."""
    first = meter.send(next(texts))
    deadline = time.monotonic() + START_SECONDS
    while meter.wait_for(range(first, first + 1), 1.0):
        worker.check()
        if time.monotonic() > deadline:
            raise ConfigError(f"the worker decided nothing within {START_SECONDS:.0f} s: {worker.tail()}")
    meter.wait_for(meter.paced(texts, 50, 4.0), DRAIN_SECONDS)
    time.sleep(SETTLE_SECONDS)


def _lone(meter: Meter, plan: Plan, texts: Iterator[str], progress: Progress) -> dict[str, Any]:
    progress("lone events", 0, 1)
    numbers = meter.paced(texts, 1 / LONE_SECONDS, plan.lone_events * LONE_SECONDS, each_at_once=True)
    missing = meter.wait_for(numbers, DRAIN_SECONDS)
    progress("lone events", 1, 1)
    figures = {"events": len(numbers), "every_seconds": LONE_SECONDS, "lost": missing}
    return figures | {"latency_ms": percentiles(meter.latencies_ms(numbers))}


def _maximum_rate(meter: Meter, texts: Iterator[str], progress: Progress) -> float:
    """Decisions a second while there is always something to do."""
    progress("maximum rate", 0, 1)
    started = time.monotonic()
    numbers = meter.closed_loop(texts, FULL_IN_FLIGHT, MAXIMUM_SECONDS)
    ended = time.monotonic()
    arrivals = [at for at in list(meter.arrived.values()) if started + WARM_UP_SECONDS <= at <= ended]
    meter.wait_for(numbers, DRAIN_SECONDS)
    progress("maximum rate", 1, 1)
    if len(arrivals) < 2:
        raise ConfigError(f"{len(arrivals)} decisions in {MAXIMUM_SECONDS:.0f} s: too few to tell a rate")
    return (len(arrivals) - 1) / (max(arrivals) - min(arrivals))


def _swaps(bed: Bed, meter: Meter, texts: Iterator[str], rate: float, progress: Progress) -> dict[str, Any]:
    """Releases that decide alike are swapped in while texts come at this rate; the longest wait after each stands
    beside the usual p99, which is that of the time before the first."""
    progress("swaps", 0, len(SWAPS))
    usual = meter.paced(texts, rate, SWAP_SECONDS)
    spans: dict[str, range] = {}
    for done, (name, own_encoder) in enumerate(SWAPS.items(), 1):
        with ThreadPoolExecutor(1) as pool:
            swap = pool.submit(bed.swap, bed.run, own_encoder=own_encoder)
            spans[name] = meter.paced(texts, rate, SWAP_SECONDS)
            swap.result()  # raises what went wrong there
        progress("swaps", done, len(SWAPS))
    everything = range(usual.start, max(span.stop for span in spans.values()))
    lost = meter.wait_for(everything, DRAIN_SECONDS)
    p99 = percentiles(meter.latencies_ms(usual))["p99"]
    longest = {name: round(float(meter.latencies_ms(span).max()), 2) for name, span in spans.items()}
    return {
        "texts_per_second": round(rate, 1),
        "events": len(everything),
        "lost": lost,
        "usual_p99_ms": p99,
        "longest_ms": longest,
        "of_usual_p99": {name: round(value / p99, 2) for name, value in longest.items()},
        "served": sorted(meter.versions),
    }


def _at_maximum(meter: Meter, plan: Plan, texts: Iterator[str], rate: float, progress: Progress) -> dict[str, Any]:
    """Offered at the maximum rate whatever the worker does: how long the backlog gets, and whether anything is
    missing."""
    progress("at the maximum", 0, 1)
    backlog: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            backlog.append(meter.in_flight)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    numbers = meter.paced(texts, rate, plan.seconds)
    left, ended = meter.in_flight, time.monotonic()
    missing = meter.wait_for(numbers, DRAIN_SECONDS)
    drained = time.monotonic() - ended
    over.set()
    sampler.join()
    progress("at the maximum", 1, 1)
    return {
        "texts_per_second": round(rate, 1),
        "measured": plan.rate is None,
        "events": len(numbers),
        "lost": missing,
        "backlog_largest": max(backlog, default=left),
        "backlog_half_way": backlog[len(backlog) // 2] if backlog else left,
        "backlog_end": left,
        "drained_seconds": round(drained, 2),
        "latency_ms": percentiles(meter.latencies_ms(numbers)),
    }


def _endless(texts: Sequence[LabelledText], seed: int) -> Iterator[str]:
    for part in itertools.count():
        yield from (row.text for row in unique_texts(texts, TEXTS, seed + part))
