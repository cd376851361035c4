"""What came after what, of late."""

import numpy as np
import pytest

from models.recommendation.candidates.following import BEFORE, TOUCHES, Following
from models.recommendation.events import UserEvent
from models.recommendation.recommender import Recommender


def places(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


def busy(touches: int, items: int = 60, seed: int = 0) -> Following:
    draw, following = np.random.default_rng(seed), Following()
    for _ in range(touches):
        following.touched(int(draw.integers(items)), draw.permutation(items)[: draw.integers(9)])
    return following


def test_what_came_after_the_last_items_counts_the_later_the_more() -> None:
    following = Following()
    for _ in range(3):
        following.touched(7, places(1, 2))
    following.touched(8, places(2))
    following.touched(2, places(2))  # after itself alone
    assert following.scores(places(2), 10).tolist() == [0, 0, 0, 0, 0, 0, 0, 3, 1, 0]
    assert following.scores(places(2, 1), 10)[[7, 8]].tolist() == [4.5, 0.5]
    assert not following.scores(places(7), 10).any(), "what came before does not come after"
    assert not following.scores(places(1, *range(20, 20 + BEFORE)), 30).any(), "older than the last items"


def test_the_latest_of_the_users_items_that_it_came_after_says_why() -> None:
    following = Following()
    following.touched(7, places(1, 2))
    following.touched(7, places(3))
    assert following.came_after(7, places(1, 3, 2)) == 2
    assert following.came_after(7, places(3, 1, 9)) == 1
    assert following.came_after(7, places(9)) is None and following.came_after(1, places(7)) is None


def test_the_last_touches_are_remembered_and_older_ones_forgotten() -> None:
    following = Following()
    following.touched(7, places(1))
    for _ in range(TOUCHES - 1):
        following.touched(8, places(2))
    assert following.scores(places(1), 10)[7] == 1.0
    following.touched(8, places(2))
    assert following.scores(places(1), 10)[7] == 0.0 and following.scores(places(2), 10)[8] == TOUCHES


@pytest.mark.parametrize("touches", [0, 300, TOUCHES, TOUCHES + 700])
def test_a_state_that_is_taken_up_goes_on_to_the_bit(touches: int) -> None:
    first, again = busy(touches), Following()
    again.restore(first.state(), np.arange(60, dtype=np.int32))
    for number in range(200):
        own = np.random.default_rng(number).permutation(60)[:7]
        assert (first.scores(own, 60) == again.scores(own, 60)).all()
        for following in (first, again):
            following.touched(number % 60, own)


def test_a_state_is_taken_up_where_items_stand_elsewhere_or_nowhere() -> None:
    first, moved = Following(), Following()
    first.touched(2, places(0, 1))
    first.touched(1, places(2))
    moved.restore(first.state(), np.array([5, -1, 3], np.int32))
    assert moved.scores(places(5), 6).tolist() == [0, 0, 0, 1, 0, 0], "what is nowhere came after nothing"
    assert not moved.scores(places(3), 6).any()


def test_what_came_after_an_item_once_is_listed_before_anything_is_fitted() -> None:
    """In a catalogue of thousands a fit of what goes together comes long after a change of taste."""
    draw = np.random.default_rng(0)
    ids = [f"i{number}" for number in range(2_000)]
    recommender = Recommender(ids, draw.standard_normal((2_000, 512)).astype(np.float32))
    for item in ("i10", "i20", "i30"):
        recommender.observe(UserEvent("first", item, "click"))
    listed = {item.item_id: item for item in recommender.observe(UserEvent("second", "i20", "click")).items}
    assert (listed["i30"].why, listed["i30"].because) == ("together", "i20")
    recommender.freeze()
    recommender.observe(UserEvent("first", "i40", "click"))
    assert "i40" not in {item.item_id for item in recommender.observe(UserEvent("third", "i30", "click")).items}
