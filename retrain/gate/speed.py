"""How much of a processor classifiers need beside each other."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from models.decision import Classification

ROUNDS: Final = 5
SPEED_TEXTS: Final = 128
LONE_TEXTS: Final = 64


class Classifies(Protocol):
    """What is measured of a `models.classifier.Classifier`."""

    def classify_texts(self, texts: list[str], *, fast: bool = True) -> Sequence[Classification]:
        """All steps at once. fast: False leaves the fast path out."""


@dataclass(frozen=True, slots=True)
class Speed:
    """By seconds of a processor. texts_per_second: of texts that come together. p99_seconds: of 100 texts that come
    alone, 99 take less."""

    texts_per_second: float
    p99_seconds: float


def measure_speeds(
    classifiers: Sequence[Classifies], texts: Sequence[str], clock: Callable[[], float] = time.process_time
) -> tuple[Speed, ...]:
    """Of each, on some of the texts, in the quietest of some rounds, taken in turns; of lone texts, in the quietest of
    each.

    By the seconds that this process computes, all of its threads together: on a machine that has other work too, those
    that pass say more about that. Without the fast path, whose coverage is another figure.
    """
    together, alone = [_some(texts, SPEED_TEXTS)], [[text] for text in _some(texts, LONE_TEXTS)]
    speeds = []
    for (of_all,), of_each in zip(
        _quietest(classifiers, together, clock), _quietest(classifiers, alone, clock), strict=True
    ):
        speeds.append(Speed(len(together[0]) / of_all, float(np.quantile(of_each, 0.99))))
    return tuple(speeds)


def _some(texts: Sequence[str], count: int) -> list[str]:
    return list(texts[:: max(1, len(texts) // count)][:count])


def _quietest(
    classifiers: Sequence[Classifies], batches: Sequence[list[str]], clock: Callable[[], float]
) -> list[list[float]]:
    """Seconds of each classifier for each batch."""
    best = [[float("inf")] * len(batches) for _ in classifiers]
    for _ in range(ROUNDS):
        for number, classifier in enumerate(classifiers):
            for place, batch in enumerate(batches):
                started = clock()
                classifier.classify_texts(batch, fast=False)
                best[number][place] = min(best[number][place], clock() - started)
    return best
