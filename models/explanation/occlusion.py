"""Occlusion: which parts of a text a decision stands on, found by taking them out, first each alone, then one after
the other.

What a decision becomes without two words is not the sum of what it becomes without each: where "lost" and "stolen" say
the same, neither is missed alone. So the parts are put in order greedily: the next one is that without which, after
those before it, the least is left. Only a few candidates are tried at each step, those that mattered most when last
looked at. Everything is asked in batches, and nothing is drawn at random: the same text gives the same answer.

Source: occlusion, Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014), and Li et al.,
Understanding Neural Networks through Representation Erasure (2016); greedy with gains of before, Minoux, Accelerated
Greedy Algorithms (1978).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.explanation.asking import Answers, Doubles, Question
from models.explanation.parts import Part, stretches, without

OutOfTime = Callable[[], bool]

SINGLE_PARTS: Final = 48  # looked at one by one; a longer text is looked at in stretches first
_STRETCHES: Final = 16
_SPLIT_ROUNDS: Final = 4  # stretches that are split further
_STEPS: Final = 12  # of the greedy order, at most half of the parts
_WIDTH: Final = 5  # candidates of each step; of 2, 3 and 5 the best on training texts of two public sets
_LEAST_LEFT: Final = -4.0  # log-odds: below 2 % nothing is left of the label that could be taken away
_BATCH: Final = 32  # texts between two looks at the clock


@dataclass(slots=True)
class Search:
    """A search that may end at any time. answers: what is asked. out_of_time: looked at between two batches. is_cut:
    whether it has ended one."""

    answers: Answers
    question: Question
    text: str
    out_of_time: OutOfTime = lambda: False
    is_cut: bool = field(default=False, init=False)

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
    in the order of the effects."""

    parts: tuple[Part, ...]
    effects: Doubles
    order: tuple[int, ...]
    steps: int


def occlude(search: Search, parts: Sequence[Part], *, width: int = _WIDTH, max_steps: int = _STEPS) -> Occlusion:
    """Look at every part of the text. Raises ModelError."""
    before = search.support([search.text])
    if before is None:
        return Occlusion(tuple(parts), np.full(len(parts), np.nan), tuple(range(len(parts))), 0)
    full = float(before[0])
    looked_at = _split_where_it_matters(search, parts, full)
    effects = _effects(search, looked_at, full)
    order, steps = _greedy_order(search, looked_at, effects, full, width, max_steps)
    return Occlusion(tuple(looked_at), effects, tuple(order), steps)


def _effects(search: Search, parts: Sequence[Part], full: float) -> Doubles:
    left = search.support([without(search.text, parts, [number]) for number in range(len(parts))])
    return np.full(len(parts), np.nan) if left is None else full - left


def _split_where_it_matters(search: Search, parts: Sequence[Part], full: float) -> list[Part]:
    """All parts of a text that is short enough; else stretches, of which those that matter most are split again."""
    if len(parts) <= SINGLE_PARTS:
        return list(parts)
    current = stretches(parts, _STRETCHES)
    for _ in range(_SPLIT_ROUNDS):
        effects = _effects(search, current, full)
        whole = [number for number, part in enumerate(current) if part.words > 1]
        if np.isnan(effects).any() or not whole:
            break
        chosen = max(whole, key=lambda number: (abs(effects[number]), -number))
        inside = [part for part in parts if current[chosen].start <= part.start < current[chosen].end]
        current[chosen : chosen + 1] = stretches(inside, _STRETCHES)
    return current


def _greedy_order(
    search: Search, parts: Sequence[Part], effects: Doubles, full: float, width: int, max_steps: int
) -> tuple[list[int], int]:
    """The order, and how many steps of it were taken. effects: of each part alone."""
    if np.isnan(effects).any():
        return list(range(len(parts))), 0
    gains = effects.copy()
    removed: list[int] = []
    left = full
    for step in range(min(max_steps, -(-len(parts) // 2))):
        rest = [number for number in np.argsort(-gains, kind="stable").tolist() if number not in removed]
        candidates = rest[: 1 if step == 0 else width]  # the first step is known from the effects
        support = search.support([without(search.text, parts, [*removed, number]) for number in candidates])
        if support is None:
            break
        gains[candidates] = left - support
        best = candidates[int(np.argmin(support))]
        left = float(support.min())
        removed.append(best)
        if left < _LEAST_LEFT:
            break
    taken = set(removed)
    others = [number for number in np.argsort(-effects, kind="stable").tolist() if number not in taken]
    return removed + others, len(removed)
