"""What else a release must keep: it rejects as before, keeps what its probabilities promise, and is not much larger or
slower. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.figures import number_of
from retrain.evaluation.reliability import expected_calibration_error
from retrain.evaluation.scoring import HeadMetrics
from retrain.gate.comparison import compare
from retrain.gate.policy import GatePolicy
from retrain.gate.verdict import Check

RESAMPLES: Final = 500
# In fewer texts a bin, chance alone makes the error of both so large that it hides a release that is off by 0.1.
BIN_TEXTS: Final = 50
MAX_BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Footprint:
    """What serving a release takes. size_bytes: of all files that serve. texts_per_second, p99_seconds: of both
    releases on the same texts, by `retrain.gate.speed`; p99 of texts that come alone."""

    size_bytes: int
    texts_per_second: float
    p99_seconds: float = 0.0


def limit_checks(
    pairs: Sequence[tuple[HeadMetrics, HeadMetrics]],
    policy: GatePolicy,
    footprints: tuple[Footprint, Footprint] | None,
) -> Iterator[Check]:
    """pairs: champion's and challenger's figures of each head, the primary head first."""
    yield from _rejections(*pairs[0], policy)
    for champion, challenger in pairs:
        if challenger.texts >= policy.min_texts:
            yield _calibration(champion, challenger, policy.max_ece_increase, policy.significance / len(pairs))
    if footprints is not None:
        yield from _sizes(*footprints, policy)
    yield from _coverage(*pairs[0])


def _rejections(champion: HeadMetrics, challenger: HeadMetrics, policy: GatePolicy) -> Iterator[Check]:
    kept = compare(~champion.rejected, ~challenger.rejected)
    is_worse = kept.gain < 0 and kept.p_value < policy.significance
    before, after = 1 - kept.champion_accuracy, 1 - kept.challenger_accuracy
    words = f"it rejects {after:.1%} of the texts against {before:.1%} (p = {kept.p_value:.2g})"
    figures: dict[str, float | int | str | None] = {"texts": kept.texts, "before": before, "after": after}
    yield Check("texts in scope that are rejected", "refused" if is_worse else "passed", words, figures)
    if not np.array_equal(champion.strange_rows, challenger.strange_rows):
        raise TrainingDataError("the out-of-scope texts of champion and challenger differ; score both on the same ones")
    if not len(champion.strange_rows):
        return
    recall = compare(champion.strange_rejected, challenger.strange_rejected)
    is_worse = recall.gain < 0 and recall.p_value < policy.significance
    before, after = recall.champion_accuracy, recall.challenger_accuracy
    words = f"it rejects {after:.1%} of the out-of-scope texts against {before:.1%} (p = {recall.p_value:.2g})"
    figures = {"texts": recall.texts, "before": before, "after": after}
    yield Check("out-of-scope texts that are rejected", "refused" if is_worse else "passed", words, figures)


def _calibration(champion: HeadMetrics, challenger: HeadMetrics, max_increase: float, significance: float) -> Check:
    """Refused where the calibration error rises by more than `max_increase` beyond doubt: where the lower end of the
    one-sided bootstrap interval, over the texts that both decided, lies above it. The same results give the same
    answer.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
    """
    everything = np.arange(champion.texts)
    before, after = (_calibration_error(metrics, everything) for metrics in (champion, challenger))
    is_worse = after - before > max_increase and _surely_rises(champion, challenger, max_increase, significance)
    words = (
        f"{challenger.head}'s probabilities are off by {after:.3f} (calibration error) against {before:.3f} on "
        f"{number_of(challenger.texts, 'text')}"
    )
    figures = {"texts": challenger.texts, "before": before, "after": after}
    return Check(f"calibration of {challenger.head}", "refused" if is_worse else "passed", words, figures)


def _surely_rises(champion: HeadMetrics, challenger: HeadMetrics, max_increase: float, significance: float) -> bool:
    random = np.random.default_rng(0)
    increases = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = random.integers(0, champion.texts, champion.texts)
        increases[number] = _calibration_error(challenger, drawn) - _calibration_error(champion, drawn)
    return float(np.quantile(increases, significance)) > max_increase


def _calibration_error(metrics: HeadMetrics, texts: NDArray[np.int64]) -> float:
    bins = min(MAX_BINS, max(2, len(texts) // BIN_TEXTS))
    return expected_calibration_error(metrics.probabilities[texts], metrics.right[texts], bins)


def _sizes(champion: Footprint, challenger: Footprint, policy: GatePolicy) -> Iterator[Check]:
    before, after = champion.size_bytes, challenger.size_bytes
    words = f"it has {after / 1e6:.1f} MB against {before / 1e6:.1f} MB"
    is_worse = after > policy.max_size_ratio * before
    words += f", more than {policy.max_size_ratio:g} times as large" if is_worse else ""
    yield Check("bytes", "refused" if is_worse else "passed", words, {"before": before, "after": after})
    limit = f", more than {policy.max_time_ratio:g} times as slow"
    is_worse = challenger.texts_per_second * policy.max_time_ratio < champion.texts_per_second
    words = (
        f"it decides {challenger.texts_per_second:.0f} texts a processor second against {champion.texts_per_second:.0f}"
    )
    figures = {"before": champion.texts_per_second, "after": challenger.texts_per_second}
    yield Check("texts a processor second", "refused" if is_worse else "passed", words + limit * is_worse, figures)
    slow, fast = challenger.p99_seconds, champion.p99_seconds
    is_worse = slow > policy.max_time_ratio * fast
    words = f"99 of 100 lone texts take it at most {slow * 1e3:.1f} ms of a processor against {fast * 1e3:.1f} ms"
    figures = {"before": fast, "after": slow}
    yield Check("p99 of a text", "refused" if is_worse else "passed", words + limit * is_worse, figures)


def _coverage(champion: HeadMetrics, challenger: HeadMetrics) -> Iterator[Check]:
    """Told, and refuses nothing: a new subject lowers it rightly."""
    if champion.fast_path is not None or challenger.fast_path is not None:
        before, after = (0.0 if one.fast_path is None else one.fast_path.coverage for one in (champion, challenger))
        words = f"the fast path decides {after:.1%} of the texts against {before:.1%}"
        yield Check("fast path", "passed", words, {"before": before, "after": after})
