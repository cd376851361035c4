"""The story's desk: what customers are told, which conversations are people's, and one of them on its way there and
back."""

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.ports import Publisher, Record, TopicReader
from headrace.demo.ledger import Ledger
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.wire.records import ConversationChange, HeldConversation, SentAnswer, decode, format_time

PERSON: Final = "ann"
WRITES: Final = "I have it in front of me and see to it now; you will have word by tonight."
SHOWN_AFTER: Final = 30  # hand-overs, so that the story tells of one once it has begun
LOOKED_AT: Final = 5  # more of them, for one that was decided rightly: an answer beside the point explains nothing


@dataclass(slots=True)
class Talks:
    """An application's conversations, by what its topics say. told: answer's id to its conversation; twice: ids that
    came again; handed: those that people have or had; example: the one that the story tells of."""

    told: dict[str, str] = field(default_factory=dict)
    twice: int = 0
    handed: set[str] = field(default_factory=set)
    example: dict[str, str] | None = None

    def hear(self, answer: SentAnswer) -> None:
        """What a customer is told."""
        self.twice += answer.id in self.told
        self.told[answer.id] = answer.conversation

    @property
    def customers(self) -> int:
        """How many were told something."""
        return len(set(self.told.copy().values()))

    def report(self) -> dict[str, Any]:
        """As it stands in the demo's object."""
        told = set(self.told.values())
        return {
            "told": len(told),
            "alone": len(told - self.handed),
            "with_people": len(self.handed),
            "twice": self.twice,
            "example": self.example,
        }


class Listener(threading.Thread):
    """Reads what customers are told."""

    def __init__(self, app: Application, reader: TopicReader, talks: Talks) -> None:
        super().__init__(name=f"listener-{app.name}", daemon=True)
        self._app, self._reader, self._talks = app, reader, talks

    def run(self) -> None:
        """Until the reader is closed."""
        for record in self._reader.follow(self._app.answers_topic, poll_seconds=0.1):
            if record is not None and record.value is not None:
                self._talks.hear(decode(SentAnswer, record.value))

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


class Desk(threading.Thread):
    """Reads which conversations people have; of one of them a person takes it, answers, and hands it back."""

    def __init__(
        self, app: Application, reader: TopicReader, publisher: Publisher, ledger: Ledger, talks: Talks
    ) -> None:
        super().__init__(name=f"desk-{app.name}", daemon=True)
        self._app, self._reader, self._publisher = app, reader, publisher
        self._ledger, self._talks = ledger, talks
        self._open: str | None = None

    def run(self) -> None:
        """Until the reader is closed."""
        for record in self._reader.follow(self._app.conversations_topic, poll_seconds=0.1):
            if record is not None:
                self.look(record)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def look(self, record: Record) -> None:
        """One conversation as it is now."""
        if record.value is None:
            return
        held = decode(HeldConversation, record.value)
        self._talks.handed.add(held.id)
        if self._open is None and held.step == "handed_over" and self._explains(held):
            self._open = held.id
            said, answer = held.said[0].text, held.said[-1].text
            self._talks.example = {"text": said, "queue": held.queue, "answer": answer, "by": PERSON, "wrote": WRITES}
            self._ledger.tell(f"“{said}” is told “{_short(answer)}” and handed to people: {held.queue}")
            self._do(held, {"kind": "taken"})
        elif held.id == self._open:
            self._go_on(held)

    def _explains(self, held: HeldConversation) -> bool:
        count = len(self._talks.handed)
        was_right = self._ledger.was_right(self._app.name, held.said[0].text)
        return count > SHOWN_AFTER + LOOKED_AT or (count > SHOWN_AFTER and was_right)

    def _go_on(self, held: HeldConversation) -> None:
        if held.step == "taken":
            self._do(held, {"kind": "answered", "text": WRITES})
        elif held.step == "answered":
            self._do(held, {"kind": "handed_back"})
        elif held.step == "handed_back":
            words = f"{PERSON} took it, wrote “{WRITES}” and handed it back: Headrace answers what comes next"
            self._ledger.tell(words)

    def _do(self, held: HeldConversation, what: Mapping[str, Any]) -> None:
        known = {"id": uuid.uuid4().hex, "conversation": held.id, "by": PERSON, "at": format_time(wall_clock_ms())}
        seen = {"version": held.version, "revision": held.revision}
        change = ConversationChange.model_validate(known | seen | dict(what))
        self._publisher.send(self._app.changes_topic, change.encode(), held.id.encode())
        self._publisher.flush()


def _short(text: str) -> str:
    """Its first sentence."""
    return text.split(". ")[0].rstrip(".") + "."
