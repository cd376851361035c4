"""How many texts a second go through a worker on real Kafka, against the bare ONNX Runtime session on the same texts.

Equal work: the same unique texts, all answers computed; the worker's are also produced, confirmed and their positions
committed. The topic is loaded before, the indexer is off. The session is the best of one session of two threads and two of
one, with windows of 16 and of 256 arrivals (it groups equal lengths within a window), tokenising included.
"""

import csv
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import TopicSpec
from headrace.models_home import announce
from headrace.start_positions import pin
from headrace.wiring import WORKER_GROUP, Wiring
from models.encoder import Encoder
from models.errors import ConfigError
from streams.application import Application
from streams.releases import load_release

PROBE_SECONDS = 8.0
READY_SECONDS = 120.0
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Lane:
    """One way to run the session."""

    threads: int
    lanes: int
    window: int


LANES = tuple(Lane(threads, lanes, window) for threads, lanes in ((2, 1), (1, 2)) for window in (16, 256))


def unique_texts(path: Path, column: str, count: int, seed: int) -> list[str]:
    """`count` texts, no two equal: the file's texts in shuffled rounds, each with a suffix."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or column not in rows[0]:
        raise ConfigError(f"{path} has no column {column!r}")
    texts = [row[column] for row in rows if row.get("split", "test") == "test"] or [row[column] for row in rows]
    rng = random.Random(seed)
    order: list[str] = []
    while len(order) < count:
        rng.shuffle(texts)
        order += texts
    return [f"{text} {rng.randrange(36**3):x}{number}" for number, text in enumerate(order[:count])]


def session_rate(encoder: Encoder, texts: Sequence[str], window: int, seconds: float) -> float:
    """Texts a second, embedding window after window for at least `seconds`."""
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        start = done % max(1, len(texts) - window)
        encoder.embed(texts[start : start + window])
        done += window
    return done / (time.perf_counter() - started)


def bare_session(onnx: bytes, tokenizer_json: str, max_tokens: int, texts: Sequence[str], seconds: float) -> tuple[float, Lane]:
    """The best lane's rate over at least `seconds`."""
    rates: dict[Lane, float] = {}
    for lane in LANES:
        encoder = Encoder.from_bytes(onnx, tokenizer_json, max_tokens=max_tokens, threads=lane.threads, lanes=lane.lanes)
        encoder.embed(texts[:64])
        rates[lane] = session_rate(encoder, texts, lane.window, PROBE_SECONDS)
    best = max(rates, key=lambda lane: rates[lane])
    encoder = Encoder.from_bytes(onnx, tokenizer_json, max_tokens=max_tokens, threads=best.threads, lanes=best.lanes)
    return session_rate(encoder, texts, best.window, seconds), best


def run(wiring: Wiring, app: Application, data: Path, *, seconds: float, seed: int, progress: Progress) -> dict[str, Any]:
    """Both, one after the other, on the model that serves `app`."""
    registry = wiring.registry()
    version = registry.champion(app.name)
    if version is None:
        raise ConfigError(f"there is no model {app.name}: run `headrace train {app.name} --data FILE --register` first")
    encoder = load_release(registry, app.name, version).encoder
    warm = unique_texts(data, "text", 4_096, seed)
    progress("bare session", 0, 1)
    session, lane = bare_session(encoder.model_bytes(), encoder.tokenizer_json, encoder.max_tokens, warm, seconds)
    progress("bare session", 1, 1)
    texts = unique_texts(data, "text", int(session * seconds * 1.1), seed + 1)
    rate, spent = _worker_rate(wiring, app, version, texts, progress)
    return {
        "texts": len(texts),
        "seconds_per_round": round(spent, 1),
        "rounds": 1,
        "texts_per_second": {"headrace_full": round(rate, 1), "session": round(session, 1)},
        "ratios": {"headrace_full/session": round(rate / session, 3)},
        "session": {"threads": lane.threads, "lanes": lane.lanes, "window": lane.window},
        "cpu": _cpu(),
        "threads": wiring.settings.threads or 0,
    }


def _worker_rate(
    wiring: Wiring, app: Application, version: str, texts: Sequence[str], progress: Progress
) -> tuple[float, float]:
    """Events a second from the first confirmed decision to the last; a topic of its own, loaded before the worker starts."""
    topic = f"bench.{uuid.uuid4().hex[:8]}"
    admin, publisher = wiring.admin(), wiring.publisher()
    admin.ensure([TopicSpec(topic, app.partitions)])
    toml = wiring.settings.home_path / f"{topic}.toml"
    toml.write_text(_toml(app, topic))
    group = f"{WORKER_GROUP}-{app.name}"
    pin(admin, group, [topic], from_beginning=True)
    announce(wiring, wiring.registry(), app.name, version, None, by="bench")
    before = {p: end for p, (_, end) in _offsets(admin, app.decisions_topic).items()}
    for number, text in enumerate(texts):
        publisher.send(topic, orjson.dumps({"text": text}), str(number).encode())
    publisher.flush()
    worker = subprocess.Popen([sys.executable, "-m", "headrace.cli", "worker", str(toml)], stderr=subprocess.DEVNULL)
    try:
        stamps = _stamps(wiring, app.decisions_topic, before, len(texts), worker, progress)
    finally:
        worker.terminate()
        worker.wait(60)
        publisher.close()
        admin.delete([topic])
        admin.close()
        toml.unlink()
    spent = (stamps[-1] - stamps[0]) / 1000
    return len(texts) / spent, spent


def _stamps(
    wiring: Wiring, topic: str, before: Mapping[int, int], count: int, worker: "subprocess.Popen[bytes]", progress: Progress
) -> list[int]:
    """The decisions' record times, sorted, once all are there."""
    admin, reader = wiring.admin(), wiring.reader()
    try:
        for done in _decided(admin, topic, before, count):
            progress("worker on Kafka", done, count)
            if worker.poll() is not None:
                raise ConfigError(f"the worker left with code {worker.returncode}; start it by hand to see why")
            time.sleep(1.0)
        return sorted(record.timestamp_ms for record in reader.read(topic, before))
    finally:
        reader.close()
        admin.close()


def _decided(admin: Any, topic: str, before: Mapping[int, int], count: int) -> Iterator[int]:
    deadline, last = time.monotonic() + READY_SECONDS, 0
    while last < count:
        done = sum(end - before.get(p, 0) for p, (_, end) in _offsets(admin, topic).items())
        if done > last:
            deadline = time.monotonic() + READY_SECONDS
        if time.monotonic() > deadline:
            raise ConfigError(f"the worker decided {done} of {count} texts and then nothing for {READY_SECONDS:.0f} s")
        last = done
        yield done


def _offsets(admin: Any, topic: str) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = admin.offsets(topic) if topic in admin.describe([topic]) else {}
    return found


def _toml(app: Application, topic: str) -> str:
    heads = "\n".join(f'[[heads]]\nname = "{head.name}"\ncolumn = "{head.column}"' for head in app.heads)
    return f'name = "{app.name}"\ntopic = "{topic}"\n[source]\ntext = "/text"\n{heads}\n'


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
