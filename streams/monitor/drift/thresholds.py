"""Thresholds of the drift monitor, by resampling the reference for a stated expected run.

Each simulated stream draws from its own random half of the reference. Halves differ from the whole as much as
the whole differs from the texts it was itself drawn from, so that a small reference gives a higher threshold
by itself. How often the sum climbs to a height falls exponentially with the height; the slope is read off the
highest climbs and carried on to the rare height that is asked for.

Sources: CUSUM, Page (1954), Biometrika 41; half-sampling, McCarthy (1969), Review of the International
Statistical Institute 37; exponential tail of a CUSUM's excursions, Siegmund (1985), Sequential Analysis,
chapter 2.
"""

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
    by a factor from it (with a fast path, more of its texts get past that). offset: length of a step in a random
    direction outside the span (a text's own part is about 1 long).
    """

    runs: int = 384
    events: int = 2_500
    dimensions: int = 96
    scale_range: tuple[float, float] = (1.0, 1.12)
    offset: float = 0.03


def simulate_thresholds(
    reference: Reference,
    evidence: EvidencePolicy,
    *,
    expected_run_events: float,
    seed: int,
    policy: SimulationPolicy | None = None,
) -> Doubles:
    """The height for each detector, (3,), which a stationary stream reaches once in `expected_run_events`
    texts.

    Deterministic for a seed. Takes about a second.
    """
    policy = policy or SimulationPolicy()
    random = np.random.default_rng(seed)
    texts = _Texts.of(reference, policy)
    order = _orders(len(texts.ranks), policy, random)
    streams = Evidence(
        evidence,
        policy.runs,
        texts.outside.shape[1],
        texts.spread,
        place=texts.place,
        full_share=reference.full_share,
    )
    factors = random.uniform(*policy.scale_range, (policy.runs, 1))
    full_shares = _full_shares(reference, factors[:, 0], random)
    hidden = -np.log(reference.full_share)
    steps = random.standard_normal((policy.runs, texts.outside.shape[1])).astype(np.float32)
    steps *= policy.offset / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
    sums = np.zeros((policy.runs, len(DETECTORS)))
    highest = np.zeros_like(sums)
    excursions: list[list[Doubles]] = [[] for _ in DETECTORS]
    for rows in order.T:
        surprisals = hidden + factors * (texts.draw_exponents(rows, random) - hidden)
        fast = None
        if full_shares is not None:
            fast = random.random(policy.runs) >= full_shares
            surprisals[fast] = 0.0
        sums = np.maximum(sums + streams.add(surprisals, texts.outside[rows] + steps, fast), 0.0)
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

    The slope is taken one standard error flatter than it was seen: better a little late than a false alarm.
    Where a reference is so small that hardly anything climbs, the bound stands that holds for any increments
    whose ratio averages at most 1, the logarithm of the run; and in no case less than half of it.
    """
    bound = float(np.log(expected_run_events))
    ordered = np.sort(excursions[excursions > 0.0])[::-1]
    count = min(_CLIMBS, len(ordered) // 2)
    if count < 10:
        return bound
    base = ordered[count]
    mean_excess = float(np.mean(ordered[:count] - base)) * (1.0 + 1.0 / np.sqrt(count))
    height = float(base + mean_excess * max(np.log(expected_run_events * count / events), 0.0))
    return max(height, bound / 2)


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is drawn from, all of it texts that the encoder sees. outside: (texts, kept), parts outside the span; place:
    (kept,), where they are expected. ranks: (texts,), of the texts' distances.

    The embeddings come from texts that their centroids were fitted on, so their own distances are too short;
    each takes those of the reference's texts at the same place in the order of distances. exponents:
    (reference texts, 3), so ordered.
    """

    outside: Floats
    ranks: NDArray[np.int64]
    surprisals: Doubles
    spread: float
    place: Floats

    @classmethod
    def of(cls, reference: Reference, policy: SimulationPolicy) -> "_Texts":
        """Without a sample of embeddings, each reference text stands for itself."""
        pairs = reference.pairs[np.isfinite(reference.pairs[:, 0])]
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        surprisals = reference.surprisals(pairs[:, 0], pairs[:, 1])
        if not len(reference.residuals):
            nothing = np.zeros((len(pairs), 0), np.float32)
            return cls(nothing, np.arange(len(pairs)), surprisals, 1.0, nothing.sum(axis=0))
        outside = np.ascontiguousarray(reference.residuals[:, : policy.dimensions])
        ranks = np.argsort(np.argsort(reference.sample_distances, kind="stable"), kind="stable")
        variances = np.linalg.eigvalsh(outside.T.astype(np.float64) @ outside / len(outside))
        spread = float(np.sum(variances**2) / max(np.sum(variances), 1e-12))
        place = reference.place[: policy.dimensions]
        return cls(outside, ranks, surprisals, max(spread, 1e-12), place)

    def draw_exponents(self, rows: NDArray[np.int64], random: np.random.Generator) -> Doubles:
        """Exponents for these texts, (rows, 3)."""
        places = (self.ranks[rows] + random.random(len(rows))) * (len(self.surprisals) / len(self.ranks))
        drawn: Doubles = self.surprisals[places.astype(np.int64)]
        return drawn


def _orders(texts: int, policy: SimulationPolicy, random: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers (runs, events): per run a random half of the texts, in ever new order."""
    half = max(texts // 2, 1)
    own = random.random((policy.runs, texts)).argsort(axis=1)[:, :half]
    rounds = [
        np.take_along_axis(own, random.random(own.shape).argsort(axis=1), axis=1)
        for _ in range(-(-policy.events // half))
    ]
    return np.concatenate(rounds, axis=1)[:, : policy.events]
