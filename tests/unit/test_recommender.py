import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import ModelError
from models.recommender import FEEDBACK_ACTIONS, Recommender, RecommendPolicy, UserEvent

CORPORA = Path(__file__).parents[2] / "apps" / "corpora"
ITEMS = tuple(f"i{number:03}" for number in range(60))


def clusters(seed: int = 0) -> NDArray[np.float32]:
    """Sixty items in six tight groups of ten."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.standard_normal((6, 16)), 10, axis=0)
    return (centres + 0.1 * random.standard_normal((60, 16))).astype(np.float32)


def event(user: str | None, item: str | None, action: str = "view") -> UserEvent:
    return UserEvent(user, item, action)


def items_of(recommender: Recommender, user: str | None) -> list[str]:
    return [item for item, _ in recommender.rank(user)]


def test_list_has_ten_different_items_best_first() -> None:
    ranking = Recommender(ITEMS, clusters()).observe(event("u", "i003"))
    scores = [score for _, score in ranking.items]
    assert len({item for item, _ in ranking.items}) == 10
    assert scores == sorted(scores, reverse=True)


def test_catalogue_smaller_than_the_list_is_given_whole() -> None:
    recommender = Recommender(ITEMS[:4], clusters()[:4])
    assert sorted(items_of(recommender, None)) == list(ITEMS[:4])


def test_items_like_the_recent_ones_come_first() -> None:
    recommender = Recommender(ITEMS, clusters())
    for item in ("i020", "i021", "i022"):
        ranking = recommender.observe(event("u", item))
    assert {item for item, _ in ranking.items} == set(ITEMS[20:30])


def test_popular_items_come_first_for_a_user_without_history() -> None:
    recommender = Recommender(ITEMS, clusters())
    for number in range(30):
        recommender.observe(event(f"u{number}", "i044", "click"))
    assert items_of(recommender, "somebody new")[0] == "i044"


def test_old_popularity_fades() -> None:
    recommender = Recommender(ITEMS, clusters(), RecommendPolicy(popularity_half_life_events=20))
    for number in range(40):
        recommender.observe(event(f"u{number}", "i001"))
    for number in range(60):
        recommender.observe(event(f"v{number}", "i002" if number % 2 else "i050"))
    assert items_of(recommender, None)[:2] == ["i002", "i050"]


def test_viewed_item_stands_above_a_purchased_one() -> None:
    recommender = Recommender(ITEMS, clusters())
    recommender.observe(event("u", "i010", "purchase"))
    recommender.observe(event("u", "i040", "view"))
    scores = dict(recommender.rank("u"))
    assert scores["i040"] > scores.get("i010", -np.inf)


def test_click_is_held_against_the_previous_list() -> None:
    recommender = Recommender(ITEMS, clusters())
    assert recommender.observe(event("u", "i000", "click")).feedback is None  # there was no list before
    expected = items_of(recommender, "u").index("i005") + 1
    feedback = recommender.observe(event("u", "i005", "click")).feedback
    assert feedback is not None and feedback.rank == expected
    missed = recommender.observe(event("u", "i059", "purchase")).feedback
    assert missed is not None and missed.rank is None
    assert (recommender.quality.feedbacks, recommender.quality.hits) == (2, 1)
    assert recommender.quality.mean_reciprocal_rank == pytest.approx(0.5 / expected)


def test_view_is_no_feedback() -> None:
    recommender = Recommender(ITEMS, clusters())
    recommender.observe(event("u", "i000"))
    assert recommender.observe(event("u", "i001", "view")).feedback is None


def test_weights_learn_what_users_take() -> None:
    """Users who always go on with something unlike: likeness must lose weight."""
    recommender = Recommender(ITEMS, clusters())
    before = recommender.weights["like_recent"]
    random = np.random.default_rng(0)
    for number in range(600):
        recommender.observe(event(f"u{number % 7}", ITEMS[random.integers(60)], "click"))
    assert recommender.weights["like_recent"] < before - 1.0


def test_unknown_item_is_counted_and_changes_nothing_else() -> None:
    recommender = Recommender(ITEMS, clusters())
    before = recommender.observe(event("u", "i005")).items
    assert recommender.observe(event("u", "not in the catalogue", "purchase")).items == before
    assert recommender.quality.unknown_items == 1


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"user_id": None, "item_id": None},
        {"user_id": "", "item_id": ""},
        {"item_id": 5, "action": 7},
        {"user_id": ["x"]},
    ],
    ids=["nothing", "nulls", "empty", "numbers", "a list"],
)
def test_missing_or_strange_fields_still_give_a_list(record: dict[str, object]) -> None:
    assert len(Recommender(ITEMS, clusters()).observe(UserEvent.from_record(record)).items) == 10


def test_users_beyond_the_limit_are_forgotten_least_recent_first() -> None:
    recommender = Recommender(ITEMS, clusters(), RecommendPolicy(users_max=3))
    for user in ("a", "b", "c", "a", "d"):
        recommender.observe(event(user, "i020"))
    assert recommender.users == 3
    assert items_of(recommender, "b") == items_of(recommender, "nobody")
    assert items_of(recommender, "a") != items_of(recommender, "nobody")


def test_only_the_last_items_of_a_user_count() -> None:
    policy = RecommendPolicy(recent_items=3, popularity_half_life_events=1e-3)
    long, short = Recommender(ITEMS, clusters(), policy), Recommender(ITEMS, clusters(), policy)
    for item in ("i050", "i051", "i052", "i001", "i002", "i003"):
        long.observe(event("u", item))
    for item in ("i001", "i002", "i003"):
        short.observe(event("u", item))
    assert items_of(long, "u") == items_of(short, "u")


def test_replay_rebuilds_the_same_state() -> None:
    random = np.random.default_rng(1)
    events = [
        event(
            f"u{random.integers(9)}",
            ITEMS[random.integers(60)],
            str(random.choice(["view", "click", "purchase"])),
        )
        for _ in range(300)
    ]
    first, second = Recommender(ITEMS, clusters()), Recommender(ITEMS, clusters())
    lists = [first.observe(event).items for event in events]
    second.replay(events[:200])
    assert [second.observe(event).items for event in events[200:]] == lists[200:]
    assert first.weights == second.weights and first.quality == second.quality


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "a", "b", "c"]),
            st.sampled_from([None, "x", *ITEMS[:8]]),
            st.sampled_from(["view", "click", "?"]),
        )
    )
)
def test_scores_stay_finite_and_lists_whole(steps: list[tuple[str | None, str | None, str]]) -> None:
    recommender = Recommender(ITEMS, clusters(), RecommendPolicy(learning_rate=5.0))
    for user, item, action in steps:
        ranking = recommender.observe(event(user, item, action))
        assert len({name for name, _ in ranking.items}) == 10
        assert all(np.isfinite(score) for _, score in ranking.items)


@pytest.mark.parametrize(
    ("ids", "rows"),
    [(("a", "a"), 2), (("a", "b"), 3), ((), 0)],
    ids=["id twice", "row without id", "empty catalogue"],
)
def test_catalogue_that_does_not_fit_is_refused(ids: tuple[str, ...], rows: int) -> None:
    with pytest.raises(ModelError):
        Recommender(ids, np.ones((rows, 4), np.float32))


def test_items_without_an_embedding_do_not_break_the_scores() -> None:
    embeddings = clusters()
    embeddings[7], embeddings[8] = 0.0, np.nan
    assert all(np.isfinite(score) for _, score in Recommender(ITEMS, embeddings).observe(event("u", "i008")).items)


def test_shipped_behaviour_is_met_far_better_than_by_popularity() -> None:
    """Own history, popularity and learning only: stand-in embeddings from tags, so that no encoder is
    needed."""
    with (CORPORA / "catalog.csv").open(encoding="utf-8") as file:
        catalogue = list(csv.DictReader(file))
    tags = sorted({tag for row in catalogue for tag in row["tags"].split()})
    embeddings = np.array([[tag in row["tags"].split() for tag in tags] for row in catalogue], np.float32)
    ids = [row["item_id"] for row in catalogue]
    recommender, seen = Recommender(ids, embeddings), dict.fromkeys(ids, 0)
    popular: dict[str | None, list[str]] = {}
    popular_hits = 0
    with (CORPORA / "user_events.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            event = UserEvent.from_record(row)
            recommender.observe(event)
            popular_hits += event.action in FEEDBACK_ACTIONS and event.item_id in popular.get(event.user_id, [])
            seen[str(event.item_id)] += 1
            popular[event.user_id] = sorted(ids, key=lambda item: -seen[item])[:10]
    assert recommender.quality.feedbacks > 800
    assert recommender.quality.hit_rate > 0.6
    assert popular_hits / recommender.quality.feedbacks < 0.2
