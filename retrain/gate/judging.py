"""The gate: is the challenger better than the champion, on the same held-out texts? Pure, answers in words.

A challenger passes when it decides more of the texts rightly than the champion does, by more than chance would, is
not clearly worse on any group of them, and stays inside the limits on everything else that a release is for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.errors import TrainingDataError
from retrain.data import Row
from retrain.evaluation import HeadMetrics, slices_of
from retrain.gate.limits import Footprint, calibration_objection, footprint_objection

MIN_SLICE_TEXTS: Final = 20  # fewer texts cannot show that a group got worse


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """significance: highest p-value at which a difference counts. slice_significance: the same for a group that got
    worse, shared between the groups (Bonferroni). max_ece_increase: by which the calibration error may rise beyond
    doubt. max_size_ratio, max_time_ratio: how many times the champion's bytes, and time for a text, are too many."""

    significance: float = 0.05
    slice_significance: float = 0.05
    min_texts: int = 30
    max_ece_increase: float = 0.01
    max_size_ratio: float = 1.5
    max_time_ratio: float = 1.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same texts. only_champion, only_challenger: texts that just this one decided rightly."""

    texts: int
    champion_accuracy: float
    challenger_accuracy: float
    only_champion: int
    only_challenger: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed: whether the challenger may be released. reason: in words. worse_slices: what speaks against it. overall,
    slices: of the primary head."""

    passed: bool
    reason: str
    overall: Comparison
    slices: Mapping[str, Comparison] = field(default_factory=dict)
    worse_slices: tuple[str, ...] = ()


def compare(champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_]) -> Comparison:
    """Exact two-sided McNemar test. champion_right, challenger_right: by text, the same texts in the same order.

    Source: McNemar (1947); exact binomial form, Fagerland, Lydersen and Laake (2013).
    """
    if champion_right.shape != challenger_right.shape:
        raise TrainingDataError(
            f"compared {len(champion_right)} with {len(challenger_right)} texts; score both on the same ones"
        )
    only_champion = int((champion_right & ~challenger_right).sum())
    only_challenger = int((challenger_right & ~champion_right).sum())
    differing = only_champion + only_challenger
    p_value = float(binomtest(only_challenger, differing, 0.5).pvalue) if differing else 1.0
    texts = len(champion_right)
    shares = [float(right.mean()) if texts else 0.0 for right in (champion_right, challenger_right)]
    return Comparison(texts, shares[0], shares[1], only_champion, only_challenger, p_value)


def judge_heads(
    champion: HeadMetrics, challenger: HeadMetrics, rows: Sequence[Row], policy: GatePolicy | None = None
) -> Verdict:
    """The gate's word on two results of `evaluate` for one head. rows: those that both were given.

    Groups of texts are the labels, the lengths and the data's slice columns. A label that the champion does not know
    counts as an error of its: that is what a new label is about. Raises TrainingDataError for different texts.
    """
    if not np.array_equal(champion.rows, challenger.rows):
        raise TrainingDataError("champion and challenger were scored on different texts; score both on the same ones")
    scored = [rows[index] for index in challenger.rows]
    labels = np.array([row.labels.get(challenger.head, "") for row in scored])
    slices = slices_of(scored) | {f"{challenger.head}={label}": labels == label for label in np.unique(labels)}
    return judge_texts(champion.right, challenger.right, slices, policy)


def judge_all_heads(
    champion: Mapping[str, HeadMetrics],
    challenger: Mapping[str, HeadMetrics],
    rows: Sequence[Row],
    primary: str,
    policy: GatePolicy | None = None,
    footprints: tuple[Footprint, Footprint] | None = None,
) -> Verdict:
    """The gate's word on two results of `evaluate`: the primary head better, and nothing else clearly worse: no other
    head, no group of texts, the share of rejected texts in scope and of texts out of scope that pass, the honesty of
    probabilities, and size and speed where both footprints (the champion's first) are given. What the fast path covers
    is told, and refuses nothing."""
    policy = policy or GatePolicy()
    before, after = champion[primary], challenger[primary]
    verdict = judge_heads(before, after, rows, policy)
    if not verdict.passed:
        return verdict
    objections = _objections(champion, challenger, rows, primary, policy, footprints)
    if (objection := next(objections, None)) is not None:
        return replace(verdict, passed=False, reason=f"not released: {objection}")
    return replace(verdict, reason=verdict.reason + _coverage(before, after))


def _objections(
    champion: Mapping[str, HeadMetrics],
    challenger: Mapping[str, HeadMetrics],
    rows: Sequence[Row],
    primary: str,
    policy: GatePolicy,
    footprints: tuple[Footprint, Footprint] | None,
) -> Iterator[str]:
    """All that speaks against a challenger whose primary head is better, in words."""
    yield from _rejections(champion[primary], challenger[primary], policy)
    heads = sorted(champion.keys() & challenger.keys())
    share = policy.significance / len(heads)
    for head in heads:
        if head != primary:
            verdict = judge_heads(champion[head], challenger[head], rows, policy)
            yield from _head_that_is_worse(verdict, head, primary, policy.significance / (len(heads) - 1))
    limits = [
        calibration_objection(champion[head], challenger[head], policy.max_ece_increase, share)
        for head in heads
        if challenger[head].texts >= policy.min_texts
    ]
    if footprints is not None:
        limits.append(footprint_objection(*footprints, policy.max_size_ratio, policy.max_time_ratio))
    yield from (f"more right, but {objection}" for objection in limits if objection is not None)


def _rejections(champion: HeadMetrics, challenger: HeadMetrics, policy: GatePolicy) -> Iterator[str]:
    kept = compare(~champion.rejected, ~challenger.rejected)
    if _is_worse(kept, policy.significance):
        yield (
            f"more right, but it rejects {1 - kept.challenger_accuracy:.1%} of the texts against "
            f"{1 - kept.champion_accuracy:.1%} (p = {kept.p_value:.2g})"
        )
    if not np.array_equal(champion.strange_rows, challenger.strange_rows):
        raise TrainingDataError("the out-of-scope texts of champion and challenger differ; score both on the same ones")
    recall = compare(champion.strange_rejected, challenger.strange_rejected)
    if _is_worse(recall, policy.significance):
        yield (
            f"more right, but it rejects only {recall.challenger_accuracy:.1%} of the out-of-scope texts against "
            f"{recall.champion_accuracy:.1%} (p = {recall.p_value:.2g})"
        )


def _head_that_is_worse(verdict: Verdict, head: str, primary: str, significance: float) -> Iterator[str]:
    is_worse = _is_worse(verdict.overall, significance)
    if is_worse or verdict.worse_slices:
        where = head if is_worse else f"{head}, {verdict.worse_slices[0]},"
        overall = verdict.overall if is_worse else verdict.slices[verdict.worse_slices[0]]
        yield (
            f"{primary} is better, but {where} is worse: {overall.challenger_accuracy:.1%} against "
            f"{overall.champion_accuracy:.1%} on {overall.texts} texts (p = {overall.p_value:.2g})"
        )


def _coverage(champion: HeadMetrics, challenger: HeadMetrics) -> str:
    if champion.fast_path is None and challenger.fast_path is None:
        return ""
    before, after = (0.0 if one.fast_path is None else one.fast_path.coverage for one in (champion, challenger))
    return f"; the fast path decides {after:.1%} of the texts against {before:.1%}"


def _is_worse(comparison: Comparison, significance: float) -> bool:
    return comparison.only_champion > comparison.only_challenger and comparison.p_value < significance


def judge_texts(
    champion_right: NDArray[np.bool_],
    challenger_right: NDArray[np.bool_],
    slices: Mapping[str, NDArray[np.bool_]] | None = None,
    policy: GatePolicy | None = None,
) -> Verdict:
    """The same on bare results, by text. slices: by name, which of the texts belong to it."""
    policy = policy or GatePolicy()
    overall = compare(champion_right, challenger_right)
    members = {name: member for name, member in (slices or {}).items() if member.sum() >= MIN_SLICE_TEXTS}
    by_slice = {name: compare(champion_right[member], challenger_right[member]) for name, member in members.items()}
    worse = tuple(
        name
        for name, found in by_slice.items()
        if found.only_champion > found.only_challenger and found.p_value < policy.slice_significance / len(by_slice)
    )
    passed, reason = _reason(overall, by_slice, worse, policy)
    return Verdict(passed, reason, overall, by_slice, worse)


def _reason(
    overall: Comparison, by_slice: Mapping[str, Comparison], worse: Sequence[str], policy: GatePolicy
) -> tuple[bool, str]:
    counted = (
        f"{overall.challenger_accuracy:.1%} against {overall.champion_accuracy:.1%} on {overall.texts} texts "
        f"({overall.only_challenger} better, {overall.only_champion} worse, p = {overall.p_value:.2g})"
    )
    if overall.texts < policy.min_texts:
        return (
            False,
            f"not released: only {overall.texts} held-out texts, {policy.min_texts} are needed to tell",
        )
    if overall.only_challenger <= overall.only_champion:
        return False, f"not released: the challenger is not better, {counted}"
    if overall.p_value > policy.significance:
        return False, f"not released: the gain may be chance, {counted}"
    if worse:
        found = by_slice[worse[0]]
        return False, (
            f"not released: better overall, {counted}, but worse on {worse[0]}: "
            f"{found.challenger_accuracy:.1%} against {found.champion_accuracy:.1%} on {found.texts} texts"
        )
    return True, f"better: {counted}"
