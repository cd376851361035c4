"""Do a few words that mean the same turn a decision? A greedy attack by swapped words, with a bounded count of queries.

The words that the decision hangs on most are found by leaving each out; then, the most important first, each is put by
a word that lies near it in the encoder's space, or is mistyped by one letter, whichever lowers the decided label's
probability most and leaves the text where it was in the encoder's space. Deterministic.

Source: Jin et al., Is BERT Really Robust? A Strong Baseline for Natural Language Attack (TextFooler, 2020), without its
word vectors, tagger and sentence encoder: the release's own encoder stands for them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision
from models.shares import wilson_interval
from models.words.listed_words import in_case_of
from models.words.stop_words import STOP_WORDS
from retrain.evaluation.labels import rounded

ATTACKED_TEXTS: Final = 100
EXAMPLES: Final = 10
WORD: Final = re.compile(r"[㐀-鿿぀-ヿ]|[^\W\d_]+")  # where there are no spaces, a character

Decide = Callable[[Sequence[str]], Sequence[HeadDecision]]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Nearest = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """queries: texts that are decided, of each attacked one. words: that are swapped at most. cosine: to the text as it
    came, below which the meaning counts as another. left_out: words whose importance is asked for."""

    queries: int = 60
    words: int = 3
    cosine: float = 0.85
    left_out: int = 20


@dataclass(frozen=True, slots=True)
class Attacked:
    """after, label_after: of the text that turned the decision; None where none did. queries: texts that were decided.
    swapped: words."""

    before: str
    label_before: str
    after: str | None
    label_after: str | None
    queries: int
    swapped: int


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """texts: that were attacked. changed: share whose decision was turned, with Wilson's interval. queries: mean, of an
    attacked text. swapped: mean number of words in those that were turned."""

    texts: int
    changed: float
    changed_ci95: tuple[float, float]
    queries: float
    swapped: float
    examples: tuple[Attacked, ...]

    @classmethod
    def of(cls, attacked: Sequence[Attacked]) -> "AttackFigures":
        """attacked: one or more."""
        turned = [one for one in attacked if one.after is not None]
        return cls(
            len(attacked),
            len(turned) / len(attacked),
            wilson_interval(len(turned), len(attacked)),
            float(np.mean([one.queries for one in attacked])),
            float(np.mean([one.swapped for one in turned])) if turned else 0.0,
            tuple(turned[:EXAMPLES]),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        examples = [{name: getattr(one, name) for name in Attacked.__slots__} for one in self.examples]
        figures = {name: rounded(getattr(self, name)) for name in self.__slots__ if name != "examples"}
        return figures | {"examples": examples}


def attack(text: str, decide: Decide, embed: Embed, nearest: Nearest, limits: Limits = Limits()) -> Attacked:
    """Try to turn the decision on a text. decide, embed: of texts. nearest: words near a word, the nearest first."""
    first = decide([text])[0]
    words = [match for match in WORD.finditer(text) if match.group().lower() not in STOP_WORDS][: limits.left_out]
    asked = 1 + len(words)
    without = decide([text[: match.start()] + text[match.end() :] for match in words]) if words else []
    loss = [first.probability - _support(decision, first.label) for decision in without]
    now, swapped, offset = text, 0, dict.fromkeys(range(len(words)), 0)
    origin = embed([text])[0]
    for number in sorted(range(len(words)), key=lambda n: (-loss[n], n)):
        if swapped == limits.words or asked >= limits.queries:
            break
        word, place = words[number].group(), words[number].start() + offset[number]
        candidates = _candidates(word, nearest)[: limits.queries - asked]
        texts = [now[:place] + candidate + now[place + len(word) :] for candidate in candidates]
        asked += len(texts)
        found = _best(texts, decide, embed, origin, first.label, limits.cosine)
        if found is None:
            continue
        swapped += 1
        changed, decision = found
        for later in range(number + 1, len(words)):
            offset[later] += len(changed) - len(now)
        now = changed
        if decision.label != first.label:
            return Attacked(text, first.label, now, decision.label, asked, swapped)
    return Attacked(text, first.label, None, None, asked, swapped)


def _support(decision: HeadDecision, label: str) -> float:
    """How much a decision speaks for the label: its probability, or what speaks for another one."""
    return decision.probability if decision.label == label else -decision.probability


def _best(
    texts: Sequence[str], decide: Decide, embed: Embed, origin: NDArray[np.float32], label: str, cosine: float
) -> tuple[str, HeadDecision] | None:
    """The text that speaks least for the label, of those that mean what the origin means."""
    if not texts:
        return None
    decisions = decide(texts)
    means_it = embed(texts) @ origin >= cosine
    left = [number for number in range(len(texts)) if means_it[number]]
    if not left:
        return None
    best = min(left, key=lambda number: (_support(decisions[number], label), number))
    return texts[best], decisions[best]


def _candidates(word: str, nearest: Nearest) -> list[str]:
    """Near words in the word's case, then the word with one slip of each kind in its middle."""
    near = [in_case_of(word, other) for other in nearest(word.lower())]
    return list(dict.fromkeys(other for other in [*near, *_slips(word)] if other != word))


def _slips(word: str) -> list[str]:
    if len(word) < 4:
        return []
    middle = len(word) // 2
    swapped = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
    return [swapped, word[:middle] + word[middle + 1 :], word[:middle] + word[middle] + word[middle:]]
