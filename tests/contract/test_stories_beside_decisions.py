"""What is told beside decisions, one suite for both stores: whichever of the two comes first, nothing is lost."""

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from real_services import wait_until

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.ports import DecisionStore, SearchQuery
from connectors.sqlite_store import SQLiteStore

HEADS = ("topic",)
OpenStore = Callable[[], DecisionStore]


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the same store anew at each call."""
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "decisions.db")
    url = request.getfixturevalue("elasticsearch_url")
    return lambda: ElasticsearchStore(url)


@pytest.fixture
def app(unique: str) -> str:
    return unique


@pytest.fixture
def store(open_store: OpenStore, app: str) -> Iterator[DecisionStore]:
    opened = open_store()
    opened.prepare({app: HEADS}, [app])
    yield opened
    opened.close()


def identity(number: int) -> str:
    return f"finance.news@0a1b2c3d-0-{number}"


def decision(app: str, number: int, **fields: Any) -> dict[str, Any]:
    document = {
        "id": identity(number),
        "app": app,
        "at": f"2026-11-{1 + number % 28:02}T10:00:00.000Z",
        "decided_at": "2026-11-28T10:00:00.020Z",
        "labels": {"topic": {"label": "results", "probability": 0.9}},
        "text": "Brackwater Mills earns more",
        "extra": {"symbols": ["BRKW"]},
    }
    return {**document, **fields}


def story(app: str, number: int, of: int = 0, **fields: Any) -> dict[str, Any]:
    told = {"id": identity(number), "app": app, "at": decision(app, number)["at"]}
    return told | {"story_id": identity(of), "novelty": 0.25, "nth": number + 1} | fields


def known(store: DecisionStore, app: str, numbers: range) -> dict[str, dict[str, Any]]:
    ids = [identity(number) for number in numbers]
    wait_until(
        lambda: [one.get("story_id") for one in store.get(ids, app).values()].count(identity(0)) == len(ids),
        10.0,
        "each decision with its story",
    )
    return store.get(ids, app)


@pytest.mark.parametrize(
    "order", list(permutations(("decision", "story", "decision again", "story again"))), ids=" then ".join
)
def test_whatever_comes_first_a_decision_is_given_whole_and_with_its_story(
    store: DecisionStore, app: str, order: tuple[str, ...]
) -> None:
    given = decision(app, 0, key="wire")
    reports = {}
    for step in order:
        kind = step.split()[0]
        reports[step] = store.index([given]) if kind == "decision" else store.tell([story(app, 0)])
    for kind in ("decision", "story"):
        both = [reports[step] for step in order if step.startswith(kind)]
        assert [(one.created, one.repeats) for one in both] == [(1, 0), (0, 1)]
    assert known(store, app, range(1)) == {identity(0): given | {"story_id": identity(0), "novelty": 0.25}}
    (found,) = store.search(SearchQuery("brackwater", app)).documents
    assert (found["story_id"], found["novelty"], found["key"]) == (identity(0), 0.25, "wire")


def test_the_first_story_of_an_item_stays_in_another_process_too(
    store: DecisionStore, open_store: OpenStore, app: str
) -> None:
    store.index([decision(app, 0)])
    store.tell([story(app, 0), story(app, 0, of=7)])
    other = open_store()
    other.prepare({app: HEADS}, [app])
    assert other.tell([story(app, 0, of=9)]).repeats == 1
    assert known(other, app, range(1))[identity(0)]["story_id"] == identity(0)
    other.close()


def test_many_decisions_and_stories_find_each_other(store: DecisionStore, app: str) -> None:
    numbers = range(60)
    store.tell([story(app, number) for number in numbers if number % 2])
    assert store.index([decision(app, number) for number in numbers]).created == 60
    store.tell([story(app, number) for number in numbers if not number % 2])
    assert len(known(store, app, numbers)) == 60
    found = store.search(SearchQuery(app=app, limit=100)).documents
    assert [one["story_id"] for one in found] == [identity(0)] * 60


def test_an_item_without_a_story_is_given_as_ever(store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1)])
    wait_until(lambda: store.get([identity(1)], app), 10.0, "the decision")
    assert store.get([identity(1)], app)[identity(1)] == decision(app, 1)


def test_two_applications_on_one_topic_tell_stories_of_their_own(store: DecisionStore, app: str) -> None:
    other = f"{app}-two"
    store.prepare({other: HEADS}, [other])
    store.index([decision(app, 0), decision(other, 0)])
    store.tell([story(app, 0), story(other, 0, of=5)])
    known(store, app, range(1))
    wait_until(
        lambda: store.get([identity(0)], other)[identity(0)].get("story_id") == identity(5), 10.0, "the other's story"
    )
    found = {
        one["app"]: one["story_id"]
        for one in store.search(SearchQuery("brackwater", limit=5_000)).documents
        if "story_id" in one
    }
    assert found[app] == identity(0) and found[other] == identity(5)


BROKEN: dict[str, dict[str, Any]] = {
    "no id": {"id": None},
    "an empty id": {"id": ""},
    "a long id": {"id": "x" * 513},
    "another application's": {"app": "nobody"},
    "no time": {"at": "yesterday"},
    "a time of nobody": {"at": "1812-01-01T00:00:00Z"},
    "no story": {"story_id": 7},
    "no novelty": {"novelty": None},
    "a novelty that is none": {"novelty": 1.5},
    "true": {"novelty": True},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN)
def test_what_is_no_story_is_refused_alone(store: DecisionStore, app: str, fields: dict[str, Any]) -> None:
    store.index([decision(app, 0)])
    report = store.tell([story(app, 1) | fields, story(app, 0)])
    assert report.created == 1 and [one.position for one in report.rejected] == [0]
    known(store, app, range(1))


def test_stories_go_with_their_decisions(store: DecisionStore, app: str) -> None:
    old, new = "2025-01-15T10:00:00.000Z", "2026-11-15T10:00:00.000Z"
    store.index([decision(app, 0, at=old), decision(app, 1, at=new)])
    store.tell([story(app, 0, at=old), story(app, 1, at=new)])
    known(store, app, range(2))
    assert store.delete_before("2026-01", [app]) == 1
    wait_until(lambda: set(store.get([identity(0), identity(1)], app)) == {identity(1)}, 10.0, "the old one gone")
    assert store.index([decision(app, 0, at=old)]).created == 1
    wait_until(lambda: identity(0) in store.get([identity(0)], app), 10.0, "it again")
    assert "story_id" not in store.get([identity(0)], app)[identity(0)]


def test_a_store_of_before_stories_is_read_as_it_is_and_takes_them_once_prepared(
    open_store: OpenStore, app: str
) -> None:
    before = open_store()
    before.prepare({app: HEADS})
    before.index([decision(app, 0)])
    wait_until(lambda: before.get([identity(0)], app), 10.0, "the decision")
    assert before.tell([story(app, 0)]).rejected[0].position == 0
    before.close()
    after = open_store()
    after.prepare({app: HEADS}, [app])
    after.tell([story(app, 0)])
    known(after, app, range(1))
    after.close()
