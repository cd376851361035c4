"""What a decision tells the customer, or why people are to answer: a function of the application's file and the
decision."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from streams.application import Application
from streams.routing.wording import filled, known_values
from streams.wire.records.conversations import AnswerKind


@dataclass(frozen=True, slots=True)
class Told:
    """Words for the customer. choices: both, where it is a question between two matters. source, confidence: of what
    was found in the bank of answers."""

    text: str
    kind: AnswerKind
    choices: tuple[str, ...] = ()
    source: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class LeftToPeople:
    """reason: in words for people. queue: whose it is. ready: the ready answer that the decision gives beside its
    queue, where it gives one."""

    reason: str
    queue: str
    ready: str = ""


def told(app: Application, decision: Mapping[str, Any]) -> Told | LeftToPeople:
    """What is said, were the conversation Headrace's. Never neither: what nothing is said to is somebody's."""
    action, queue = str(decision.get("action")), app.human_queue
    if action.startswith("queue:"):
        queue = action.removeprefix("queue:")
    if action == "ask" and (words := _words(decision.get("ask"))):
        choices = decision["ask"].get("choices") or ()
        return Told(words, "question", tuple(map(str, choices)))
    if action == "answer" and (words := _words(decision.get("answer"))):
        found, known = decision["answer"], _with_values(decision, words, app.slots)
        if known is not None:
            return Told(known, "retrieved", source=found.get("source"), confidence=found.get("confidence"))
    ready = "" if action == "answer" else _with_values(decision, _words(decision.get("answer"))) or ""
    return _settled(app, decision, action) or LeftToPeople(_reason(app, decision, queue), queue, ready)


def _words(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _settled(app: Application, decision: Mapping[str, Any], action: str) -> Told | None:
    """Where the label's own answer settles it: not where a rule or its urgency sent the text to another queue."""
    head, known = decision["labels"].get(app.head_names[0]), decision.get("conversation") or {}
    if app.hand_over is None or head is None or head.get("rejected") or known.get("escalated"):
        return None
    label = known.get("intent") or head["label"]
    usual = {"none", f"queue:{app.queues.get(label, app.human_queue)}"}
    if label not in app.hand_over.answers_alone or action not in usual:
        return None
    text = _with_values(decision, app.answers[label])
    return None if text is None else Told(text, "template")


def _with_values(decision: Mapping[str, Any], text: str, names: Collection[str] | None = None) -> str | None:
    """With what the conversation gave in the places of `{NAME}`; None where that is not known. names: see `filled`."""
    return filled(text, known_values(decision), names)


def _reason(app: Application, decision: Mapping[str, Any], queue: str) -> str:
    escalated = (decision.get("conversation") or {}).get("escalated")
    if escalated:
        return str(escalated)
    head = decision["labels"].get(app.head_names[0])
    if not decision["text"].strip():
        return "the message has no words"
    if head is None or head.get("rejected"):
        return "the model does not know what it is about"
    if decision.get("action") in ("none", "ask", "answer"):
        return "there is nothing to tell about it by machine"
    return f"goes to {queue}"
