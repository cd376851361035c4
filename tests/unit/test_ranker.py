"""What the ranker learns of clicks on lists, of which what stands first is looked at most."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.recommendation.events import UserEvent
from models.recommendation.ranker import DENSE, NAMES, Features, Ranker
from models.recommendation.recommender import Recommender

ITEMS, USERS, LENGTH = 40, 8, 10
SEEDS = range(3)
TASTE = 2.0 * (np.array(DENSE) == "popular")  # what decides, beside the place; the ranker begins with other weights


def users_of(draw: np.random.Generator) -> list[Features]:
    """Items look alike to all of them, up to a half; none follows another, as few do."""
    shared = draw.standard_normal((len(DENSE) - 1, ITEMS))
    nothing = np.empty(0, np.int64)
    return [
        Features(
            np.pad((shared + draw.standard_normal(shared.shape)) / 2**0.5, ((0, 1), (0, 0))).astype(np.float32),
            nothing,
            nothing,
            np.empty(0, np.float32),
            np.ones(ITEMS, bool),
        )
        for _ in range(USERS)
    ]


def listed(ranker: Ranker, features: Features, draw: np.random.Generator) -> NDArray[np.int64]:
    """The best nine and one that is drawn."""
    order = np.argsort(-ranker.logits(features), kind="stable")
    return np.append(order[: LENGTH - 1], draw.choice(order[LENGTH - 1 :]))


def agreement(ranker: Ranker, users: list[Features]) -> float:
    """Kendall's tau of the learnt order and the true one."""
    total = 0.0
    for features in users:
        scores, true = ranker.logits(features), TASTE @ features.dense
        total += float((np.sign(scores[:, None] - scores) * np.sign(true[:, None] - true)).sum())
    return total / (len(users) * ITEMS * (ITEMS - 1))


def taught(seed: int, power: float, *, is_told_of_places: bool, clicks: int = 4_000) -> tuple[Ranker, float]:
    """By clicks of a position-based model: a place is looked at by its number to the power of `-power`."""
    draw, ranker = np.random.default_rng(seed), Ranker(0.1)
    users = users_of(draw)
    looked_at = np.arange(1.0, LENGTH + 1.0) ** -power
    for _ in range(clicks):
        features = users[draw.integers(USERS)]
        shown = listed(ranker, features, draw)
        chances = np.exp(TASTE @ features.dense[:, shown]) * looked_at
        taken = int(draw.choice(shown, p=chances / chances.sum()))
        ranker.learn(features, taken, shown if is_told_of_places else np.empty(0, np.int64))
    return ranker, agreement(ranker, users)


@pytest.fixture(scope="module")
def told() -> list[tuple[Ranker, float]]:
    return [taught(seed, 2.0, is_told_of_places=True) for seed in SEEDS]


def test_the_true_order_is_found_better_by_who_knows_at_which_places_items_stood(
    told: list[tuple[Ranker, float]],
) -> None:
    untold = [taught(seed, 2.0, is_told_of_places=False)[1] for seed in SEEDS]
    assert np.mean([tau for _, tau in told]) > np.mean(untold) + 0.02


def test_how_much_a_place_counts_is_learnt(told: list[tuple[Ranker, float]]) -> None:
    for ranker, _ in told:
        assert -2.0 <= ranker.named()["further_down"] <= -0.4 and ranker.named()["listed"] > 1.0
    same, _ = taught(0, 0.0, is_told_of_places=True, clicks=1_000)
    assert -0.1 < same.named()["further_down"] <= 0.0, "all places are looked at alike"


def test_places_do_not_count_when_items_are_scored(told: list[tuple[Ranker, float]]) -> None:
    ranker, _ = told[0]
    features = users_of(np.random.default_rng(1))[0]
    dense = np.array([ranker.named()[name] for name in DENSE], np.float32)
    assert ranker.logits(features) == pytest.approx(dense @ features.dense, rel=1e-5)


def test_what_was_learnt_of_places_is_part_of_the_state(told: list[tuple[Ranker, float]]) -> None:
    ranker, _ = told[0]
    again = Ranker(0.1)
    again.restore(ranker.state())
    assert again.named() == ranker.named() and again.named()["further_down"] < 0
    older = Ranker(0.1)
    older.restore(ranker.state()[:, :-2], NAMES[:-2])
    assert older.named() == ranker.named() | {"listed": 0.0, "further_down": 0.0}


def test_a_recommender_tells_its_ranker_of_the_lists_that_users_had() -> None:
    """Users who take the first item of every list, whatever it is, teach that it stands first."""
    vectors = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    recommender = Recommender(tuple(f"i{number}" for number in range(60)), vectors)
    for number in range(300):
        first = recommender.rank(f"u{number % 20}")[0].item_id if number >= 20 else "i0"
        recommender.observe(UserEvent(f"u{number % 20}", first, "click"))
    assert recommender.weights["listed"] > 0.3 and recommender.weights["further_down"] < -0.3
