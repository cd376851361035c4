"""Putting a head's out-of-scope score and its threshold together, and saying what they will do."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.errors import TrainingDataError
from models.heads import Floats, OutOfScope, centroid_distances, label_probabilities
from retrain.crossfit import Features, HeldOut, Ints, Task
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.progress import Progress
from retrain.rejection.known_texts import fit_strangeness
from retrain.rejection.left_out_labels import MIN_LABELS, leave_labels_out
from retrain.rejection.policy import USUAL_SHARE, RejectionPolicy
from retrain.rejection.thresholds import (
    Judged,
    as_scored_by,
    default_threshold,
    out_of_scope_share,
    threshold_by_cost,
    threshold_by_error,
    threshold_by_live_texts,
)

ENOUGH_KNOWN: Final = 100  # known out-of-scope texts that stand for all; fewer, and labels left out join them


@dataclass(frozen=True, slots=True)
class LiveTexts:
    """What came, without labels. ngrams: weighted by the release's vocabulary. is_known: (texts,), those that train
    as well."""

    embeddings: Floats
    ngrams: sparse.csr_array
    is_known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LeftOutTexts:
    """Texts of labels that were left out in turn. rows: their numbers among all texts. rejected: whether the head
    without their label rejects each. groups: see `LeftOut`."""

    rows: Ints
    rejected: NDArray[np.bool_]
    groups: Ints


@dataclass(frozen=True, slots=True)
class Rejecting:
    """scorer: with its threshold. strangeness: (all texts,), see `Strangeness.values`; None without known texts.
    figures: what was asked for, what decided, and what is expected of it, for manifest and report. left_out: texts that
    stand for out-of-scope texts, for the fast path; None where these are not asked about, or enough are known."""

    scorer: OutOfScope
    strangeness: Floats | None
    figures: dict[str, Any]
    left_out: LeftOutTexts | None = None


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head as far as it is fitted. policy: its classifier's. judged: texts in scope, by a model that was not fitted
    on them."""

    weights: LinearWeights
    policy: LinearPolicy
    temperature: float
    judged: HeldOut


@dataclass(frozen=True, slots=True)
class OutsideTexts:
    """What is known of texts out of scope. known: numbers of the known ones among all texts."""

    known: Ints
    live: LiveTexts | None = None


def choose_rejection(
    task: Task,
    features: Features,
    head: FittedHead,
    *,
    outside: OutsideTexts,
    policy: RejectionPolicy,
    seed: int,
    progress: Progress,
) -> Rejecting:
    """The score's scale and threshold, from unseen texts.

    Where nothing is asked for, known out-of-scope texts shape the score, but do not set the threshold: those to come
    will not be like those that somebody thought of. Raises TrainingDataError where what is asked for cannot be had.
    """
    judged, strange = head.judged, outside.known
    in_scope = np.concatenate([task.rows, task.tuning])
    if task.unseen is not None:
        in_scope, strange = in_scope[task.unseen[in_scope]], strange[task.unseen[strange]]
    known = fit_strangeness(features.embeddings, in_scope, strange, seed)
    values = None if known is None else known.values
    scorer = OutOfScope.fitted(
        task.centroids(features, task.rows),
        judged.logits,
        judged.distances,
        head.temperature,
        *((None, None) if known is None else (known.direction, known.values[judged.rows])),
    )
    scores = scorer.combined(judged.logits, judged.distances, None if values is None else values[judged.rows])
    inside = Inside(Judged(scores, judged.right), label_probabilities(judged.logits, head.temperature).max(axis=1))
    left, of_left = None, Outside.none()
    is_counted = policy.oos_cost is not None or policy.oos_share is not None
    # Known or live texts do without, where there are no three labels.
    can_leave_out = len(task.labels) >= MIN_LABELS or (outside.live is None and not len(strange))
    if is_counted and len(strange) < ENOUGH_KNOWN and can_leave_out:
        left = leave_labels_out(task, features, head.policy, scorer, seed, progress, values)
        moved = as_scored_by(left.strange, left.in_scope, scores)
        of_left = Outside("labels left out", moved, left.probabilities)
    of_known = _of_known(scorer, features, head.weights, strange, values)
    live = _live_scores(scorer, head.weights, outside.live)
    chosen = _choose(inside, policy, of_known.beside(of_left), live, is_sharper=known is not None)
    scorer = replace(scorer, threshold=chosen.threshold, least_probability=chosen.least_probability)
    taken = None
    if left is not None:
        taken = LeftOutTexts(left.rows, scorer.rejects(of_left.scores, of_left.probabilities), left.groups)
    return Rejecting(scorer, values, chosen.figures, taken)


@dataclass(frozen=True, slots=True)
class Inside:
    """Texts in scope. probabilities: (texts,), of the labels decided."""

    judged: Judged
    probabilities: Floats

    def answered(self, threshold: float, least_probability: float) -> NDArray[np.bool_]:
        """Whether each is answered."""
        return _answered(self.judged.scores, self.probabilities, threshold, least_probability)


@dataclass(frozen=True, slots=True)
class Outside:
    """Texts out of scope. source: where they come from. probabilities: of the labels that they get all the same."""

    source: str | None
    scores: Floats
    probabilities: Floats

    @classmethod
    def none(cls) -> Self:
        """No texts."""
        return cls(None, np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))

    def beside(self, others: Self) -> Self:
        """Known texts (self) and others; where there are both, both count alike."""
        if not len(self.scores) or not len(others.scores):
            return self if len(self.scores) else others
        weight = max(1, len(others.scores) // len(self.scores))
        return type(self)(
            f"{self.source} and {others.source}",
            np.concatenate([others.scores, np.repeat(self.scores, weight)]),
            np.concatenate([others.probabilities, np.repeat(self.probabilities, weight)]),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """figures: see `Rejecting`."""

    threshold: float
    least_probability: float
    figures: dict[str, Any]


def _choose(
    inside: Inside, policy: RejectionPolicy, outside: Outside, live: Floats | None, *, is_sharper: bool
) -> Chosen:
    """is_sharper: whether known out-of-scope texts shaped the score."""
    share, source, cost = policy.oos_share, None, policy.oos_cost
    threshold, least, chosen_by = default_threshold(inside.judged, is_sharper=is_sharper), 0.0, "default"
    if cost is not None:
        if share is None:
            share = USUAL_SHARE if live is None else out_of_scope_share(inside.judged, live)
        if live is not None:
            source, threshold = "live texts", threshold_by_live_texts(inside.judged, live, cost=cost, share=share)
        else:
            source = outside.source
            threshold = threshold_by_cost(inside.judged, outside.scores, cost=cost, share=share)
        chosen_by = "cost"
    if policy.target_error is not None:
        counted = outside if policy.oos_share is not None else Outside.none()
        source = source or counted.source
        least = _least_probability(inside, counted, threshold, policy.target_error, policy.oos_share or 0.0)
        if least > 0:
            chosen_by = "target error" if chosen_by == "default" else "cost and target error"
    asked = policy.as_json() | {"oos_share": None if share is None else round(share, 4)}
    figures = asked | {
        "chosen_by": chosen_by,
        "out_of_scope_from": source,
        "expected": _expected(inside, outside, share, threshold, least),
    }
    return Chosen(threshold, least, figures)


def _least_probability(inside: Inside, outside: Outside, threshold: float, target: float, share: float) -> float:
    """How sure an answer must be, of the texts that the threshold leaves; 0 where all of them may be answered."""
    kept, others = inside.judged.scores <= threshold, outside.scores <= threshold
    left = Judged(-inside.probabilities[kept], inside.judged.right[kept])
    # `share` is of all questions; of those that the threshold leaves, in scope and out of it, it is another one.
    strange = -outside.probabilities[others] if share else None
    if strange is not None:
        strange_left, known_left = share * others.mean(), (1 - share) * kept.mean()
        share = float(strange_left / max(strange_left + known_left, 1e-12))
    limit = threshold_by_error(left, target=target, strange=strange, share=share)
    if limit is None:
        raise TrainingDataError(
            f"no threshold keeps the target error of {target:g}: {int((~left.right).sum())} of {len(left.right)} "
            f"unseen texts are decided wrongly; give more texts, or a higher target"
        )
    return 0.0 if limit >= left.scores.max() else -limit


def _answered(scores: Floats, probabilities: Floats, threshold: float, least: float) -> NDArray[np.bool_]:
    return (scores.astype(np.float64) <= threshold) & (probabilities.astype(np.float64) >= least)


def _expected(
    inside: Inside, outside: Outside, share: float | None, threshold: float, least: float
) -> dict[str, float | None]:
    """What is done to the texts that it was chosen on. to_people: share of all questions; of those in scope where
    nothing is known of others."""
    kept, right = inside.answered(threshold, least), inside.judged.right
    answered, to_people, oos_answered = float(kept.mean()), float(1 - kept.mean()), None
    if len(outside.scores):
        oos_answered = float(_answered(outside.scores, outside.probabilities, threshold, least).mean())
        to_people = to_people if share is None else (1 - share) * to_people + share * (1 - oos_answered)
    values = {
        "in_scope_answered": answered,
        "in_scope_right_lost": float((right & ~kept).mean()),
        "error_of_answered": float((~right)[kept].mean()) if answered else 0.0,
        "oos_answered": oos_answered,
        "to_people": to_people,
    }
    return {name: None if value is None else round(value, 4) for name, value in values.items()}


def _of_known(
    scorer: OutOfScope, features: Features, weights: LinearWeights, rows: Ints, values: Floats | None
) -> Outside:
    if not len(rows):
        return Outside.none()
    embeddings = features.embeddings[rows]
    logits = weights.logits(embeddings, features.ngrams[rows])
    distances = centroid_distances(embeddings, scorer.centroids)
    scores = scorer.combined(logits, distances, None if values is None else values[rows])
    return Outside("known texts", scores, label_probabilities(logits, scorer.temperature).max(axis=1))


def _live_scores(scorer: OutOfScope, weights: LinearWeights, live: LiveTexts | None) -> Floats | None:
    """Of live texts; of one that trains as well the lowest of all, as it is in scope."""
    if live is None:
        return None
    scores = scorer.scores(live.embeddings, weights.logits(live.embeddings, live.ngrams))
    scores[live.is_known] = scores.min()
    return scores
