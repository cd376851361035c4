"""What is told beside decisions, one suite for both stores: stories, whichever of the two comes first, and windows."""

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from real_services import wait_until

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.ports import DecisionStore, SearchQuery, TrendsQuery
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
        what="each decision with its story",
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
    wait_until(lambda: store.get([identity(1)], app), what="the decision")
    assert store.get([identity(1)], app)[identity(1)] == decision(app, 1)


def test_two_applications_on_one_topic_tell_stories_of_their_own(store: DecisionStore, app: str) -> None:
    other = f"{app}-two"
    store.prepare({other: HEADS}, [other])
    store.index([decision(app, 0), decision(other, 0)])
    store.tell([story(app, 0), story(other, 0, of=5)])
    known(store, app, range(1))
    wait_until(
        lambda: store.get([identity(0)], other)[identity(0)].get("story_id") == identity(5), what="the other's story"
    )
    found = {
        one["app"]: one["story_id"]
        for one in store.search(SearchQuery("brackwater", limit=5_000)).documents
        if "story_id" in one
    }
    assert found[app] == identity(0) and found[other] == identity(5)


def test_a_story_is_found_by_its_id(store: DecisionStore, app: str) -> None:
    other = f"{app}-two"
    store.prepare({other: HEADS}, [other])
    store.index([decision(app, number) for number in range(6)] + [decision(other, 0), decision(other, 1)])
    store.tell([story(app, number, of=number % 2) for number in range(5)] + [story(other, 0), story(other, 1, of=1)])

    def told(**asked: Any) -> list[tuple[str, str]]:
        found = store.search(SearchQuery(story=identity(0), limit=5_000, **asked))
        assert found.total == len(found.documents)
        return [(one["app"], one["id"]) for one in found.documents if one["app"] in (app, other)]

    wait_until(lambda: (len(told(app=app)), len(told(app=other))) == (3, 1), what="the story's items")
    assert told(app=app) == [(app, identity(number)) for number in (4, 2, 0)], "the newest first"
    assert told(app=other) == [(other, identity(0))]
    assert set(told()) >= {(app, identity(4)), (other, identity(0))}, "of all applications where none is named"
    assert told(app=app, text="nothing") == [] and len(told(app=app, since="2026-11-03")) == 2
    assert store.search(SearchQuery(app=app, story=identity(5))).documents == (), "of an item that tells none"


def test_a_store_without_stories_has_none_of_any_id(open_store: OpenStore, app: str) -> None:
    before = open_store()
    before.prepare({app: HEADS})
    before.index([decision(app, 0)])
    wait_until(lambda: before.search(SearchQuery(app=app)).total == 1, what="the decision")
    assert before.search(SearchQuery(app=app, story=identity(0))).total == 0
    before.close()


def test_an_entity_is_found_by_its_name_and_its_id(store: DecisionStore, app: str) -> None:
    def said(name: str) -> dict[str, Any]:
        return {"id": name[:4].lower(), "name": name, "sentiment": "negative", "probability": 0.8, "span": [0, 4]}

    of = {0: ["Brackwater Mills", "Ostermoor"], 1: ["Ostermoor"], 2: ["Ostermoor Rail"], 3: []}
    store.index([decision(app, number, entities=[said(name) for name in names]) for number, names in of.items()])
    store.index([decision(app, 4)])
    wait_until(lambda: store.search(SearchQuery(app=app)).total == 5, what="the decisions")

    def found(entity: str, text: str = "") -> list[str]:
        return [one["id"] for one in store.search(SearchQuery(text, app, entity=entity)).documents]

    assert found("Ostermoor") == [identity(1), identity(0)]
    assert found("brac") == found("Brackwater Mills", "mills") == [identity(0)]
    assert found("Brackwater") == found("Mills") == [], "whole names, not words of a text"


def test_an_entity_is_found_where_a_text_is_enough_about_it(store: DecisionStore, app: str) -> None:
    def said(name: str, **beside: float) -> dict[str, Any]:
        return {"id": name, "name": name, "sentiment": "negative", "probability": 0.8, "span": [0, 4]} | beside

    of = [
        [said("Ostermoor", relevance=0.1), said("Brackwater", relevance=0.9)],
        [said("Ostermoor", relevance=0.5)],
        [said("Ostermoor")],
    ]
    store.index([decision(app, number, entities=entities) for number, entities in enumerate(of)])
    wait_until(lambda: store.search(SearchQuery(app=app)).total == len(of), what="the decisions")

    def found(least: float) -> list[str]:
        asked = SearchQuery(app=app, entity="Ostermoor", relevance_min=least)
        return [one["id"] for one in store.search(asked).documents]

    assert found(0.0) == [identity(2), identity(1), identity(0)], "all, and those of before relevance was told"
    assert found(0.1) == [identity(1), identity(0)]
    assert found(0.5) == [identity(1)], "another's relevance does not count"
    assert found(0.51) == []


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
    wait_until(lambda: set(store.get([identity(0), identity(1)], app)) == {identity(1)}, what="the old one gone")
    assert store.index([decision(app, 0, at=old)]).created == 1
    wait_until(lambda: identity(0) in store.get([identity(0)], app), what="it again")
    assert "story_id" not in store.get([identity(0)], app)[identity(0)]


def test_a_store_of_before_stories_is_read_as_it_is_and_takes_them_once_prepared(
    open_store: OpenStore, app: str
) -> None:
    before = open_store()
    before.prepare({app: HEADS})
    before.index([decision(app, 0)])
    wait_until(lambda: before.get([identity(0)], app), what="the decision")
    assert before.tell([story(app, 0)]).rejected[0].position == 0
    before.close()
    after = open_store()
    after.prepare({app: HEADS}, [app])
    after.tell([story(app, 0)])
    known(after, app, range(1))
    after.close()


def window(app: str, start: str = "2026-11-24T10:00", items: int = 3, **fields: Any) -> dict[str, Any]:
    begins, group = f"{start}:00.000Z", {name: fields.get(name) for name in ("topic", "symbol", "entity")}
    kind = "|".join(f"{name}={value}" for name, value in group.items() if value)
    document: dict[str, Any] = {"id": f"{app}|1h|{begins}|{kind}", "app": app, "window": "1h", "start": begins, **group}
    document |= {"end": "2026-11-24T11:00:00.000Z", "items": items, "stories": 2, "late": 0, "insufficient": False}
    document |= {"sentiment": {"mean": 0.25, "interval": [-0.5, 0.75]}}
    return document | {"largest": {"story_id": identity(0), "items": 2, "text": "Brackwater"}} | fields


def query(app: str, **fields: Any) -> TrendsQuery:
    stretch: dict[str, Any] = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
    return TrendsQuery(app, "1h", **stretch | fields)


def windows_until(store: DecisionStore, asked: TrendsQuery, items: list[int]) -> list[dict[str, Any]]:
    wait_until(lambda: [one["items"] for one in store.windows(asked)] == items, what=f"windows of {items} items")
    return list(store.windows(asked))


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=str)
def test_of_a_window_the_one_with_the_most_items_stays(store: DecisionStore, app: str, order: tuple[int, ...]) -> None:
    """An indexer that is shut out of its group may write an older one after the newer."""
    for items in order:
        store.put_windows([window(app, items=items, symbol="BRKW")])
    assert store.put_windows([window(app, items=3, symbol="BRKW")]).created == 1  # told again after a restart
    (found,) = windows_until(store, query(app), [3])
    assert found == window(app, items=3, symbol="BRKW")


def test_windows_are_found_by_group_length_and_time(store: DecisionStore, app: str) -> None:
    groups: list[dict[str, Any]] = [
        {"topic": "oil"},
        {"symbol": "BRKW"},
        {"topic": "oil", "symbol": "BRKW"},
        {"entity": "Brackwater Mills"},
    ]
    for number, group in enumerate(groups):
        store.put_windows([window(app, items=number + 1, **group)])
    store.put_windows(
        [window(app, "2026-11-25T10:00", 9, symbol="BRKW"), window(app, id="other", items=8, window="5m")]
    )
    for number, group in enumerate(groups[:1] + groups[2:]):
        windows_until(store, query(app, **group), [[1, 3, 4][number]])
    windows_until(store, query(app, symbol="BRKW"), [2, 9])
    windows_until(store, query(app, symbol="BRKW", until="2026-11-25T10:00:00Z"), [2])
    windows_until(store, query(app, symbol="BRKW", since="2026-11-25T10:00:00Z"), [9])
    assert sorted(one["items"] for one in store.windows(query(app))) == [1, 2, 3, 4, 9]
    assert list(store.windows(query("nobody"))) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"app": "nobody"},
        {"start": "now"},
        {"items": 0},
        {"items": True},
        {"late": -1},
        {"stories": 2**31},
        {"symbol": 7},
        {"largest": None},
        {"largest": {"story_id": "a", "items": 1}},
        {"sentiment": {"mean": 0.1}},
        {"sentiment": {"mean": 2, "interval": [0, 1]}},
        {"sentiment": {"mean": 0.1, "interval": [0, None]}},
        {"sentiment": "good"},
    ],
    ids=str,
)
def test_what_is_no_window_is_refused_alone(store: DecisionStore, app: str, fields: dict[str, Any]) -> None:
    report = store.put_windows([window(app) | fields, window(app, items=5) | {"more": {"of": "a newer writer"}}])
    assert report.created == 1 and [one.position for one in report.rejected] == [0]
    (found,) = windows_until(store, query(app), [5])
    assert "more" not in found


def test_windows_go_with_their_decisions(store: DecisionStore, app: str) -> None:
    store.put_windows([window(app, "2025-01-15T10:00", 1), window(app, items=2)])
    everything = query(app, since="2025-01-01T00:00:00Z")
    windows_until(store, everything, [1, 2])
    store.delete_before("2026-01", [app])
    windows_until(store, everything, [2])


def test_more_windows_than_one_answer_holds_are_all_given(
    store: DecisionStore, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.beside.sqlite.IDS_CHUNK", 3)
    monkeypatch.setattr("connectors.elasticsearch.store.IDS_PAGE", 3)
    starts = [f"2026-11-24T{hour:02}:00" for hour in range(8)]
    store.put_windows([window(app, start, 1 + number, symbol=f"S{number}") for number, start in enumerate(starts)])
    windows_until(store, query(app), list(range(1, 9)))
