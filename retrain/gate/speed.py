"""How much of a processor classifiers need beside each other."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from models.decision import Classification

ROUNDS: Final = 5
SPEED_TEXTS: Final = 128


class Classifies(Protocol):
    """What is measured of a `models.classifier.Classifier`."""

    def classify_texts(self, texts: list[str], *, fast: bool = True) -> Sequence[Classification]:
        """All steps at once. fast: False leaves the fast path out."""


def texts_per_second(
    classifiers: Sequence[Classifies], texts: Sequence[str], clock: Callable[[], float] = time.process_time
) -> tuple[float, ...]:
    """Of each, for a second of a processor, on some of the texts, in the quietest of some rounds, taken in turns.

    By the seconds that this process computes, all of its threads together: on a machine that has other work too, those
    that pass say more about that. Without the fast path, whose coverage is another figure.
    """
    chosen = list(texts[:: max(1, len(texts) // SPEED_TEXTS)][:SPEED_TEXTS])
    best = [float("inf")] * len(classifiers)
    for _ in range(ROUNDS):
        for number, classifier in enumerate(classifiers):
            started = clock()
            classifier.classify_texts(chosen, fast=False)
            best[number] = min(best[number], clock() - started)
    return tuple(len(chosen) / seconds for seconds in best)
