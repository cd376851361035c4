"""What is known of a conversation is a function of its topic: a restart, a record that comes twice and another worker
change nothing in it, and it stays bounded."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repeats import repeats
from small_fast_path import classifier_with, small_fast_path

from headrace.slot_finders import slot_finder
from models.decision import Classification, HeadDecision, LabelAnswer
from models.errors import ConfigError
from streams.application import Application, parse_application
from streams.classify.decision_records import WORDLESS
from streams.classify.handler import ClassifyHandler
from streams.classify.sampling import Sample
from streams.classify.serving import Serving
from streams.conversations.memory import STATES, ConversationMemory, source_place
from streams.conversations.state import Conversation, Turn
from streams.engine.delivery import Delivery, Outcome
from streams.routing.replies import Message, Replier, _turn
from streams.wire.records import Decision

NOON_MS = 1_796_040_000_000  # 30 November 2026, 12:00 UTC
MINUTE_MS = 60_000
FILE = """
name = "desk"
topic = "chats"
human_queue = "people"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "tone"
column = "tone"
[queues]
refund = "billing"
delivery = "logistics"
[conversations]
silence_minutes = 60
window_records = 100
[slots.order]
pattern = 'MB-\\d+'
asked_by = {intent = ["refund"]}
ask = "Which order is it?"
[slots.day]
kind = "date"
asked_by = {intent = ["refund"]}
ask = "When did you order?"
[[escalations]]
reason = "angry twice"
head = "tone"
label = "angry"
times = 2
within = 3
queue = "duty"
priority = "P1"
[[escalations]]
reason = "not understood twice"
rejected = true
times = 2
[[escalations]]
reason = "wrote for the third time"
contacts = 3
[service_levels.default]
response_minutes = 60
next_response_minutes = 10
by_priority = {P1 = 30}
"""
APP = parse_application(FILE, Path(), "desk.toml")


def said(intent: str = "delivery", tone: str = "calm", *, rejected: bool = False) -> Classification:
    heads = {"intent": HeadDecision(intent, 0.9, 0.5, rejected), "tone": HeadDecision(tone, 0.8)}
    return Classification(heads, "full", 10, 0.0)


class Desk:
    """A worker's part: one memory, told message after message."""

    def __init__(self, app: Application = APP, memory: ConversationMemory | None = None) -> None:
        assert app.conversations is not None
        self._replier = Replier(app, slot_finder(app))
        if memory is None:
            memory = ConversationMemory(app.conversations.window_records, {"chats": "e0"})
        self.memory = memory
        self.decisions: list[dict[str, Any]] = []
        self.offset = -1

    def tell(
        self, text: str, classification: Classification, key: str | None = "c1", minute: int = 0, offset: int = -1
    ) -> dict[str, Any]:
        """offset: another one than the next, as when a record comes again."""
        self.offset = offset if offset >= 0 else self.offset + 1
        place, before = ("chats", 0), None
        if key is not None:
            before = self.memory.before(place, self.offset, key)
        at_ms = NOON_MS + minute * MINUTE_MS
        reply = self._replier.reply(classification, Message(text, {}, at_ms, self.offset, key, before))
        if reply.conversation is not None:
            self.memory.keep(place, self.offset, reply.conversation)
        heads = classification.heads.items()
        labels = {name: {"label": head.label, "rejected": head.rejected} for name, head in heads}
        decision = {"id": f"chats@e0-0-{self.offset}", "labels": labels, **reply.fields}
        self.decisions.append(orjson.loads(orjson.dumps(decision)))
        return self.decisions[-1]


def test_an_answer_to_a_question_is_about_what_it_was_asked_for() -> None:
    desk = Desk()
    first = desk.tell("i want my money back", said("refund"))
    assert (first["action"], first["ask"]["text"]) == ("ask", "Which order is it?")
    second = desk.tell("MB-77", said("delivery"))
    assert (second["action"], second["ask"]["slot"]) == ("ask", "day")  # and not the order again
    assert second["conversation"]["intent"] == "refund" and second["labels"]["intent"]["label"] == "delivery"
    third = desk.tell("yesterday", said("greeting", rejected=True))
    assert (third["action"], third.get("ask")) == ("queue:billing", None)
    assert third["conversation"]["slots"] == [
        {"name": "order", "value": "MB-77", "version": 2},
        {"name": "day", "value": "2026-11-29", "version": 3},
    ]
    assert (third["conversation"]["version"], third["conversation"]["turn"]) == (3, 3)
    again = desk.tell("so please pay it back", said("refund"))
    assert again["action"] == "queue:billing"  # all of it was said before


def test_nobody_is_asked_again_and_again() -> None:
    desk = Desk()
    actions = [desk.tell("refund!", said("refund"))["action"] for _ in range(4)]
    assert actions == ["ask", "ask", "ask", "ask"]  # twice for the order, twice for the day
    assert [one["ask"]["slot"] for one in desk.decisions] == ["order", "order", "day", "day"]
    assert desk.tell("refund!", said("refund"))["action"] == "queue:billing"


def test_the_next_message_has_a_service_level_of_its_own() -> None:
    desk = Desk()
    first = desk.tell("where is it", said())
    second = desk.tell("hello?", said(), minute=5)
    assert first["respond_by"] == "2026-11-30T13:00:00.000Z"
    assert second["respond_by"] == "2026-11-30T12:15:00.000Z"
    alone = desk.tell("no key", said(), key=None)
    assert "conversation" not in alone and alone["respond_by"] == "2026-11-30T13:00:00.000Z"


def test_a_long_silence_begins_a_new_contact() -> None:
    desk = Desk()
    desk.tell("MB-77 is late", said(), minute=0)
    late = desk.tell("refund", said("refund"), minute=61)
    assert late["conversation"] | {"first_at": ""} == late["conversation"] | {
        "version": 2,
        "contact": 2,
        "turn": 1,
        "first_at": "",
        "slots": [],
        "intents": ["refund"],
    }
    assert late["ask"]["slot"] == "order"  # another matter: the order of then is not taken for this one's
    earlier = desk.tell("an older message", said(), minute=30)
    assert earlier["conversation"]["contact"] == 2  # event times that go back begin nothing
    third = desk.tell("again", said(), minute=200)
    assert (third["action"], third["conversation"]["escalated"]) == ("queue:people", "wrote for the third time")


def test_anger_goes_to_people_and_stays_with_them_for_this_contact() -> None:
    desk = Desk()
    assert desk.tell("late", said(tone="angry"))["action"] == "queue:logistics"
    assert desk.tell("hm", said())["action"] == "queue:logistics"
    angry = desk.tell("late!!", said("refund", tone="angry"))
    assert (angry["action"], angry["priority"]) == ("queue:duty", "P1")
    assert angry["conversation"]["escalated"] == "angry twice" and "ask" not in angry
    calm = [desk.tell("thanks", said()) for _ in range(4)]
    assert {one["action"] for one in calm} == {"queue:duty"}
    assert desk.tell("a new matter", said(), minute=100)["action"] == "queue:logistics"


def test_messages_that_nobody_understands_go_to_people_with_the_reason() -> None:
    desk = Desk()
    desk.tell("?", said(rejected=True))
    second = desk.tell("??", said(rejected=True))
    assert second["conversation"]["escalated"] == "not understood twice"
    assert second["conversation"]["intents"] == []


CHOOSING = (
    FILE
    + """
[choices]
ask = "Is it about {first}, or about {second}?"
margin = 0.2
together = 0.6
[choices.titles]
refund = "getting your money back"
delivery = "a parcel that is late"
"""
)


CHOICES = parse_application(CHOOSING, Path(), "desk.toml")


def torn(first: str, second: str, p: float = 0.45, q: float = 0.4, *, rejected: bool = False) -> Classification:
    heads = {
        "intent": HeadDecision(first, p, 0.1, rejected, runner_up=LabelAnswer(second, q)),
        "tone": HeadDecision("calm", 0.8),
    }
    return Classification(heads, "full", 10, 0.0)


Happening = tuple[str, int, str, str, str, str]
HAPPENINGS = st.tuples(
    st.sampled_from(["c1", "c2", "c3"]),
    st.integers(-30, 90),
    st.sampled_from(["refund", "delivery"]),
    st.sampled_from(["angry", "calm"]),
    st.sampled_from(["sure", "rejected", "torn"]),
    st.sampled_from(["hello", "MB-1", "MB-2 yesterday", "today", "the second one"]),
)


def happens(desk: Desk, events: Sequence[Happening], offset: int = -1) -> None:
    """offset: of the first one; -1: the next."""
    for number, (key, minute, intent, tone, how, text) in enumerate(events):
        decided = said(intent, tone, rejected=how == "rejected")
        if how == "torn":
            decided = torn(intent, "refund" if intent == "delivery" else "delivery")
        desk.tell(text, decided, key, minute, offset + number if offset >= 0 else -1)


def restarted(decisions: Sequence[Mapping[str, Any]], window: int, committed: int) -> Desk:
    """A worker that knows what was decided of the window below the committed position, and what was decided beyond it
    twice and out of order."""
    past = [one for one in decisions if committed - window <= source_place(one["id"]).offset < committed]  # type: ignore[union-attr]
    strangers: list[dict[str, Any]] = [
        {"id": "chats@e1-0-0", "labels": {}, "conversation": {}},
        {"id": "?", "labels": {}},
    ]
    memory = ConversationMemory(window, {"chats": "e0"}, lambda partitions: [*reversed(past), *past, *strangers])
    memory.assigned([("chats", 0)])
    memory.rebuild()
    desk = Desk(CHOICES, memory)
    desk.offset = committed - 1
    return desk


@settings(max_examples=repeats(50, 150), deadline=None)
@given(st.lists(HAPPENINGS, min_size=1, max_size=40), st.data(), st.integers(2, 30))
def test_a_restart_is_invisible(events: list[Happening], data: st.DataObject, window: int) -> None:
    """Wherever the group's position stood, and however small the window is: the worker that takes over decides to the
    letter what the one before would have decided."""
    steady = Desk(CHOICES, ConversationMemory(window, {"chats": "e0"}))
    happens(steady, events)
    committed = data.draw(st.integers(0, len(events)))
    after = restarted(steady.decisions, window, committed)
    happens(after, events[committed:])
    assert after.decisions == steady.decisions[committed:]


@given(st.lists(HAPPENINGS, min_size=2, max_size=STATES), st.data())
def test_records_that_come_twice_count_once(events: list[Happening], data: st.DataObject) -> None:
    steady, again = Desk(CHOICES), Desk(CHOICES)
    happens(steady, events)
    happens(again, events)
    back_to = data.draw(st.integers(0, len(events) - 1))
    happens(again, events[back_to:], back_to)
    assert again.decisions == steady.decisions + steady.decisions[back_to:]


def test_memory_is_bounded_by_the_window_whatever_comes() -> None:
    desk = Desk()
    for number in range(1_000):
        desk.tell("hello", said(), key=f"c{number}")
        assert len(desk.memory) <= 101
    assert desk.memory.before(("chats", 0), 1_000, "c899") is None
    assert desk.memory.before(("chats", 0), 1_000, "c900") is not None
    for _ in range(1_000):
        desk.tell("MB-1", said("refund"), key="one")
    known = desk.memory.before(("chats", 0), desk.offset + 1, "one")
    assert isinstance(known, Conversation) and known.version == 1_000
    assert len(known.turns) <= 20 and len(known.asked) <= 16 and len(known.intents) <= 5


def test_what_another_worker_has_now_is_forgotten() -> None:
    desk = Desk()
    desk.tell("hello", said())
    desk.memory.assigned([("chats", 1)])
    desk.memory.rebuild()
    assert len(desk.memory) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.replace('head = "tone"\nlabel', 'head = "tune"\nlabel'), "did you mean 'tone'"),
        (lambda file: file.replace('label = "angry"\n', ""), "head and label belong together"),
        (lambda file: file.replace("times = 2\nwithin = 3", "times = 4\nwithin = 3"), "never happens"),
        (lambda file: file.replace("contacts = 3\n", ""), "a rule needs"),
        (lambda file: file.replace('"angry twice"', '"wrote for the third time"'), "two rules have the reason"),
        (
            lambda file: file.replace("[conversations]\nsilence_minutes = 60\nwindow_records = 100", ""),
            "[conversations]",
        ),
        (lambda file: file.replace("silence_minutes", "silence_minuts"), "did you mean 'silence_minutes'"),
    ],
)
def test_a_bad_table_is_one_clear_line(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_application(change(FILE), Path(), "desk.toml")
    assert said in str(raised.value) and "\n" not in str(raised.value)


def choosing() -> Desk:
    return Desk(CHOICES)


def test_two_close_matters_are_one_question_in_words_for_people() -> None:
    first = choosing().tell("it is late, i want it back", torn("delivery", "refund"))
    assert first["action"] == "ask"
    assert first["ask"] == {
        "text": "Is it about a parcel that is late, or about getting your money back?",
        "choices": ["a parcel that is late", "getting your money back"],
    }
    assert first["conversation"]["offered"] == ["delivery", "refund"]


@pytest.mark.parametrize(
    ("answer", "action", "intent"),
    [
        ("the first one", "queue:logistics", "delivery"),
        ("1", "queue:logistics", "delivery"),
        ("das zweite bitte", "ask", "refund"),  # and now the order is asked for
        ("the latter, please", "ask", "refund"),
        ("后者", "ask", "refund"),
        ("My money!", "ask", "refund"),
        ("the parcel", "queue:logistics", "delivery"),
        ("neither of them", "queue:people", None),
        ("都不是", "queue:people", None),
    ],
)
def test_an_answer_takes_one_of_the_two(answer: str, action: str, intent: str | None) -> None:
    desk = choosing()
    desk.tell("it is late, i want it back", torn("delivery", "refund"))
    second = desk.tell(answer, said("complaint"))
    assert (second["action"], second["conversation"].get("intent")) == (action, intent)
    assert second["conversation"].get("offered") is None


def test_what_is_no_answer_is_decided_as_it_is_and_nobody_is_offered_a_third_time() -> None:
    desk = choosing()
    for _ in range(2):
        assert desk.tell("late, back", torn("delivery", "refund"))["action"] == "ask"
    assert desk.tell("late, back", torn("delivery", "refund"))["action"] == "queue:logistics"
    other = choosing()
    other.tell("late, back", torn("delivery", "refund"))
    assert other.tell("by the way, where is it", said("delivery"))["action"] == "queue:logistics"


PROBABILITY = st.floats(0, 1)


@settings(max_examples=repeats(100, 500))
@given(st.permutations(["delivery", "refund", "oddity"]), PROBABILITY, PROBABILITY, st.booleans())
def test_there_is_never_silence_and_never_an_internal_label(
    labels: list[str], p: float, q: float, rejected: bool
) -> None:
    first, second, _ = labels
    decision = choosing().tell("hm", torn(first, second, p, min(q, p, 1 - p), rejected=rejected))
    assert decision["action"] == "ask" or decision["action"].startswith("queue:")
    if "choices" in decision.get("ask", {}):
        assert not rejected and {first, second} == {"delivery", "refund"}
        assert not any(label in decision["ask"]["text"] for label in ("delivery", "refund", "oddity", "{"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.replace("{second}", "the other"), "ask needs {first} and {second}"),
        (lambda file: file.replace("a parcel that is late", "getting your money back"), "nobody could choose"),
        (lambda file: file.replace("[choices.titles]", "[choices.title]"), "titles"),
    ],
)
def test_a_bad_table_of_choices_is_one_clear_line(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_application(change(CHOOSING), Path(), "desk.toml")
    assert said in str(raised.value) and "\n" not in str(raised.value)


PLAIN = 'name = "desk"\ntopic = "chats"\nhuman_queue = "people"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n'


def decided(desk: Application, *records: tuple[bytes | None, Any]) -> list[Outcome]:
    """What a worker makes of messages with these keys and texts; of a record's own bytes as they are."""
    serving = Serving(classifier_with(small_fast_path()))
    handler = ClassifyHandler(desk, serving, {"chats": "e0"}, lambda: 1_000, Sample(1e9))
    values = [text if isinstance(text, bytes) else orjson.dumps({"text": text}) for _, text in records]
    batch = [Delivery("chats", 0, n, key, values[n], 1_000) for n, (key, _) in enumerate(records)]
    for _, step in handler.steps:
        step(batch)
    return [delivery.result for delivery in batch]


def test_people_get_a_message_that_has_no_words() -> None:
    """It was a dead letter: who sent a picture alone was told nothing, and nobody had it."""
    desk = parse_application(
        PLAIN + "[queues]\nrefund = 'billing'\n[conversations]\n[hand_over]\n", Path(), "desk.toml"
    )
    outcomes = decided(desk, (b"c1", " \n"), (b"c1", "a text"), (None, ""))
    first, second = (Decision.model_validate_json(one.records[0].value or b"") for one in outcomes[:2])
    assert (first.action, first.labels, first.text.strip()) == ("queue:people", {}, "")
    assert first.conversation is not None and second.conversation is not None
    assert (first.conversation.intent, second.conversation.version, bool(second.labels)) == (None, 2, True)
    assert outcomes[0].signal is None and outcomes[1].signal is not None  # the monitor sees texts alone
    assert outcomes[2].rejected_because == "empty_text"
    (alone,) = decided(desk, (b"c1", ""))
    assert Decision.model_validate_json(alone.records[0].value or b"").action == "queue:people"
    plain = parse_application(PLAIN + "[conversations]\n", Path(), "desk.toml")
    assert decided(plain, (b"c1", ""))[0].rejected_because == "empty_text"


@pytest.mark.parametrize(
    ("value", "key", "refused"),
    [
        (b'{"text": null, "photo": "p.png"}', b"c1", None),
        (b'{"text": "", "photo": "p.png"}', b"c1", None),
        (b'{"text": null}', None, "no_text"),
        (b'{"photo": "p.png"}', b"c1", "no_text"),
        (b'{"conversation_id": "c1", "event": "typing"}', b"c1", "no_text"),
        (b'{"conversation_id": "c1", "message": "my card was stolen"}', b"c1", "no_text"),
        (b"{}", b"c1", "no_text"),
        (b"[1]", b"c1", "no_text"),
        (b'{"text": 17}', b"c1", "no_text"),
        (b'{"text": ["a"]}', b"c1", "no_text"),
        (b"17", b"c1", "no_text"),
        (b'"a text"', b"c1", "no_text"),
        (b'"{\\"text\\": null}"', b"c1", "encoded_twice"),
        (b"null", b"c1", "delete"),
    ],
)
def test_people_get_a_message_whose_text_is_null_or_empty_not_what_has_no_such_field(
    value: bytes, key: bytes | None, refused: str | None
) -> None:
    """Chats write a picture alone so. Who types, and a text under another name, is no message without words."""
    head = PLAIN + "[conversations]\n[hand_over]\n"
    for source in ("", "[source]\nbody = '/body'\n", "[source]\nmarkup = 'html'\n"):
        (outcome,) = decided(parse_application(head + source, Path(), "desk.toml"), (key, value))
        if refused is not None:
            assert (outcome.rejected_because or outcome.passed_over) == refused
            continue
        decision = Decision.model_validate_json(outcome.records[0].value or b"")
        assert (decision.action, decision.labels, decision.text) == ("human", {}, "")
    plain = parse_application(PLAIN + "[conversations]\n", Path(), "desk.toml")
    (outcome,) = decided(plain, (key, value))
    blank = "empty_text" if b'""' in value else "no_text"
    assert (outcome.rejected_because or outcome.passed_over) == (refused or blank)


@pytest.mark.parametrize(
    ("text", "value", "is_taken"),
    [
        ("/m/text", b'{"m": {"text": null}}', True),
        ("/m/text", b'{"m": {"photo": "p.png"}}', False),
        ("/m/text", b'{"m": 1}', False),
        ("/m/0", b'{"m": [null]}', True),
        ("/m/0", b'{"m": []}', False),
        ("/m/-", b'{"m": []}', False),
        ("", b'" "', True),
        ("/title", b'{"body": null}', True),
        ("/title", b'{"headline": null}', False),
    ],
)
def test_the_place_of_a_message_without_words_is_there(text: str, value: bytes, is_taken: bool) -> None:
    body = "body = '/body'\n" if text == "/title" else ""
    source = f"[source]\ntext = '{text}'\n{body}"
    desk = parse_application(PLAIN + "[conversations]\n[hand_over]\n" + source, Path(), "desk.toml")
    (outcome,) = decided(desk, (b"c1", value))
    assert outcome.rejected_because == (None if is_taken else "no_text")


def test_a_message_without_words_is_read_back_from_its_decision_as_it_was() -> None:
    assert Turn.of_labels(3, {}) == _turn(3, WORDLESS)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[hand_over]", "nobody is handed it"),
        ("", "it is alone"),
    ],
)
def test_a_message_that_belongs_to_no_conversation_is_told_once(
    table: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With [hand_over] nobody was told anything about it, and nobody had it, without a word in any log."""
    desk = parse_application(PLAIN + f'[source]\nkey = "/chat"\n[conversations]\n{table}\n', Path(), "desk.toml")
    handler = ClassifyHandler(desk, Serving(classifier_with(small_fast_path())), {"chats": "e0"}, now_ms=lambda: 1_000)

    def decide(*records: tuple[bytes | None, dict[str, str]]) -> None:
        batch = [Delivery("chats", 0, n, key, orjson.dumps(said), 1_000) for n, (key, said) in enumerate(records)]
        for _, step in handler.steps:
            step(batch)

    decide((b"c1", {"text": "in the key of Kafka"}), (None, {"text": "in the record", "chat": "c2"}))
    assert "belongs to no conversation" not in caplog.text
    decide((None, {"text": "nowhere"}), (None, {"text": "nowhere else"}))
    decide((None, {"text": "nowhere again"}))
    told = [record.getMessage() for record in caplog.records if "belongs to no conversation" in record.getMessage()]
    assert len(told) == 1 and words in told[0] and "'/chat'" in told[0]
