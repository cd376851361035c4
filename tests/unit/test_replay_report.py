"""The page: hostile texts stay text, nothing is fetched, all pictures are there, and it is well formed."""

import re
from html.parser import HTMLParser

import pytest

from headrace.replay.collecting import Replayed, example_kind
from headrace.replay.figures import comparison_figures, release_figures
from headrace.replay.report import render_page
from headrace.replay.report.charts import (
    MATRIX_LABELS,
    change_matrix,
    confidence_bins,
    decisions_over_time,
    interval_rows,
)
from streams.replay.answers import Answer, Answers

HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>&amp;\u202e\x00\x1b[31m"
VOID = {"meta", "rect", "br", "link", "img", "input"}


def answers_of(
    rows: list[tuple[str, str | None, str | None]], releases: tuple[str, ...] = ("new@2", "old@1")
) -> Answers:
    answers = Answers(["intent"], releases)
    for offset, (new, old, true) in enumerate(rows):
        said = [
            None if label is None else {"intent": Answer(label, 0.25 + 0.5 * (offset % 2), False)}
            for label in (new, old)
        ][: len(releases)]
        answers.add(0, offset, 1_700_000_000_000 + 60_000 * offset, said, {"intent": true} if true else None)
    return answers


def page_of(given: Answers, **changed: object) -> str:
    two = len(given.releases) > 1
    example = {"id": "t@1-0-0", "text": HOSTILE, "label": HOSTILE, "to": {"label": HOSTILE, "probability": 0.5}}
    dead = {
        "decided": len(given),
        "dead_letters": {"not_json": 2},
        "passed_over": {"tombstone": 1},
        "paths": {},
        "labels_sha256": "0" * 64,
    }
    report = {
        "topic": "support.chats",
        "app": "support",
        "model": given.releases[0],
        "events": len(given) + 2,
        "changed": None,
        "metrics": release_figures(given, given.releases[0]) | dead,
        "against": comparison_figures(given, "old@1", "new@2") | {"metrics": release_figures(given, "old@1") | dead}
        if two
        else None,
        "labels": {"source": HOSTILE, "matched_by": "id", "given": 3, "matched": 2, "events": 2},
        "stretch": {"0": [120, 200]},
        "offsets_without_event": 3,
        "gone": [{"partition": 0, "first_offset": 120}],
        "answers": None,
        "examples": {"better": [example | {"from": None}], "worse": [example | {"from": example["to"]}]}
        if two
        else {"wrong": [example]},
        "seconds": 1.0,
        "events_per_second": 10.0,
    }
    return render_page(report | changed, Replayed(given.releases, given))


class Reader(HTMLParser):
    """Collects tags and attributes; fails on a tag that does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


ROWS: list[tuple[str, str | None, str | None]] = [
    ("a", "b", "a"),
    ("b", "a", "a"),
    ("a", "a", "a"),
    (HOSTILE, "a", HOSTILE),
    ("a", None, None),
]


@pytest.mark.parametrize("releases", [("new@2", "old@1"), ("new@2",)], ids=["two releases", "one release"])
def test_a_hostile_text_stays_text_and_the_page_asks_for_nothing(releases: tuple[str, ...]) -> None:
    page = page_of(answers_of(ROWS, releases))
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & set(reader.tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in page and "@import" not in page
    assert "\x00" not in page and "\x1b" not in page and "\u202e" not in page
    assert "default-src 'none'" in page


def test_the_page_holds_every_picture_and_both_schemes_and_says_what_is_gone() -> None:
    page = page_of(answers_of(ROWS))
    for title in (
        "Accuracy, with 95 % intervals",
        "What changed",
        "Confidence",
        "Decisions over time",
        "By label",
        "Better:",
        "Worse:",
        "The oldest messages are gone",
    ):
        assert title in page
    assert page.count("<svg") == 3
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    assert "partition 0 begins at offset 120." in page


def test_the_page_says_whose_times_it_draws() -> None:
    """N-9: "the records' own times" were Kafka's, not those that the records name."""
    page = page_of(answers_of([("a", "b", "a")] * 40))
    assert "the time that Kafka has for each record" in page and "own times" not in page


def test_what_is_harmless_stays_as_it_is() -> None:
    answers = answers_of([("退款 où est 🧑\u200d🚀", "a", None)] * 1_500)
    page = page_of(answers, examples={}, labels=None)
    assert "退款 où est 🧑\u200d🚀" in page
    assert "1\u202f502" in page and "\ufffd" not in page


def test_nothing_replayed_makes_a_page_without_pictures() -> None:
    page = page_of(answers_of([]), examples={}, gone=[], labels=None)
    assert "<svg" not in page
    assert "Nothing: both releases give every event the same label." in page


def test_the_numbers_in_the_matrix_and_those_hidden_add_up_to_all_changes() -> None:
    rows: list[tuple[str, str | None, str | None]] = [(f"n{n % 17}", f"n{(n * 5) % 19}", None) for n in range(400)]
    matrix = change_matrix(answers_of(rows), "old@1", "new@2", "intent")
    assert matrix is not None
    assert len(matrix.labels) <= MATRIX_LABELS
    shown = sum(events for row, line in enumerate(matrix.events) for column, events in enumerate(line) if row != column)
    assert shown + matrix.hidden == sum(new != old for new, old, _ in rows)
    for row, before in enumerate(matrix.labels):
        for column, after in enumerate(matrix.labels):
            assert matrix.events[row][column] == sum((old, new) == (before, after) for new, old, _ in rows)


def test_bars_hold_every_event_once() -> None:
    answers = answers_of(ROWS)
    bins = confidence_bins(answers, "intent")
    assert bins is not None
    assert [pytest.approx(1.0)] * 2 == [sum(shares) for shares in bins.shares]
    timeline = decisions_over_time(answers, answers.releases, "intent")
    assert timeline is not None and timeline.changed is not None
    assert sum(map(sum, timeline.events)) == len(ROWS)
    assert max(map(sum, zip(*timeline.events, strict=True))) == timeline.top
    assert sum(1 for share in timeline.changed if share) == 4


def test_intervals_stand_on_one_axis_with_the_value_inside() -> None:
    answers = answers_of(ROWS)
    report = {
        "model": "new@2",
        "metrics": release_figures(answers, "new@2"),
        "against": {"from": "old@1", "metrics": release_figures(answers, "old@1")},
    }
    intervals = interval_rows(report)
    assert intervals is not None
    assert [row.name for row in intervals.rows] == ["old@1", "new@2"]
    for row in intervals.rows:
        assert 0 <= row.left <= row.dot <= row.left + row.width <= 100.01


def test_examples_are_sorted_by_what_the_true_label_says() -> None:
    def said(*labels: str | None) -> list[dict[str, Answer] | None]:
        return [None if label is None else {"intent": Answer(label, 0.5)} for label in labels]

    assert example_kind("intent", said("a", "b"), {"intent": "a"}) == "better"
    assert example_kind("intent", said("a", "b"), {"intent": "b"}) == "worse"
    assert example_kind("intent", said("a", "b"), {"intent": "c"}) == "changed"
    assert example_kind("intent", said("a", None), None) == "changed"
    assert example_kind("intent", said("a", "a"), {"intent": "c"}) is None
    assert example_kind("intent", said("a"), {"intent": "c"}) == "wrong"
    assert example_kind("intent", said("a"), None) is None


def test_every_colour_the_page_uses_is_defined_in_both_schemes() -> None:
    page = page_of(answers_of(ROWS))
    style = page[page.index("<style>") : page.index("</style>")]
    light, dark = (set(re.findall(r"(--[a-z0-9]+):", part)) for part in style.split("prefers-color-scheme")[:2])
    assert set(re.findall(r"var\((--[a-z0-9]+)\)", page)) <= light & dark


def test_a_bank_that_is_gone_is_said_on_the_page() -> None:
    told = {"bank": "then", "from_bank": 7, "ready": 2, "banks": {"aa": 11}, "gone": {"bb": 4}}
    page = page_of(answers_of(ROWS), answers=told | {"live": {"compared": 9, "same": 8}})
    assert "7 from the bank as it stood then, asked about 11 events" in page
    assert "4 events asked a bank that is gone" in page and "As live: 8 of 9" in page
