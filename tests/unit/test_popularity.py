"""What is popular of late, overall and in each segment."""

import numpy as np
import pytest

from models.recommendation.events import UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.popularity import NO_SEGMENT, SEGMENTS_MAX, Popularity
from models.recommendation.recommender import Recommender

ITEMS = tuple(f"i{number:02}" for number in range(30))
NOBODYS = np.zeros(0, np.int32)


def counted(touches: list[tuple[int, str]], items: int = 5) -> Popularity:
    popular = Popularity(1e6, ("country",))
    popular.make_room(items)
    for item, country in touches:
        popular.touch(item, popular.numbers({"country": country}))
    return popular


def lift(popular: Popularity, country: str) -> list[float]:
    return [float(one) for one in popular.lift(popular.numbers({"country": country}))[0]]


def test_an_item_is_lifted_where_a_segment_touches_it_more_than_all_do() -> None:
    popular = counted([(0, "FR")] * 90 + [(1, "FR")] * 10 + [(0, "NO")] * 10 + [(1, "NO")] * 90)
    france, norway = lift(popular, "FR"), lift(popular, "NO")
    # of 100 touches each item gets 50 in either country where the country says nothing
    assert france[0] == pytest.approx(np.log(100 / 60), abs=1e-3)
    assert france[1] == pytest.approx(np.log(20 / 60), abs=1e-3)
    assert norway[0] == pytest.approx(france[1], abs=1e-3) and france[2:] == [0.0, 0.0, 0.0]


def test_a_thin_segment_falls_back_to_what_is_popular_overall() -> None:
    common = [(0, "FR")] * 500 + [(1, "FR")] * 500
    one, many = (lift(counted(common + [(1, "NO")] * times), "NO")[1] for times in (1, 200))
    assert 0 < one < 0.1 < many
    assert lift(counted(common), "XX") == [0.0] * 5


def test_what_a_segment_touched_long_ago_fades() -> None:
    popular = Popularity(20.0, ("country",))
    popular.make_room(2)
    here = popular.numbers({"country": "FR"})
    for item in (0, 1):
        for _ in range(60):
            popular.touch(item, here)
            popular.touch(0, NOBODYS)
    assert popular.lift(here)[0, 1] > 0 > popular.lift(here)[0, 0]


def test_counts_are_whole_numbers_of_touches_over_any_number_of_them() -> None:
    """They are rescaled before they overflow, those of segments with the others."""
    popular = Popularity(5.0, ("country",))
    popular.make_room(2)
    here = popular.numbers({"country": "FR"})
    for number in range(2_000):
        popular.touch(number % 2, here)
    assert np.isfinite(popular.counts).all() and popular.step < 1e10
    assert popular.by_segment[0] == pytest.approx(popular.counts, rel=1e-4)


def test_segments_are_bounded_and_the_least_touched_makes_room() -> None:
    popular = Popularity(1e6, ("agent",))
    popular.make_room(3)
    often = popular.numbers({"agent": "common"})
    for _ in range(50):
        popular.touch(0, often)
    for number in range(5 * SEGMENTS_MAX):
        popular.touch(1, popular.numbers({"agent": f"rare {number}"}))
    assert len(popular.segments()) == SEGMENTS_MAX == len(popular.by_segment)
    assert popular.numbers({"agent": "common"}).tolist() == often.tolist()
    assert popular.by_segment.sum(axis=1).max() == pytest.approx(50, rel=1e-3)
    gone = popular.numbers({"agent": "rare 0"}, is_frozen=True)
    assert gone.tolist() == [NO_SEGMENT] and popular.lift(gone).tolist() == [[0.0] * 3]


def shop() -> Recommender:
    vectors = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    recommender = Recommender(ITEMS, vectors, RecommendPolicy(segments=("country", "device")))
    for number in range(60):
        for country, item in (("FR", "i03"), ("NO", "i17")):
            recommender.observe(UserEvent(f"{country}{number}", item, "view", {"country": country}))
    return recommender


@pytest.mark.parametrize(("country", "item"), [("FR", "i03"), ("NO", "i17")])
def test_who_is_new_is_shown_what_is_popular_in_his_country_and_told_so(country: str, item: str) -> None:
    listed = shop().observe(UserEvent("new", None, "view", {"country": country})).items
    assert (listed[0].item_id, listed[0].why, listed[0].segment) == (item, "popular", f"country={country}")
    passing = shop().observe(UserEvent(None, None, "view", {"country": country})).items
    assert (passing[0].item_id, passing[0].segment) == (item, f"country={country}")


def test_a_users_country_is_known_when_an_event_does_not_name_it() -> None:
    recommender = shop()
    recommender.observe(UserEvent("new", None, "view", {"country": "NO"}))
    recommender.observe(UserEvent("new", None, "view", {"device": "phone"}))
    assert recommender.rank("new")[0].item_id == "i17"


def test_of_somebody_without_a_segment_nothing_is_said_of_one() -> None:
    assert all(item.segment is None for item in shop().rank("nobody"))
    assert {item.item_id for item in shop().rank("nobody")[:2]} == {"i03", "i17"}


def test_what_learns_no_more_numbers_no_new_segment() -> None:
    recommender = shop()
    recommender.freeze()
    recommender.observe(UserEvent("new", "i01", "view", {"country": "PE"}))
    assert [value for _, _, value in recommender.begin_writing()[0].segments] == ["FR", "NO"]
