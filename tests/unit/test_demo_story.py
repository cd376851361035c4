"""What the demo's people do, what its view shows, and when it is over."""

import asyncio
import io
import random
import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from rich.console import Console

from headrace.applications import load_application
from headrace.demo.closing import closing_words
from headrace.demo.ledger import Ledger, NewItem
from headrace.demo.people import (
    ASKED_SHARE,
    ASKED_SHARE_IN_DRIFT,
    PACE_IN_TRAINING,
    Agents,
    Customers,
    Watcher,
    text_source,
)
from headrace.demo.run import POLL_SECONDS, end_readers, until_none_left
from headrace.demo.scenario import BANK_QUESTION_EVERY, TROUBLE, TROUBLED, LabelledText, Pools, TextStream
from headrace.demo.telling import QUIET_SECONDS, Teller
from headrace.demo.view import View, sparkline
from headrace.demo.wording import shortened
from headrace.tools.answers.reading import read_answers
from retrain.text_keys import denser_tests, is_held_out
from streams.wire.records import Alert
from streams.wire.source_times import read_time

TEXTS = [LabelledText(f"my {n} parcel", {"intent": "order_status", "urgency": "low"}) for n in map(chr, range(97, 497))]
SUPPORT = load_application("support")


class Topic:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.labels: list[dict[str, Any]] = []

    def send(self, topic: str, value: bytes, key: bytes) -> None:
        self.labels.append(orjson.loads(value))

    def flush(self) -> Sequence[tuple[str, int, int]]:
        return []


def decision(number: int, text: str, intent: str = "order_status", version: str = "1") -> dict[str, Any]:
    answers = {"intent": {"label": intent, "probability": 0.43}, "urgency": {"label": "low", "probability": 0.9}}
    identity = f"support.chats@0-0-{number}"
    about = {"id": identity, "version": version, "latency_ms": 40, "text": text, "action": "queue:logistics"}
    return about | {"labels": answers}


def alert(state: Any = "firing", summary: str = "support: 31 % are new. New words: recall, scooter.") -> Alert:
    values = {"app": "support"}
    return Alert(
        fingerprint="1", rule="drift", severity="warning", state=state, summary=summary, values=values, at="2026-11-27"
    )


def agents_at_work(ledger: Ledger, decided_as: str, texts: Sequence[LabelledText] = TEXTS) -> tuple[Topic, TextStream]:
    topic, stream = Topic(), TextStream(Pools((), tuple(texts)), random.Random(1))
    agents = Agents(SUPPORT, None, topic, ledger, stream, random.Random(2))  # type: ignore[arg-type]  # not followed
    for number, text in enumerate(texts):
        made = decision(number, text.text, decided_as)
        ledger.confirmed("support", made["id"], text)
        assert agents._judge(made)
    return topic, stream


@pytest.mark.parametrize("decided_as", ["order_status", "double_charge"])
@pytest.mark.parametrize("drifts", [False, True])
def test_whether_a_decision_is_drawn_has_nothing_to_do_with_what_was_decided(decided_as: str, drifts: bool) -> None:
    ledger = Ledger(["support"])
    if drifts:
        ledger.alerted(alert())
    topic, _ = agents_at_work(ledger, decided_as)
    share = ASKED_SHARE_IN_DRIFT if drifts else ASKED_SHARE
    of_tests, of_others = denser_tests(share)
    drawn = [label for label in topic.labels if label["head"] == "intent" and label["chosen"] == "random"]
    assert abs(len(drawn) / len(TEXTS) - share) < 0.08
    assert all(label["probability"] == (of_tests if label["tests"] else of_others) for label in drawn)
    others = [label for label in topic.labels if label["chosen"] != "random"]
    assert (decided_as == "order_status") == (others == []), "what is right is not corrected"


def test_nobody_labels_a_text_twice_and_what_may_train_is_not_streamed_again() -> None:
    ledger = Ledger(["support"])
    ledger.alerted(alert())
    topic, stream = agents_at_work(ledger, "double_charge", TEXTS[:50] * 3)
    assert len({label["decision_id"] for label in topic.labels}) * 2 == len(topic.labels) <= 100
    assert stream.trained and not any(is_held_out(text) for text in stream.trained)


def test_the_view_shows_decisions_the_alert_while_it_fires_and_what_a_release_mended() -> None:
    ledger = Ledger(["support"])
    new = LabelledText("is my scooter recalled", {"intent": "battery_recall"})
    for number, (label, version) in enumerate([("double_charge", "1"), ("battery_recall", "2")] * 40):
        made = decision(number, new.text, label, version)
        ledger.confirmed("support", made["id"], new)
        ledger.decided("support", made, "intent", new)
        if number == 1:
            ledger.alerted(alert())
            assert "▲ alert support: 31 %" in shown(ledger)
            ledger.alerted(alert(summary="support: 38 % are new. New words: recall, pack."))
            assert "31 %" not in shown(ledger) and shown(ledger).count("▲ alert support: 38 %") == 1
    assert ledger.firing() and ledger.is_drifting("support")
    ledger.alerted(alert("resolved", "over: support@2 serves (support: 31 % are new.)"))
    picture = shown(ledger)
    for words in (
        "✓ support",
        "battery recall",
        "43%",
        "→ logistics",
        "50%",
        "▽ resolved support, drift: support@2 serves",
    ):
        assert words in picture
    assert "“is my scooter recalled”: battery recall, was double charge" in picture
    assert not ledger.is_drifting("support")


def test_lists_are_shown_by_what_items_are_called_and_counted_by_what_was_taken() -> None:
    """Before, the shop was a row of empty cells: nobody saw what it decided."""
    ledger = Ledger(["recommend"])
    ledger.titles.update(i1="Cork yoga mat", i2="Yoga blocks", i3="Foam roller")
    items = [
        {"item_id": "i1", "score": 3.0, "why": "again", "because": "i1"},
        {"item_id": "i2", "score": 1.0, "why": "together", "because": "i1"},
    ]
    taken = [None, {"taken": "i1", "rank": 2}, {"taken": "i3", "rank": None}]
    for number, (before, item_id) in enumerate(zip(taken, ("i1", "i1", "i3"), strict=True)):
        extra = {"item_id": item_id, "action": "click"} | ({} if before is None else {"previous_list": before})
        made = {"id": f"e{number}", "version": "v", "key": "u7", "items": items, "extra": extra, "latency_ms": 3}
        ledger.decided("recommend", made, None, None)
    assert [one.is_right for one in ledger.seen] == [None, True, False]
    assert ledger.streams["recommend"].recent_accuracy == 0.5
    picture = shown(ledger)
    for words in (
        "recommend u7: click “Cork yoga mat”",
        "✗ recommend u7: click “Foam roller”",
        "Yoga blocks",
        "goes with it",
    ):
        assert words in picture
    assert "→" not in picture.split("what happens")[0]


def test_until_customers_write_no_clock_runs() -> None:
    """It would count the training, and begin again at nothing."""
    ledger = Ledger(["support"])
    assert "getting ready" in shown(ledger) and "0 s ·" not in shown(ledger)
    ledger.begin()
    assert "0 s · half decided within" in shown(ledger)


def test_a_line_that_is_too_long_stops_between_sentences_and_tells_times_without_the_day() -> None:
    ledger = Ledger(["support"])
    begins = "Since about 2026-11-29T21:09:55.907Z (event 531), noticed at event 599, 31% are new. "
    ledger.alerted(alert(summary=begins + "By the texts 45% are right. " * 8 + "About 31,400 wrong ones more a day."))
    picture = " ".join(shown(ledger, width=200).split())
    assert "Since about 21:09:55 (event 531)" in picture
    assert "45% are right …" in picture and "31,4" not in picture
    assert shortened("better: 77.3% on 343 texts (59 better, 13 worse); of 175 live ones 78%", 60).endswith(
        "13 worse) …"
    )
    assert shortened("x" * 90, 60) == "x" * 58 + " …"


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_view_is_no_higher_than_the_terminal(width: int) -> None:
    ledger = Ledger(["support", "finance", "recommend"])
    ledger.alerted(alert(summary="support: " + "many words " * 40))
    agents_at_work(ledger, "double_charge")
    assert len(shown(ledger, width, 30).splitlines()) <= 30


def shown(ledger: Ledger, width: int = 110, height: int = 34) -> str:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(View(ledger))
    return console.export_text()


def test_the_curve_runs_from_the_lowest_to_the_highest_stretch() -> None:
    assert sparkline([0.4, 0.75, 0.4]) == "▁█▁" and sparkline([0.5, 0.5]) == "▁▁" and sparkline([]) == ""


def test_a_refused_challenger_is_no_end_while_people_label() -> None:
    clock = [0.0]
    ledger = Ledger(["support"], clock=lambda: clock[0])
    job = SimpleNamespace(verdicts=[])
    request = SimpleNamespace(app="support", evidence={"labels": 450})
    built = SimpleNamespace(job=job, monitors={"support": SimpleNamespace(counts=SimpleNamespace(requests=[request]))})
    teller = Teller(ledger, built, planned_seconds=10)  # type: ignore[arg-type]  # the parts of it that are needed

    def is_over(at: float) -> bool:
        clock[0] = at
        teller.tell()
        return teller.is_over(expects_release=True)

    assert not is_over(5) and not is_over(100), "a challenger is in training"
    assert agents_at_work(ledger, "double_charge")[0].labels == [], "people wait for it"
    job.verdicts.append(("support", "not released: the gain may be chance"))
    assert not is_over(101) and ledger.in_training == frozenset()
    ledger.given("random", is_wrong=True)
    assert not is_over(101 + QUIET_SECONDS), "the label came since then"
    assert is_over(102 + 2 * QUIET_SECONDS), "nothing more will come"
    teller.released.set()
    assert not is_over(150) and is_over(152.1)


def test_a_new_item_is_told_when_the_first_list_holds_it_and_counted_from_then_on() -> None:
    ledger = Ledger(["recommend"])
    ledger.titles["i3"] = "Reading lamp"
    listed = {"item_id": "i9", "score": 1.0, "why": "like", "because": "i3"}

    def decided(number: int, items: list[dict[str, object]]) -> None:
        times = {"decided_at": "2026-11-29T10:00:02.500Z", "latency_ms": 3}
        ledger.decided("recommend", {"id": f"e{number}", "version": "v", "items": items, **times}, None, None)

    decided(1, [listed])  # before it appears nobody looks for it
    ledger.appeared(NewItem("recommend", "i9", "Desk lamp", read_time("2026-11-29T10:00:00Z") or 0))
    decided(2, [{"item_id": "i3", "score": 2.0, "why": "again", "because": "i3"}])
    decided(3, [{"item_id": "i3", "score": 2.0, "why": "again", "because": "i3"}, listed])
    decided(4, [listed])
    assert ledger.new_item is not None
    assert (ledger.new_item.listed_after, ledger.new_item.lists) == (2.5, 2)
    told = [happening.words for happening in ledger.story]
    assert told[-1] == "Desk lamp stands at place 2 of a list 2.5 s later: it reads like “Reading lamp”"
    assert len(told) == 2


def test_now_and_then_a_customer_asks_what_no_label_is_for_and_an_answer_from_the_bank_is_told() -> None:
    known = LabelledText("known", {"intent": "known"})
    stream = TextStream(Pools((), (known,), ()), random.Random(1))
    draw = text_source(load_application("support"), stream, random.Random(1), ["first?", "second?"])
    texts = [draw()[0]["text"] for _ in range(3 * BANK_QUESTION_EVERY)]
    asked = [(number, text) for number, text in enumerate(texts, 1) if text != "known"]
    assert asked == [
        (BANK_QUESTION_EVERY, "first?"),
        (2 * BANK_QUESTION_EVERY, "second?"),
        (3 * BANK_QUESTION_EVERY, "first?"),
    ]
    ledger = Ledger(["support"])
    answer = {"id": "e", "question": "A first one?", "text": "yes", "confidence": 0.97}
    for number, given in enumerate((None, {"text": "ready", "label": "known"}, answer)):
        decision = {"id": f"e{number}", "version": "v", "text": "first?", "latency_ms": 3, "action": "answer"}
        labels = {"intent": {"label": "known", "probability": 0.4}}
        ledger.decided("support", decision | {"labels": labels, "answer": given}, "intent", None)
    assert [(one.text, one.question) for one in ledger.from_bank] == [("first?", "A first one?")]
    assert ledger.story[-1].words == "“first?” is answered from the bank, by its question “A first one?”"
    assert [one.action for one in ledger.seen][-1] == "answered: e"


def test_the_shipped_bank_is_taken_whole_and_holds_none_of_the_ready_answers() -> None:
    app = load_application("support")
    assert app.corpus is not None
    entries, rejected = read_answers(app.corpus.with_name("support_answers.csv"))
    assert len(entries) >= 40 and not rejected
    assert len({entry.question for entry in entries}) == len({entry.answer for entry in entries}) == len(entries)
    assert not {entry.answer for entry in entries} & set(app.answers.values())


def test_what_happens_to_a_company_comes_between_other_news_in_its_order() -> None:
    known = LabelledText("known", {"topic": "deals", "sentiment": "neutral"})
    stream = TextStream(Pools((), (known,), ()), random.Random(1))
    stream.put_between([LabelledText(text, {"topic": topic, "sentiment": "negative"}) for topic, text in TROUBLE])
    texts = [stream.next().text for _ in range(2_000)]
    assert [text for text in texts if text != "known"] == [text for _, text in TROUBLE]
    assert all(TROUBLED["aliases"] in text for _, text in TROUBLE)


@pytest.mark.parametrize(("counts", "left"), [([9, 6, 6, 3, 0], 0), ([9, 6, 6, 6, 6, 6, 6], 6)])
def test_the_end_waits_as_long_as_anything_moves(counts: list[int], left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine has minutes to decide what came in; a worker that died is not waited for."""
    now = 1_000.0

    async def passes(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("headrace.demo.run.asyncio.sleep", passes)
    monkeypatch.setattr("headrace.demo.run.time.monotonic", lambda: now)
    told: Iterator[int] = iter(counts)
    assert asyncio.run(until_none_left(lambda: next(told), still_seconds=2.5 * POLL_SECONDS)) == left


def test_readers_have_ended_once_they_were_told_to() -> None:
    """What they write goes to publishers that are closed next."""
    closed, is_slow, events = threading.Event(), threading.Event(), list[str]()

    class Slow(Watcher):
        def __init__(self) -> None:
            threading.Thread.__init__(self, daemon=True)

        def run(self) -> None:
            is_slow.set()
            closed.wait()
            time.sleep(0.2)
            events.append("wrote")

        def close(self) -> None:
            closed.set()

    reader = Slow()
    reader.start()
    is_slow.wait()
    end_readers([reader])
    events.append("publishers end")
    assert events == ["wrote", "publishers end"]


class _Confirming:
    """A publisher whose every record is confirmed at once."""

    def __init__(self) -> None:
        self.sent = 0
        self._waiting = 0

    def send(self, *_: object, **__: object) -> None:
        self._waiting += 1

    def flush(self) -> list[tuple[str, int, int]]:
        new = [("support.chats", 0, self.sent + n) for n in range(self._waiting)]
        self.sent, self._waiting = self.sent + self._waiting, 0
        return new


def test_customers_write_slower_while_a_challenger_is_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """On two cores decisions and the training took from one another, and the story its time."""
    clock, ledger, publisher = [0.0], Ledger(["support"]), _Confirming()
    source = ({}, "key", LabelledText("hello", {"intent": "greeting"}))
    sources = {"support": (load_application("support"), lambda: source, 10.0)}
    customers = Customers(publisher, ledger, sources, "epoch", lambda app, number: None, lambda: clock[0])  # type: ignore[arg-type]
    seen = []

    def wait(seconds: float) -> bool:
        seen.append(publisher.sent)
        if len(seen) == 2:
            ledger.in_training = frozenset({"support"})
        clock[0] += 10
        return len(seen) == 4

    monkeypatch.setattr(customers._stop_asked, "wait", wait)
    customers.run()
    assert seen == [0, 100, 100 + int(100 * PACE_IN_TRAINING), 100 + 2 * int(100 * PACE_IN_TRAINING)]


def test_the_end_gives_times_without_the_day_the_gate_s_first_words_and_what_to_do_next() -> None:
    """One long line held five moments to the millisecond, and a verdict that its page tells better."""
    told = "Since about 2026-11-29T21:09:55.907Z (event 531) 31% are new."
    refused = {"app": "support", "words": "not released: too few texts to say; " + "and more of it; " * 30}
    report = {
        **dict.fromkeys(("events", "decisions", "indexed", "lost", "duplicated"), 0),
        "latency_ms": {"p50": 78.0, "p99": 965.0},
        "drift": [{"app": "support", "detected_event": 599, "onset_event": 500, "summary": told}],
        "verdicts": [refused],
        "accuracy": {"support": 0.8, "finance": 0.8},
        **dict.fromkeys(("releases", "mended"), ()),
        **dict.fromkeys(("entity_alert", "new_item")),
        "answered_from_bank": {"texts": 0},
        "conversations": {},
    }
    words = closing_words(report, "/home/me")
    assert "Since about 21:09:55 (event 531)" in words
    gate = next(line for line in words.splitlines() if line.startswith("Gate, support: not released"))
    assert len(gate) < 270 and gate.endswith("and more of it …")
    assert "HEADRACE_HOME=/home/me HEADRACE_BROKER=embedded headrace digest finance" in words
    of_support = closing_words(report | {"accuracy": {"support": 0.8}}, "/home/me")
    assert "digest" not in of_support and "headrace answers missing --app support" in of_support
