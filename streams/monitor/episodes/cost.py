"""What an episode costs, in accuracy and in errors an hour, estimated from the texts alone.

Compared in one run on texts of known truth (docs/drift.md): ATC, DoC and CBPE tell a shift among known
subjects within a point, and miss more than half of what a new subject costs, on whose texts the model is sure and
cannot be right. So where a share of the texts is new beyond doubt, they count as wrong; otherwise the calibrated
probabilities say how many answers are right, as they do of known texts that are typed badly or
written another way.

Sources: average thresholded confidence (ATC), Garg, Balakrishnan, Lipton, Neyshabur, Sedghi (2022), "Leveraging
unlabeled data to predict out-of-distribution performance", ICLR; difference of confidences (DoC), Guillory, Shankar,
Ebrahimi, Darrell, Schmidt (2021), "Predicting with confidence on unseen distributions", ICCV; confidence-based
performance estimation (CBPE), Białek, Kuberski, Perrakis, Bifet (2024), "Estimating model performance under covariate
shift without labels", arXiv 2401.08348.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np

from models.figures import in_few_digits, number_of
from models.shares import weighted_share
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.shares import Weights, new_share
from streams.wire.records import Feedback

_NORMAL_90: Final = 1.645  # of a normal distribution, 90 % lie within so many standard deviations
_MODEL_ERROR: Final = 0.045  # of the estimate itself beside chance; on bitext, newsgroups20 and the support corpus
LEAST_LOST: Final = 0.02  # less is no loss that an estimate from texts can show
_NEW_ERROR: Final = 0.3  # the same, as a share of what new texts cost


@dataclass(frozen=True, slots=True)
class Cost:
    """accuracy_before, accuracy: estimated share of right decisions before the onset and after it. accuracy_range: 90 %
    of the second. lost: their difference, not below 0. lost_range: 90 %. errors_per_hour: decisions that are wrong in
    addition, at the rate of the texts since the onset; None where that is not known."""

    accuracy_before: float
    accuracy: float
    accuracy_range: tuple[float, float]
    lost: float
    lost_range: tuple[float, float]
    errors_per_hour: float | None = None

    def in_words(self) -> str:
        """One sentence."""
        low, high = self.accuracy_range
        words = f"By the texts {self.accuracy:.0%} of the decisions are right ({low:.0%} to {high:.0%}), before it was "
        words += f"{self.accuracy_before:.0%}"
        if self.lost < LEAST_LOST:
            return f"{words}: no loss that texts show."
        if self.errors_per_hour is not None:
            words += f": about {in_few_digits(self.errors_per_hour)} wrong ones more an hour"
        return f"{words}."


def restored_cost(state: Mapping[str, Any] | None) -> Cost | None:
    """A cost that was written as JSON. Raises KeyError or TypeError."""
    if state is None:
        return None
    ranges = {name: (float(state[name][0]), float(state[name][1])) for name in ("accuracy_range", "lost_range")}
    return Cost(**dict(state) | ranges)


def average_thresholded_confidence(reference: Doubles, live: Doubles) -> float:
    """ATC: share of live texts above the confidence that as many reference texts pass as are right (their mean
    confidence, as that is calibrated)."""
    return float(np.mean(live >= np.quantile(reference, 1.0 - float(np.mean(reference)))))


def difference_of_confidences(reference: Doubles, live: Doubles, accuracy: float) -> float:
    """DoC: the reference's accuracy less what mean confidence has fallen by."""
    return accuracy - float(np.mean(reference)) + float(np.mean(live))


def confidence_based(live: Doubles) -> float:
    """CBPE: mean of calibrated confidence."""
    return float(np.mean(live))


def estimated_cost(
    confidence: tuple[Doubles, Doubles],
    tails: tuple[Doubles, Doubles],
    share: float,
    share_range: tuple[float, float],
    events_per_hour: float | None = None,
    weights: Weights | None = None,
    *,
    is_subject: bool = True,
) -> Cost:
    """confidence: calibrated probability of each decided label, before the onset and after. tails: surprisals,
    likewise. share, share_range: of new texts after it. weights: see `new_share`, of the tails. is_subject: False where
    these are known ones, typed badly or written another way."""
    before, after = confidence
    if not len(before) or not len(after):
        return Cost(0.0, 0.0, (0.0, 1.0), 0.0, (0.0, 1.0), None)
    accuracy_before = float(np.mean(before))
    low, high = share_range
    is_new = is_subject and low > 0.0 and new_share(*tails, weights)[1][0] > 0.0
    accuracy = accuracy_before * (1.0 - share) if is_new else float(np.mean(after))
    chance = _NORMAL_90 * float(np.std(after)) / np.sqrt(len(after))
    if is_new:  # a share's range has 95 %
        widths = [
            accuracy_before * (side * _NORMAL_90 / 1.96 + _NEW_ERROR * share) for side in (high - share, share - low)
        ]
    else:
        widths = [chance, chance]
    ends = accuracy - widths[0] - _MODEL_ERROR, accuracy + widths[1] + _MODEL_ERROR
    accuracy_range = (round(float(np.clip(ends[0], 0.0, 1.0)), 3), round(float(np.clip(ends[1], 0.0, 1.0)), 3))
    lost = max(accuracy_before - accuracy, 0.0)
    if not is_new and lost <= chance:
        lost = 0.0
    lost_range = tuple(round(max(accuracy_before - end, 0.0), 3) for end in reversed(accuracy_range))
    per_hour = None if events_per_hour is None else round(lost * events_per_hour, 2)
    return Cost(
        round(accuracy_before, 3),
        round(accuracy, 3),
        accuracy_range,
        round(lost, 3),
        (lost_range[0], lost_range[1]),
        per_hour,
    )


def events_per_hour(times: Sequence[str]) -> float | None:
    """The rate of events by their sources' times, RFC 3339; None where these do not tell."""
    seconds = []
    for at in (times[0], times[-1]) if len(times) > 1 else ():
        try:
            seconds.append(datetime.fromisoformat(at).timestamp())
        except ValueError:
            return None
    if len(seconds) < 2 or seconds[1] <= seconds[0]:
        return None
    return (len(times) - 1) * 3_600.0 / (seconds[1] - seconds[0])


def severity_of(cost: Cost, note_below: float, critical_from: float) -> Literal["info", "warning", "critical"]:
    """By errors an hour; `info`, a note, where the texts do not show that anything is lost. note_below, critical_from:
    errors an hour."""
    if cost.lost < LEAST_LOST:
        return "info"
    if cost.errors_per_hour is None:
        return "warning"
    if cost.errors_per_hour < note_below:
        return "info"
    return "critical" if cost.errors_per_hour >= critical_from else "warning"


def labelled_cost(before: tuple[float, int], after: tuple[float, int], events_per_hour: float | None = None) -> Cost:
    """By labels drawn at random alone. before, after: share of wrong decisions, and of how many labels."""
    ranges = [_share_range(*one) for one in (before, after)]
    (low_before, high_before), (low, high) = ranges
    lost = max(after[0] - before[0], 0.0)
    return Cost(
        round(1.0 - before[0], 3),
        round(1.0 - after[0], 3),
        (round(1.0 - high, 3), round(1.0 - low, 3)),
        round(lost, 3),
        (round(max(low - high_before, 0.0), 3), round(max(high - low_before, 0.0), 3)),
        None if events_per_hour is None else round(lost * events_per_hour, 2),
    )


def _share_range(share: float, labels: int) -> tuple[float, float]:
    """90 %."""
    return weighted_share(
        [True] * round(share * labels) + [False] * (labels - round(share * labels)), [1.0] * labels, _NORMAL_90
    )[1]


@dataclass(frozen=True, slots=True)
class Labelled:
    """What people say of decisions since the onset that were drawn at random. right: the share of them, and its 90 %
    interval, each counted by how seldom its like was drawn; None where none is labelled."""

    labels: int
    right: float | None = None
    right_range: tuple[float, float] = (0.0, 1.0)

    def in_words(self) -> str:
        """One sentence."""
        if self.right is None:
            return "Only labels tell whether labels still mean what they did, and none was drawn at random since then."
        low, high = self.right_range
        says = f"{self.right:.0%} are right ({low:.0%} to {high:.0%})"
        return f"By {number_of(self.labels, 'label')} of decisions drawn at random since then {says}."


def labelled_accuracy(decided: Mapping[str, str], labels: Iterable[Feedback]) -> Labelled:
    """decided: id to the label decided. labels: the one that counts of each decision."""
    drawn = [label for label in labels if label.is_of_the_stream and label.decision_id in decided]
    if not drawn:
        return Labelled(0)
    is_right = [decided[label.decision_id] == label.label for label in drawn]
    share, (low, high) = weighted_share(is_right, [label.probability or 1.0 for label in drawn], _NORMAL_90)
    return Labelled(len(drawn), round(share, 3), (round(low, 3), round(high, 3)))
