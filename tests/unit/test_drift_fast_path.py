"""The drift monitor beside a fast path: texts that are decided without the encoder are the least suspicious ones."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from repeats import repeats

from models.errors import ModelError
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy, Episode, Signal
from streams.monitor.drift.evidence import (
    DETECTORS,
    TAILS,
    Evidence,
    EvidencePolicy,
    mean_exponent,
    tail_evidence,
    tail_ratio,
)
from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.reference import Doubles, Floats, Reference
from streams.monitor.drift.small_share import unusual
from streams.monitor.drift.thresholds import SimulationPolicy

DIMENSIONS, LABELS = 48, 8
QUICK = DriftPolicy(simulation=SimulationPolicy(runs=64, events=1_000))
AUDITED = 0.05


class World:
    """Eight subjects that the release knows, a ninth that it does not, and a fast path that prefers some texts.

    What makes a text easy also moves its embedding, outside the span of the subjects: the selection has a mean of its
    own.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        axes = np.linalg.qr(np.random.default_rng(7).standard_normal((DIMENSIONS, LABELS + 2)))[0].T
        self.subjects, self._ease = axes[: LABELS + 1].astype(np.float32), axes[LABELS + 1].astype(np.float32)
        self.sent = 0

    def texts(self, subjects: NDArray[np.int64]) -> Floats:
        vectors = self.subjects[subjects] + 0.16 * self.random.standard_normal((len(subjects), DIMENSIONS))
        unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def confidence(self, texts: Floats) -> Floats:
        logits = 8.0 * texts @ self.subjects[:LABELS].T
        highest: Floats = (np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)).astype(np.float32)
        return highest

    def is_fast(self, subjects: NDArray[np.int64], texts: Floats) -> NDArray[np.bool_]:
        """About 70 % of the known texts, 10 % of the new ones."""
        ease = texts @ self._ease / 0.16 + 0.5 * self.random.standard_normal(len(texts))
        fast: NDArray[np.bool_] = ease > np.where(subjects == LABELS, 1.4, -0.6)
        return fast

    def reference(self, texts: int = 3_000) -> dict[str, NDArray[Any]]:
        subjects = self.random.integers(LABELS, size=texts)
        known = self.texts(subjects)
        fast = self.is_fast(subjects, known)
        return {
            "centroids": self.subjects[:LABELS],
            "reference_distances": 1.0 - (known @ self.subjects[:LABELS].T).max(axis=1),
            "reference_confidence": self.confidence(known),
            "reference_embeddings": known[:1_000].astype(np.float16),
            "reference_fast": fast.astype(np.uint8),
            "reference_full_embeddings": known[~fast][:1_000].astype(np.float16),
        }

    def signals(
        self,
        events: int,
        new: float = 0.0,
        *,
        use_fast_path: bool = True,
        fooled: bool = False,
        audited: float = AUDITED,
    ) -> Iterator[Signal]:
        """fooled: the fast path is sure of every new text."""
        subjects = np.where(self.random.random(events) < new, LABELS, self.random.integers(LABELS, size=events))
        texts = self.texts(subjects)
        fast = self.is_fast(subjects, texts) & use_fast_path | (fooled & (subjects == LABELS))
        seen = ~fast | (self.random.random(events) < audited)
        for row, confidence in enumerate(self.confidence(texts).tolist()):
            self.sent += 1
            embedding = texts[row] if seen[row] else None
            sure = 0.99 if fast[row] else confidence
            yield Signal(f"s@1-0-{self.sent}", self.sent, None, "0", sure, None, embedding, bool(fast[row]))


def monitor(reference: dict[str, NDArray[Any]], seed: int = 0, *, fast_path: bool = True) -> DriftMonitor:
    return DriftMonitor.from_reference(
        reference, false_alarm_every=100_000, seed=seed, fast_path=fast_path, policy=QUICK
    )


def episodes(watch: DriftMonitor, signals: Iterator[Signal]) -> list[Episode]:
    return [episode for signal in signals if (episode := watch.update(signal)) is not None]


@pytest.mark.parametrize("seed", range(repeats(2, 4)))
def test_stationary_stream_beside_a_fast_path_stays_silent(seed: int) -> None:
    here = World(seed)
    assert episodes(monitor(here.reference(), seed), here.signals(2_000)) == []


def test_new_subject_beside_a_fast_path_is_found_soon() -> None:
    for seed in range(repeats(2, 4)):
        here = World(seed)
        watch = monitor(here.reference(), seed)
        assert episodes(watch, here.signals(500)) == []
        (episode,) = episodes(watch, here.signals(200, new=0.2))
        assert 500 < episode.detected_event < 570
        assert abs(episode.onset_event - 501) <= 25


@pytest.mark.parametrize("seed", range(repeats(2, 4)))
def test_application_that_uses_no_fast_path_is_compared_with_all_texts(seed: int) -> None:
    here = World(seed)
    reference = here.reference()
    watch = monitor(reference, seed, fast_path=False)
    plain = {name: array for name, array in reference.items() if name in PLAIN}
    assert watch.thresholds == monitor(plain, seed).thresholds != monitor(reference, seed).thresholds
    assert episodes(watch, here.signals(1_000, use_fast_path=False)) == []
    assert len(episodes(watch, here.signals(200, new=0.2, use_fast_path=False))) == 1


PLAIN = ("centroids", "reference_distances", "reference_confidence", "reference_embeddings")


def test_all_texts_through_the_encoder_are_told_where_the_monitor_expects_a_fast_path() -> None:
    """Why the monitor must know the application's setting."""
    here = World(0)
    assert len(episodes(monitor(here.reference()), here.signals(1_000, use_fast_path=False))) == 1


def test_new_subject_that_the_fast_path_decides_is_found_by_its_audits() -> None:
    """Such texts weighed nothing, audited or not: it was never found."""
    here = World(0)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(800, audited=0.2)) == []
    (episode,) = episodes(watch, here.signals(1_200, new=0.2, fooled=True, audited=0.2))
    assert episode.detectors[0] == FAST_AUDITS
    assert 800 < episode.detected_event < 1_400
    assert abs(episode.onset_event - 801) <= 60
    (later,) = watch.episodes
    assert 0.1 < later.share_after < 0.3
    assert 0.0 < later.share_range[0] < 0.2 < later.share_range[1]
    assert "The fast path decides them" in later.summary
    assert later.cost is not None and later.cost.lost > 0.1


def test_fast_texts_that_nobody_audits_leave_everything_as_it_is_without_their_sum() -> None:
    here = World(1)
    reference = here.reference()
    with_sum, without = monitor(reference), monitor(reference)
    without._sums.audits = None
    del without._sums._cusums[FAST_AUDITS]
    for signal in here.signals(300, new=0.2, audited=0.0):
        assert with_sum.update(signal) == without.update(signal)
        assert with_sum.levels == without.levels | {FAST_AUDITS: 0.0}
    assert with_sum.episode is not None


def test_audited_text_weighs_like_any_other_fast_one_in_the_sums_over_all_texts() -> None:
    here = World(1)
    reference = here.reference()
    one, other, highest = monitor(reference), monitor(reference), 0.0
    for signal in here.signals(600, new=0.1):
        one.update(signal)
        other.update(replace(signal, embedding=None, confidence=0.4) if signal.fast else signal)
        if one.episode is not None:  # from here on its own texts count no more, audited ones as well
            break
        assert all(one.levels[name] == other.levels[name] for name in DETECTORS)
        highest = max(highest, *one.levels.values())
    assert highest > 0.3


def test_fast_text_says_the_least_for_all_detectors() -> None:
    known = Reference.from_arrays(World(2).reference())
    least, of_few = float(tail_evidence(np.zeros(1))[0]), float(unusual(tail_ratio(np.zeros(1)))[0])
    for embedded in (True, False):
        evidence = Evidence(EvidencePolicy(), 1, known.basis.shape[1], known.spread, place=known.place)
        outside = known.residuals[:1] if embedded else None
        for increments in (
            evidence.add(np.zeros((1, 3)), outside, np.array([True])),
            evidence.repeated(np.zeros((1, 3)), 1, is_fast=True, has_embedding=False),
        ):
            assert increments.tolist() == [[pytest.approx(least)] * len(TAILS) + [pytest.approx(of_few)]]


@given(st.integers(1, 2_000), st.floats(0.0, 1.0), st.integers(0, 2**32 - 1))
def test_tails_are_valid_over_all_texts_whatever_the_fast_path_takes(texts: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    known = reference_of(texts, random.random(texts) < share, random)
    surprisals = known.surprisals(known.pairs[:, 0], known.pairs[:, 1])
    assert np.all(surprisals[np.isneginf(known.pairs[:, 0])] == 0.0)
    assert np.all(np.exp(tail_evidence(surprisals)).mean(axis=0) <= 1.0 + 1e-9)
    for level in (0.5, 0.1, 0.01):
        assert np.all((np.exp(-surprisals) <= level).mean(axis=0) <= level + 1e-9)


def reference_of(texts: int, fast: NDArray[np.bool_], random: np.random.Generator) -> Reference:
    distances = random.random(texts)
    arrays: dict[str, NDArray[Any]] = {
        "centroids": np.eye(4, dtype=np.float32)[:2],
        "reference_distances": distances,
        "reference_confidence": 1.0 - (distances + random.random(texts)) / 2,
        "reference_fast": fast,
        "reference_full_embeddings": np.empty((0, 4), np.float16),
    }
    return Reference.from_arrays(arrays)


@pytest.mark.parametrize("scale", [1.0, 1.2, 1.5])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
def test_scale_of_the_stream_is_learnt_from_the_part_that_is_seen(scale: float, share: float) -> None:
    random = np.random.default_rng(0)
    order = scale * random.exponential(size=400_000)
    seen = np.where(order >= -np.log(share), order, 0.0)
    assert seen.mean() == pytest.approx(float(mean_exponent(scale, share)), rel=0.01)

    evidence = Evidence(EvidencePolicy(expected_weight=1.0), 200, 0, 1.0, full_share=share)
    for texts in seen[:600_000].reshape(-1, 200)[:2_000]:
        surprisals: Doubles = np.repeat(texts[:, None], 3, axis=1)
        evidence.add(surprisals, np.empty((200, 0), np.float32), texts == 0.0)
    ones = np.ones((200, 3))
    learnt = ones / evidence._corrected(ones)
    assert learnt.mean() == pytest.approx(scale, abs=0.03)


@pytest.mark.parametrize(
    ("placed", "expected"), [(True, 1.0), (False, 1.12)], ids=["placed", "as if without selection"]
)
def test_direction_says_nothing_on_average_only_around_the_mean_of_the_selection(placed: bool, expected: float) -> None:
    here = World(3)
    known = Reference.from_arrays(here.reference(20_000))
    assert 0.1 < np.linalg.norm(known.place) < 0.3
    place = known.place if placed else None
    evidence = Evidence(EvidencePolicy(), 200, known.basis.shape[1], known.spread, place=place)
    silent, least, ratios = np.zeros((200, 3)), tail_evidence(np.zeros(1)), []
    for _ in range(150):
        subjects = here.random.integers(LABELS, size=200)
        texts = here.texts(subjects)
        fast = here.is_fast(subjects, texts)
        increments = evidence.add(silent, texts @ known.basis, fast) - least
        ratios.append(np.exp(increments[~fast, 0]).mean())
    assert np.mean(ratios[50:]) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("fast", [0.0, 1.0], ids=["none", "all"])
def test_reference_whose_texts_are_all_alike_gives_finite_thresholds(fast: float) -> None:
    here = World(4)
    reference = here.reference(500)
    reference["reference_fast"] = np.full(500, fast, np.uint8)
    if fast:
        reference["reference_full_embeddings"] = np.empty((0, DIMENSIONS), np.float16)
    watch = monitor(reference)
    assert all(np.isfinite(height) and height > 0 for height in watch.thresholds.values())
    for signal in here.signals(100):
        watch.update(signal)
    assert all(np.isfinite(level) for level in watch.levels.values())


def test_mask_for_other_texts_is_refused() -> None:
    reference = World(5).reference(100)
    with pytest.raises(ModelError, match="reference_fast is for 99 texts"):
        Reference.from_arrays(reference | {"reference_fast": reference["reference_fast"][:99]})
