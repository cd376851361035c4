"""What the one who wrote is answered: the label's ready answer, or what the bank of answers is sure enough of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision
from streams.application import Application
from streams.routing.routes import first_entry
from streams.routing.wording import filled

ANSWER: Final = "answer"  # as a decision's action


NotAsked = Literal["escalated", "asks", "urgent", "no_label", "ready", "known"]


class Reader(Protocol):
    """What read a text: its release's encoder, as far as a bank needs it."""

    sha256: str

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Shape (texts, dimensions), rows of length 1."""


@dataclass(frozen=True, slots=True)
class FoundInBank:
    """The best entry for a text. confidence: 0 to 1, that it is none that chance finds. bank: which one was asked; "":
    it has no name."""

    id: str
    question: str
    text: str
    source: str
    confidence: float
    bank: str = ""


class Occasion(NamedTuple):
    """What a bank is asked for. decision: its id. at_ms: the event's own time, milliseconds since 1970."""

    decision: str
    at_ms: int


class Bank(Protocol):
    """The bank of answers as it stands. May be called from any thread."""

    def rebuild(self) -> None:
        """Wait, at the start, until it stands as its topic says. Raises ConnectorError where that cannot be read."""

    def best(
        self,
        text: str,
        reader: Reader | None,
        embedding: NDArray[np.float32] | None,
        occasion: Occasion | None = None,
    ) -> FoundInBank | None:
        """The first answer for a text, however sure; None where there is none. reader, embedding: what read the text
        already, and what it read; None: nobody. occasion: for a bank that remembers what it was at other times."""


class Answerer:
    """Says what is answered to the texts of one application. bank: None: there are only ready answers."""

    def __init__(self, app: Application, bank: Bank | None = None) -> None:
        self._app, self._bank = app, bank

    def answer(
        self,
        primary: HeadDecision | None,
        text: str,
        reader: Reader | None = None,
        embedding: NDArray[np.float32] | None = None,
        *,
        values: Mapping[str, str],
        priority: str | None = None,
        occasion: Occasion | None = None,
        between: bool = False,
    ) -> dict[str, Any]:
        """Fields of a decision that misses no value and that no escalation takes: `answer`, and with one of the bank
        the `action`; `bank` where it was asked. A ready answer goes first, where its label is sure. values: by slot,
        for the places of answers. priority: of the route. between: its two most probable labels are so close that it
        would be asked which it is: a ready answer is given only if it is that of both."""
        if self._app.answer_bank is None:
            return {}
        why_not = why_not_asked(self._app, primary, priority, values=values)
        if between and primary is not None:
            ready, why_not = self._ready_for_both(primary, values), None if why_not == "ready" else why_not
        else:
            ready = ready_answer(self._app, primary, values) if why_not == "ready" and primary is not None else None
        if ready is not None:
            return {"answer": ready}
        if why_not is not None or self._bank is None:
            return {}
        found = self._bank.best(text, reader, embedding, occasion)
        if found is None:
            return {}
        asked = {"bank": found.bank} if found.bank else {}
        words = filled(found.text, values, self._app.slots)
        if found.confidence < self._app.answer_bank.confidence or words is None:
            return asked
        return {"action": ANSWER, "answer": answer_record(found, words), **asked}

    def _ready_for_both(self, primary: HeadDecision, values: Mapping[str, str]) -> dict[str, str] | None:
        """The ready answer that is right whichever of the two labels is."""
        app, second = self._app, primary.runner_up
        assert app.answer_bank is not None
        if second is None or app.answers.get(second.label) != app.answers.get(primary.label):
            return None
        is_sure = primary.probability + second.probability >= app.answer_bank.ready_from
        return ready_answer(app, primary, values) if is_sure else None


def why_not_asked(
    app: Application,
    primary: HeadDecision | None,
    priority: str | None,
    *,
    values: Mapping[str, str],
    asks: bool = False,
    escalated: bool = False,
) -> NotAsked | None:
    """Why the bank of an application that has one is not asked about a text: the first reason that holds; None: it is
    asked.

    primary: the first head's word, as it acts. priority: of the route. values: by slot. asks: whether the one who wrote
    is asked something. escalated: whether a rule sends it to people.
    """
    table = app.answer_bank
    assert table is not None
    if escalated:
        return "escalated"
    if asks:
        return "asks"
    if app.priority is not None and (priority or "") in app.priority.queues:
        return "urgent"  # what must not wait goes to people at once
    if primary is None:
        return "no_label"
    is_sure = not primary.rejected and primary.probability >= table.ready_from
    if is_sure and ready_answer(app, primary, values) is not None:
        return "ready"
    return "known" if table.when == "unknown" and not primary.rejected else None


def ready_answer(app: Application, primary: HeadDecision, values: Mapping[str, str]) -> dict[str, str] | None:
    """The application's ready answer to a label; of several labels the table's first. values: by slot. None where there
    is none, or a value is not known that it names."""
    ready = first_entry(app.answers, primary.each)
    words = None if ready is None else filled(ready, values, app.slots)
    if words is None:
        return None
    label = next(label for label, answer in app.answers.items() if answer == ready and label in primary.each)
    return {"text": words, "label": label}


def answer_record(found: FoundInBank, words: str) -> dict[str, Any]:
    """As it stands in a decision. words: the entry's, with values in their places."""
    fields = {"text": words, "id": found.id, "question": found.question}
    if found.source:
        fields["source"] = found.source
    return {**fields, "confidence": round(found.confidence, 4)}
