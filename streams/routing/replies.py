"""What a decision leads to: its route, the values that its text gives, and what is asked where one is missing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.decision import Classification
from models.slots.finding import SlotFinder
from models.slots.values import Slot
from streams.application import Application
from streams.routing.routes import Route, Router

ASK: Final = "ask"  # as a decision's action


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the one who wrote. slot: which value is missing."""

    text: str
    slot: str

    def record(self) -> dict[str, Any]:
        """As it stands in a decision."""
        return {"text": self.text, "slot": self.slot}


class Replier:
    """Says what follows from the decisions of one application. Thread-safe; a function of the application's files, the
    labels, the record and its time. finder: of the application's slots."""

    def __init__(self, app: Application, finder: SlotFinder | None = None) -> None:
        self._app, self._router, self._finder = app, Router(app), finder or SlotFinder()

    def reply(self, classification: Classification, text: str, fields: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
        """The fields that a decision gets. classification: what acts. text: as the decision keeps it. fields, at_ms:
        see `Router.route`."""
        route = self._router.route(classification, fields, at_ms)
        reply: dict[str, Any] = route.record()
        if not self._app.slots:
            return reply
        slots = self._finder.find(text, at_ms)
        question = self._question(classification, route, {slot.name for slot in slots})
        if question is not None:
            reply = {**reply, "action": ASK, "ask": question.record()}
            reply.pop("respond_by", None)  # who is asked has to answer first
        return reply | {"slots": slot_records(slots)}

    def _question(self, classification: Classification, route: Route, given: Collection[str]) -> Question | None:
        """For the first missing value, in the file's order. Nobody is asked who must not wait, or whom the model does
        not understand: those go to people at once."""
        app, primary = self._app, classification.heads.get(self._app.head_names[0])
        if primary is None or primary.rejected or (app.priority and (route.priority or "") in app.priority.queues):
            return None
        for name, slot in app.slots.items():
            if name not in given and any(_says(classification, head, labels) for head, labels in slot.asked_by.items()):
                return Question(slot.ask, name)
        return None


def _says(classification: Classification, head: str, labels: Collection[str]) -> bool:
    answer = classification.heads.get(head)
    return answer is not None and not answer.rejected and any(label in labels for label in answer.each)


def slot_records(slots: Collection[Slot]) -> list[dict[str, Any]]:
    """As they stand in a decision."""
    return [
        {"name": slot.name, "value": slot.value, "text": slot.text, "span": [slot.start, slot.end]} for slot in slots
    ]
