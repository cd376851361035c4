"""Thresholds of the drift monitor, by resampling the reference for a stated expected run.

Each simulated stream draws from its own random half of the reference. Halves differ from the whole as much as the whole
differs from the texts it was itself drawn from, so that a small reference gives a higher threshold by itself. How often
the sum climbs to a height falls exponentially with the height; the slope is read off the highest climbs and carried on
to the rare height that is asked for.

Sources: CUSUM, Page (1954), Biometrika 41; half-sampling, McCarthy (1969), Review of the International Statistical
Institute 37; exponential tail of a CUSUM's excursions, Siegmund (1985), Sequential Analysis, chapter 2.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.drift_evidence import DETECTORS, Doubles, Evidence, EvidencePolicy, Floats, Reference

_CLIMBS: Final = 150  # the highest ones, which the slope is read off


@dataclass(frozen=True, slots=True)
class SimulationPolicy:
    """runs: streams side by side. events: of each. dimensions: kept of the parts outside the span, the strongest."""

    runs: int = 384
    events: int = 2_500
    dimensions: int = 96


def simulate_thresholds(
    reference: Reference, evidence: EvidencePolicy, *, expected_run_events: float, seed: int, policy: SimulationPolicy | None = None
) -> Doubles:
    """The height for each detector, (3,), which a stationary stream reaches once in `expected_run_events` texts.

    Deterministic for a seed. Takes about a second.
    """
    policy = policy or SimulationPolicy()
    random = np.random.default_rng(seed)
    exponents, outside = _sample(reference, policy)
    order = _streams(len(exponents), policy, random)
    streams = Evidence(evidence, policy.runs, outside.shape[1], _spread(outside))
    sums = np.zeros((policy.runs, len(DETECTORS)))
    highest = np.zeros_like(sums)
    climbs: list[list[NDArray[np.float64]]] = [[] for _ in DETECTORS]
    for event in range(policy.events):
        rows = order[:, event]
        sums = np.maximum(sums + streams.add(exponents[rows], outside[rows]), 0.0)
        ended = (sums == 0.0) & (highest > 0.0)
        for detector in range(len(DETECTORS)):
            climbs[detector].append(highest[ended[:, detector], detector])
        highest = np.where(sums == 0.0, 0.0, np.maximum(highest, sums))
    events = policy.runs * policy.events
    heights = [np.concatenate([*found, highest[:, detector]]) for detector, found in enumerate(climbs)]
    return np.array([threshold_from_climbs(found, events, expected_run_events) for found in heights])


def threshold_from_climbs(climbs: Doubles, events: int, expected_run_events: float) -> float:
    """The height that climbs reach once in `expected_run_events`, from those seen in `events`.

    The slope is taken one standard error flatter than it was seen: better a little late than a false alarm.
    """
    ordered = np.sort(climbs)[::-1]
    count = min(_CLIMBS, len(ordered) // 2)
    if count < 10:
        return float(np.log(expected_run_events))  # the bound that holds for any increments whose ratio averages 1
    base = ordered[count]
    mean_excess = float(np.mean(ordered[:count] - base)) * (1.0 + 1.0 / np.sqrt(count))
    return float(base + mean_excess * max(np.log(expected_run_events * count / events), 0.0))


def _sample(reference: Reference, policy: SimulationPolicy) -> tuple[Doubles, Floats]:
    """Texts to draw from: their exponents (texts, 3) and parts outside the span (texts, kept).

    The embeddings come from texts that their centroids were fitted on, so their own distances are too short; each takes
    the place of the reference text of the same rank in distance.
    """
    pairs = reference.pairs
    if len(reference.residuals):
        ranks = np.argsort(np.argsort(reference.sample_distances, kind="stable"), kind="stable")
        places = (ranks + 0.5) / len(ranks) * len(pairs)
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")[places.astype(np.int64)]]
    exponents = reference.exponents(pairs[:, 0], pairs[:, 1])
    kept = np.ascontiguousarray(reference.residuals[:, : policy.dimensions])
    return exponents, kept if len(kept) else np.zeros((len(exponents), 0), np.float32)


def _streams(texts: int, policy: SimulationPolicy, random: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers (runs, events): per run a random half of the texts, in ever new order."""
    half = max(texts // 2, 1)
    own = random.random((policy.runs, texts)).argsort(axis=1)[:, :half]
    rounds = [
        np.take_along_axis(own, random.random(own.shape).argsort(axis=1), axis=1) for _ in range(-(-policy.events // half))
    ]
    return np.concatenate(rounds, axis=1)[:, : policy.events]


def _spread(outside: Floats) -> float:
    """Variance of a text along the direction of another."""
    if not outside.size:
        return 1.0
    variances = np.linalg.eigvalsh(outside.T.astype(np.float64) @ outside / len(outside))
    return float(np.sum(variances**2) / max(np.sum(variances), 1e-12))
