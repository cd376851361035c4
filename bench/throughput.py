"""How many texts a second: a Headrace worker on real Kafka against its peers, on the same texts, in one run.

Equal work: every text is decided, the answer produced and confirmed by the broker, the position committed. The topic is
loaded before, start-up is not timed, indexer and cache are off. Peers take turns, round by round; a figure is the
median of the rounds. Each is measured from its first seconds on until the round's time is over, by the broker's own
times of its answers: a slow peer gets through fewer of the texts, a fast one through more.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.bed import Bed, cpu_name, has_fast_path
from bench.measuring import accuracy
from bench.records import load_texts
from bench.rounds import (
    FULL,
    HEADRACE,
    LIBRARIES,
    PEERS,
    SESSION,
    WARM_UP_SECONDS,
    Progress,
    Round,
    Source,
    interpreter_for,
    kafka_round,
    probe_session,
    session_round,
)
from bench.texts import LabelledText, read_texts, unique_texts
from headrace.wiring import Wiring
from models.encoder.device import cards_of_driver
from models.encoder.encoder import available_cores
from models.errors import ConfigError
from streams.application import Application

FIRST_TEXTS: Final = 20_000  # loaded before anything is known about speed
FAST_FACTOR, FULL_FACTOR = 5.0, 1.5  # texts to load, as multiples of what the bare session computes in the time


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. seconds: of a round, at least. pythons: interpreters of other environments, for peers whose
    libraries are not in this one."""

    data: Path
    peers: Sequence[str] = PEERS
    rounds: int = 3
    seconds: float = 60.0
    seed: int = 0
    text_column: str = "text"
    label_column: str = "label"
    oos_label: str | None = None
    pythons: Sequence[str] = ()


def run(wiring: Wiring, app: Application, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Load, probe, take turns; returns the report. Raises ConfigError, ConnectorError."""
    unknown = [peer for peer in plan.peers if peer not in PEERS]
    if unknown:
        raise ConfigError(f"there is no peer {unknown[0]!r}; there are: {', '.join(PEERS)}")
    texts = read_texts(plan.data, plan.text_column, plan.label_column)
    pythons, left_out = _interpreters(plan, has_fast_path(wiring, app))
    with Bed(wiring, app) as bed:
        source, shapes = _prepare(bed, plan, texts, HEADRACE in pythons, progress)
        rounds: dict[str, list[Round]] = {peer: [] for peer in pythons}
        for number in range(plan.rounds):
            order = list(pythons)
            for peer in order[number % len(order) :] + order[: number % len(order)]:  # nobody is always the first
                rounds[peer].append(
                    _one_round(bed, source, plan, peer, pythons[peer], shapes[0]["shape"], number, progress)
                )
        labels = [row.label for row in unique_texts(texts, source.texts, plan.seed)]
    return _report(plan, source, rounds, left_out, labels, shapes) | _device(wiring.settings.device)


def _interpreters(plan: Plan, fast: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Peer to interpreter, and the peers that are left out, with the reason."""
    pythons: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for peer in plan.peers:
        python = interpreter_for(peer, plan.pythons)
        if peer == HEADRACE and not fast:
            left_out[peer] = "the model has no fast path; train it again with this version"
        elif python is None:
            left_out[peer] = (
                f"no {' or '.join(LIBRARIES[peer])} here; --python names an environment that has it (bench/README.md)"
            )
        else:
            pythons[peer] = python
    if not pythons:
        raise ConfigError(f"no peer is left to measure: {left_out}")
    return pythons, left_out


def _prepare(
    bed: Bed, plan: Plan, texts: Sequence[LabelledText], fast: bool, progress: Progress
) -> tuple[Source, list[dict[str, Any]]]:
    """The loaded topic, and the bare session's shapes with the best first."""
    topic, partitions, threads = (
        f"{bed.run}.texts",
        bed.app.partitions,
        bed.wiring.settings.threads or available_cores(),
    )
    bed.create_topic(topic, partitions)
    version, epoch = bed.copy_model(bed.run), bed.admin.describe([topic])[topic].epoch
    progress("loading", 0, 2)
    load_texts(bed.config, topic, [row.text for row in unique_texts(texts, FIRST_TEXTS, plan.seed)], partitions)
    progress("loading", 1, 2)
    progress("probing the session", 0, 1)
    shapes = probe_session(bed, Source(topic, epoch, partitions, FIRST_TEXTS, version, threads))
    progress("probing the session", 1, 1)
    best = shapes[0]["texts"] / shapes[0]["seconds"]
    count = max(FIRST_TEXTS, int(best * (plan.seconds + WARM_UP_SECONDS + 2) * (FAST_FACTOR if fast else FULL_FACTOR)))
    rest = unique_texts(texts, count, plan.seed)[FIRST_TEXTS:]
    load_texts(bed.config, topic, [row.text for row in rest], partitions, FIRST_TEXTS)
    progress("loading", 2, 2)
    return Source(topic, epoch, partitions, count, version, threads), shapes


def _one_round(
    bed: Bed, source: Source, plan: Plan, peer: str, python: str, shape: dict[str, Any], number: int, progress: Progress
) -> Round:
    stage = f"{number + 1}/{plan.rounds} {peer}"
    progress(stage, 0, source.texts)
    if peer == SESSION:
        measured = session_round(bed, source, plan.seconds, shape)
    else:
        measured = kafka_round(
            bed, source, peer, python, plan.seconds, lambda done: progress(stage, done, source.texts)
        )
    progress(stage, source.texts, source.texts)
    return measured


def _device(setting: str) -> dict[str, Any]:
    """Where Headrace's encoder may run, for the report: the setting, and the cards that the driver names."""
    return {"device": setting, "cards": [] if setting == "cpu" else [name for name, _ in cards_of_driver()]}


def _report(
    plan: Plan,
    source: Source,
    rounds: Mapping[str, Sequence[Round]],
    left_out: Mapping[str, str],
    labels: Sequence[str | None],
    shapes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    rates = {
        peer: statistics.median(measured.rate.per_second for measured in of_peer) for peer, of_peer in rounds.items()
    }
    details = _accuracies(rounds, labels, plan.oos_label)
    return {
        "texts": source.texts,
        "seconds_per_round": plan.seconds,
        "rounds": plan.rounds,
        "texts_per_second": {peer: round(rates[peer], 1) if peer in rates else None for peer in PEERS},
        "ratios": ratios(rates),
        "accuracy": {peer: details.get(peer, {}).get("in_scope_accuracy") for peer in (HEADRACE, FULL)},
        "cpu": cpu_name(),
        "threads": source.threads,
        "accuracy_details": details,
        "rounds_raw": {peer: [measured.report() for measured in of_peer] for peer, of_peer in rounds.items()},
        "session": {
            "best": shapes[0]["shape"],
            "tried": {_shape_name(tried["shape"]): round(tried["texts"] / tried["seconds"], 1) for tried in shapes},
        },
        "data": plan.data.name,
        "seed": plan.seed,
        "partitions": source.partitions,
        "left_out": dict(left_out),
    }


def ratios(rates: Mapping[str, float]) -> dict[str, float]:
    """Headrace, with and without the fast path, against everyone else who was measured."""
    own = [peer for peer in (HEADRACE, FULL) if peer in rates]
    return {
        f"{mine}/{peer}": round(rates[mine] / rate, 3) for mine in own for peer, rate in rates.items() if peer != mine
    }


def _accuracies(
    rounds: Mapping[str, Sequence[Round]], labels: Sequence[str | None], oos_label: str | None
) -> dict[str, dict[str, Any]]:
    """Of every peer, on the texts that Headrace decided in all of its rounds, with and without the fast path: the same
    texts for both. Peers that got through fewer are measured on those of their own."""
    own = [
        {answer.number for answer in measured.answers} for peer in (HEADRACE, FULL) for measured in rounds.get(peer, ())
    ]
    common = set.intersection(*own) if own else None
    accuracies = {}
    for peer, of_peer in rounds.items():
        answers = [
            answer for answer in (of_peer[0].answers if of_peer else ()) if common is None or answer.number in common
        ]
        if answers:
            accuracies[peer] = accuracy(answers, labels, oos_label)
    return accuracies


def _shape_name(shape: Mapping[str, Any]) -> str:
    return f"{shape['sessions']} x {shape['threads']} threads, batch {shape['batch']}, window {shape['window']}" + (
        ", spinning" if shape["spinning"] else ""
    )
