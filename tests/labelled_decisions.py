"""Decisions to be labelled, as a pool and in topics: what tests of the queue, the desk, files and the report share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from labelled_world import APP, World, decision
from numpy.typing import NDArray

from headrace.tools.labels.choosing import Candidate
from headrace.tools.labels.pool import OpenEpisode, Pool
from streams.application import Labelling
from streams.topics import LEASES_TOPIC
from streams.wire.records import Feedback

NO_RANDOM = APP.model_copy(update={"labelling": Labelling(random_share=0, random_per_day=0, episode_share=0)})
ALL_RANDOM = APP.model_copy(update={"labelling": Labelling(random_share=1.0)})

TOPICS = ("parcel", "invoice", "refund", "battery", "voucher", "login", "return", "delivery", "payment", "warranty")


def unit(*values: float) -> NDArray[np.float32]:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def pool(count: int = 10, episode: OpenEpisode | None = None, labels: Sequence[Feedback] = ()) -> Pool:
    """Decisions on ten subjects; those from number 5 on came an hour later."""
    decisions = [
        decision(
            number,
            text=f"please tell me about the {TOPICS[number % 10]} {TOPICS[number % 7]}",
            at=f"2026-11-01T1{number // 5}:00:00.000Z",
            labels={"intent": {"label": "fee", "probability": 0.5 + number / 100}},
        )
        for number in range(count)
    ]
    candidates = [
        Candidate(one["id"], one["text"], one["labels"]["intent"]["probability"], unit(*np.eye(10)[n % 10]))
        for n, one in enumerate(decisions)
    ]
    return Pool({one["id"]: one for one in decisions}, tuple(candidates), tuple(labels), episode)


def label_of(number: int, label: str = "fee", by: str = "ann", chosen: Any = "random") -> Feedback:
    return Feedback(
        decision_id=decision(number)["id"], head="intent", label=label, by=by, at="2026-11-02T00:00:00Z", chosen=chosen
    )


def world_of_decisions(folder: Path) -> World:
    """Ten of them, each about something else, in topics; nothing is labelled."""
    world = World(folder)
    world.topics.records["signals.support"] = []
    world.topics.records[LEASES_TOPIC] = []
    for number, subject in enumerate(TOPICS):
        world.decide(decision(20 + number, text=f"please tell me about the {subject} {TOPICS[number - 3]}"))
    return world
