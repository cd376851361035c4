"""What the demo tells of conversations: one on its way to people and back, and how many were whose."""

from desk import APP, NOON_MS, decision
from desk import Desk as Dispatched

from connectors.ports import Record
from headrace.applications import load_application
from headrace.demo.desk import SHOWN_AFTER, WRITES, Desk, Talks
from headrace.demo.ledger import Ledger, Seen
from streams.dispatcher.telling import LeftToPeople, Told, told
from streams.wire.records import ConversationChange, HeldConversation, decode


class Topic:
    """Keeps what is published until it is asked for."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def send(self, topic: str, value: bytes, key: bytes) -> None:
        assert topic == APP.changes_topic
        self.values.append(value)

    def flush(self) -> None:
        pass

    def sent(self) -> list[bytes]:
        values, self.values = self.values, []
        return values


def record(held: HeldConversation) -> Record:
    key, value = held.id.encode(), held.encode()
    return Record(topic=APP.conversations_topic, partition=0, offset=0, key=key, value=value, timestamp_ms=0)


def test_one_conversation_goes_to_people_is_answered_and_comes_back() -> None:
    ledger, topic, talks, dispatched = Ledger(["desk"]), Topic(), Talks(), Dispatched()
    desk = Desk(APP, None, topic, ledger, talks)  # type: ignore[arg-type]
    for number in range(1, SHOWN_AFTER + 10):
        dispatched.decide(decision(number, key=f"c{number}", version=1))
    seen = 0
    while seen < len(dispatched.history):
        desk.look(record(dispatched.history[seen]))
        seen += 1
        for value in topic.sent():
            dispatched.changes.append((decode(ConversationChange, value), NOON_MS))
        dispatched.dispatch()
    for answer in dispatched.answers:
        talks.hear(answer)
    assert [answer.text for answer in dispatched.answers if answer.kind == "person"] == [WRITES]
    assert talks.report() | {"example": None} == {
        "told": SHOWN_AFTER + 9,
        "alone": 0,
        "with_people": SHOWN_AFTER + 9,
        "twice": 0,
        "example": None,
    }
    told = [line.words for line in ledger.story]
    assert len(told) == 2 and "handed to people: billing" in told[0] and "handed it back" in told[1]
    talks.hear(dispatched.answers[0])
    assert talks.report()["twice"] == 1


def test_of_the_first_conversations_one_that_was_decided_rightly_is_told() -> None:
    """The first line of the story told a customer something beside the point."""
    ledger, topic, talks, dispatched = Ledger(["desk"]), Topic(), Talks(), Dispatched()
    desk = Desk(APP, None, topic, ledger, talks)  # type: ignore[arg-type]
    for number in range(1, SHOWN_AFTER + 4):
        dispatched.decide(decision(number, key=f"c{number}", version=1, text=f"message {number}"))
    ledger.seen.append(Seen(APP.name, f"message {SHOWN_AFTER + 2}", "refund", 0.9, "queue:billing", True))
    for held in dispatched.history:
        desk.look(record(held))
    assert talks.example is not None and talks.example["text"] == f"message {SHOWN_AFTER + 2}"


def test_the_shipped_support_application_tells_everybody_something_and_settles_what_needs_nobody() -> None:
    support = load_application("support")
    assert support.hand_over is not None and support.hand_over.says and support.hand_over.answers_alone
    for label, queue in support.queues.items():
        labels = {"intent": {"label": label, "probability": 0.97}}
        made = {"text": "a message", "labels": labels, "action": f"queue:{queue}"}
        words = told(support, made | {"answer": {"label": label, "text": support.answers[label]}})
        if label in support.hand_over.answers_alone:
            assert isinstance(words, Told) and words.text == support.answers[label]
        else:
            assert isinstance(words, LeftToPeople) and words.queue == queue and words.ready
