"""How sure the n-grams must be: the lowest threshold that keeps what a fast path promises."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from models.heads import Floats
from retrain.paired_bounds import accuracy_drop_bound

MAX_ACCURACY_DROP: Final = 0.002  # below the full path's accuracy, on texts in scope
MAX_RECALL_DROP: Final = 0.01  # below the full path's recall of out-of-scope texts
MAX_REJECTED_TAKEN: Final = 0.005  # of the texts in scope, where no out-of-scope texts are known
MIN_STRANGE_TEXTS: Final = 100  # with fewer, one text is more than MAX_RECALL_DROP
USEFUL_COVERAGE: Final = 0.1  # a fast path that decides less is not worth its files
MAX_DROP_BOUND: Final = 0.01  # where only the estimate keeps MAX_ACCURACY_DROP: what its bound must keep all the same
MIN_TEXTS: Final = 500  # fewer cannot tell a drop of 0.2 points from none
MAX_DISAGREEMENT_OF_FEW: Final = 0.03  # there also: the bound of the decisions that the full path would take otherwise
STEPS: Final = 200  # thresholds that are tried, each half a percent of the texts apart


@dataclass(frozen=True, slots=True)
class Pairs:
    """Both paths on the same texts. In scope: surest: highest probability by n-grams. fast_right, full_right: whether
    each path decides rightly. rejected: whether the full path rejects. strange_*: the same of out-of-scope texts (may
    be none). are_left_out: whether these are texts of labels that were left out, which only stand for such.
    """

    surest: Floats
    fast_right: NDArray[np.bool_]
    full_right: NDArray[np.bool_]
    rejected: NDArray[np.bool_]
    strange_surest: Floats
    strange_rejected: NDArray[np.bool_]
    are_left_out: bool = False

    def accuracy_drop(self, threshold: float, *, bound: bool) -> float:
        """Accuracy that the combination has less than the full path: its bound (95 %, one-sided), or the estimate."""
        sure = self.surest >= np.float32(threshold)
        together = np.where(sure, self.fast_right, self.full_right)
        if bound:
            return accuracy_drop_bound(together, self.full_right)
        return float(self.full_right.mean() - together.mean())

    def holds_for_few(self, threshold: float) -> bool:
        """Whether so few texts show all the same that the n-grams may decide: the bound holds of the texts that they
        decide otherwise than the full path."""
        sure = self.surest >= np.float32(threshold)
        differs = (self.fast_right != self.full_right) | self.rejected
        return share_bound(int(differs[sure].sum()), int(sure.sum())) <= MAX_DISAGREEMENT_OF_FEW

    def keeps_accuracy(self, threshold: float, *, bound: bool) -> bool:
        """Whether accuracy falls by at most MAX_ACCURACY_DROP: by the bound; or by the estimate, whose own bound must
        then keep MAX_DROP_BOUND: where both paths differ in many of some hundred texts, an estimate of 0 says
        nothing."""
        if bound:
            return self.accuracy_drop(threshold, bound=True) <= MAX_ACCURACY_DROP
        estimate, upper = (self.accuracy_drop(threshold, bound=of) for of in (False, True))
        return estimate <= MAX_ACCURACY_DROP and upper <= MAX_DROP_BOUND

    def keeps_rejections(self, threshold: float) -> bool:
        """Whether the full path's rejections survive: it loses at most MAX_RECALL_DROP of the out-of-scope texts; where
        there are too few of those to say so, at most MAX_REJECTED_TAKEN of the texts in scope are taken from its
        rejections; where left-out labels stand for them, both.

        An estimate: its confidence bound could hold with 300 out-of-scope texts or more only; the release reports it.
        """
        if len(self.strange_surest) >= MIN_STRANGE_TEXTS:
            lost = self.strange_rejected & (self.strange_surest >= np.float32(threshold))
            keeps = float(lost.mean()) <= MAX_RECALL_DROP
            if not (keeps and self.are_left_out):
                return keeps
        taken = self.rejected & (self.surest >= np.float32(threshold))
        return float(taken.mean()) <= MAX_REJECTED_TAKEN


@dataclass(frozen=True, slots=True)
class Promise:
    """threshold: in (0, 1]. chosen_by: whether the accuracy's confidence bound holds, or only its estimate."""

    threshold: float
    chosen_by: Literal["bound", "estimate"]


def choose_fast_threshold(pairs: Pairs) -> Promise | None:
    """The lowest threshold with the promises kept, by the bound where it leaves a useful coverage, else by the
    estimate; with fewer than MIN_TEXTS texts only where `holds_for_few`. None where none does."""
    if not len(pairs.surest):
        return None
    highest_first = np.sort(pairs.surest)[::-1]
    places = np.unique(np.linspace(0, len(highest_first) - 1, min(STEPS, len(highest_first))).astype(np.int64))
    candidates = np.unique(highest_first[places])[::-1].tolist()
    for bound in (True, False):
        threshold = _lowest(pairs, candidates, bound=bound)
        if threshold is not None and float((pairs.surest >= np.float32(threshold)).mean()) >= USEFUL_COVERAGE:
            if len(pairs.surest) < MIN_TEXTS and not pairs.holds_for_few(threshold):
                return None
            return Promise(threshold, "bound" if bound else "estimate")
    return None


def _lowest(pairs: Pairs, candidates: list[float], *, bound: bool) -> float | None:
    """The last candidate, from the highest down, before the first that breaks a promise."""
    kept = None
    for threshold in candidates:
        if not (pairs.keeps_accuracy(threshold, bound=bound) and pairs.keeps_rejections(threshold)):
            break
        kept = threshold
    return kept


def share_bound(found: int, total: int) -> float:
    """Upper 95 % bound, one-sided, of a share. Source: Clopper and Pearson (1934)."""
    return 1.0 if found >= total else float(beta.ppf(0.95, found + 1, total - found))
