"""A chain of tags over the words of a text: begin, inside, outside; the best path and how probable its names are.

Each word has a score for each tag, and each pair of neighbours one for following each other; a name must begin before
it goes on. Source: Lafferty, McCallum, Pereira, Conditional Random Fields (2001), with the scores of words given by a
logistic model and those of pairs by how often they follow each other.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

TAGS: Final = ("begin", "inside", "outside")
BEGIN, INSIDE, OUTSIDE = range(3)
Scores = NDArray[np.float64]
Span = tuple[int, int]

START: Final[Scores] = np.array([0.0, -np.inf, 0.0])  # no text begins inside a name


def may_follow(scores: Scores) -> Scores:
    """Scores of pairs (tag before, tag), without what cannot be: inside behind outside."""
    allowed = scores.copy()
    allowed[OUTSIDE, INSIDE] = -np.inf
    return allowed


def best_path(words: Scores, pairs: Scores) -> list[int]:
    """The tags with the highest sum. words: (words, tags), finite, at least one word. pairs: of `may_follow`.

    Source: Viterbi, Error Bounds for Convolutional Codes (1967).
    """
    best, came_from = START + words[0], []
    for scores in words[1:]:
        through = best[:, None] + pairs
        came_from.append(through.argmax(axis=0))
        best = through.max(axis=0) + scores
    path = [int(best.argmax())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    return path[::-1]


def spans_of(tags: list[int]) -> list[Span]:
    """Names by their words: from which up to which, the latter not included."""
    spans: list[Span] = []
    for number, tag in enumerate(tags):
        if tag == BEGIN:
            spans.append((number, number + 1))
        elif tag == INSIDE and spans and spans[-1][1] == number:
            spans[-1] = spans[-1][0], number + 1
    return spans


def span_probabilities(words: Scores, pairs: Scores, spans: list[Span]) -> list[float]:
    """How probable it is that each of the spans is a name, neither longer nor shorter, over all paths."""
    before, behind = _forward(words, pairs), _backward(words, pairs)
    everything = np.logaddexp.reduce(before[-1])
    found = []
    for start, end in spans:
        score, tag = before[start, BEGIN], BEGIN
        for number in range(start + 1, end):
            score, tag = score + pairs[tag, INSIDE] + words[number, INSIDE], INSIDE
        if end < len(words):
            ends = [pairs[tag, other] + words[end, other] + behind[end, other] for other in (BEGIN, OUTSIDE)]
            score += np.logaddexp.reduce(ends)
        found.append(float(np.exp(min(score - everything, 0.0))))
    return found


def _forward(words: Scores, pairs: Scores) -> Scores:
    """(words, tags): over all ways to a word's tag, its own score included."""
    sums = np.empty_like(words)
    sums[0] = START + words[0]
    for number in range(1, len(words)):
        sums[number] = np.logaddexp.reduce(sums[number - 1][:, None] + pairs, axis=0) + words[number]
    return sums


def _backward(words: Scores, pairs: Scores) -> Scores:
    """(words, tags): over all ways on from a word's tag, its own score left out."""
    sums = np.zeros_like(words)
    for number in range(len(words) - 2, -1, -1):
        sums[number] = np.logaddexp.reduce(pairs + (words[number + 1] + sums[number + 1])[None, :], axis=1)
    return sums
