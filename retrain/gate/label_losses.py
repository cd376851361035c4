"""Which labels a challenger ruins, though each has few test texts.

Labels lend each other strength: most lose a few texts in a hundred, by chance or by a new neighbour, and how many is
learnt from all labels of a head together (empirical Bayes). But a label may be broken, by poisoned labels for one, and
what that one loses has nothing to do with the others: one label of a head may lose anything, and of few labels one in
twenty. Without that, the ordinary losses of the others would talk away what the broken one loses; and were it a share
of however many labels, some label of a hundred would look broken by chance each time.

A label of six test texts that is ruined loses three of them or fewer by luck in one case of eleven, and whoever comes
back with another challenger has that luck again. So one that may well be ruined waits: to release a ruined label costs
about twice what it costs to wait, so the line is one third (DOUBTFUL). One lost text holds nothing up: of labels with
one or two texts some lose one each time. A label that held up an earlier challenger of the same champion is a suspect:
it must be shown to be sound (SOUND), or it would need that luck but once in all.

Sources: Robbins, An empirical Bayes approach to statistics (1956); Gelman et al., Bayesian Data Analysis, chapter 5
(partial pooling, beta-binomial); Berger and Berliner, Robust Bayes and empirical Bayes analysis with
epsilon-contaminated priors (1986).
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln

MAX_RECALL_LOSS: Final = 0.2
SURE: Final = 0.9  # this probable that a label loses more: it is stopped
DOUBTFUL: Final = 1 / 3  # this probable, of LEAST_LOST texts or more: too few texts to say, and no release
LEAST_LOST: Final = 2
SOUND: Final = 0.02  # at most this probable: a suspect is let pass
MOST_TEXTS: Final = 10_000  # of a label, that are asked for
BROKEN: Final = 0.05  # share of broken labels, at the most
_QUANTILES: Final = (np.arange(32) + 0.5) / 32
_MEANS, _STRENGTHS = np.meshgrid(np.geomspace(0.002, 0.5, 24), 2.0 ** np.arange(1, 10))

Counts = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Betas = tuple[Floats, Floats]


def loss_probabilities(texts: Counts, lost: Counts, won: Counts, max_loss: float = MAX_RECALL_LOSS) -> Floats:
    """For each label, how probable it is that its recall falls by more than `max_loss`.

    texts: of each label. lost, won: those that only the champion, only the challenger decides rightly. All of one head:
    (labels,). A label without texts says nothing, and is judged by the others.
    """
    kinds, kind_of = np.unique(np.stack([texts, lost, won]), axis=1, return_inverse=True)
    broken = min(BROKEN, 1 / max(int(np.count_nonzero(texts)), 1))
    ordinary_lost, broken_lost, weight_lost = _posteriors(kinds[0], kinds[1], _ordinary(texts, lost, broken), broken)
    ordinary_won, broken_won, weight_won = _posteriors(kinds[0], kinds[2], _ordinary(texts, won, broken), broken)
    result = np.zeros(kinds.shape[1])
    for of_lost, share_lost in ((ordinary_lost, 1 - weight_lost), (broken_lost, weight_lost)):
        for of_won, share_won in ((ordinary_won, 1 - weight_won), (broken_won, weight_won)):
            gains = betaincinv(*of_won, _QUANTILES[:, None])
            kept = betainc(*of_lost, np.minimum(max_loss + gains, 1.0)).mean(axis=0)
            result += share_lost * share_won * (1 - kept)
    return result[kind_of.reshape(-1)]


def is_doubtful(lost: int, won: int, probability: float) -> bool:
    """Whether nobody can say that a label is not ruined. probability: of `loss_probabilities`."""
    return probability > DOUBTFUL and lost - won >= LEAST_LOST


def texts_that_clear(texts: Counts, lost: Counts, won: Counts, label: int, limit: float = DOUBTFUL) -> int | None:
    """How many more of a doubtful label, all decided as before, would show that it is not ruined, up to the limit; None
    where MOST_TEXTS would not. As for `loss_probabilities`; label: its place."""

    def clear(more: int) -> bool:
        longer = texts.copy()
        longer[label] += more
        return float(loss_probabilities(longer, lost, won)[label]) <= limit

    more = 1
    while not clear(more):
        more = math.ceil(more * 1.3)
        if more > MOST_TEXTS:
            return None
    return more


def _posteriors(
    texts: Counts, events: Counts, ordinary_beta: tuple[float, float], share_broken: float
) -> tuple[Betas, Betas, Floats]:
    """Of a share of events: its Beta if the label is as the others; if it is broken; how probable that is."""
    a, b = ordinary_beta
    ordinary, broken = (events + a, texts - events + b), (events + 1.0, texts - events + 1.0)
    log_ordinary = betaln(*ordinary) - betaln(a, b)
    log_broken = betaln(*broken)  # all shares are alike
    likelier = np.exp(np.minimum(log_ordinary - log_broken, 700.0))
    weight = share_broken / (share_broken + (1 - share_broken) * likelier)
    return ordinary, broken, weight


def _ordinary(texts: Counts, events: Counts, share_broken: float) -> tuple[float, float]:
    """The Beta of the labels that are not broken, of all on a grid the one under which the counts are most probable."""
    a, b = _MEANS * _STRENGTHS, (1 - _MEANS) * _STRENGTHS
    log_ordinary = betaln(events + a[..., None], texts - events + b[..., None]) - betaln(a, b)[..., None]
    log_broken = betaln(events + 1.0, texts - events + 1.0)
    log_likelihood = np.logaddexp(log_ordinary + np.log(1 - share_broken), log_broken + np.log(share_broken)).sum(
        axis=-1
    )
    best = np.unravel_index(np.argmax(log_likelihood), log_likelihood.shape)
    return float(a[best]), float(b[best])
