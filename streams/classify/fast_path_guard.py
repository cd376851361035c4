"""The fast path's retreat: audited texts show how often it still agrees with the encoder; where it no longer does, its
thresholds rise, and in the end it is off.

The audit is a fixed share of the fast texts, so what it finds holds for all of them. A window of audits is judged by
the probability of so few agreements if nothing had changed, given how many of how many texts agreed in training: a
release that was tried on few texts does not know its own rate well.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from models.classifier import Classifier

log = logging.getLogger(__name__)

WINDOW_AUDITS = 200
USUAL_AGREEMENT = (194, 200)  # of a release that does not say its own: so many of so many texts
FALSE_ALARM = 1e-4  # per window, while nothing has changed
STEP = 0.04  # by which the thresholds rise; five steps put any of them above 1, where nothing is fast
CALM_WINDOWS = 5  # windows without a finding before one step is taken back


class FastPathGuard:
    """Follows one application's fast path. Belongs to the thread that decides; `threshold_increase` may be read by
    another, so a version and what its thresholds rose by are one value."""

    def __init__(self) -> None:
        self._raised = "", 0.0
        self._agreed = self._audited = self._calm = 0

    def threshold_increase(self, classifier: Classifier) -> float:
        """By how much this release's thresholds stand above those of its training."""
        version, raised_by = self._raised
        return raised_by if classifier.version == version else 0.0

    def observe(self, classifier: Classifier, agrees: Iterable[bool | None]) -> None:
        """Take the audits of a batch; None for texts that were not audited."""
        if classifier.fast_path is None:
            return
        if classifier.version != self._raised[0]:
            self._raised = classifier.version, 0.0
            self._agreed = self._audited = self._calm = 0
        for answer_agrees in agrees:
            if answer_agrees is not None:
                self._audited += 1
                self._agreed += answer_agrees
                if self._audited == WINDOW_AUDITS:
                    self._judge(classifier)

    def _judge(self, classifier: Classifier) -> None:
        assert classifier.fast_path is not None
        agreed, texts = training_agreement(classifier.fast_path.measured)
        fell = chance_of_at_most(self._agreed, self._audited, agreed, texts) < FALSE_ALARM
        name = f"{classifier.model}@{classifier.version}"
        version, raised_by = self._raised
        if fell:
            raised_by, self._calm = raised_by + STEP, 0
            self._raised = version, raised_by
            log.warning(
                "%s: the fast path agrees with the encoder on %d of %d audited texts (%.1f %% in training): "
                "thresholds raised by %.2f",
                name,
                self._agreed,
                self._audited,
                100 * agreed / max(texts, 1),
                raised_by,
            )
        elif raised_by and (calm := self._calm + 1):
            self._calm = calm % CALM_WINDOWS
            if not self._calm:
                self._raised = version, max(0.0, raised_by - STEP)
                log.info("%s: the fast path agrees again: thresholds raised by %.2f", name, self._raised[1])
        self._agreed = self._audited = 0


def training_agreement(measured: Mapping[str, Any]) -> tuple[int, int]:
    """On how many of how many texts both paths agreed when the release was made; of a release that has only the share,
    about so many."""
    if "agreement_counts" in measured:
        agreed, texts = measured["agreement_counts"]
        return int(agreed), int(texts)
    texts = round(float(measured.get("texts", 0)) * float(measured.get("coverage", 0)))
    return (
        (round(float(measured["agreement"]) * texts), texts) if "agreement" in measured and texts else USUAL_AGREEMENT
    )


def chance_of_at_most(agreed: int, audited: int, agreed_before: int, texts_before: int) -> float:
    """Probability that at most `agreed` of `audited` texts agree, where `agreed_before` of `texts_before` did and the
    rate is known from those alone.

    Source: beta-binomial predictive distribution with a uniform prior; Gelman et al., Bayesian Data Analysis, ch. 2.
    """
    right, wrong = agreed_before + 1, texts_before - agreed_before + 1

    def chance(count: int) -> float:
        ways = -math.log(audited + 1) - _log_beta(audited - count + 1, count + 1)
        return math.exp(ways + _log_beta(count + right, audited - count + wrong) - _log_beta(right, wrong))

    return math.fsum(chance(count) for count in range(agreed + 1))


def _log_beta(first: float, second: float) -> float:
    """Logarithm of the beta function. scipy.special has it, but a worker would wait 0.12 s for it at its start."""
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
