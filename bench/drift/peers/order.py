"""What a peer is given, as files: no library but numpy and the standard one, so that any environment can read it.

A folder holds `order.json` and one `.npz` for each case (a release with its texts): reference, texts, a stationary
stream to tune on, and streams to be judged.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """reference_*: of texts that trained or that the release judged blind, (texts, dimensions) and (texts,).
    embeddings, confidence: of the texts shown. tuning, streams: rows of those, one an event. wrong: of each stream,
    whether the release was wrong at each event; empty where labels play no part. tuning_wrong: likewise."""

    name: str
    reference_embeddings: Floats
    reference_confidence: Floats
    embeddings: Floats
    confidence: Floats
    tuning: Rows
    streams: tuple[Rows, ...]
    tuning_wrong: NDArray[np.bool_]
    wrong: tuple[NDArray[np.bool_], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """every: events between two false alarms that a peer is tuned to."""

    cases: tuple[Case, ...]
    every: int
    seed: int = 0


def write_order(order: Order, folder: Path) -> None:
    """For `read_order`."""
    names = []
    for number, case in enumerate(order.cases):
        arrays: dict[str, Any] = {
            "reference_embeddings": case.reference_embeddings,
            "reference_confidence": case.reference_confidence,
            "embeddings": case.embeddings,
            "confidence": case.confidence,
            "tuning": case.tuning,
            "tuning_wrong": case.tuning_wrong,
            **{f"stream{place}": rows for place, rows in enumerate(case.streams)},
            **{f"wrong{place}": wrong for place, wrong in enumerate(case.wrong)},
        }
        np.savez(folder / f"{number}.npz", **arrays)
        names.append(case.name)
    (folder / "order.json").write_text(json.dumps({"cases": names, "every": order.every, "seed": order.seed}))


def read_order(folder: Path) -> Order:
    """What `write_order` wrote."""
    described = json.loads((folder / "order.json").read_text())
    cases = []
    for number, name in enumerate(described["cases"]):
        with np.load(folder / f"{number}.npz") as arrays:
            streams = sum(key.startswith("stream") for key in arrays)
            cases.append(
                Case(
                    name,
                    arrays["reference_embeddings"],
                    arrays["reference_confidence"],
                    arrays["embeddings"],
                    arrays["confidence"],
                    arrays["tuning"],
                    tuple(arrays[f"stream{place}"] for place in range(streams)),
                    arrays["tuning_wrong"],
                    tuple(arrays[f"wrong{place}"] for place in range(streams) if f"wrong{place}" in arrays),
                )
            )
    return Order(tuple(cases), described["every"], described["seed"])


class Detector(Protocol):
    """One stream's detector. After an alarm a new one is taken."""

    def update(self, event: int) -> bool:
        """Whether this event brings an alarm."""


Begin = Callable[[Case, Sequence[float], float], Detector]


def alarms_of(begin: Callable[[], Detector], events: int) -> list[int]:
    """The events at which a detector fires; a new one goes on after each."""
    detector, alarms = begin(), []
    for event in range(events):
        if detector.update(event):
            alarms.append(event)
            detector = begin()
    return alarms


def answer(figures: dict[str, Any]) -> None:
    """The peer's last line."""
    sys.stdout.write(json.dumps(figures) + "\n")


def this_order() -> Order:
    """That of this process: the folder is its only argument."""
    return read_order(Path(sys.argv[1]))
