"""One suite for the DecisionStore port: SQLite, Elasticsearch 8, Elasticsearch 9."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from real_services import start_or_skip, wait_until

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.ports import DecisionStore, SearchQuery
from connectors.sqlite_store import SQLiteStore
from models.errors import ConfigError

HEADS = ("intent", "urgency")
OpenStore = Callable[[], DecisionStore]


@pytest.fixture(scope="session")
def elasticsearch_9_url(services_folder: Callable[[str], Path]) -> str:
    started = start_or_skip(services_folder("elasticsearch-9"), kafka=False, elasticsearch=True, elasticsearch_major=9)
    assert started.elasticsearch is not None
    return started.elasticsearch


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("elasticsearch_8", marks=pytest.mark.elasticsearch),
        pytest.param("elasticsearch_9", marks=[pytest.mark.elasticsearch, pytest.mark.slow]),
    ]
)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the same store anew at each call."""
    if request.param == "sqlite":
        return lambda: SQLiteStore(tmp_path / "decisions.db")
    url = request.getfixturevalue("elasticsearch_url" if request.param == "elasticsearch_8" else "elasticsearch_9_url")
    return lambda: ElasticsearchStore(url)


@pytest.fixture
def app(unique: str) -> str:
    return unique


@pytest.fixture
def store(open_store: OpenStore, app: str) -> Iterator[DecisionStore]:
    """A store prepared for this test's own app."""
    opened = open_store()
    opened.prepare({app: HEADS})
    yield opened
    opened.close()


ENTITY: dict[str, Any] = {"id": "a", "name": "A", "span": [0, 5], "sentiment": "positive", "probability": 0.5}
WEIGHED: dict[str, Any] = ENTITY | {"relevance": 0.25}

FOUND: dict[str, Any] = ENTITY | {"id": "found:b", "name": "B", "found": "tagger", "span_probability": 0.75}

SLOT: dict[str, Any] = {"name": "order", "value": "MB-123456", "text": "mb-123456", "span": [4, 13]}

ANSWER = {"text": "On its way.", "id": "faq-1", "question": "Where is it?", "source": "faq.csv", "confidence": 0.9375}
CONVERSATION: dict[str, Any] = {
    "id": "c7",
    "version": 3,
    "contact": 2,
    "turn": 1,
    "first_at": "2026-11-24T10:00:00.000Z",
    "last_at": "2026-11-24T10:00:00.000Z",
    "language": "en",
    "intent": "card_arrival",
    "intents": ["card_arrival"],
    "slots": [{"name": "order", "value": "MB-123456", "version": 3}],
    "asked": ["order", "order"],
    "waits_for": "?",
    "offered": ["card_arrival", "lost_card"],
    "escalated": "angry twice",
}


def decision(app: str, number: int, text: str = "Where is my card?", **fields: Any) -> dict[str, Any]:
    document = {
        "id": f"support.chats@0a1b2c3d-0-{number}",
        "app": app,
        "model": "support",
        "version": "1",
        "path": "full",
        "at": "2026-11-24T10:00:00.000Z",
        "decided_at": "2026-11-24T10:00:00.020Z",
        "latency_ms": 20.0,
        "labels": {"intent": {"label": "card_arrival", "probability": 0.91, "oos_score": 0.1, "rejected": False}},
        "action": "queue:cards",
        "text": text,
        "extra": {"channel": "web", "nested": {"anything": [1, "two", None]}},
    }
    return {**document, **fields}


def search_until(store: DecisionStore, query: SearchQuery, total: int) -> tuple[dict[str, Any], ...]:
    """The documents once `total` of them are searchable (the port promises one second)."""
    wait_until(lambda: store.search(query).total == total, what=f"a total of {total} for {query}")
    return store.search(query).documents


def test_a_message_without_words_is_kept_without_labels(store: DecisionStore, app: str) -> None:
    """Of a conversation: people have it."""
    wordless = decision(app, 1, "", labels={}, action="queue:people", conversation=CONVERSATION)
    assert store.index([wordless]).created == 1
    (kept,) = search_until(store, SearchQuery(app=app), 1)
    assert (kept["text"], kept.get("labels") or {}, kept["action"]) == ("", {}, "queue:people")
    assert store.get([wordless["id"]], app)[wordless["id"]]["conversation"]["id"] == "c7"


def test_an_indexed_decision_is_found_as_it_was_given(store: DecisionStore, app: str) -> None:
    items = [
        {"item_id": "a", "score": 0.5, "why": "together", "because": "c"},
        {"item_id": "b", "score": 0.25, "why": "exploration", "propensity": 0.125},
        {"item_id": "d", "score": 0.125, "why": "popular", "segment": "country=FR"},
    ]
    given = decision(app, 1, key="customer-7", items=items, entities=[ENTITY, FOUND, WEIGHED])
    given |= {
        "slots": [SLOT, SLOT | {"name": "when"}],
        "ask": {"text": "Which card?", "slot": "card", "choices": ["a lost card", "a new card"]},
    }
    given |= {"conversation": CONVERSATION, "answer": ANSWER}
    given |= {"bank": "0a1b2c3d4e5f6071", "priority": "P1", "respond_by": "2026-12-07T09:15:00.000Z"}
    report = store.index([given])
    assert (report.created, report.repeats, report.rejected) == (1, 0, ())
    (document,) = search_until(store, SearchQuery("card", app=app), 1)
    assert {name: document[name] for name in given} == given
    assert set(document) == {*given, "score", "highlight"}
    assert document["score"] > 0
    assert document["highlight"] == "Where is my <em>card</em>?"


def test_what_an_entry_of_a_bank_or_a_source_has_answered_is_found(store: DecisionStore, app: str) -> None:
    other = ANSWER | {"id": "faq-10", "source": "faq"}
    ready = {"text": "On its way.", "label": "faq-1"}
    for number, answer in enumerate((ANSWER, other, ready)):
        store.index([decision(app, number, answer=answer, at=f"2026-11-24T10:00:0{number}.000Z")])
    store.index([decision(app, 3, "faq-1")])
    search_until(store, SearchQuery(app=app), 4)

    def found(answer: str, text: str = "") -> list[int]:
        documents = store.search(SearchQuery(text, app, answer=answer)).documents
        return [int(document["id"].rpartition("-")[2]) for document in documents]

    assert (found("faq-1"), found("faq.csv"), found("faq-10")) == ([0], [0], [1])
    assert found("faq-1", "card") == [0] and found("faq-1", "parcel") == found("faq-") == []


def test_the_first_decision_of_an_id_stays_and_repeats_are_counted(store: DecisionStore, app: str) -> None:
    assert store.index([decision(app, 1, "first"), decision(app, 1, "second")]).repeats == 1
    again = store.index([decision(app, 1, "third"), decision(app, 2)])
    assert (again.created, again.repeats) == (1, 1)
    documents = search_until(store, SearchQuery(app=app), 2)
    assert sorted(document["text"] for document in documents) == ["Where is my card?", "first"]
    assert sorted(store.ids(app)) == [f"support.chats@0a1b2c3d-0-{number}" for number in (1, 2)]


def test_two_apps_on_one_topic_keep_a_decision_each(store: DecisionStore, app: str) -> None:
    other = f"{app}-two"
    store.prepare({other: ["topic"]})
    assert store.index([decision(app, 1, "mine"), decision(other, 1, "theirs", labels={})]).created == 2
    identity = str(decision(app, 1)["id"])
    wait_until(lambda: len(list(store.ids(app))) == len(list(store.ids(other))) == 1, what="one document each")
    wait_until(lambda: store.get([identity], other), what="the other app's document")
    assert store.get([identity], other)[identity]["text"] == "theirs"


def test_a_repeat_meets_its_document_in_another_process_and_later(
    open_store: OpenStore, store: DecisionStore, app: str
) -> None:
    store.index([decision(app, 1)])
    other = open_store()
    other.prepare({app: HEADS})
    try:
        report = other.index([decision(app, 1, decided_at="2027-01-02T00:00:00.000Z")])
        assert (report.created, report.repeats) == (0, 1)
    finally:
        other.close()


def test_nothing_to_index_is_fine(store: DecisionStore) -> None:
    assert store.index([]).created == 0


def test_words_are_found_in_every_script(store: DecisionStore, app: str) -> None:
    texts = {
        1: "你好,我要退款,订单还没到",
        2: "注文をキャンセルしたい",
        3: "My card has not arrived yet!",
        4: "the Café at the corner",
        5: "где моя ёлка",
        6: "buy $AAPL, sell $MSFT",
        7: "ขอคืนเงินค่ะ",
        8: "a re\u00adfund, or can\u200bcel",
    }
    wanted: dict[str, set[int]] = {
        "退款": {1},
        "我要 退款": {1},
        "款退": set(),
        "退 货": set(),
        "refund 退款": set(),
        "キャン": {2},
        "注文をキャンセル": {2},
        "card not arrived": {3},
        "ARRIVED Card": {3},
        "card missing": set(),
        "cafe": {4},
        "CAFÉ": {4},
        "Ёлка": {5},
        "$AAPL": {6},
        "เงิน": {7},
        "refund": {8},
        "cancel": {8},
        "re\u00adfund": {8},
    }
    store.index([decision(app, number, text) for number, text in texts.items()])
    search_until(store, SearchQuery(app=app), len(texts))

    def find(question: str) -> set[int]:
        return {
            int(document["id"].rpartition("-")[2])
            for document in store.search(SearchQuery(question, app=app)).documents
        }

    assert {question: find(question) for question in wanted} == wanted


def test_no_question_breaks_the_search(store: DecisionStore, app: str) -> None:
    hostile = [
        '"',
        "'",
        '"card',
        "card*",
        "*",
        "AND",
        "OR NOT",
        "card AND",
        "NEAR(card)",
        "words : card",
        "(",
        ")",
        "^card",
        "-card",
        "card\0",
        "\0",
        "\ud800",
        "card \udfff",
        "{}",
        "a" * 20_000,
        "card " * 500,
        "text:card",
        "+",
        "\\",
        "%",
        "_all",
        "😀",
    ]
    store.index([decision(app, 1)])
    search_until(store, SearchQuery(app=app), 1)
    for question in hostile:
        for query in (
            SearchQuery(question, app=app),
            SearchQuery(app=app, label=question),
            SearchQuery("card", app=question),
        ):
            assert store.search(query).total in (0, 1), query
        assert list(store.ids(question)) == []


def test_a_question_without_any_word_finds_nothing_and_an_empty_one_everything(store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1)])
    search_until(store, SearchQuery(app=app), 1)
    assert store.search(SearchQuery("?!", app=app)).total == 0
    assert store.search(SearchQuery("  ", app=app)).total == 1


def test_label_time_and_app_narrow_the_search(store: DecisionStore, app: str) -> None:
    other = f"{app}-two"
    store.prepare({other: ["topic"]})
    urgent = {"intent": {"label": "lost", "probability": 0.6}, "urgency": {"label": "high", "probability": 0.8}}
    store.index(
        [
            decision(app, 1, at="2026-10-31T23:59:59.999Z"),
            decision(app, 2, at="2026-11-01T02:00:00+02:00", labels=urgent),
            decision(app, 3, at="2026-11-02T00:00:00.000Z", labels={}),
            decision(other, 4, labels={"topic": {"label": "lost", "probability": 0.5}}),
        ]
    )
    search_until(store, SearchQuery(app=other), 1)
    search_until(store, SearchQuery(app=app), 3)

    def numbers(**query: Any) -> set[int]:
        return {int(document["id"].rpartition("-")[2]) for document in store.search(SearchQuery(**query)).documents}

    assert numbers(app=app, label="high") == {2}
    assert numbers(app=app, label="lost") == {2}
    assert numbers(app=other, label="lost") == {4}
    assert numbers(app=app, since="2026-11-01") == {2, 3}
    assert numbers(app=app, until="2026-11-01T00:00:00Z") == {1}
    assert numbers(app=app, since="2026-11-01T00:00:00Z", until="2026-11-02T00:00:00Z") == {2}
    assert numbers(app="never-seen") == set()
    assert [store_id[-1] for store_id in store.ids(other)] == ["4"]


def test_newest_first_without_text_and_limit_with_a_full_total(store: DecisionStore, app: str) -> None:
    store.index([decision(app, number, at=f"2026-11-{number:02}T00:00:00.000Z") for number in range(1, 13)])
    search_until(store, SearchQuery(app=app), 12)
    result = store.search(SearchQuery(app=app, limit=3))
    assert result.total == 12
    assert [document["at"][8:10] for document in result.documents] == ["12", "11", "10"]


def test_a_time_that_is_none_is_the_askers_mistake(store: DecisionStore) -> None:
    with pytest.raises(ConfigError, match="--since 'yesterday'"):
        store.search(SearchQuery(since="yesterday"))


def test_what_does_not_fit_is_rejected_with_a_reason_and_the_rest_stands(store: DecisionStore, app: str) -> None:
    wrong: dict[int, tuple[dict[str, Any], str]] = {
        11: ({"surprise": 1}, "unknown field surprise"),
        12: ({"labels": {"mood": {"label": "x"}}}, "unknown head mood"),
        13: ({"labels": {"intent": {"label": "x", "why": "y"}}}, "labels.intent.why"),
        14: ({"at": "24.11.2026"}, "RFC 3339"),
        15: ({"at": "2026-13-01T00:00:00Z"}, "RFC 3339"),
        16: ({"at": None}, "at is missing"),
        17: ({"text": None}, "text is missing"),
        18: ({"items": [{"item_id": "a", "rank": 1}]}, "items"),
        19: ({"decided_at": "now"}, "decided_at"),
        20: ({"extra": {"too large": 2**70}}, "JSON"),
    }
    documents = [decision(app, number, **fields) for number, (fields, _) in wrong.items()]
    report = store.index([decision(app, 1), *documents, decision(app, 2)])
    assert (report.created, report.repeats) == (2, 0)
    reasons = {10 + rejected.position: rejected.reason for rejected in report.rejected}
    assert sorted(reasons) == sorted(wrong)
    assert all(expected in reasons[number] for number, (_, expected) in wrong.items()), reasons


def test_hostile_texts_are_kept(store: DecisionStore, app: str) -> None:
    texts = ["a\0b", "lone \ud800 surrogate", "x" * 60_000, "", "line\nbreak\ttab", "a" * 40_000 + " end"]
    assert store.index([decision(app, number, text) for number, text in enumerate(texts)]).created == len(texts)
    documents = search_until(store, SearchQuery(app=app), len(texts))
    assert {document["text"] for document in documents} == {text.replace("\ud800", "�") for text in texts}
    assert store.search(SearchQuery("surrogate", app=app)).total == 1


def test_long_keys_and_labels_are_kept(store: DecisionStore, app: str) -> None:
    long = "k" * 40_000
    assert (
        store.index([decision(app, 1, key=long, labels={"intent": {"label": long, "probability": 0.1}})]).created == 1
    )
    (document,) = search_until(store, SearchQuery(app=app), 1)
    assert document["key"] == long


def nested(levels: int) -> dict[str, Any]:
    """An object in an object, `levels` of them."""
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"inner": inner}
    return inner


FOREIGN: dict[str, dict[str, Any]] = {
    "another application": {"app": "stranger"},
    "an id over 512 bytes": {"id": "é" * 257},
    "an empty id": {"id": ""},
    "an id that is no text": {"id": 7},
    "extra deeper than any stack": {"extra": nested(2_000)},
    "extra deeper than JSON can be written": {"extra": nested(300)},
    "a month before the era of streams": {"at": "0999-12-31T00:00:00Z"},
    "a moment before what a source may say": {"at": "1969-12-31T23:59:59.999Z"},
    "a month that nobody lives to see": {"at": "9999-12-31T23:59:59Z"},
    "a picture that is a text": {"picture": "damaged"},
    "a picture with another field": {"picture": {"label": "damaged", "bytes": "AAAA"}},
    "a picture whose label is a number": {"picture": {"label": 5}},
    "a picture whose probability is a text": {"picture": {"label": "damaged", "probability": "high"}},
    "a fusion that is a text": {"fusion": "both"},
    "a fusion with another field": {"fusion": {"head": "intent", "weights": 1}},
    "a fusion decided by a number": {"fusion": {"decided_by": 2}},
    "a fusion whose probability is a text": {"fusion": {"text_probability": "high"}},
    "entities that are a text": {"entities": "abc"},
    "an entity without a sentiment": {"entities": [{"id": "a", "name": "A"}]},
    "an entity with another field": {"entities": [ENTITY | {"ticker": "A"}]},
    "an entity with a place in words": {"entities": [ENTITY | {"span": ["first", 2]}]},
    "an entity with a place beyond 32 bits": {"entities": [ENTITY | {"span": [0, 2**31]}]},
    "an entity with a probability in words": {"entities": [ENTITY | {"probability": "high"}]},
    "an entity with a relevance in words": {"entities": [ENTITY | {"relevance": "high"}]},
    "an entity found by a number": {"entities": [FOUND | {"found": 1}]},
    "an entity whose place is probable in words": {"entities": [FOUND | {"span_probability": "high"}]},
    "slots that are an object": {"slots": {"order": "MB-1"}},
    "a slot without a value": {"slots": [{"name": "order", "text": "MB-1", "span": [0, 4]}]},
    "a slot with another field": {"slots": [SLOT | {"score": 1}]},
    "a slot whose value is a number": {"slots": [SLOT | {"value": 5}]},
    "a slot with a place in words": {"slots": [SLOT | {"span": ["first", 2]}]},
    "a question that is a text": {"ask": "which?"},
    "a question in numbers": {"ask": {"text": 5}},
    "a question with choices in one text": {"ask": {"text": "which?", "choices": "a or b"}},
    "a question with a choice in numbers": {"ask": {"text": "which?", "choices": ["a", 2]}},
    "a question with choices and another field": {"ask": {"text": "which?", "choices": ["a"], "bytes": "AAAA"}},
    "an answer that is a text": {"answer": "on its way"},
    "an answer in numbers": {"answer": {"text": 5}},
    "an answer that is sure in words": {"answer": {"text": "on its way", "confidence": "very"}},
    "an answer with another field": {"answer": {"text": "on its way", "bytes": "AAAA"}},
    "a question with another field": {"ask": {"text": "which?", "bytes": "AAAA"}},
    "a conversation that is a text": {"conversation": "c7"},
    "a conversation without its version": {
        "conversation": {name: value for name, value in CONVERSATION.items() if name != "version"}
    },
    "a conversation with a turn in words": {"conversation": CONVERSATION | {"turn": "first"}},
    "a conversation with a version beyond 32 bits": {"conversation": CONVERSATION | {"version": 2**31}},
    "a conversation with another field": {"conversation": CONVERSATION | {"mood": "fine"}},
    "a conversation whose id is a number": {"conversation": CONVERSATION | {"id": 7}},
    "a conversation since a time that is none": {"conversation": CONVERSATION | {"first_at": "monday"}},
    "a conversation with intents in one text": {"conversation": CONVERSATION | {"intents": "refund"}},
    "a conversation with a value that is a number": {
        "conversation": CONVERSATION | {"slots": [{"name": "order", "value": 7, "version": 1}]}
    },
    "a priority that is a number": {"priority": 1},
    "a bank that is a number": {"bank": 1},
    "a time to answer by that is none": {"respond_by": "tomorrow"},
    "items that are a number": {"items": 5},
    "items that are a text": {"items": "abc"},
    "labels that are a list": {"labels": ["refund"]},
    "labels that are empty text": {"labels": ""},
    "a label that is a number": {"labels": {"intent": {"label": 3}}},
    "a probability in words": {"labels": {"intent": {"label": "x", "probability": "high"}}},
    "a probability beyond any float": {"labels": {"intent": {"label": "x", "probability": 1e300}}},
    "a rejection in words": {"labels": {"intent": {"label": "x", "rejected": "no"}}},
    "a key that is an object": {"key": {"id": 7}},
    "a version that is a list": {"version": ["1"]},
    "a latency in words": {"latency_ms": "fast"},
    "an extra that is a text": {"extra": "x"},
    "an item without a name": {"items": [{"item_id": None, "score": 1}]},
    "an item with a score in words": {"items": [{"item_id": "a", "score": "best"}]},
    "an item with a reason that is no text": {"items": [{"item_id": "a", "score": 1, "why": 7}]},
    "an item with a segment that is no text": {"items": [{"item_id": "a", "score": 1, "segment": 7}]},
    "an item with a propensity in words": {"items": [{"item_id": "a", "score": 1, "propensity": "rare"}]},
}


def test_what_a_stranger_wrote_is_rejected_alone(store: DecisionStore, app: str) -> None:
    """D-B4: one record in decisions.<app> that Headrace did not write (another app, a long id, deep JSON) ended the
    indexer for ever, and the good ones of its batch with it."""
    between: list[dict[str, Any]] = []
    for number, fields in enumerate(FOREIGN.values()):
        between += [decision(app, number), decision(app, 100 + number) | fields]
    report = store.index(between)
    assert report.created == len(FOREIGN)
    reasons = {rejected.position: rejected.reason for rejected in report.rejected}
    refused = {what: reasons.get(1 + 2 * number, "") for number, what in enumerate(FOREIGN)}
    assert all(refused.values()), refused
    assert len(reasons) == len(FOREIGN)


def test_a_rejected_document_is_named_by_its_place_whatever_its_id_is(store: DecisionStore, app: str) -> None:
    """S-A17 j: the report named documents by an id that the store had cleaned of lone surrogates, and the indexer
    ended in a KeyError."""
    odd = decision(app, 1, id="\ud800", surprise=1)
    report = store.index([decision(app, 1), odd, decision(app, 1), odd])
    assert (report.created, report.repeats) == (1, 1)
    assert [rejected.position for rejected in report.rejected] == [1, 3]


def test_extra_is_kept_whatever_is_in_it(store: DecisionStore, app: str) -> None:
    odd = {"": 1, ".": 2, "a.b": {"c..d": None}, "k" * 40_000: True, "mixed": [1, "two", {"three": 3.0}, []], "\0": ""}
    assert store.index([decision(app, 1, extra=nested(240)), decision(app, 2, extra=odd)]).created == 2
    documents = search_until(store, SearchQuery(app=app), 2)
    assert odd in [document["extra"] for document in documents]


def test_a_new_head_joins_and_older_ones_stay(open_store: OpenStore, store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1)])
    other = open_store()
    other.prepare({app: ["intent", "tone"]})
    try:
        labels = {"tone": {"label": "angry", "probability": 0.7}, "urgency": {"label": "high", "probability": 0.7}}
        assert other.index([decision(app, 2, labels=labels)]).created == 1
        search_until(other, SearchQuery(app=app, label="angry"), 1)
    finally:
        other.close()


def test_old_months_go_and_newer_ones_stay(store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1, at="2015-12-31T23:59:59.000Z"), decision(app, 2, at="2016-01-01T00:00:00.000Z")])
    search_until(store, SearchQuery(app=app), 2)
    assert store.delete_before("2016-01", [app]) == 1
    wait_until(lambda: [identity[-1] for identity in store.ids(app)] == ["2"], what="the older month's end")
    assert store.search(SearchQuery("card", app=app)).total == 1
    assert store.delete_before("2016-01-01", [app]) == 0
    assert store.index([decision(app, 1, at="2015-12-31T23:59:59.000Z")]).created == 1


def test_retention_touches_only_the_applications_it_is_told(store: DecisionStore, app: str) -> None:
    """D-B3: the retention of one indexer deleted every other application's old decisions."""
    neighbours = [f"{app}-two", f"{app}-2"]  # names that begin like ours
    store.prepare(dict.fromkeys(neighbours, HEADS))
    everyone = [app, *neighbours]
    assert store.index([decision(name, 1, at="2015-03-01T00:00:00Z") for name in everyone]).created == 3
    for name in everyone:
        search_until(store, SearchQuery(app=name), 1)
    assert store.delete_before("2016-01", []) == 0
    assert store.delete_before("2016-01", [app]) == 1
    for name in neighbours:
        assert len(list(store.ids(name))) == 1
    wait_until(lambda: list(store.ids(app)) == [], what="our old month's end")


def test_a_store_in_order_says_so(store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1)])
    store.check()


def test_ids_gives_every_document_across_pages(store: DecisionStore, app: str) -> None:
    numbers = range(5_500)
    for first in range(0, len(numbers), 500):
        store.index([decision(app, number, "short") for number in numbers[first : first + 500]])
    wait_until(lambda: len(set(store.ids(app))) == len(numbers), what="all ids")
    assert len(list(store.ids(app))) == len(numbers)


def test_threads_may_index_the_same_documents_at_once(store: DecisionStore, app: str) -> None:
    documents = [decision(app, number) for number in range(200)]
    together = threading.Barrier(4)

    def index(_: int) -> int:
        together.wait(120)
        return sum(store.index(documents[first : first + 50]).created for first in range(0, 200, 50))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(index, range(4))) == 200
    wait_until(lambda: len(list(store.ids(app))) == 200, what="200 ids")


def test_what_is_indexed_is_searchable_within_a_second_or_so(store: DecisionStore, app: str) -> None:
    store.index([decision(app, 1)])
    started = time.monotonic()
    search_until(store, SearchQuery(app=app), 1)
    assert time.monotonic() - started < 30.0  # the promise is one second; the test machine is shared


def test_get_gives_documents_by_id_and_leaves_out_what_is_not_there(store: DecisionStore, app: str) -> None:
    documents = [decision(app, 1, "one"), decision(app, 2, "two")]
    store.index(documents)
    ids = [str(document["id"]) for document in documents]
    wait_until(lambda: len(store.get(ids, app)) == 2, what="both documents")
    stored = store.get([*ids, "nowhere@00000000-0-0", "\ud800"], app)
    assert {identity: document["text"] for identity, document in stored.items()} == dict(
        zip(ids, ["one", "two"], strict=True)
    )
    assert "words" not in stored[ids[0]]
    assert set(store.get(ids)) == set(ids)
    assert store.get([]) == {}


def test_a_picture_beside_a_text_is_kept_and_found_by_its_label(store: DecisionStore, app: str) -> None:
    shown = {"label": "damaged", "probability": 0.97}
    fault = {"fault": "picture_broken", "detail": "the picture cannot be read: its bytes"}
    report = store.index(
        [
            decision(app, 1, picture=shown),
            decision(app, 2, picture=fault),
            decision(app, 3, picture=None),
            decision(app, 4),
        ]
    )
    assert (report.created, report.rejected) == (4, ())
    wait_until(lambda: store.search(SearchQuery(app=app)).total == 4)
    (found,) = store.search(SearchQuery(app=app, label="damaged")).documents
    assert found["id"].endswith("-1") and found["picture"] == shown
    assert store.search(SearchQuery(app=app, label="card_arrival")).total == 4
    again = store.get([found["id"].removesuffix("1") + "2"], app)
    assert next(iter(again.values()))["picture"] == fault


def test_which_of_text_and_picture_decided_is_kept(store: DecisionStore, app: str) -> None:
    fusion = {"head": "intent", "decided_by": "picture", "text_label": "refund", "text_probability": 0.51}
    report = store.index([decision(app, 1, fusion=fusion), decision(app, 2, fusion=None), decision(app, 3)])
    assert (report.created, report.rejected) == (3, ())
    wait_until(lambda: store.search(SearchQuery(app=app)).total == 3)
    stored = {document["id"][-1]: document for document in store.search(SearchQuery(app=app)).documents}
    assert stored["1"]["fusion"] == fusion
    assert store.search(SearchQuery(app=app, label="refund")).total == 0, "what the text alone said is not the label"


def test_a_decision_of_several_labels_is_found_by_each_of_them(store: DecisionStore, app: str) -> None:
    several = [{"label": "lost", "probability": 0.9}, {"label": "fee", "probability": 0.6}]
    answers = {
        1: {"label": "fee|lost", "probability": 0.55, "labels": several},
        2: {"label": "fee", "probability": 0.8, "labels": [{"label": "fee", "probability": 0.8}]},
        3: {"label": "none", "probability": 0.7, "labels": []},
        4: {"label": "lost", "probability": 0.7},
    }
    report = store.index([decision(app, number, labels={"intent": answer}) for number, answer in answers.items()])
    assert (report.created, report.rejected) == (4, ())
    wait_until(lambda: store.search(SearchQuery(app=app)).total == 4)
    found = {
        label: {int(one["id"][-1]) for one in store.search(SearchQuery(app=app, label=label)).documents}
        for label in ("fee", "lost", "fee|lost", "none", "fe")
    }
    assert found == {"fee": {1, 2}, "lost": {1, 4}, "fee|lost": {1}, "none": {3}, "fe": set()}
    stored = {int(one["id"][-1]): one["labels"] for one in store.search(SearchQuery(app=app)).documents}
    assert stored == {number: {"intent": answer} for number, answer in answers.items()}
    broken = {"labels": {"intent": {"label": "fee", "labels": [{"label": 3}]}}}
    assert store.index([decision(app, 5, **broken)]).rejected[0].reason.startswith("labels.intent.labels is no list")
