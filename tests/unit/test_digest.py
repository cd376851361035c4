import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.sqlite_store import SQLiteStore
from headrace.pages.digest import KNOWN_COLOURS, render_digest
from headrace.tools.digest.figures import moved
from headrace.tools.digest.making import DigestOrder, make, run_digest
from headrace.tools.digest.stories import Groups, stories_of
from models.errors import ConfigError
from streams.application import Application, Entities, HeadSpec, Source, Stories

APP = Application(
    name="finance",
    topic="news",
    heads=(HeadSpec(name="topic", column="t"), HeadSpec(name="sentiment", column="s")),
    source=Source(symbols="/symbols"),
)
DAY = date(2026, 11, 24)
WORDS = "amber birch cedar delta ember frost grove heath inlet jade knoll lotus maple north ocean pearl quartz river"
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def decision(number: int, text: str, at: str = "2026-11-24T10:00:00.000Z", **fields: Any) -> dict[str, Any]:
    labels = {name: fields.pop(name, default) for name, default in (("topic", "oil"), ("sentiment", "positive"))}
    return {
        "id": f"news@0-0-{number}",
        "app": "finance",
        "model": "finance",
        "version": "1",
        "path": "full",
        "at": at,
        "decided_at": at,
        "latency_ms": 1,
        "labels": {name: {"label": label, "probability": 0.9} for name, label in labels.items()},
        "action": "none",
        "text": text,
        "key": "wire",
        "extra": {},
    } | fields


def headline(number: int) -> str:
    """Different enough from the others to be a story of its own."""
    return " ".join(WORDS.split()[(number * step + step) % 18] for step in (1, 3, 5, 7, 11)) + f" {'x' * (number + 1)}"


def store_of(tmp_path: Path, decisions: Sequence[dict[str, Any]]) -> SQLiteStore:
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"finance": APP.head_names})
    report = store.index(decisions)
    assert not report.rejected
    return store


def test_copies_of_a_text_are_one_story_told_by_the_first() -> None:
    copies = [
        decision(n, text, key=f"source {n}")
        for n, text in enumerate(["Oil jumps 3 % on cuts", "OIL JUMPS 4 % ON CUTS"])
    ]
    other = decision(9, "Chip maker opens a plant in Ohio")
    first, second = stories_of([*copies, other])
    assert (first.texts, first.first["id"], first.sources) == (2, "news@0-0-0", {"source 0", "source 1"})
    assert second.texts == 1


def test_a_page_of_one_text_says_one_and_labels_as_words(tmp_path: Path) -> None:
    store = store_of(tmp_path, [decision(1, headline(1), topic="big_oil")])
    page = render_digest(make(store, APP, DigestOrder("finance", DAY), now=NOW).as_json())
    store.close()
    assert (
        "<bdi>big oil</bdi>" in page
        and "1 text, 1 story: copies" in page
        and "1 texts" not in page
        and "1 stories" not in page
    )


def test_one_template_filled_with_two_companies_is_two_stories() -> None:
    alder, birch = (
        decision(n, f"{name} Corp Q3 profit rises 5 % on prices") for n, name in enumerate(("Alder", "Birch"))
    )
    assert [one.texts for one in stories_of([alder, birch])] == [1, 1]
    shouted = [decision(n, f"{name} CORP Q3 PROFIT RISES ON PRICES") for n, name in enumerate(("ALDER", "BIRCH"))]
    assert [one.texts for one in stories_of(shouted)] == [2]
    assert [one.texts for one in stories_of(shouted, names_of=lambda one: (one["text"].split()[0],))] == [1, 1]


def test_a_story_of_a_source_that_counts_more_comes_first_and_counts_stay(tmp_path: Path) -> None:
    blogs = [decision(n, f"{headline(1)} {'!' * n}", key="a blog", topic="oil") for n in range(3)]
    wires = [decision(3 + n, f"{headline(7)} {'!' * n}", topic="oil") for n in range(2)]
    store, order = store_of(tmp_path, [*blogs, *wires]), DigestOrder("finance", DAY)
    weighed = APP.model_copy(update={"stories": Stories(sources={"wire": 2.0})})
    plain, digest = (make(store, app, order, now=NOW).as_json() for app in (APP, weighed))
    store.close()
    for told, first in ((plain, (3, 3.0)), (digest, (2, 4.0))):
        group = next(one for one in told["groups"] if one["name"] == "oil")
        assert (group["stories"], group["texts"]) == (2, 5)
        assert (group["top"][0]["texts"], group["top"][0]["weight"]) == first
    page = render_digest(digest)
    assert page.index(headline(7)) < page.index(headline(1))


def test_stories_that_the_monitor_told_are_taken_as_they_are() -> None:
    """Also where texts of one story share no word, and copies are of two stories a month apart."""
    told = [
        decision(1, "Oil jumps on cuts", story_id="news@0-0-1"),
        decision(2, "Cartel turns the tap", story_id="news@0-0-1"),
        decision(3, "Oil jumps on cuts", story_id="news@0-0-3"),
    ]
    assert [(one.first["id"], one.texts) for one in stories_of(told)] == [("news@0-0-1", 2), ("news@0-0-3", 1)]
    older = [decision(4, "Chip maker opens a plant in Ohio"), decision(5, "CHIP MAKER opens a plant in Ohio")]
    copy = decision(6, "Cartel turns the tap")
    both = stories_of([*told, *older, copy])
    assert [(one.first["id"], one.texts) for one in both] == [("news@0-0-1", 3), ("news@0-0-3", 1), ("news@0-0-4", 2)]


def test_a_story_counts_for_its_label_symbols_and_entities_and_rejected_labels_say_nothing() -> None:
    entities = [{"id": "x", "name": "Exxon", "span": [0, 5], "sentiment": "negative", "probability": 0.9}]
    one = decision(1, "a", extra={"symbols": ["XOM", 7]}, entities=entities)
    assert Groups(APP, "sentiment").of(one) == {
        ("topic", "oil"): "positive",
        ("symbol", "XOM"): "positive",
        ("entity", "Exxon"): "negative",
    }
    one["labels"]["topic"]["rejected"] = True
    assert ("topic", "oil") not in Groups(APP, None).of(one)


def test_a_story_counts_for_no_entity_that_it_hardly_is_about() -> None:
    table = Entities(names=Path("names.csv"), corpus=Path("said.csv"), relevance_min=0.1)
    said = {"id": "a", "span": [0, 1], "sentiment": "negative", "probability": 0.9}
    named = [
        said | {"name": "Old"},
        said | {"name": "Enough", "relevance": 0.1},
        said | {"name": "Hardly", "relevance": 0.05},
    ]
    item = decision(1, "x", entities=named)
    told = Groups(APP.model_copy(update={"entities": table}), "sentiment").of(item)
    assert [name for kind, name in told if kind == "entity"] == ["Old", "Enough"]
    assert len([kind for kind, _ in Groups(APP, "sentiment").of(item) if kind == "entity"]) == 3


def test_what_is_unlikely_beside_the_days_before_comes_first() -> None:
    groups = Groups(APP, "sentiment")
    day = [
        *(decision(n, headline(n), topic="oil") for n in range(12)),
        *(decision(20 + n, headline(12 + n), topic="tech") for n in range(3)),
    ]
    before = [stories_of([decision(n, headline(n), topic="tech") for n in range(3)]) for _ in range(4)]
    first, second = moved(groups, stories_of(day), before)
    assert (first.name, first.stories, first.usual) == ("oil", 12, 0.0) and first.unlikely > 4
    assert (second.name, second.stories, second.usual) == ("tech", 3, 3.0) and abs(second.unlikely) < 1
    share, low, high = first.moods["positive"]
    assert share == 1 and low < 1 and high == 1
    assert not second.moods and second.as_json()["insufficient"]


def test_what_is_gone_is_told_as_well() -> None:
    before = [stories_of([decision(n, headline(n), topic="oil") for n in range(9)]) for _ in range(3)]
    (gone,) = moved(Groups(APP, None), [], before)
    assert (gone.name, gone.stories, gone.usual) == ("oil", 0, 9.0) and gone.unlikely < -4


def test_a_day_is_read_from_the_store_and_other_days_are_not(tmp_path: Path) -> None:
    days = (
        "2026-11-23T23:59:59.999Z",
        "2026-11-24T00:00:00.000Z",
        "2026-11-24T23:59:59.999Z",
        "2026-11-25T00:00:00.000Z",
    )
    store = store_of(tmp_path, [decision(n, headline(n), at) for n, at in enumerate(days)])
    digest = make(store, APP, DigestOrder("finance", DAY), now=NOW)
    assert (digest.texts, len(digest.stories), digest.compared) == (2, 2, 1)
    store.close()


def test_late_and_future_texts_are_counted_where_people_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ten = "2026-11-24T10:00:00.000Z"
    decided = [ten, "2026-11-25T00:00:00.000Z", "2026-11-24T09:54:59.000Z", "2026-11-24T09:55:00.000Z"]
    store_of(tmp_path, [decision(n, headline(n), ten, decided_at=one) for n, one in enumerate(decided)]).close()
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    file = tmp_path / "finance.toml"
    file.write_text(
        'name = "finance"\ntopic = "news"\n[[heads]]\nname = "topic"\ncolumn = "t"\n'
        '[[heads]]\nname = "sentiment"\ncolumn = "s"\n',
        "utf-8",
    )
    run_digest(DigestOrder(str(file), DAY, page=tmp_path / "day.html"), json=False)
    said = "of the texts 1 were decided after the day's end, 1 are dated after they came"
    assert said in capsys.readouterr().out
    page = (tmp_path / "day.html").read_text("utf-8")
    assert "1 of the texts were decided after the day's end. 1 are dated after they came." in page.replace("&#39;", "'")
    run_digest(DigestOrder(str(file), DAY), json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["texts"], told["late"], told["future"]) == (4, 1, 1)


def test_more_decisions_than_a_store_answers_at_once_are_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.tools.digest.reading.PAGE", 3)
    at = [f"2026-11-24T10:00:0{second}.000Z" for second in (0, 1, 1, 2, 3, 3, 4)]
    store = store_of(tmp_path, [decision(n, headline(n), moment) for n, moment in enumerate(at)])
    assert make(store, APP, DigestOrder("finance", DAY), now=NOW).texts == len(at)
    monkeypatch.setattr("headrace.tools.digest.reading.PAGE", 2)
    with pytest.raises(ConfigError, match="more than 2 decisions of finance stand at"):
        make(store, APP, DigestOrder("finance", DAY), now=NOW)
    store.close()


def test_a_day_that_is_not_over_is_compared_with_as_much_of_the_days_before(tmp_path: Path) -> None:
    morning, evening = ("2026-11-{}T08:00:00.000Z", "2026-11-{}T20:00:00.000Z")
    decisions = [decision(n, headline(n), morning.format(day)) for n, day in enumerate((23, 24))]
    decisions += [decision(5, headline(5), evening.format(23))]
    store = store_of(tmp_path, decisions)
    digest = make(store, APP, DigestOrder("finance"), now=datetime(2026, 11, 24, 12, tzinfo=UTC))
    oil = next(group for group in digest.groups if group.name == "oil")
    assert (oil.stories, oil.usual) == (1, 1.0)
    store.close()


def test_a_day_without_decisions_and_a_head_that_is_none_are_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, [])
    with pytest.raises(ConfigError, match="the store holds no decision of finance of 2026-11-24"):
        make(store, APP, DigestOrder("finance", DAY), now=NOW)
    with pytest.raises(ConfigError, match="no head 'sentimet'; did you mean 'sentiment'"):
        make(store, APP, DigestOrder("finance", DAY, mood="sentimet"), now=NOW)
    store.close()


def test_the_page_shows_hostile_texts_as_texts_and_is_json_on_request(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> & oil \x1b[31m"
    store = store_of(tmp_path, [decision(n, f"{headline(n)} {hostile}", topic="<b>oil") for n in range(6)])
    digest = make(store, APP, DigestOrder("finance", DAY), now=NOW)
    store.close()
    page = render_digest(digest.as_json())
    assert (
        "<script>" not in page
        and "<b>oil" not in page
        and "&lt;script&gt;" in page
        and "No day before is known" in page
    )
    json.dumps(digest.as_json())


def test_a_first_day_is_not_told_as_one_that_moved(tmp_path: Path) -> None:
    """With no day before nothing moved: no empty column of what is usual, and what was said of whom is told all the
    same."""
    alder = [{"id": "a", "name": "Alder", "span": [0, 5], "sentiment": "negative", "probability": 0.9}]
    named = [decision(number, headline(number), sentiment="negative", entities=alder) for number in range(6)]
    store = store_of(tmp_path, named)
    first = render_digest(make(store, APP, DigestOrder("finance", DAY), now=NOW).as_json())
    store.close()
    assert "What moved" not in first and "usual</th>" not in first and "–" not in first
    assert "<h2><bdi>Alder</bdi></h2>" in first
    negative = first.partition('<span class="mood')[2][0]
    assert negative == str(KNOWN_COLOURS["negative"])
