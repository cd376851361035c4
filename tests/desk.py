"""A desk in memory: an application that hands over, decisions, and a dispatcher whose topics are lists."""

from pathlib import Path
from typing import Any

from streams.application import Application, parse_application
from streams.dispatcher.dispatching import Output, PartitionDispatcher
from streams.wire.records import ConversationChange, HeldConversation, SentAnswer, decode, format_time

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
window_records = 100
[slots.order]
pattern = 'MB-\\d+'
[service_levels.default]
response_minutes = 60
next_response_minutes = 20
[answers]
delivery = "Your parcel {order} is on its way."
[hand_over]
says = "A colleague will answer you."
answers_alone = ["delivery"]
turns = 6
chain = ["team lead", "duty"]
step_minutes = 30
"""
APP = parse_application(FILE, Path(), "desk.toml")
REMINDING = parse_application(FILE + "remind_minutes = 15\n", Path(), "desk.toml")


def decision(
    number: int,
    action: str = "queue:billing",
    *,
    key: str = "c1",
    version: int | None = None,
    intent: str = "refund",
    at_ms: int = NOON_MS,
    **fields: Any,
) -> dict[str, Any]:
    """number: of its source record."""
    known = {"id": key, "version": version or number, "contact": 1, "turn": version or number}
    known |= {"first_at": format_time(at_ms), "last_at": format_time(at_ms), "slots": fields.pop("slots", [])}
    known |= fields.pop("conversation", {})
    return {
        "id": f"chats@e0-0-{number}",
        "model": "desk",
        "version": "1",
        "at": format_time(at_ms),
        "decided_at": format_time(at_ms),
        "labels": {
            "intent": {"label": intent, "probability": 0.9},
            "tone": {"label": "angry" if number % 2 else "calm", "probability": 0.7},
        },
        "action": action,
        "text": f"message {number}, card 4111",
        "key": key,
        "extra": {},
        "conversation": known,
    } | fields


def ask(number: int, **fields: Any) -> dict[str, Any]:
    return decision(number, "ask", ask={"text": "Which order is it?", "slot": "order"}, **fields)


class Desk:
    """Topics as lists, and a dispatcher over them that may die and come again. Its topics are what a real one reads."""

    def __init__(self, app: Application = APP) -> None:
        self.app = app
        self.decisions: list[dict[str, Any]] = []
        self.changes: list[tuple[ConversationChange, int]] = []
        self.answers: list[SentAnswer] = []
        self.held: dict[str, HeldConversation] = {}
        self.history: list[HeldConversation] = []
        self.alerts: list[str] = []
        self.told: list[tuple[str, str]] = []  # of alerts: rule and state
        self.counts: dict[str, int] = {}
        self.read = [0, 0]  # decisions and changes that were dispatched
        self.committed = [0, 0]
        self.dispatcher = self._begun()

    def _begun(self) -> PartitionDispatcher:
        window = self.app.conversations.window_records if self.app.conversations else 0
        begins = max(self.committed[0] - window, 0)
        sent = [answer.id for answer in self.answers]
        one = PartitionDispatcher(self.app, self.held, sent, lambda text: text.replace("4111", "[card]"))
        for offset in range(begins, self.committed[0]):
            one.recall(f"decisions.desk@d0-0-{offset}", offset, self.decisions[offset])
        return one

    def die(self) -> None:
        """Nothing is left but what was written."""
        self.read = list(self.committed)
        self.dispatcher = self._begun()

    def commit(self) -> None:
        self.committed = list(self.read)

    def decide(self, *decisions: dict[str, Any]) -> None:
        self.decisions += decisions
        self.dispatch()

    def change(self, kind: str, by: str = "ann", *, now_ms: int = NOON_MS, **fields: Any) -> ConversationChange:
        held = self.held.get(fields.get("conversation", "c1"))
        known = {"version": held.version if held else 0, "revision": held.revision if held else 0}
        change = ConversationChange.model_validate(
            {"id": f"change-{len(self.changes)}", "conversation": "c1", "kind": kind, "by": by}
            | {"at": format_time(now_ms)}
            | known
            | fields
        )
        self.changes.append((change, now_ms))
        self.dispatch()
        return change

    def dispatch(self, written: float = 1.0) -> None:
        """All that is to be read. written: of the last record's output, what is written before a death: 0 nothing, 0.5
        answers only."""
        while self.read[0] < len(self.decisions):
            offset = self.read[0]
            self.write(
                self.dispatcher.take_decision(f"decisions.desk@d0-0-{offset}", offset, self.decisions[offset]), written
            )
            self.read[0] += 1
        while self.read[1] < len(self.changes):
            offset = self.read[1]
            change, now_ms = self.changes[offset]
            self.write(self.dispatcher.take_change(f"changes.desk@c0-0-{offset}", change, now_ms), written)
            self.read[1] += 1

    def tick(self, now_ms: int) -> Output:
        output = self.dispatcher.due(now_ms)
        self.write(output)
        return output

    def write(self, output: Output, written: float = 1.0) -> None:
        if written >= 0.5:
            self.answers += output.answers
            self.alerts += [alert.state for alert in output.alerts]
            self.told += [(alert.rule, alert.state) for alert in output.alerts]
        if written >= 1.0:
            for identity, held in output.held:
                if held is None:
                    self.held.pop(identity, None)
                else:
                    self.held[identity] = decode(HeldConversation, held.encode())
                    self.history.append(self.held[identity])
        for outcome, number in output.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + number

    def said(self) -> list[tuple[str, str]]:
        return [(answer.id, answer.kind) for answer in self.answers]
