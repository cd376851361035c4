"""What a worker answers to an event."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from models.errors import MessageError
from streams.wire.records.base import Wire, json_object

_TEXT_FIELDS: Final = ("id", "model", "version", "at", "decided_at", "text")
_UTC: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", re.ASCII)


class LabelAnswer(Wire):
    """One of several labels that a head gives."""

    label: str
    """The label."""
    probability: float = Field(ge=0, le=1)
    """The calibrated probability that the text has it."""


class HeadAnswer(Wire):
    """What one head says in a decision."""

    label: str
    """The most probable label. Of a head that gives several: these in order, `|` between them; `none` where it gives
    none."""
    probability: float = Field(ge=0, le=1)
    """Its calibrated probability; of several labels, that they are right as a whole."""
    labels: list[LabelAnswer] | None = None
    """Of a head that may give several labels (`docs/models/several_labels.md`): each by itself, the most probable
    first. Empty where it gives none."""
    oos_score: float | None = None
    """Primary head only: how far the text is from what the model knows; higher is farther."""
    rejected: bool | None = None
    """Primary head only: the score passed the release's threshold; the label is a guess and does not act."""


class PictureAnswer(Wire):
    """What is said of the picture beside a text: a label, or a fault."""

    label: str | None = None
    """The most probable label."""
    probability: float | None = Field(default=None, ge=0, le=1)
    """Its calibrated probability."""
    fault: str | None = None
    """What was wrong with the picture, such as `picture_too_large` (`docs/models/pictures.md`)."""
    detail: str | None = None
    """The same in words."""


class FusionAnswer(Wire):
    """How a label came about that text and picture decide together. The label itself stands under `labels`."""

    head: str
    """The head that a picture has a say in."""
    decided_by: Literal["text", "picture", "both"]
    """Whose label it is: the text's and not the picture's, the picture's and not the text's, or both's (and where it is
    neither's). `text` where there is no picture, a bad one, or the text is rejected."""
    text_label: str
    """What the text alone says."""
    text_probability: float = Field(ge=0, le=1)
    """Its calibrated probability."""


class EntityAnswer(Wire):
    """What a text says of one company or other thing that it names."""

    id: str
    """The entity, as the application's list of names calls it; `found:` and the name in small letters where no list
    holds it."""
    name: str
    """Its usual name; as it is written where no list holds it."""
    span: tuple[int, int]
    """Where its first mention stands in `text`: from which character up to which, the latter not included."""
    sentiment: str
    """What is said of it: a label of the application's corpus of entities."""
    probability: float = Field(ge=0, le=1)
    """Its calibrated probability."""
    relevance: float | None = Field(default=None, ge=0, le=1)
    """How much the text is about it (`docs/models/entities.md#how-much-a-text-is-about-each`): 1 where its headline
    names nothing else. Of all entities of a text together 1 at most. Absent of decisions of before it was told."""
    found: Literal["tagger"] | None = None
    """What found a name that is not in the list; absent of a listed one."""
    span_probability: float | None = Field(default=None, ge=0, le=1)
    """How probable it is that exactly there a name stands, calibrated; absent of a listed one."""


class SlotValue(Wire):
    """A value that a text gives."""

    name: str
    """The table `[slots.NAME]` that looks for it."""
    value: str
    """What it stands for, written in one way: a day as `2026-11-30`, an amount as `1299.00 EUR`, a name's id."""
    text: str
    """As it was written."""
    span: tuple[int, int]
    """Where it stands in the decision's `text`: from which character up to which, the latter not included."""


class Question(Wire):
    """What is asked of the one who wrote, in words for people."""

    text: str
    """The words, from the application's file."""
    slot: str | None = None
    """The value that is missing."""
    choices: list[str] | None = None
    """Where it may be about either of two matters: both in words for people."""


class GivenAnswer(Wire):
    """What the one who wrote is answered."""

    text: str
    """The words."""
    label: str | None = None
    """Of a ready answer: the label that it belongs to, in the table `[answers]`."""
    id: str | None = None
    """Of an answer from the bank: its entry."""
    question: str | None = None
    """The entry's question."""
    source: str | None = None
    """Where the entry comes from, where somebody said so."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """How sure the bank is of it (`docs/answers.md`)."""


class KnownSlot(Wire):
    """A value that was given in a conversation."""

    name: str
    """The table `[slots.NAME]`."""
    value: str
    """As in the decision's `slots`; of several the newest."""
    version: int = Field(ge=1)
    """With which message of the conversation it was given."""


class ConversationAnswer(Wire):
    """The conversation as it is after this message (`docs/conversations.md`)."""

    id: str
    """The decision's `key`."""
    version: int = Field(ge=1)
    """How many messages of it were decided, this one included. Whoever changes something in a conversation says which
    version they saw: what is older than that must not overwrite it."""
    contact: int = Field(ge=1)
    """After a long silence the next contact begins; the first is 1."""
    turn: int = Field(ge=1)
    """Which message of this contact it is; the first is 1."""
    first_at: str
    """When the contact's first message was written, RFC 3339, UTC."""
    last_at: str
    """The same of its newest one."""
    language: str | None = None
    """A language tag (BCP 47), or `und-` and a script."""
    intent: str | None = None
    """What this message is about, a label of the first head; where it answers a question, what that was asked for.
    None: the model does not know."""
    intents: tuple[str, ...] = ()
    """What this contact is about, newest last, five at most."""
    slots: tuple[KnownSlot, ...] = ()
    """What was given in this contact."""
    asked: tuple[str, ...] = ()
    """Slots that were asked for in this contact, once for each time; `?`: which of two matters it is about."""
    waits_for: str | None = None
    """The slot that the next message is expected to give, or `?`."""
    offered: tuple[str, ...] = ()
    """Where it waits for a choice: the labels of both, in the order of the question."""
    escalated: str | None = None
    """Why people are to look at it: the reason of a rule of `[[escalations]]`."""


class RankedItem(Wire):
    """One item of a recommendation, best first."""

    item_id: str
    """The item, as the catalogue names it."""
    score: float
    """Log-odds up to a constant: comparable within one list only."""
    why: Literal["again", "together", "like", "popular", "exploration"] | None = None
    """`again`: the user touched it lately; `together`: users who touched `because` touched it as well; `like`: it reads
    like `because`; `popular`: others touch it now; `exploration`: it was drawn."""
    because: str | None = None
    """The user's own item that speaks for it most."""
    propensity: float | None = Field(default=None, ge=0, le=1)
    """Of a drawn item: the probability that it was drawn with."""
    segment: str | None = None
    """Of a popular item: the user's segment in which it is popular above all, such as `country=FR`."""


class Decision(Wire):
    """What was decided for one source event. Written by workers to `decisions.<app>` (and `trials.<app>`), keyed as the
    source record; the store keeps the first one of an id. Workers write it as plain JSON for speed; this is its
    schema."""

    id: str
    """Names the source event: `topic@epoch-partition-offset`; epoch tells a topic from one of that name made again."""
    app: str
    """The application that decided."""
    model: str
    """The model's name."""
    version: str
    """The release that decided."""
    path: Literal["fast", "full"]
    """`fast`: n-grams alone were sure; `full`: the encoder was asked."""
    at: str
    """The event's own time, RFC 3339, UTC."""
    decided_at: str
    """When it was decided, RFC 3339, UTC."""
    latency_ms: int = Field(ge=0)
    """From the source record's time to the decision, in milliseconds."""
    labels: dict[str, HeadAnswer]
    """Each head's answer by the head's name; none of a message without words."""
    picture: PictureAnswer | None = None
    """Where the record had a picture: what it shows."""
    fusion: FusionAnswer | None = None
    """Where the application has pictures and the release decides by both together: which of them decided."""
    entities: list[EntityAnswer] | None = None
    """Where the release looks for entities (`docs/models/entities.md`): those that `text` names, by first mention."""
    slots: list[SlotValue] | None = None
    """Where the application has `[slots]` (`docs/slots.md`): what `text` gives, in its order."""
    ask: Question | None = None
    """Where the action is `ask`: what is asked."""
    answer: GivenAnswer | None = None
    """Where the application has `[answer_bank]`: what is answered. The action is `answer` where it comes from the bank;
    a ready answer leaves it as it is."""
    bank: str | None = None
    """Where the bank of answers was asked: which one, by the first 16 digits of the hash of its entries."""
    conversation: ConversationAnswer | None = None
    """Where the application has `[conversations]` and the event belongs to one."""
    items: list[RankedItem] | None = None
    """`recommend` only: the ranked list; empty, and the action `none`, where `[recommend] lists_for` asks for none."""
    action: str
    """`queue:<name>`, `human` (rejected, and no queues are configured), `ask`, `answer`, `recommend`, or `none`."""
    priority: str | None = None
    """Where the application has a table `[priority]`: how urgent it is, in the table's words (`docs/routing.md`)."""
    respond_by: str | None = None
    """Where its queue has a service level: by when somebody is to answer, RFC 3339, UTC."""
    text: str
    """The text, cut at 8 kB."""
    key: str | None
    """What the event belongs to, as text."""
    extra: dict[str, Any]
    """Fields of the source record that are kept, and marks of Headrace's own, whose names start with `headrace_`."""
    role: Literal["canary", "shadow"] | None = None
    """In `trials.<app>` only: what the release was on trial as."""


def read_decision(value: bytes | None) -> dict[str, Any]:
    """A decision as it stands in its topic, in which anybody may have written. What readers rely on is checked (see
    `decision_fault`); all else stays as it is. By hand, as up to 300,000 are read at once. Raises MessageError."""
    document = json_object(value, "decision")
    if fault := decision_fault(document):
        raise MessageError("bad_record", f"no decision: {fault}")
    return document


def decision_fault(document: Mapping[str, Any]) -> str | None:
    """Why no worker has written this, or None: its id, text, release and times are texts, and each head's answer is a
    label with its probability."""
    for name in _TEXT_FIELDS:
        if not isinstance(document.get(name), str):
            return f"{name} is missing or no text"
    if not (_UTC.fullmatch(document["at"]) and _UTC.fullmatch(document["decided_at"])):
        return "at or decided_at is no RFC 3339 time in UTC"
    labels = document.get("labels")
    if not isinstance(labels, dict):
        return "labels is missing or no object"
    for head, answer in labels.items():
        if not isinstance(answer, dict) or not isinstance(answer.get("label"), str):
            return f"labels.{head:.60} has no label"
        probability = answer.get("probability")
        if not isinstance(probability, int | float) or isinstance(probability, bool) or not 0 <= probability <= 1:
            return f"labels.{head:.60} has no probability from 0 to 1"
    return None
