import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from repeats import repeats as so_many

from models.errors import ModelError
from models.recommendation.events import FEEDBACK_ACTIONS, UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from models.recommendation.users import Users

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
    return [item.item_id for item in recommender.rank(user)]


def test_list_has_ten_different_items_best_first() -> None:
    ranking = Recommender(ITEMS, clusters()).observe(event("u", "i003"))
    scores = [item.score for item in ranking.items]
    assert len({item.item_id for item in ranking.items}) == 10
    assert scores == sorted(scores, reverse=True)


def test_catalogue_smaller_than_the_list_is_given_whole() -> None:
    recommender = Recommender(ITEMS[:4], clusters()[:4])
    assert sorted(items_of(recommender, None)) == list(ITEMS[:4])


def test_items_like_the_recent_ones_come_first() -> None:
    recommender = Recommender(ITEMS, clusters())
    for item in ("i020", "i021", "i022"):
        ranking = recommender.observe(event("u", item))
    assert {item.item_id for item in ranking.items} == set(ITEMS[20:30])


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
    scores = {item.item_id: item.score for item in recommender.rank("u")}
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
        assert len({item.item_id for item in ranking.items}) == 10
        assert all(np.isfinite(item.score) for item in ranking.items)


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
    assert all(np.isfinite(item.score) for item in Recommender(ITEMS, embeddings).observe(event("u", "i008")).items)


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


TITLES = tuple(f"thing of kind {number // 10} number {number}" for number in range(60))


def shop(**policy: object) -> Recommender:
    return Recommender(ITEMS, clusters(), RecommendPolicy(**policy), TITLES)  # type: ignore[arg-type]


def test_what_others_touched_together_is_shown_with_its_reason() -> None:
    unlike = np.random.default_rng(0).standard_normal((60, 64)).astype(np.float32)
    recommender = Recommender(ITEMS, unlike)
    for number in range(40):
        for item in ("i003", "i047"):
            recommender.observe(event(f"u{number}", item, "click"))
    for number in range(700):  # so that the next fit is taken
        recommender.observe(event(f"v{number}", ITEMS[number % 60], "view"))
    recommender.observe(event("new", "i003", "click"))
    (listed,) = [item for item in recommender.rank("new") if item.item_id == "i047"]
    assert (listed.why, listed.because) == ("together", "i003")


def test_what_a_user_bought_is_never_shown_again_even_long_after() -> None:
    recommender = shop(recent_items=5)
    recommender.observe(event("u", "i021", "purchase"))
    for number in range(30, 50):
        assert "i021" not in [item.item_id for item in recommender.observe(event("u", ITEMS[number])).items]
    assert "i021" not in items_of(recommender, "u")


@pytest.mark.parametrize(("repeats", "is_shown"), [("always", True), ("not_bought", True), ("never", False)])
def test_whether_an_item_is_shown_again_is_the_applications_rule(repeats: str, is_shown: bool) -> None:
    recommender = shop(repeats=repeats)
    shown = [item.item_id for item in recommender.observe(event("u", "i021", "view")).items]
    assert ("i021" in shown) is is_shown


def test_bought_items_may_be_shown_where_the_rule_says_so() -> None:
    shown = {}
    for repeats in ("always", "not_bought"):
        recommender = shop(repeats=repeats)
        recommender.observe(event("u", "i021", "purchase"))
        recommender.observe(event("u", "i021", "cart"))  # it comes again
        shown[repeats] = "i021" in items_of(recommender, "u")
    assert shown == {"always": True, "not_bought": False}


def test_an_item_that_appears_is_shown_at_once_to_those_who_like_its_kind() -> None:
    recommender = shop()
    recommender.observe(event("u", "i031", "click"))
    recommender.catalogue.put("new", "thing of kind 3 number 61", clusters()[31])
    listed = {item.item_id: item for item in recommender.rank("u")}
    assert listed["new"].why == "like"
    recommender.observe(event("v", "new", "click"))  # and it can be touched
    assert recommender.quality.unknown_items == 0


@pytest.mark.parametrize("replayed", [None, False, True], ids=["live", "read back in part", "read back whole"])
def test_who_bought_an_item_before_it_was_there_is_not_shown_it(replayed: bool | None) -> None:
    recommender = shop(length=100)
    events = [event("u", "new", "purchase"), *(event("u", "i031", "click") for _ in range(500))]
    if replayed is None:
        for one in events:
            recommender.observe(one)
    else:
        recommender.replay(events, is_whole=replayed)
    assert "new" not in items_of(recommender, "u") and "new" not in items_of(recommender, "v")
    recommender.catalogue.put("new", "thing of kind 3 number 61", clusters()[31])
    recommender.observe(event("v", "i031", "click"))
    assert "new" not in items_of(recommender, "u") and "new" in items_of(recommender, "v")


def test_purchases_of_another_shops_items_take_bounded_room() -> None:
    recommender = shop()
    for number in range(1_500):
        recommender.observe(event("u", f"elsewhere{number}", "purchase"))
    assert len(recommender.catalogue) == 60 + 1_000 and not recommender.catalogue.shown[60:].any()
    recommender.catalogue.put("elsewhere1499", "a thing", clusters()[0])
    assert len(items_of(recommender, "v")) == 10


def test_a_withdrawn_item_is_never_shown_until_it_is_back() -> None:
    recommender = shop()
    for number in range(30):
        recommender.observe(event(f"u{number}", "i044", "click"))
    recommender.catalogue.withdraw("i044")
    assert "i044" not in items_of(recommender, None)
    assert all("i044" not in items_of(recommender, f"u{number}") for number in range(30))
    recommender.catalogue.put("i044", TITLES[44], clusters()[44])
    assert items_of(recommender, None)[0] == "i044"


def test_drawn_items_stand_last_with_the_probability_they_were_drawn_with() -> None:
    recommender, same = shop(exploration=2), shop(exploration=2)
    ranking = recommender.observe(event("u", "i020", "click"))
    assert [item.why for item in ranking.items[-2:]] == ["exploration"] * 2
    assert all(item.propensity is not None and 0 < item.propensity <= 1 for item in ranking.items[-2:])
    assert len({item.item_id for item in ranking.items}) == 10
    assert same.observe(event("u", "i020", "click")) == ranking


def test_a_diverse_list_is_not_ten_of_a_kind() -> None:
    kinds = []
    for diversity in (0.0, 0.8):
        recommender = shop(diversity=diversity)
        for item in ("i020", "i021", "i022"):
            ranking = recommender.observe(event("u", item))
        kinds.append(len({int(item.item_id[1:]) // 10 for item in ranking.items}))
    assert kinds[0] == 1 < kinds[1]


def test_discovery_is_counted_apart_from_repeats() -> None:
    recommender = shop()
    for item in ("i020", "i020", "i021"):
        recommender.observe(event("u", item, "click"))
    assert (recommender.quality.feedbacks, recommender.quality.new_feedbacks) == (2, 1)


def test_items_that_go_with_one_are_others() -> None:
    recommender = shop()
    listed = recommender.go_with("i020")
    assert {item.item_id for item in listed} == set(ITEMS[21:30]) | {listed[-1].item_id}
    assert recommender.go_with("nothing like it") == ()


def test_the_same_events_give_the_same_lists_however_long_a_fit_takes() -> None:
    random = np.random.default_rng(4)
    events = [event(f"u{random.integers(90)}", ITEMS[random.integers(60)], "click") for _ in range(so_many(700, 1_500))]
    first, second = shop(), shop()
    lists = [first.observe(one).items for one in events]
    assert [second.observe(one).items for one in events] == lists


@pytest.mark.parametrize("policy", [{}, {"exploration": 3, "diversity": 0.4}, {"repeats": "never"}])
def test_no_list_holds_what_its_user_bought_or_what_is_withdrawn(policy: dict[str, object]) -> None:
    random = np.random.default_rng(5)
    recommender = shop(users_max=50, recent_items=8, **policy)
    bought: dict[str, set[str]] = {}
    withdrawn: set[str] = set()
    for number in range(so_many(800, 2_000)):
        user, item = f"u{random.integers(30)}", ITEMS[random.integers(60)]
        if number % 50 == 0:
            recommender.catalogue.withdraw(item)
            withdrawn.add(item)
        if number % 70 == 0 and withdrawn:
            back = withdrawn.pop()
            recommender.catalogue.put(back, TITLES[ITEMS.index(back)], clusters()[ITEMS.index(back)])
        action = str(random.choice(["view", "click", "purchase"], p=[0.6, 0.3, 0.1]))
        if action == "purchase":
            bought.setdefault(user, set()).add(item)
        listed = {item.item_id for item in recommender.observe(event(user, item, action)).items}
        assert not listed & (bought.get(user, set()) | withdrawn)


def test_who_is_forgotten_was_active_least_recently(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found some at a time; as many come back as are new."""
    monkeypatch.setattr("models.recommendation.users._OLDEST", 7)
    users, order, draw = Users(5, 10, 40, 10), list[str](), np.random.default_rng(0)
    for number in range(2_000):
        name = f"u{int(90 * draw.random() ** 2)}"
        users.touch(users.slot(name), number % 50, number % 7)
        order = [*[other for other in order if other != name][-39:], name]
        assert all(users.known(other) is not None for other in order)
        assert len(users) == len(order)
