"""The rejection threshold: by default, by cost, by target error. Scores in, a number out.

All of it stands on texts that the model was not fitted on. `Judged` are those in scope; out-of-scope texts are known
ones, texts of labels that were left out in turn, or the part of live texts that those in scope do not explain.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.heads import Floats
from retrain.fitting.calibration import choose_threshold

MAX_LOST_IN_SCOPE: Final = 0.01  # share of in-scope texts that are decided rightly and may be rejected
MAX_REJECTED_IN_SCOPE: Final = 0.02  # share of in-scope texts that may be rejected, those decided wrongly among them
MAX_REJECTED_OF_FEW: Final = 0.01  # the same below FEW_TEXTS: with 200 texts, 1 % on them is up to 3 % on others
FEW_TEXTS: Final = 1000
WITH_KNOWN_TEXTS: Final = 0.75  # of both shares: a sharper score rejects as many out-of-scope texts for less
LEAST_OF_IN_SCOPE: Final = 0.2  # the share of live texts in scope is read where at least so many of those in scope are

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Texts in scope. scores: out-of-scope scores. right: whether each was decided rightly."""

    scores: Floats
    right: NDArray[np.bool_]

    def lost(self, thresholds: Doubles) -> Doubles:
        """Share of these texts that are decided rightly and rejected, at each threshold."""
        answered = _up_to(self.scores[self.right], thresholds)
        return np.asarray((self.right.sum() - answered) / len(self.scores))

    def answered(self, thresholds: Doubles) -> Doubles:
        """Share of these texts that is answered, at each threshold."""
        return _up_to(self.scores, thresholds) / len(self.scores)


def default_threshold(judged: Judged, *, is_sharper: bool = False) -> float:
    """The lowest that rejects at most MAX_LOST_IN_SCOPE of the texts as decided rightly, and at most
    MAX_REJECTED_IN_SCOPE of all (MAX_REJECTED_OF_FEW of few). is_sharper: whether known out-of-scope texts shaped the
    score; of many texts WITH_KNOWN_TEXTS of it then is enough."""
    many = len(judged.scores) >= FEW_TEXTS
    max_rejected = MAX_REJECTED_IN_SCOPE if many else MAX_REJECTED_OF_FEW
    part = WITH_KNOWN_TEXTS if many and is_sharper else 1.0
    threshold = choose_threshold(judged.scores, judged.right, max_lost=part * MAX_LOST_IN_SCOPE)
    max_rejected *= part
    everything = choose_threshold(judged.scores, np.ones_like(judged.right), max_lost=max_rejected)
    return max(threshold, everything)


def threshold_by_cost(judged: Judged, strange: Floats, *, cost: float, share: float) -> float:
    """The threshold of the lowest expected cost of a question.

    strange: scores of out-of-scope texts. An answered one costs `cost`; a text in scope that would have been answered
    rightly and is handed to a person costs 1. share: of out-of-scope questions among all. A text in scope that would
    have been answered wrongly costs neither more nor less: that is what a target error is for.
    Source: Chow, On Optimum Recognition Error and Reject Tradeoff (1970).
    """
    thresholds = _candidates(judged.scores, strange)
    answered = _up_to(strange, thresholds) / len(strange)
    costs = share * cost * answered + (1 - share) * judged.lost(thresholds)
    return float(thresholds[costs.argmin()])


def threshold_by_live_texts(judged: Judged, live: Floats, *, cost: float, share: float) -> float:
    """The same where live texts, in scope and out of it unmarked, stand for the out-of-scope ones: what is answered of
    them beyond what those in scope account for is out of scope. live: their scores. share: see `out_of_scope_share`."""
    thresholds = _candidates(judged.scores, live)
    beyond = np.maximum(_up_to(live, thresholds) / len(live) - (1 - share) * judged.answered(thresholds), 0)
    costs = cost * np.maximum.accumulate(beyond) + (1 - share) * judged.lost(thresholds)
    return float(thresholds[costs.argmin()])


def out_of_scope_share(judged: Judged, live: Floats) -> float:
    """The share of live texts that those in scope do not explain, in [0, 1).

    Where hardly an out-of-scope text lies (low scores), live texts are as dense as their share of in-scope ones: the
    least ratio of both distributions is that share, up to chance, which is added to each ratio as its standard error.
    Source: Garg et al., Mixture Proportion Estimation and PU Learning (2021), best bin estimation.
    """
    thresholds = _candidates(judged.scores, live)[:-1]
    inside, outside = judged.answered(thresholds), _up_to(live, thresholds) / len(live)
    enough = inside >= LEAST_OF_IN_SCOPE
    inside, outside = inside[enough], outside[enough]
    chance = np.sqrt(outside * (1 - outside) / len(live) + inside * (1 - inside) / len(judged.scores))
    return float(np.clip(1 - ((outside + chance) / inside).min(), 0.0, 1 - 1e-6))


def threshold_by_error(
    judged: Judged, *, target: float, strange: Floats | None = None, share: float = 0.0
) -> float | None:
    """The highest threshold at which at most `target` of the answered texts are wrong.

    Conformal risk control (Angelopoulos et al. 2022), for texts like the judged ones. One text more, wrong and
    answered, is counted with those seen: with that the expected share of all questions that get a wrong answer is at
    most `target`, whatever the distribution. Of the answered questions alone the share is not monotone in the
    threshold, and the highest threshold that seems to do is a lucky one; a second text more makes up for it wherever
    texts near the threshold are wrong at least 2 / (1 + target) times as often as `target` says. strange: scores of
    out-of-scope texts, all wrong where answered, which make up `share` of the questions; an estimate, without a bound.
    None where no threshold does: of fewer than 2 / target texts none can.
    """
    thresholds = _candidates(judged.scores, judged.scores)
    wrong = _up_to(judged.scores[~judged.right], thresholds) + 2
    answered = _up_to(judged.scores, thresholds) + 1
    if strange is not None and len(strange):
        taken = share / (1 - share) * len(judged.scores) * _up_to(strange, thresholds) / len(strange)
        wrong, answered = wrong + taken, answered + taken
    kept = thresholds[wrong <= target * answered]
    return float(kept.max()) if len(kept) else None


def as_scored_by(scores: Floats, from_scores: Floats, to_scores: Floats) -> Floats:
    """Scores of one model as another one would give them: by the place among the same kind of texts.

    from_scores, to_scores: of texts in scope, by the first and by the second model. What lies beyond all of them keeps
    its distance.
    """
    shares = np.linspace(0, 1, 201)
    before, after = np.quantile(from_scores, shares), np.quantile(to_scores, shares)
    mapped = np.interp(scores, before, after)
    mapped += np.maximum(scores - before[-1], 0) + np.minimum(scores - before[0], 0)
    return np.asarray(mapped, dtype=np.float32)


def _candidates(scores: Floats, others: Floats) -> Doubles:
    """Every threshold that makes a difference, rising; the last one answers all."""
    return np.unique(np.concatenate([scores, others]).astype(np.float64))


def _up_to(scores: Floats, thresholds: Doubles) -> Doubles:
    """How many scores are at most each threshold."""
    counted: Doubles = np.searchsorted(np.sort(scores.astype(np.float64)), thresholds, side="right").astype(np.float64)
    return counted
