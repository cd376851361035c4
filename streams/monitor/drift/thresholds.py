"""Thresholds of the drift monitor, by resampling the reference for a stated expected run.

Each simulated stream draws from its own random half of the reference. Halves differ from the whole as much as
the whole differs from the texts it was itself drawn from, so that a small reference gives a higher threshold
by itself. Of the direction, a half that is gone through in turn shows nothing: where texts
that have just been had point one way, those left point the other. So the texts of each label are moved farther the
way that the half's lie. How often the sum climbs to a height falls exponentially with the height; the slope is read
off the highest climbs and carried on to the rare height that is asked for.

Sources: CUSUM, Page (1954), Biometrika 41; half-samples, McCarthy (1969), Review of the International
Statistical Institute 37; exponential tail of a CUSUM's excursions, Siegmund (1985), Sequential Analysis,
chapter 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.evidence import DETECTORS, Evidence, EvidencePolicy
from streams.monitor.drift.reference import Doubles, Floats, Reference

_CLIMBS: Final = 150  # the highest ones, which the slope is read off


@dataclass(frozen=True, slots=True)
class SimulationPolicy:
    """runs: streams side by side. events: of each. dimensions: kept of the parts outside the span, the
    strongest.

    A live stream is not the training texts; so each simulated one is moved. scale_range: its exponents are multiplied
    by a factor from it (with a fast path, more of its texts get past that). place_errors: times its expected squared
    error, by which the place of each label's texts outside the span is wrong.
    """

    runs: int = 384
    events: int = 2_500
    dimensions: int = 96
    scale_range: tuple[float, float] = (1.0, 1.12)
    place_errors: float = 3.0


def simulate_thresholds(
    reference: Reference,
    evidence: EvidencePolicy,
    *,
    expected_run_events: float,
    seed: int,
    policy: SimulationPolicy | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Doubles:
    """The height for each detector, (4,), which a stationary stream reaches once in `expected_run_events`
    texts.

    Deterministic for a seed. Takes about a second. go_on: called a thousand times in it; may raise to end it.
    """
    policy = policy or SimulationPolicy()
    random = np.random.default_rng(seed)
    texts = _Texts.of(reference, policy)
    count = len(texts.ranks)
    own = random.random((policy.runs, count)).argsort(axis=1)[:, : max(count // 2, 1)]
    errors = _place_errors(texts, own, reference.place_texts, policy)
    runs = np.arange(policy.runs)
    streams = Evidence(
        evidence,
        policy.runs,
        texts.outside.shape[1],
        texts.spread,
        place=texts.place,
        place_texts=reference.place_texts,
        full_share=reference.full_share,
    )
    factors = random.uniform(*policy.scale_range, (policy.runs, 1))
    full_shares = _full_shares(reference, factors[:, 0], random)
    hidden = -np.log(reference.full_share)
    sums = np.zeros((policy.runs, len(DETECTORS)))
    highest = np.zeros_like(sums)
    excursions: list[list[Doubles]] = [[] for _ in DETECTORS]
    for rows in _orders(own, policy.events, random).T:
        go_on()
        surprisals = hidden + factors * (texts.draw_exponents(rows, random) - hidden)
        fast = None
        if full_shares is not None:
            fast = random.random(policy.runs) >= full_shares
            surprisals[fast] = 0.0
        outside = texts.outside[rows] + errors[runs, texts.labels[rows]]
        sums = np.maximum(sums + streams.add(surprisals, outside, fast), 0.0)
        ended = (sums == 0.0) & (highest > 0.0)
        for detector in range(len(DETECTORS)):
            excursions[detector].append(highest[ended[:, detector], detector])
        highest = np.where(sums == 0.0, 0.0, np.maximum(highest, sums))
    events = policy.runs * policy.events
    heights = [np.concatenate([*climbs, highest[:, detector]]) for detector, climbs in enumerate(excursions)]
    return np.array([threshold_from_climbs(climbs, events, expected_run_events) for climbs in heights])


def _full_shares(reference: Reference, factors: Doubles, random: np.random.Generator) -> Doubles | None:
    """Each stream's share of texts that the encoder sees: as uncertain as the reference is small, and moved like its
    exponents. None without a fast path."""
    if reference.full_share == 1.0:
        return None
    shares = random.binomial(reference.size, reference.full_share, len(factors)) / reference.size
    moved: Doubles = shares ** (1.0 / factors)
    return moved


def threshold_from_climbs(excursions: Doubles, events: int, expected_run_events: float) -> float:
    """The height that climbs reach once in `expected_run_events`, from those seen in `events`.

    Where hardly anything climbs, the logarithm of the run stands, which increments whose ratio averages at most 1 reach
    less than once in the run (a direction and a distance together may average a little more).
    """
    bound = float(np.log(expected_run_events))
    ordered = np.sort(excursions[excursions > 0.0])[::-1]
    count = min(_CLIMBS, len(ordered) // 2)
    if count < 10:
        return bound
    base = ordered[count]
    mean_excess = float(np.mean(ordered[:count] - base))
    return float(base + mean_excess * max(np.log(expected_run_events * count / events), 0.0))


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is drawn from, all of it texts that the encoder sees. outside: (texts, kept), parts outside the span, 1
    long in the root mean square; place: (kept,), where they are expected. labels, ranks: (texts,), the nearest
    centroid of each, and where its distance stands in their order.

    The embeddings come from texts that their centroids were fitted on, so their own distances are too short;
    each takes those of the reference's texts at the same place in the order of distances. exponents:
    (reference texts, 3), so ordered.
    """

    outside: Floats
    ranks: NDArray[np.int64]
    surprisals: Doubles
    spread: float
    place: Floats
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, reference: Reference, policy: SimulationPolicy) -> "_Texts":
        """Without a sample of embeddings, each reference text stands for itself."""
        pairs = reference.pairs[np.isfinite(reference.pairs[:, 0])]
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        surprisals = reference.surprisals(pairs[:, 0], pairs[:, 1])
        if not len(reference.residuals):
            nothing = np.zeros((len(pairs), 0), np.float32)
            return cls(
                nothing, np.arange(len(pairs)), surprisals, 1.0, nothing.sum(axis=0), np.zeros(len(pairs), np.int64)
            )
        outside = np.ascontiguousarray(reference.residuals[:, : policy.dimensions])
        length = np.float32(max(np.sqrt(np.mean(np.sum(outside**2, axis=1))), 1e-12))
        outside = outside / length
        ranks = np.argsort(np.argsort(reference.sample_distances, kind="stable"), kind="stable")
        variances = np.linalg.eigvalsh(outside.T.astype(np.float64) @ outside / len(outside))
        spread = float(np.sum(variances**2) / max(np.sum(variances), 1e-12))
        place = reference.place[: policy.dimensions] / length
        return cls(outside, ranks, surprisals, max(spread, 1e-12), place, reference.sample_labels)

    def draw_exponents(self, rows: NDArray[np.int64], random: np.random.Generator) -> Doubles:
        """Exponents for these texts, (rows, 3)."""
        places = (self.ranks[rows] + random.random(len(rows))) * (len(self.surprisals) / len(self.ranks))
        drawn: Doubles = self.surprisals[places.astype(np.int64)]
        return drawn


def _orders(own: NDArray[np.int64], events: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers (runs, events): each run's own texts, round after round in ever new order."""
    rounds = [
        np.take_along_axis(own, random.random(own.shape).argsort(axis=1), axis=1)
        for _ in range(-(-events // max(own.shape[1], 1)))
    ]
    return np.concatenate(rounds, axis=1)[:, :events]


def _place_errors(texts: _Texts, own: NDArray[np.int64], known_from: int, policy: SimulationPolicy) -> Floats:
    """What is added to a label's texts, (runs, labels, kept): a run lies wrong the way that its half's mean does.

    Two texts of one round agree by the squared distance of the half's mean from that of all (1 over the texts on
    average), less 1 over the half, as no text comes twice. Moved farther, by so much that they agree by
    `place_errors` over `known_from`.
    """
    member = np.eye(int(texts.labels.max(initial=-1)) + 1, dtype=np.float32)[texts.labels]
    everywhere = _means(member, texts.outside, np.zeros((member.shape[1], texts.outside.shape[1]), np.float32))
    moved = np.stack([_means(member[rows], texts.outside[rows], everywhere) - everywhere for rows in own])
    count = len(texts.labels)
    moved *= np.float32(np.sqrt(2.0 + policy.place_errors * count / max(known_from, count)) - 1.0)
    return moved


def _means(member: Floats, vectors: Floats, empty: Floats) -> Floats:
    """Mean of each group's vectors, (groups, dimensions); `empty` of a group without one. member: (vectors, groups), 0
    or 1."""
    counts = member.sum(axis=0)[:, None]
    means: Floats = np.where(counts > 0.0, (member.T @ vectors) / np.maximum(counts, 1.0), empty)
    return means
