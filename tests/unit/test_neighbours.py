"""Catalogues too large to score whole: neighbours exactly and by an index, and lists of candidates alone."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.candidates import neighbours
from models.recommendation.candidates.choosing import chosen
from models.recommendation.candidates.neighbours import IndexedNeighbours, Neighbours, neighbours_of
from models.recommendation.catalogue import Catalogue
from models.recommendation.events import UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.ranked import best
from models.recommendation.recommender import Recommender
from models.recommendation.users import EMPTY


class ExactNeighbours:
    """Compares with each item."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        likeness = vector @ self._catalogue.columns
        likeness[~self._catalogue.shown] = -np.inf
        return best(likeness, count)

    def make_ready(self) -> None:
        """It is."""


Make = Callable[[Catalogue], Neighbours]


def indexed(catalogue: Catalogue) -> Neighbours:
    pytest.importorskip("usearch", reason="the extra `ann`")
    found = IndexedNeighbours(catalogue)
    found.make_ready()
    return found


MAKES = [pytest.param(ExactNeighbours, id="exact"), pytest.param(indexed, id="index")]


def clustered(items: int, seed: int = 0, dimensions: int = 64) -> NDArray[np.float32]:
    """A hundred items to a cluster, on average."""
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((max(items // 100, 2), dimensions)).astype(np.float32)
    noise = draw.standard_normal((items, dimensions)).astype(np.float32)
    return np.asarray(centres[draw.integers(len(centres), size=items)] + 0.7 * noise, np.float32)


def catalogue_of(vectors: NDArray[np.float32]) -> Catalogue:
    return Catalogue([f"i{number}" for number in range(len(vectors))], vectors)


def recall(catalogue: Catalogue, found: Neighbours, queries: int, asked: int = 100) -> float:
    """At 10: of the ten nearest of all, the share among the ten nearest that were found."""
    exact, hits = ExactNeighbours(catalogue), 0
    for place in np.random.default_rng(1).choice(len(catalogue), queries, replace=False).tolist():
        vector = catalogue.columns[:, place]
        hits += len(set(exact.nearest(vector, 10).tolist()) & set(found.nearest(vector, asked)[:10].tolist()))
    return hits / (10 * queries)


@pytest.mark.parametrize("make", MAKES)
def test_the_nearest_are_found_nearest_first(make: Make) -> None:
    catalogue = catalogue_of(clustered(3_000))
    found = make(catalogue)
    nearest = found.nearest(catalogue.columns[:, 17], 50)
    likeness = catalogue.columns[:, 17] @ catalogue.columns[:, nearest]
    assert nearest[0] == 17 and len(nearest) == 50 and (np.diff(likeness) <= 1e-6).all()
    assert recall(catalogue, found, 50) > 0.97


@pytest.mark.parametrize("make", MAKES)
def test_items_that_appear_change_and_are_withdrawn_count_from_the_next_call_on(make: Make) -> None:
    vectors = clustered(500)
    catalogue = catalogue_of(vectors)
    found = make(catalogue)
    found.nearest(catalogue.columns[:, 0], 1)

    def nearest_to(vector: NDArray[np.float32]) -> str:
        return catalogue.ids[found.nearest(catalogue._centred(vector[None, :])[0], 5)[0]]

    other = np.random.default_rng(9).standard_normal(64).astype(np.float32) * 5
    catalogue.put("new", "", other)
    assert nearest_to(other) == "new"
    catalogue.put("i3", "", other * 1.01)  # it changes, and is no more where it was
    catalogue.withdraw("new")
    assert nearest_to(other) == "i3" and nearest_to(vectors[3]) != "i3"
    catalogue.put("new", "", other)
    catalogue.withdraw("i3")
    assert nearest_to(other) == "new"


@pytest.mark.parametrize("make", MAKES)
def test_places_that_move_when_a_state_is_taken_up_are_followed(make: Make) -> None:
    vectors = clustered(400)
    catalogue = catalogue_of(vectors)
    found = make(catalogue)
    found.nearest(catalogue.columns[:, 0], 1)
    order = [*reversed(catalogue.ids), "gone"]
    catalogue.arrange(order, [name not in ("i7", "gone") for name in order])
    for name in ("i0", "i8", "i399"):
        place = catalogue.place(name)
        assert place is not None and found.nearest(catalogue.columns[:, place], 3)[0] == place
    place = catalogue.place("i7")
    assert place is not None and place not in found.nearest(catalogue.columns[:, place], 50), "withdrawn there"


@pytest.mark.parametrize("make", MAKES)
def test_vectors_without_a_direction_do_not_end_it(make: Make) -> None:
    vectors = clustered(300)
    vectors[5], vectors[6] = np.nan, 0.0
    found = make(catalogue_of(vectors))
    assert len(found.nearest(np.zeros(64, np.float32), 5)) == 5


def test_an_index_stays_good_when_all_items_change_again_and_again() -> None:
    catalogue = catalogue_of(clustered(1_500))
    found = indexed(catalogue)
    found.nearest(catalogue.columns[:, 0], 1)
    memory = found._index.memory_usage  # type: ignore[attr-defined]
    for seed in range(1, 4):
        for number, vector in enumerate(clustered(1_500, seed)):
            catalogue.put(f"i{number}", "", vector)
        found.make_ready()
        assert recall(catalogue, found, 50) > 0.97
    assert found._index.memory_usage < 2 * memory  # type: ignore[attr-defined]


def test_after_another_map_no_call_waits_for_the_index_and_all_are_compared_until_it_is_there() -> None:
    catalogue = catalogue_of(clustered(1_500))
    found, exact = indexed(catalogue), ExactNeighbours(catalogue)
    found.nearest(catalogue.columns[:, 0], 1)
    matrix = np.random.default_rng(3).standard_normal((64, 64)).astype(np.float32)
    catalogue.adapt(ItemMap(matrix))
    sizes = []
    for place in range(200):
        vector = catalogue.columns[:, place]
        nearest = found.nearest(vector, 10)
        sizes.append(len(found._index))  # type: ignore[attr-defined]
        if sizes[-1] < 1_500:
            assert nearest.tolist() == exact.nearest(vector, 10).tolist()
    assert sizes[0] == neighbours._A_CALL and max(np.diff(sizes)) <= neighbours._A_CALL and sizes[-1] == 1_500
    assert recall(catalogue, found, 50) > 0.97


def test_an_index_of_which_most_items_change_has_the_others_as_well() -> None:
    catalogue = catalogue_of(clustered(400))
    found = indexed(catalogue)
    for number, vector in enumerate(clustered(300, seed=5)):
        catalogue.put(f"i{number}", "", vector)
    found.make_ready()
    assert recall(catalogue, found, 100) > 0.97 and len(found._index) == 400  # type: ignore[attr-defined]


@pytest.mark.slow
def test_of_50_000_items_the_index_finds_the_nearest() -> None:
    catalogue = catalogue_of(clustered(50_000, dimensions=384))
    seconds, exact = list[float](), ExactNeighbours(catalogue)
    started = time.process_time()
    found = indexed(catalogue)
    built = time.process_time() - started
    for neighbour in (found, exact):
        started = time.process_time()
        for place in range(200):
            neighbour.nearest(catalogue.columns[:, place], 100)
        seconds.append((time.process_time() - started) / 200)
    share = recall(catalogue, found, 200)
    print(f"recall {share:.4f}; built {built:.1f} s, index {seconds[0] * 1e3:.2f} ms, exact {seconds[1] * 1e3:.2f} ms")
    assert share > 0.95 and seconds[0] < seconds[1]


def test_without_usearch_all_items_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert neighbours_of(catalogue_of(clustered(50))) is None
    features, _ = shop()._features(EMPTY)
    assert features.chosen is None and features.dense.shape[1] == 600


def test_candidates_are_the_best_of_each_source_that_may_be_shown() -> None:
    allowed = np.ones(1_000, bool)
    allowed[[10, 500]] = False
    popular = np.zeros(1_000)
    popular[[500, 501, 502, 503]] = [9, 8, 7, 6]
    found = chosen([np.array([10, 11])], [popular, np.zeros(0)], [np.array([10, 900])], allowed, 2)
    assert {10, 11, 501, 502, 900} <= set(found.tolist()), "own items are among them, shown or not"
    assert not {500, 503} & set(found.tolist())
    assert np.count_nonzero(allowed[found]) >= 100 and (np.diff(found) > 0).all()


def shop(**policy: object) -> Recommender:
    """One that scores candidates among its 600 items."""
    ids = [f"i{number}" for number in range(600)]
    policy = {"scored_max": 100, "candidates": 60, **policy}
    return Recommender(ids, clustered(600, dimensions=32), RecommendPolicy(**policy))  # type: ignore[arg-type]


@pytest.fixture
def found_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.recommendation.listing.features.neighbours_of", ExactNeighbours)


def events(count: int) -> list[UserEvent]:
    draw = np.random.default_rng(2)
    return [
        UserEvent(
            f"u{draw.integers(20)}",
            f"i{int(600 * draw.random() ** 2)}",
            str(draw.choice(["view", "click", "purchase"])),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("policy", [{}, {"exploration": 2, "diversity": 0.3}, {"repeats": "never"}])
@pytest.mark.usefixtures("found_exactly")
def test_lists_of_candidates_are_nearly_those_of_all_items(policy: dict[str, object]) -> None:
    """As things stand; both are held against each other after each event."""
    recommender, shared = shop(**policy), list[float]()
    of_some, of_all = recommender.policy, replace(recommender.policy, scored_max=100_000)
    bought: dict[str, set[str]] = {}
    for event in events(200):
        listed = [item.item_id for item in recommender.observe(event).items]
        if event.action == "purchase":
            bought.setdefault(str(event.user_id), set()).add(str(event.item_id))
        assert len(set(listed)) == 10 and not bought.get(str(event.user_id), set()) & set(listed)
        recommender.policy = of_all
        whole = [item.item_id for item in recommender.rank(event.user_id)]
        recommender.policy = of_some
        shared.append(len(set(whole[:8]) & set(listed[:8])) / 8)
    assert np.mean(shared) > 0.95
    if of_some.exploration:
        assert sum(recommender.chances("u1").values()) == pytest.approx(1.0)


@pytest.mark.usefixtures("found_exactly")
def test_weights_learnt_of_candidates_and_some_others_are_nearly_those_of_all_items() -> None:
    some, whole = shop(), shop(scored_max=100_000)
    for event in events(300):
        for recommender in (some, whole):
            recommender.observe(event)
    apart = [abs(some.weights[name] - whole.weights[name]) for name in ("like_recent", "like_last", "popular")]
    assert max(apart) < 0.3, (some.weights, whole.weights)


@pytest.mark.usefixtures("found_exactly")
def test_an_item_that_appears_in_a_large_catalogue_is_shown_to_those_who_like_its_kind() -> None:
    recommender = shop()
    recommender.observe(UserEvent("u", "i31", "click"))
    recommender.catalogue.put("new", "", clustered(600, dimensions=32)[31])
    assert "new" in [item.item_id for item in recommender.rank("u")]
    recommender.catalogue.withdraw("new")
    assert "new" not in [item.item_id for item in recommender.rank("u")]


def test_the_index_is_taken_where_it_is_there() -> None:
    pytest.importorskip("usearch", reason="the extra `ann`")
    assert isinstance(neighbours_of(catalogue_of(clustered(50))), IndexedNeighbours)
