"""One round of one peer on the loaded topic: start it, let it work for the time, stop it, read what it has done."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bench.bed import Bed, Running
from bench.measuring import Answer, Equality, Rate, equality, steady_rate
from bench.peers.order import Order
from models.errors import ConfigError

HEADRACE, FULL, SESSION = "headrace", "headrace_full", "session"
PEERS: Final = (HEADRACE, FULL, SESSION, "confluent_loop", "quixstreams", "faust_transformers")
LIBRARIES: Final = {"quixstreams": ("quixstreams",), "faust_transformers": ("torch", "transformers", "faust")}
WARM_UP_SECONDS: Final = 3.0
START_SECONDS: Final = 180.0
SILENCE_SECONDS: Final = 60.0
COMMIT_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 0.5
PROBE_SECONDS: Final = 2.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """The loaded topic. version: of the model, in the run's registry under the name of the run."""

    topic: str
    epoch: str
    partitions: int
    texts: int
    version: str
    threads: int


@dataclass(frozen=True, slots=True)
class Round:
    """What a peer did. whole_topic: it ran out of texts before the time was over."""

    rate: Rate
    equality: Equality | None = None
    answers: Sequence[Answer] = ()
    whole_topic: bool = False

    def report(self) -> dict[str, Any]:
        """As it stands in the JSON."""
        figures: dict[str, Any] = {
            "texts": self.rate.texts,
            "seconds": round(self.rate.seconds, 2),
            "texts_per_second": round(self.rate.per_second, 1),
        }
        if self.equality is not None:
            figures |= {
                "answered": len(self.answers),
                "lost": self.equality.lost,
                "repeated": self.equality.repeated,
                "uncommitted": self.equality.uncommitted,
            }
        return figures | ({"ended_early": "the topic had no more texts"} if self.whole_topic else {})


def interpreter_for(peer: str, pythons: Sequence[str]) -> str | None:
    """The first interpreter that has the peer's libraries and Headrace; None where none has."""
    modules = ("bench", *LIBRARIES.get(peer, ()))
    code = f"import importlib.util, sys; sys.exit(any(importlib.util.find_spec(m) is None for m in {modules!r}))"
    for python in (sys.executable, *pythons):
        try:
            if subprocess.run([python, "-c", code], capture_output=True, timeout=60).returncode == 0:
                return python
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(
                f"{python} cannot be run: {error}; give --python the path of a Python interpreter"
            ) from error
    return None


def probe_session(bed: Bed, source: Source, seconds: float = PROBE_SECONDS) -> list[dict[str, Any]]:
    """Every shape of the bare session for a short while, the best first."""
    tried = _session(bed, source, seconds, None)
    return sorted(tried, key=lambda figures: figures["seconds"] / figures["texts"])


def session_round(bed: Bed, source: Source, seconds: float, shape: dict[str, Any]) -> Round:
    """The bare session in one shape."""
    (figures,) = _session(bed, source, seconds, shape)
    return Round(Rate(figures["texts"], figures["seconds"]))


def _session(bed: Bed, source: Source, seconds: float, shape: dict[str, Any] | None) -> list[dict[str, Any]]:
    order = Order(bed.run, source.version, source.topic, source.epoch, "", "", source.threads, source.partitions)
    given = [orjson.dumps(shape).decode()] if shape else []
    running = bed.start("bench.peers.session", order.encode(), str(seconds), *given, name="session")
    limit = START_SECONDS + 60 * seconds
    try:
        running.process.wait(limit)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"the bare session was not measured within {limit:.0f} s: this machine is too busy for a benchmark"
        ) from error
    if running.process.returncode:
        running.check()
    figures: list[dict[str, Any]] = orjson.loads(running.log.read_text("utf-8").splitlines()[-1])
    return figures


def kafka_round(bed: Bed, source: Source, peer: str, python: str, seconds: float, tell: Callable[[int], None]) -> Round:
    """A peer that reads the topic and writes answers, in a group and with an output topic of this round alone."""
    name = f"{bed.run}-{peer.replace('_', '-')}-{time.monotonic_ns() % 10**6}"
    output = bed.create_output(name, source.partitions)
    group = bed.pin(name, source.topic)
    if peer in (HEADRACE, FULL):
        bed.copy_model(name)
        toml = bed.application_file(name, source.topic, source.partitions, fast_path=peer == HEADRACE)
        running = bed.start_worker(toml, name=peer)
    else:
        order = Order(
            bed.run, source.version, source.topic, source.epoch, output, group, source.threads, source.partitions
        )
        running = bed.start(f"bench.peers.{peer}", order.encode(), python=python, name=peer)
    view = bed.view(output, source.partitions)
    try:
        whole = _watch(running, lambda: sum(view.ends().values()), source.texts, seconds, tell)
        until_ms = time.time_ns() // 1_000_000
        if whole:
            _wait_for_commits(lambda: sum(bed.admin.committed(group, source.topic).values()), source.texts)
        running.stop()
        answers = [_answer(message, bed.app.head_names[0]) for message in view.read()]
    finally:
        view.close()
    committed = bed.admin.committed(group, source.topic)
    rate = steady_rate(
        [answer.appended_ms for answer in answers], warm_up_ms=int(WARM_UP_SECONDS * 1000), until_ms=until_ms
    )
    equal = equality([answer.number for answer in answers], committed, source.partitions)
    bed.drop(output, f"signals.{name}")
    if equal.lost:
        raise ConfigError(
            f"{peer} committed {equal.lost} texts without an answer: its rate means nothing; log: {running.tail()}"
        )
    return Round(rate, equal, answers, whole)


def _watch(running: Running, done: Callable[[], int], total: int, seconds: float, tell: Callable[[int], None]) -> bool:
    """Until `seconds` and the warm-up have gone by since the first answer; True where the topic was done before."""
    started, moved, last = None, time.monotonic(), 0
    patience = START_SECONDS
    while True:
        time.sleep(WATCH_SECONDS)
        now, count = time.monotonic(), done()
        running.check()
        if count > last:
            moved, last, patience = now, count, SILENCE_SECONDS
            started = started or now
            tell(count)
        if count >= total:
            return True
        if started is not None and now - started >= seconds + WARM_UP_SECONDS + 1:
            return False
        if now - moved > patience:
            raise ConfigError(
                f"{running.name} gave {count} of {total} answers and then nothing for {patience:.0f} s: "
                f"{running.tail()}"
            )


def _wait_for_commits(committed: Callable[[], int], total: int) -> None:
    deadline = time.monotonic() + COMMIT_SECONDS
    while committed() < total and time.monotonic() < deadline:
        time.sleep(WATCH_SECONDS)


def _answer(message: Any, head: str) -> Answer:
    decision = orjson.loads(message.value())
    label = decision["labels"][head]
    return Answer(
        int(message.key()), message.timestamp()[1], label["label"], bool(label.get("rejected", False)), decision["path"]
    )
