"""Occlusion: which parts of a text a decision stands on, found by taking them out, first each alone, then one after
the other.

What a decision becomes without two words is not the sum of what it becomes without each: where "lost" and "stolen" say
the same, neither is missed alone. So the parts are put in order greedily: next come those without which, after those
before them, the least is left. Only a few candidates are tried in each round, those that mattered most when last looked
at, and the best two of them are taken: their effects on each other show in the next round. Everything is asked in
batches, and nothing is drawn at random: the same text gives the same answer.

Source: occlusion, Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), and Li et al.,
Understanding Neural Networks through Representation Erasure (2016); greedy with gains of before, Minoux, Accelerated
Greedy Algorithms (1978).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from models.decision import Path
from models.explanation.asking import Doubles
from models.explanation.parts import Part, stretches, without

OutOfTime = Callable[[], bool]

SINGLE_PARTS: Final = 48  # looked at one by one; a longer text is looked at in stretches first
_STRETCHES: Final = 16
_SPLIT_ROUNDS: Final = 4  # stretches that are split further
# Chosen on training texts of two public sets: more rounds, of one part each, make explanations better by 0.01 of
# comprehensiveness and nearly twice as long. The encoder's questions cost thirty times as much as the n-grams'.
_ROUNDS: Final[dict[Path, int]] = {"fast": 3, "full": 2}
_WIDTH: Final = 4  # candidates of a round
_TAKEN: Final = 2  # of them; the first round takes the part with the largest effect, which is known
_LEAST_LEFT: Final = -4.0  # log-odds: below 2 % nothing is left of the label that could be taken away
_BATCH: Final = 32  # texts between two looks at the clock


class Asked(Protocol):
    """What answers texts, whatever it answers."""

    @property
    def path(self) -> Path:
        """Which says what a question costs."""

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Of each text, shape (texts, columns). A text's row depends on that text only."""


class Measure(Protocol):
    """What an effect is measured by."""

    def support(self, logits: Doubles) -> Doubles:
        """How much speaks for what is explained, (texts,). logits: of `Asked.logits`."""


@dataclass(slots=True)
class Search:
    """A search that may end at any time. answers: what is asked. question: what effects are measured by. out_of_time:
    looked at between two batches. stays: characters that are never taken out. is_cut: whether it has ended one."""

    answers: Asked
    question: Measure
    text: str
    out_of_time: OutOfTime = lambda: False
    stays: frozenset[str] = frozenset()
    is_cut: bool = field(default=False, init=False)

    def without(self, parts: Sequence[Part], removed: Sequence[int]) -> str:
        """The text with the parts of these numbers taken out."""
        return without(self.text, parts, removed, self.stays)

    def support(self, texts: Sequence[str]) -> Doubles | None:
        """Of each text; None where the time is over before all are asked."""
        for start in range(0, len(texts), _BATCH):
            if self.out_of_time():
                self.is_cut = True
                return None
            self.answers.logits(texts[start : start + _BATCH])
        return self.question.support(self.answers.logits(texts))


@dataclass(frozen=True, slots=True)
class Occlusion:
    """parts: those that were looked at; of a long text some are stretches of many words. effects: (parts,), what the
    label loses of its support without each alone; NaN of what there was no time for. order: numbers of the parts, that
    which the decision stands on first. steps: how many of the order were taken out one after the other; the rest stands
    in the order of what each mattered when last looked at."""

    parts: tuple[Part, ...]
    effects: Doubles
    order: tuple[int, ...]
    steps: int


def occlude(search: Search, parts: Sequence[Part], *, rounds: int | None = None) -> Occlusion:
    """Look at every part of the text. rounds: of the greedy order; None: as many as the path can bear. Raises
    ModelError."""
    looked_at = _split_where_it_matters(search, parts)
    full, effects = _effects(search, looked_at)
    if np.isnan(effects).any():
        return Occlusion(tuple(looked_at), effects, tuple(range(len(looked_at))), 0)
    rounds = _ROUNDS[search.answers.path] if rounds is None else rounds
    order, steps = _greedy_order(search, looked_at, effects, full, rounds)
    return Occlusion(tuple(looked_at), effects, tuple(order), steps)


def _effects(search: Search, parts: Sequence[Part]) -> tuple[float, Doubles]:
    """The support of the whole text, and what is lost of it without each part alone; NaN where the time is over."""
    alone = [search.without(parts, [number]) for number in range(len(parts))]
    support = search.support([search.text, *alone])
    if support is None:
        return np.nan, np.full(len(parts), np.nan)
    return float(support[0]), support[0] - support[1:]


def _split_where_it_matters(search: Search, parts: Sequence[Part]) -> list[Part]:
    """All parts of a text that is short enough; else stretches, of which those that matter most are split again."""
    if len(parts) <= SINGLE_PARTS:
        return list(parts)
    current = stretches(parts, _STRETCHES)
    for _ in range(_SPLIT_ROUNDS):
        _, effects = _effects(search, current)
        whole = [number for number, part in enumerate(current) if part.words > 1]
        if np.isnan(effects).any() or not whole:
            break
        chosen = max(whole, key=lambda number: (abs(effects[number]), -number))
        inside = [part for part in parts if current[chosen].start <= part.start < current[chosen].end]
        current[chosen : chosen + 1] = stretches(inside, _STRETCHES)
    return current


def _greedy_order(
    search: Search, parts: Sequence[Part], effects: Doubles, full: float, rounds: int
) -> tuple[list[int], int]:
    """The order, and how many parts of it were taken out one after the other: at most half. effects: of each alone."""
    gains = effects.copy()  # of each, when last looked at
    removed: list[int] = []
    left = full
    for number in range(rounds):
        room = -(-len(parts) // 2) - len(removed)
        if room <= 0 or left < _LEAST_LEFT:
            break
        rest = [part for part in _falling(gains) if part not in removed]
        if number == 0:
            taken = rest[:1]
        else:
            tried = rest[:_WIDTH]
            support = search.support([search.without(parts, [*removed, part]) for part in tried])
            if support is None:
                break
            gains[tried] = left - support
            taken = sorted(tried, key=lambda part: -gains[part])[: min(_TAKEN, room)]
        removed += taken
        left -= float(gains[taken].sum())  # of two nearly so
    return removed + [part for part in _falling(gains) if part not in set(removed)], len(removed)


def _falling(values: Doubles) -> list[int]:
    places: list[int] = np.argsort(-values, kind="stable").tolist()
    return places
