"""A conversation after a message of it: a value, and how the next message changes it. What a decision says of its
conversation is all that counts for the next one but the labels, and those stand in the decision as well: so it can be
read back from decisions alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from models.slots.values import Slot
from streams.application.conversations import MOST_TURNS
from streams.wire.records import ConversationAnswer, format_time
from streams.wire.source_times import read_time

MOST_INTENTS: Final = 5
MOST_ASKED: Final = 16
CHOICE: Final = "?"  # no slot is called that


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A slot's value, and with which message of the conversation it was given last."""

    value: str
    version: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What was decided about one message. offset: of its record. labels: by head, one or several, without those that
    were rejected."""

    offset: int
    labels: Mapping[str, tuple[str, ...]]
    rejected: bool

    @classmethod
    def of_labels(cls, offset: int, labels: Mapping[str, Mapping[str, Any]]) -> "Turn":
        """From what stands in a decision."""
        return cls(
            offset,
            {head: _each(answer) for head, answer in labels.items() if not answer.get("rejected")},
            any(answer.get("rejected") for answer in labels.values()),
        )


def _each(answer: Mapping[str, Any]) -> tuple[str, ...]:
    several = answer.get("labels")
    return tuple(one["label"] for one in several) if several else (answer["label"],)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation after its message number `version`.

    version: messages seen, of all contacts. contact: after a long silence the next one begins, and of the one before
    only the count stays; the first is 1. turn: of this contact; the first is 1. first_ms, last_ms: event times of this
    contact, milliseconds since 1970. intent: what the last message is about; None: the model does not know. intents:
    what this contact is about, newest last. values: by slot. asked: slots that were asked for, once for each time.
    waits_for: the slot, where an answer is expected; CHOICE: which of the offered labels it is about. escalated: why
    people are to look at it; empty: they are not. turns: the last ones of this contact, newest last.
    """

    id: str
    version: int
    contact: int
    turn: int
    first_ms: int
    last_ms: int
    language: str | None = None
    intent: str | None = None
    intents: tuple[str, ...] = ()
    values: Mapping[str, KnownValue] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    waits_for: str = ""
    offered: tuple[str, ...] = ()
    escalated: str = ""
    turns: tuple[Turn, ...] = ()

    def with_values(self, slots: Iterable[Slot]) -> "Conversation":
        """What this message gives; of several values of a slot the first one in the text."""
        values = dict(self.values)
        for slot in sorted(slots, reverse=True):
            values[slot.name] = KnownValue(slot.value, self.version)
        return replace(self, values=values)

    def with_turn(self, turn: Turn, intent: str | None, each: tuple[str, ...]) -> "Conversation":
        """What was decided about this message. each: the labels that the intent is made of, one or several."""
        intents = (*(one for one in self.intents if one not in each), *each)[-MOST_INTENTS:]
        return replace(self, intent=intent, intents=intents, turns=(*self.turns, turn)[-MOST_TURNS:])

    def with_question(self, slot: str, offered: tuple[str, ...] = ()) -> "Conversation":
        """It is asked for this slot, or which of the offered labels it is about (slot: CHOICE), or nothing: empty."""
        asked = (*self.asked, slot)[-MOST_ASKED:] if slot else self.asked
        return replace(self, asked=asked, waits_for=slot, offered=offered)

    def record(self) -> dict[str, Any]:
        """As it stands in a decision."""
        known: dict[str, Any] = {
            "id": self.id,
            "version": self.version,
            "contact": self.contact,
            "turn": self.turn,
            "first_at": format_time(self.first_ms),
            "last_at": format_time(self.last_ms),
            "intents": list(self.intents),
            "slots": [
                {"name": name, "value": known.value, "version": known.version} for name, known in self.values.items()
            ],
            "asked": list(self.asked),
        }
        if self.offered:
            known["offered"] = list(self.offered)
        told = {"language": self.language, "intent": self.intent, "waits_for": self.waits_for}
        return known | {name: said for name, said in (told | {"escalated": self.escalated}).items() if said}


def next_message(
    before: Conversation | None, identity: str, at_ms: int, silence_ms: int, language: str | None
) -> Conversation:
    """The conversation with one message more, of which nothing is known yet but when it was written. before: None for
    the first one. silence_ms: after which a new contact begins. language: of the message; None: it does not tell."""
    if before is None:
        return Conversation(identity, 1, 1, 1, at_ms, at_ms, language)
    language = language or before.language
    if at_ms - before.last_ms > silence_ms:
        return Conversation(identity, before.version + 1, before.contact + 1, 1, at_ms, at_ms, language)
    return replace(
        before,
        version=before.version + 1,
        turn=before.turn + 1,
        first_ms=min(before.first_ms, at_ms),
        last_ms=max(before.last_ms, at_ms),
        language=language,
    )


def read_back(
    said: ConversationAnswer, offset: int, labels: Mapping[str, Any], before: Conversation | None
) -> Conversation | None:
    """The conversation as a decision says it was. offset, labels: of the decision. before: as of the decision before,
    for the labels of its messages; None: that is gone. None where its times are none."""
    first_ms, last_ms = read_time(said.first_at), read_time(said.last_at)
    if first_ms is None or last_ms is None:
        return None
    turns = before.turns if before is not None and before.contact == said.contact else ()
    return Conversation(
        id=said.id,
        version=said.version,
        contact=said.contact,
        turn=said.turn,
        first_ms=first_ms,
        last_ms=last_ms,
        language=said.language,
        intent=said.intent,
        intents=said.intents,
        values={known.name: KnownValue(known.value, known.version) for known in said.slots},
        asked=said.asked,
        waits_for=said.waits_for or "",
        offered=said.offered,
        escalated=said.escalated or "",
        turns=(*turns, Turn.of_labels(offset, labels))[-MOST_TURNS:],
    )
