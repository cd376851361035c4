"""What chance alone may do: paired tests, intervals by resampling, corrections for many tests at once. Pure; what is
drawn at random is drawn by a seed."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, hypergeom

RESAMPLES: Final = 1000
_AT_ONCE: Final = 500  # rounds, which bounds the memory
_NEAR: Final = 1e-9
Floats = NDArray[np.float64]


def paired_p_value(lost: int, won: int) -> float:
    """Of the exact two-sided McNemar test. lost, won: texts that only the first, only the second decides rightly.

    Source: McNemar (1947); exact binomial form, Fagerland, Lydersen and Laake (2013).
    """
    return float(binomtest(won, lost + won, 0.5).pvalue) if lost + won else 1.0


def mean_difference_p_value(differences: Floats, seed: int = 0, rounds: int = 9_999) -> float:
    """Two-sided, of "the mean difference of the pairs is 0", by changing their signs at random.

    Source: Fisher, The Design of Experiments (1935), section 21; the observed signs count as one round: Phipson and
    Smyth, Permutation P-values Should Never Be Zero (2010).
    """
    differs = differences[differences != 0]
    random, observed, as_far = np.random.default_rng(seed), abs(differs.sum()), 1
    for start in range(0, rounds, _AT_ONCE):
        signs = random.integers(0, 2, (min(_AT_ONCE, rounds - start), len(differs))) * 2.0 - 1.0
        as_far += int((abs(signs @ differs) >= observed * (1 - _NEAR)).sum())
    return as_far / (rounds + 1)


def worse_than_rest_p_value(right: int, texts: int, right_elsewhere: int, texts_elsewhere: int) -> float:
    """One-sided, of "these texts are decided no worse than the others".

    Source: Fisher's exact test, Fisher, The Design of Experiments (1935), section 12.
    """
    return float(hypergeom.cdf(right, texts + texts_elsewhere, right + right_elsewhere, texts))


def resampled_interval(
    figure: Callable[[NDArray[np.int64]], Floats],
    texts: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    ends: tuple[float, float] = (0.025, 0.975),
) -> tuple[Floats, Floats]:
    """The 95 % interval of figures of so many texts. figure: (figures,) of how often each text was drawn, int64
    (texts,). ends: the quantiles where another interval is wanted. NaN in a draw, where a figure has no value, is left
    out.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
    """
    random = np.random.default_rng(seed)
    even = np.full(texts, 1 / texts)
    drawn = np.array([figure(random.multinomial(texts, even)) for _ in range(resamples)])
    low, high = np.nanquantile(drawn, ends, axis=0)
    return low, high


def adjusted_by_holm(p_values: Sequence[float]) -> list[float]:
    """p-values such that the chance of one false finding or more among all tests is at most the level.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    adjusted, highest = [1.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        adjusted[number] = highest
    return adjusted
