"""Windows of event time: what is counted in which, and that late items change a window and double none."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from connectors.sqlite_store import SQLiteStore
from headrace.cli import app as cli
from headrace.pages.trends import render_trends
from headrace.tools.trends.making import TrendsOrder, make
from headrace.tools.trends.windows import Trends
from models.errors import ConfigError
from streams.application import Application, HeadSpec, Source, Stories
from streams.monitor.trends.windows import LENGTHS, Group, window_start

APP = Application(
    name="finance",
    topic="news",
    heads=(HeadSpec(name="topic", column="t"), HeadSpec(name="sentiment", column="s")),
    source=Source(symbols="/symbols"),
)
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
SYMBOL = Group(symbol="BRKW")


def decision(number: int, at: str, text: str = "", mood: str = "positive", **fields: Any) -> dict[str, Any]:
    """at: a time of 24 November."""
    time = f"2026-11-24T{at}:00.000Z"
    labels = {name: {"label": label, "probability": 0.9} for name, label in (("topic", "oil"), ("sentiment", mood))}
    return {
        "id": f"news@0-0-{number}",
        "app": "finance",
        "model": "finance",
        "version": "1",
        "path": "full",
        "at": time,
        "decided_at": time,
        "latency_ms": 1,
        "labels": labels,
        "action": "none",
        "text": text or f"story {number}",
        "key": "wire",
        "extra": {"symbols": ["BRKW"]},
    } | fields


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Texts that begin with the same two words tell one story."""
    rows = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[int(text.split()[1])] = 1.0
    return rows


def trends_of(folder: Path, decisions: Sequence[dict[str, Any]], app: Application = APP, **order: Any) -> Trends:
    store = SQLiteStore(folder / "decisions.db")
    store.prepare({"finance": APP.head_names})
    assert not store.index(decisions).rejected
    made = make(store, app, TrendsOrder("finance", **order), embed, NOW)
    store.close()
    return made


def documents(trends: Trends, group: Group = SYMBOL) -> list[dict[str, Any]]:
    return [window.as_json("finance", trends.length, NOW) for window in trends.of(group)]


def test_items_and_stories_are_counted_in_the_window_of_their_time(tmp_path: Path) -> None:
    items = [
        decision(1, "09:59"),
        decision(2, "10:00"),
        decision(3, "10:59", "story 2 told anew"),
        decision(4, "10:30"),
        decision(5, "11:00", "story 2 goes on"),
    ]
    first, second, third = documents(trends_of(tmp_path, items))
    assert [(one["start"][11:16], one["items"], one["stories"]) for one in (first, second, third)] == [
        ("09:00", 1, 1),
        ("10:00", 3, 2),
        ("11:00", 1, 1),
    ]
    assert second["largest"] == {"story_id": "news@0-0-2", "items": 2, "text": "story 2"}
    assert third["largest"]["story_id"] == "news@0-0-2"  # the story is called by its first item, windows before


def test_stories_that_the_monitor_told_are_taken_as_they_are_and_no_encoder_is_asked(tmp_path: Path) -> None:
    items = [decision(n, "10:10", f"story {n}") for n in range(3)]
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"finance": APP.head_names}, ["finance"])
    store.index(items)
    told = [
        {"id": one["id"], "app": "finance", "at": one["at"], "story_id": "news@0-0-9", "novelty": 0} for one in items
    ]
    store.tell(told[:2])
    read: list[str] = []

    def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        read.extend(texts)
        return embed(texts)

    (window,) = documents(make(store, APP, TrendsOrder("finance"), counted, NOW))
    assert (window["stories"], window["largest"]["story_id"], read) == (2, "news@0-0-9", ["story 2"])
    store.tell(told)
    (window,) = documents(make(store, APP, TrendsOrder("finance"), counted, NOW))
    assert (window["stories"], read) == (1, ["story 2"])
    store.close()


def test_a_story_counts_once_in_the_mean_whose_interval_holds_it(tmp_path: Path) -> None:
    copies = [decision(n, "10:10", "story 1 again", "negative") for n in range(20)]
    others = [decision(20 + n, "10:20", f"story {20 + n}", "positive") for n in range(4)]
    (window,) = documents(trends_of(tmp_path, [*copies, *others]))
    assert (window["items"], window["stories"], window["insufficient"]) == (24, 5, False)
    assert window["sentiment"]["mean"] == pytest.approx(0.6)
    low, high = window["sentiment"]["interval"]
    assert -1 <= low < 0.6 < high <= 1


def test_a_source_weighs_in_the_mean_and_counts_once_all_the_same(tmp_path: Path) -> None:
    blogs = [decision(n, "10:10", f"story {n}", "negative", key="a blog") for n in range(6)]
    wires = [decision(6 + n, "10:20", f"story {6 + n}", "positive") for n in range(2)]
    (plain,) = documents(trends_of(tmp_path, [*blogs, *wires]))
    weighed = APP.model_copy(update={"stories": Stories(sources={"a blog": 0.5, "wire": 3})})
    (window,) = documents(trends_of(tmp_path, [*blogs, *wires], app=weighed))
    counts = ("items", "stories", "late", "insufficient", "largest")
    assert [window[name] for name in counts] == [plain[name] for name in counts]
    assert plain["sentiment"]["mean"] == pytest.approx(-0.5)
    assert window["sentiment"]["mean"] == pytest.approx((2 * 3 - 6 * 0.5) / (2 * 3 + 6 * 0.5), abs=1e-4)
    widths = [one["sentiment"]["interval"][1] - one["sentiment"]["interval"][0] for one in (plain, window)]
    assert widths[1] > widths[0], "it stands on fewer stories in effect"
    silent = APP.model_copy(update={"stories": Stories(sources={"a blog": 0, "wire": 0})})
    (nothing,) = documents(trends_of(tmp_path, blogs, app=silent))
    assert (nothing["stories"], nothing["sentiment"], nothing["insufficient"]) == (8, None, True)


def test_of_too_few_stories_no_sentiment_is_told(tmp_path: Path) -> None:
    (window,) = documents(trends_of(tmp_path, [decision(n, "10:10") for n in range(4)]))
    assert (window["sentiment"], window["insufficient"]) == (None, True)


def test_a_late_item_changes_its_window_under_the_same_id_and_is_counted(tmp_path: Path) -> None:
    item = decision(1, "10:10")
    (before,) = documents(trends_of(tmp_path, [item]))
    late = decision(2, "10:50", decided_at="2026-11-24T11:20:00.000Z")
    (after,) = documents(trends_of(tmp_path, [item, late]))  # the first one once more, as after a restart
    assert before["id"] == after["id"] == "finance|1h|2026-11-24T10:00:00.000Z|symbol=BRKW"
    assert [(one["items"], one["late"]) for one in (before, after)] == [(1, 0), (2, 1)]


def test_an_item_from_the_future_is_in_no_window(tmp_path: Path) -> None:
    early = decision(1, "12:00", decided_at="2026-11-24T11:50:00.000Z")
    trends = trends_of(tmp_path, [early, decision(2, "12:01", decided_at="2026-11-24T11:59:00.000Z")])
    assert trends.future == 1 and [one["items"] for one in documents(trends)] == [1]
    assert not documents(trends)[0]["is_over"]


def test_groups_are_topics_symbols_both_and_entities(tmp_path: Path) -> None:
    entities = [{"id": "x", "name": "Brackwater", "span": [0, 5], "sentiment": "negative", "probability": 0.9}]
    trends = trends_of(tmp_path, [decision(n, "10:10", entities=entities) for n in range(6)])
    told = {str(one.group): [part.score for part in one.told.values()] for one in trends.of(Group())}
    assert told.keys() == {"oil", "BRKW", "oil × BRKW", "Brackwater"}
    assert told["Brackwater"] == [-1.0] * 6 and told["oil × BRKW"] == [1.0] * 6
    assert not trends.of(Group(symbol="OTHR"))


@pytest.mark.parametrize(
    ("length", "start"), [("5m", "2026-11-24T10:55"), ("1h", "2026-11-24T10:00"), ("1d", "2026-11-24T00:00")]
)
def test_windows_begin_at_midnight_and_follow_each_other(length: str, start: str) -> None:
    at, span = datetime(2026, 11, 24, 10, 59, 59, 999_000, tzinfo=UTC), LENGTHS[length]
    assert window_start(at, span).isoformat().startswith(start)
    assert window_start(at, span) <= at < window_start(at, span) + span
    assert window_start(window_start(at, span) + span, span) == window_start(at, span) + span


def test_a_stretch_without_decisions_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no decision of finance from"):
        trends_of(tmp_path, [decision(1, "00:10")], since=NOW - timedelta(hours=2))
    with pytest.raises(ConfigError, match="is not before"):
        trends_of(tmp_path, [decision(1, "00:10")], since=NOW + timedelta(hours=1))


def test_the_page_tells_stories_once_and_holds_no_markup_of_texts(tmp_path: Path) -> None:
    items = [decision(n, "10:10", f"story {n} <script>") for n in range(5)]
    trends = trends_of(tmp_path, [*items, decision(9, "11:10", "story 4 goes on")])
    stories = trends.stories(SYMBOL)
    assert [(one["story_id"], one["items"]) for one in stories][-1] == ("news@0-0-4", 2) and len(stories) == 5
    page = render_trends("<b>BRKW", documents(trends), stories)
    assert "<script>" not in page and "<b>BRKW" not in page and "&lt;script&gt;" in page
    assert page.count('class="mean"') == 1 and page.count('class="stories"') == 2  # of one story no sentiment is told


def test_the_page_says_when_and_leaves_empty_what_is_empty(tmp_path: Path) -> None:
    items = [decision(1, "01:10"), decision(2, "02:10"), decision(3, "11:10")]
    trends = trends_of(tmp_path, items)
    page = render_trends("BRKW", documents(trends), trends.stories(SYMBOL))
    assert "24 Nov 2026 01:00 to 12:00 UTC" in page and "Along: time in UTC" in page
    ticks = re.findall(r'<span style="left:([0-9.]+)%">([^<]*)', page)
    assert ("9.091", "02:00") in ticks and len({words for _, words in ticks}) >= 5
    first, second, last = (float(x) for x in re.findall(r'class="stories" x="([0-9.]+)"', page))
    assert last - second == pytest.approx(9 * (second - first), abs=0.01)
    assert "1 story, 1 item</title>" in page


@pytest.mark.parametrize(
    "options", [["--page", "x.html"], ["--entity", "Brackwater", "--symbol", "BRKW"], ["--since", "yesterday"]]
)
def test_wrong_usage_ends_with_2(options: list[str]) -> None:
    assert CliRunner().invoke(cli, ["trends", "finance", *options]).exit_code == 2
