"""What a release decides of texts that are typed badly. Pure.

Slips of the keyboard: `models.words.typing_noise`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.decision import HeadDecision
from models.shares import wilson_interval
from models.words.typing_noise import typed_badly
from retrain.evaluation.attack import AttackFigures
from retrain.evaluation.labels import rounded

RATES: Final = (0.02, 0.05, 0.1, 0.15)  # of the letters
NOISY_TEXTS: Final = 500
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class NoiseFigures:
    """At one rate of mistyped letters; 0: as they came. accuracy: before rejection, with Wilson's interval. changed:
    share whose label is another than that of the text as it came. handed_over: share that is left to people."""

    rate: float
    texts: int
    accuracy: float
    accuracy_ci95: Interval
    changed: float
    changed_ci95: Interval
    handed_over: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {name: rounded(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Robustness:
    """noise: by rate, 0 first. attack: of the primary head; None of others, and where no text was decided rightly."""

    noise: tuple[NoiseFigures, ...]
    attack: AttackFigures | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        attack = None if self.attack is None else self.attack.as_json()
        return {"noise": [one.as_json() for one in self.noise], "attack": attack}


def noisy_texts(texts: Sequence[str], seed: int = 0) -> dict[float, list[str]]:
    """By rate, 0 among them: every text typed badly, each rate by chances of its own."""
    noisy = {0.0: list(texts)}
    for rate in RATES:
        random = np.random.default_rng([seed, round(1000 * rate)])
        noisy[rate] = [typed_badly(text, rate, random) for text in texts]
    return noisy


def noise_figures(wanted: Sequence[str], decisions: Mapping[float, Sequence[HeadDecision]]) -> tuple[NoiseFigures, ...]:
    """wanted: label of each text. decisions: by rate, of one head, 0 among them, in the order of the texts."""
    before = [decision.label for decision in decisions[0.0]]
    figures = []
    for rate, given in sorted(decisions.items()):
        labels = [decision.label for decision in given]
        right = sum(label == want for label, want in zip(labels, wanted, strict=True))
        changed = sum(label != was for label, was in zip(labels, before, strict=True))
        figures.append(
            NoiseFigures(
                rate,
                len(wanted),
                right / len(wanted),
                wilson_interval(right, len(wanted)),
                changed / len(wanted),
                wilson_interval(changed, len(wanted)),
                sum(decision.rejected for decision in given) / len(wanted),
            )
        )
    return tuple(figures)
