"""What the one who wrote is answered: the label's ready answer, or what the bank of answers is sure enough of."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.decision import HeadDecision
from streams.application import Application
from streams.routing.routes import first_entry

ANSWER: Final = "answer"  # as a decision's action


class Reader(Protocol):
    """What read a text: its release's encoder, as far as a bank needs it."""

    sha256: str

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Shape (texts, dimensions), rows of length 1."""


@dataclass(frozen=True, slots=True)
class FoundInBank:
    """The best entry for a text. confidence: 0 to 1, that it is none that chance finds."""

    id: str
    question: str
    text: str
    source: str
    confidence: float


class Bank(Protocol):
    """The bank of answers as it stands. May be called from any thread."""

    def rebuild(self) -> None:
        """Wait, at the start, until it stands as its topic says. Raises ConnectorError where that cannot be read."""

    def best(self, text: str, reader: Reader | None, embedding: NDArray[np.float32] | None) -> FoundInBank | None:
        """The first answer for a text, however sure; None where there is none. reader, embedding: what read the text
        already, and what it read; None: nobody."""


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
    ) -> dict[str, Any]:
        """Fields of a decision that nobody is asked anything by and that no escalation takes: `answer`, and with one of
        the bank the `action`. A ready answer goes first, where its label is sure."""
        table = self._app.answer_bank
        if table is None or primary is None:
            return {}
        ready = None if primary.rejected else ready_answer(self._app, primary)
        if ready is not None and primary.probability >= table.ready_from:
            return {"answer": ready}
        if self._bank is None or (table.when == "unknown" and not primary.rejected):
            return {}
        found = self._bank.best(text, reader, embedding)
        if found is None or found.confidence < table.confidence:
            return {}
        return {"action": ANSWER, "answer": answer_record(found)}


def ready_answer(app: Application, primary: HeadDecision) -> dict[str, str] | None:
    """The application's ready answer to a label; of several labels the table's first."""
    words = first_entry(app.answers, primary.each)
    if words is None:
        return None
    label = next(label for label, answer in app.answers.items() if answer == words and label in primary.each)
    return {"text": words, "label": label}


def answer_record(found: FoundInBank) -> dict[str, Any]:
    """As it stands in a decision."""
    fields = {"text": found.text, "id": found.id, "question": found.question}
    if found.source:
        fields["source"] = found.source
    return {**fields, "confidence": round(found.confidence, 4)}
