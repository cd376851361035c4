"""The sum for a small share of new texts: what lies near the unusual texts of late speaks for it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.monitor.drift.evidence import BOTH, Evidence, EvidencePolicy, tail_evidence
from streams.monitor.drift.neighbours import UnusualTexts
from streams.monitor.drift.reference import Doubles, Floats
from streams.monitor.drift.small_share import SmallShare, new_share, unusual

DIMENSIONS = 40
SEEN, NO_ERROR, MEMORY = np.ones(1, bool), np.zeros(1), np.full(1, 1_000.0)


def near(place: int, random: np.random.Generator) -> Floats:
    """A text one long in the root mean square, partly along an axis; a negative number is the other way."""
    text = random.standard_normal(DIMENSIONS) * 0.8 / np.sqrt(DIMENSIONS)
    text[abs(place)] += 0.7 * np.sign(place)
    return text[None].astype(np.float32)


def odds(kept: UnusualTexts, text: Floats) -> float:
    return float(kept.odds(text, None, NO_ERROR, SEEN, MEMORY)[0])


def test_texts_of_two_places_that_cancel_each_other_still_have_neighbours() -> None:
    random = np.random.default_rng(0)
    kept = UnusualTexts(1, DIMENSIONS, 1.0 / DIMENSIONS)
    for place in [3, -3] * 6:
        kept.remember(near(place, random), np.array([0.3]), SEEN)
    elsewhere = np.mean([odds(kept, near(place, random)) for place in range(5, 25)])
    assert odds(kept, near(3, random)) > 2.0 * elsewhere
    assert odds(kept, near(-3, random)) > 2.0 * elsewhere


def test_the_same_text_again_is_no_neighbour_of_itself() -> None:
    random = np.random.default_rng(1)
    kept = UnusualTexts(1, DIMENSIONS, 1.0 / DIMENSIONS)
    text = near(3, random)
    for _ in range(12):
        kept.remember(text, np.array([0.3]), SEEN)
    assert odds(kept, text) == 1.0
    assert odds(kept, near(3, random)) > 2.0


def test_what_the_error_of_the_place_explains_is_no_neighbourhood() -> None:
    random = np.random.default_rng(2)
    kept = UnusualTexts(1, DIMENSIONS, 1.0 / DIMENSIONS)
    for _ in range(12):
        kept.remember(near(3, random), np.array([0.3]), SEEN)
    text = near(3, random)
    assert float(kept.odds(text, None, np.array([0.5]), SEEN, MEMORY)[0]) < odds(kept, text) / 2


@pytest.mark.parametrize("runs", [1, 3])
def test_nothing_is_said_of_texts_that_the_encoder_did_not_see(runs: int) -> None:
    none = np.zeros(runs, bool)
    said = SmallShare(runs).pointing(np.full(runs, 3.0), np.full(runs, 9.0), none, np.full(runs, 100.0))
    assert said.tolist() == [0.0] * runs


def test_known_texts_give_no_more_than_nothing_on_average() -> None:
    random = np.random.default_rng(4)
    runs = 100
    small, kept = SmallShare(runs), UnusualTexts(runs, DIMENSIONS, 1.0 / DIMENSIONS)
    seen, sums = np.ones(runs, bool), []
    for step in range(600):
        tails = random.random(runs)
        ratios: Doubles = 0.5 / np.sqrt(tails)
        texts: NDArray[np.float32] = (random.standard_normal((runs, DIMENSIONS)) / np.sqrt(DIMENSIONS)).astype(
            np.float32
        )
        memory = np.full(runs, min(100.0 + step, 1_000.0))
        near_ones = kept.odds(texts, None, np.zeros(runs), seen, memory)
        kept.remember(texts, new_share(ratios), seen)
        said = small.pointing(random.standard_normal(runs), near_ones, seen, memory)
        sums.append(np.exp(said + unusual(ratios)).mean())
    assert np.mean(sums[50:]) == pytest.approx(1.0, abs=0.01)


def test_a_new_subject_that_lies_in_places_which_cancel_each_other_adds_more_than_its_distance() -> None:
    random = np.random.default_rng(5)
    evidence = Evidence(EvidencePolicy(), 1, DIMENSIONS, 1.0 / DIMENSIONS)
    told = []
    for number in range(240):
        is_new, place = number >= 200, (3 if number % 2 else -3)
        text = near(place, random) if is_new else random.standard_normal((1, DIMENSIONS)) / np.sqrt(DIMENSIONS)
        surprisals = np.full((1, 3), 4.0 if is_new else random.exponential())
        said = evidence.add(surprisals, text.astype(np.float32))[0, BOTH]
        told.append(said - tail_evidence(surprisals / 1.05)[0, BOTH])
    assert np.mean(told[210:]) > 0.1
    assert abs(np.mean(told[50:200])) < 0.1
