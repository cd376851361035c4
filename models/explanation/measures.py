"""How far an explanation may be believed: what the decision loses without the parts it names, and keeps by them alone.

Source: comprehensiveness and sufficiency, DeYoung et al., ERASER: A Benchmark to Evaluate Rationalized NLP Models
(2020), with its five shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import kendalltau, spearmanr

from models.explanation.asking import Answers, Doubles
from models.explanation.parts import Part, only, without

SHARES: Final = (0.01, 0.05, 0.1, 0.2, 0.5)  # of the parts, rounded up: at least one


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Both are the label's probability, calibrated, lost in the mean of the SHARES. comprehensiveness: without the
    first parts of the order; more is better. sufficiency: with nothing but them; less is better."""

    comprehensiveness: float
    sufficiency: float


def measure(answers: Answers, text: str, parts: Sequence[Part], order: Sequence[int], column: int) -> Faithfulness:
    """order: numbers of the parts, the most important one first. column: of the label explained."""
    counts = [min(len(parts), int(np.ceil(share * len(parts)))) for share in SHARES]
    texts = [text]
    texts += [without(text, parts, order[:count]) for count in counts]
    texts += [only(text, parts, order[:count]) for count in counts]
    whole, *others = answers.probabilities(texts)[:, column].tolist()
    lost = whole - np.array(others)
    return Faithfulness(float(lost[: len(counts)].mean()), float(lost[len(counts) :].mean()))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two methods' importances of the same parts: Kendall's tau-b and Spearman's rho, in [-1, 1]; None where one of
    them holds all parts for alike."""

    kendall: float | None
    spearman: float | None


def agreement(first: Doubles, second: Doubles) -> Agreement:
    """first, second: (parts,), finite."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Agreement(None, None)
    return Agreement(float(kendalltau(first, second).statistic), float(spearmanr(first, second).statistic))


def importances(order: Sequence[int]) -> Doubles:
    """A number for each part that falls along an order: for `agreement`."""
    values = np.empty(len(order))
    values[list(order)] = np.arange(len(order), 0, -1)
    return values
