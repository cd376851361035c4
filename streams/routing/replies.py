"""What a decision leads to: its route, the values that its text gives, what is asked where one is missing, and what its
conversation is by then."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.decision import Classification, HeadDecision, LabelAnswer
from models.label_sets import labels_of
from models.languages import language_of
from models.slots.finding import SlotFinder
from models.slots.values import Slot
from streams.application import Application
from streams.conversations.choices import NEITHER, chosen
from streams.conversations.escalation import escalation_of
from streams.conversations.state import CHOICE, Conversation, Turn, next_message
from streams.routing.answers import ANSWER, Answerer, Bank, Occasion, Reader
from streams.routing.routes import Route, Router

ASK: Final = "ask"  # as a decision's action
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Message:
    """What a decision is about. text: as the decision keeps it. fields: of the record, where pointers look. at_ms: the
    event's own time, milliseconds since 1970. offset: of its record. key: which conversation it belongs to; None: none
    is known. before: that conversation as it was; None: this is its first message. reader: what reads texts; embedding:
    what it read of this one; None: nothing did. identity: the decision's; "": it has none."""

    text: str
    fields: Mapping[str, Any]
    at_ms: int
    offset: int = 0
    key: str | None = None
    before: Conversation | None = None
    reader: Reader | None = None
    embedding: NDArray[np.float32] | None = None
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the one who wrote. slot: which value is missing; CHOICE: which of two matters it is about.
    offered: their labels; titles: the same in words for people."""

    text: str
    slot: str
    offered: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As it stands in a decision."""
        if self.offered:
            return {"text": self.text, "choices": list(self.titles)}
        return {"text": self.text, "slot": self.slot}


@dataclass(frozen=True, slots=True)
class Reply:
    """fields: what a decision gets. conversation: as it is by then; None: the message belongs to none."""

    fields: dict[str, Any]
    conversation: Conversation | None = None


class Replier:
    """Says what follows from the decisions of one application. Thread-safe; a function of the application's files, the
    labels, the message and the bank. finder: of the application's slots. bank: of its answers."""

    def __init__(self, app: Application, finder: SlotFinder | None = None, bank: Bank | None = None) -> None:
        self._app, self._router, self._finder = app, Router(app), finder or SlotFinder()
        self._answerer = Answerer(app, bank)

    def reply(self, classification: Classification, message: Message) -> Reply:
        """classification: what was decided, by text and picture where both decide."""
        slots = self._finder.find(message.text, message.at_ms)
        conversation = self._opened(message)
        acting, escalation = classification, None
        if conversation is not None:
            conversation = conversation.with_values(slots)
            acting = self._resumed(classification, conversation, message.text)
            conversation = conversation.with_turn(_turn(message.offset, classification), *self._intent(acting))
            escalation = escalation_of(conversation, self._app.escalations)
            conversation = replace(conversation, escalated="" if escalation is None else escalation.reason)
        is_first = conversation is None or conversation.turn == 1
        route = self._router.route(acting, message.fields, message.at_ms, is_first=is_first, escalation=escalation)
        fields: dict[str, Any] = route.record()
        question = None
        if escalation is None:
            question, answered = self._asked_or_answered(acting, route, message, slots, conversation)
            fields |= answered
        if question is not None:
            fields |= {"action": ASK, "ask": question.record()}
        if fields["action"] in (ASK, ANSWER):
            fields.pop("respond_by", None)  # who is asked has to answer first, and who is answered has been
        if self._app.slots:
            fields["slots"] = slot_records(slots)
        if conversation is not None:
            if question is None:
                conversation = conversation.with_question("")
            else:
                conversation = conversation.with_question(question.slot, question.offered)
            fields["conversation"] = conversation.record()
        return Reply(fields, conversation)

    def _asked_or_answered(
        self,
        acting: Classification,
        route: Route,
        message: Message,
        slots: Collection[Slot],
        conversation: Conversation | None,
    ) -> tuple[Question | None, dict[str, Any]]:
        """What is asked of the one who wrote, or the fields of the answer. A missing value is asked for before anything
        is answered, and before that which of two matters it is; that alone only where no answer is sure."""
        values = {slot.name: slot.value for slot in sorted(slots, reverse=True)}
        if conversation is not None:
            values = {name: known.value for name, known in conversation.values.items()}
        given = {slot.name for slot in slots}
        question, choice = self._question(acting, route, given, conversation), self._choice(acting, route, conversation)
        if choice is None:
            return question, {} if question is not None else self._answered(acting, route, message, values)
        if question is not None or self._question(self._other(acting), route, given, conversation) is not None:
            return choice, {}
        answered = self._answered(acting, route, message, values, between=True)
        return None if "answer" in answered else choice, answered

    def _other(self, acting: Classification) -> Classification:
        """The same, were it about the second of two close matters."""
        name = self._app.head_names[0]
        second = acting.heads[name].runner_up
        assert second is not None
        return replace(acting, heads={**acting.heads, name: HeadDecision(second.label, second.probability)})

    def _answered(
        self,
        acting: Classification,
        route: Route,
        message: Message,
        values: Mapping[str, str],
        *,
        between: bool = False,
    ) -> dict[str, Any]:
        primary = acting.heads.get(self._app.head_names[0])
        return self._answerer.answer(
            primary,
            message.text,
            message.reader,
            message.embedding,
            values=values,
            priority=route.priority,
            occasion=Occasion(message.identity, message.at_ms),
            between=between,
        )

    def _opened(self, message: Message) -> Conversation | None:
        table = self._app.conversations
        if table is None or message.key is None:
            return None
        silence_ms = round(table.silence_minutes * _MINUTE_MS)
        language = language_of(message.text, message.fields)
        return next_message(message.before, message.key, message.at_ms, silence_ms, language)

    def _intent(self, classification: Classification) -> tuple[str | None, tuple[str, ...]]:
        primary = classification.heads.get(self._app.head_names[0])
        return (None, ()) if primary is None or primary.rejected else (primary.label, primary.each)

    def _resumed(self, classification: Classification, conversation: Conversation, text: str) -> Classification:
        """An answer to a question is about what that was asked for, whatever it looks like by itself: "MB-123456",
        "the second one"."""
        if conversation.waits_for == CHOICE and self._app.choices is not None:
            return self._after_choice(classification, conversation.offered, text)
        asked_for, given = conversation.intent, conversation.values.get(conversation.waits_for)
        if asked_for is None or given is None or given.version != conversation.version:
            return classification
        name = self._app.head_names[0]
        several = None
        if name in self._app.multi_heads:
            several = tuple(LabelAnswer(label, 1.0) for label in labels_of(asked_for))
        return replace(
            classification, heads={**classification.heads, name: HeadDecision(asked_for, 1.0, labels=several)}
        )

    def _after_choice(self, classification: Classification, offered: tuple[str, ...], text: str) -> Classification:
        """Who chooses neither is not understood, and goes to people."""
        assert self._app.choices is not None
        titles = [self._app.choices.titles.get(label, "") for label in offered]
        number = chosen(text, titles) if len(titles) == 2 else None
        if number is None:
            return classification
        label, rejected = (offered[0], True) if number == NEITHER else (offered[number], False)
        head = HeadDecision(label, 1.0, rejected=rejected)
        return replace(classification, heads={**classification.heads, self._app.head_names[0]: head})

    def _choice(self, acting: Classification, route: Route, conversation: Conversation | None) -> Question | None:
        """Which of two matters it is, where both are about as likely and no third one is."""
        app, primary = self._app, acting.heads.get(self._app.head_names[0])
        if app.choices is None or app.conversations is None or conversation is None:
            return None
        if primary is None or primary.runner_up is None or not self._may_wait(primary, route):
            return None
        second = primary.runner_up
        is_close = primary.probability - second.probability <= app.choices.margin
        if not is_close or primary.probability + second.probability < app.choices.together:
            return None
        if self._settle_alike(primary.label, second.label):
            return None
        titles = [app.choices.titles.get(label) for label in (primary.label, second.label)]
        if titles[0] is None or titles[1] is None or conversation.asked.count(CHOICE) > app.conversations.ask_again:
            return None
        text = app.choices.ask.replace("{first}", "\0").replace("{second}", titles[1]).replace("\0", titles[0])
        return Question(text, CHOICE, (primary.label, second.label), (titles[0], titles[1]))

    def _settle_alike(self, first: str, second: str) -> bool:
        """Whether both labels are settled by the same ready answer: then it does not matter which it is."""
        table, answers = self._app.hand_over, self._app.answers
        alone = () if table is None else table.answers_alone
        return first in alone and second in alone and answers[first] == answers[second]

    def _may_wait(self, primary: HeadDecision, route: Route) -> bool:
        """Nobody is asked who must not wait, or whom the model does not understand: those go to people at once."""
        priority = self._app.priority
        return not primary.rejected and not (priority is not None and (route.priority or "") in priority.queues)

    def _question(
        self, acting: Classification, route: Route, given: Collection[str], conversation: Conversation | None
    ) -> Question | None:
        """For the first missing value, in the file's order; but not again and again, nor for what stands in an earlier
        message."""
        app, primary = self._app, acting.heads.get(self._app.head_names[0])
        if primary is None or not self._may_wait(primary, route):
            return None
        asked: Collection[str] = ()
        if conversation is not None and app.conversations is not None:
            given = {*given, *conversation.values}
            often = app.conversations.ask_again + 1
            asked = {slot for slot in conversation.asked if conversation.asked.count(slot) >= often}
        for name, slot in app.slots.items():
            wanted = any(_says(acting, head, labels) for head, labels in slot.asked_by.items())
            if wanted and name not in given and name not in asked:
                return Question(slot.ask, name)
        return None


def _says(classification: Classification, head: str, labels: Collection[str]) -> bool:
    answer = classification.heads.get(head)
    return answer is not None and not answer.rejected and any(label in labels for label in answer.each)


def _turn(offset: int, classification: Classification) -> Turn:
    heads = classification.heads.items()
    return Turn(
        offset,
        {name: head.each for name, head in heads if not head.rejected},
        any(head.rejected for _, head in heads),
    )


def slot_records(slots: Collection[Slot]) -> list[dict[str, Any]]:
    """As they stand in a decision."""
    return [
        {"name": slot.name, "value": slot.value, "text": slot.text, "span": [slot.start, slot.end]} for slot in slots
    ]
