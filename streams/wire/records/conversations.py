"""What is said in a conversation, and whose it is: Headrace's or people's."""

from typing import Literal

from pydantic import Field

from streams.wire.records.base import Wire
from streams.wire.records.decisions import HeadAnswer, KnownSlot

AnswerKind = Literal["template", "question", "retrieved", "hand_over", "person"]
ChangeKind = Literal["taken", "assigned", "answered", "handed_back"]
HeldStep = Literal["handed_over", "taken", "assigned", "answered", "handed_back", "returned", "escalated"]


class SentAnswer(Wire):
    """What a customer is told. Written by dispatchers to `answers.<app>`, keyed by the conversation; whoever brings it
    to the customer keeps to `id`: the same id is the same answer."""

    id: str
    """The decision's id, or the person's change's."""
    app: str
    """The application."""
    conversation: str
    """Whose conversation it is: the decision's `conversation.id`."""
    text: str
    """The words for the customer."""
    kind: AnswerKind
    """`template`: a ready answer; `question`: of a missing value or a choice; `retrieved`: found in the bank of
    answers; `hand_over`: that people go on; `person`: written by one."""
    version: int = Field(ge=0)
    """The conversation's version that it answers."""
    at: str
    """When the decision or the change behind it was made, RFC 3339, UTC."""
    choices: list[str] | None = None
    """Where the question is between two matters: both in words for people."""
    source: str | None = None
    """Where a retrieved answer comes from."""
    confidence: float | None = None
    """How sure a retrieved answer is."""
    by: str | None = None
    """The person who wrote it."""
    place: str
    """Where the decision or the change stands, `topic@epoch-partition-offset`: what was sent already is told by it
    after a restart."""


class Utterance(Wire):
    """One thing that was said in a conversation."""

    by: Literal["customer", "headrace", "person"]
    """Who said it."""
    text: str
    """The words, masked where the application masks."""
    at: str
    """When, RFC 3339, UTC."""
    version: int
    """The conversation's version by then."""
    id: str | None = None
    """The decision about it, or the answer's id."""
    labels: dict[str, HeadAnswer] | None = None
    """Of a customer's: what each head says of it."""
    kind: AnswerKind | None = None
    """Of an answer: which kind."""
    source: str | None = None
    """Where a retrieved answer comes from."""
    person: str | None = None
    """Of a person's: whose."""


class DroppedChange(Wire):
    """A change that came too late, or that somebody else's goes before."""

    id: str
    """The change's."""
    by: str
    """Who wanted it."""
    why: str
    """What stands in its way, in words."""


class HeldConversation(Wire):
    """A conversation that people have, or had. Written by dispatchers to `conversations.<app>`, keyed by its id: a
    later record replaces it, one without a value means that Headrace has it and nothing is left to say."""

    id: str
    """The decisions' `conversation.id`."""
    app: str
    """The application."""
    owner: Literal["people", "headrace"]
    """Who answers. While it is people, nothing automated is sent."""
    step: HeldStep
    """What happened last: `returned` to its queue as its assignee was silent, `escalated` to the next queue of the
    chain; the others by the worker's decision or a person's change."""
    reason: str
    """Why people have it, in words."""
    asked_by: str
    """Who had it so: `headrace`, or a person."""
    at: str
    """When the last step was taken, RFC 3339, UTC."""
    revision: int = Field(ge=1)
    """Counts the steps. A change says which one its person saw."""
    version: int = Field(ge=0)
    """The messages of the customer so far. A change that settles them says how many its person saw."""
    queue: str
    """Whose it is where nobody in particular has it."""
    assignee: str | None = None
    """The person who has it."""
    priority: str | None = None
    """How urgent it is, in the application's words."""
    respond_by: str | None = None
    """By when the customer was promised an answer, RFC 3339, UTC; none: nobody waits, or there is no service level."""
    next_step_ms: int | None = None
    """When it is returned or escalated, milliseconds since 1970, if nobody answers before."""
    steps_taken: int = Field(default=0, ge=0)
    """So much of the chain it has gone up for the message that waits."""
    alerted: bool = False
    """Whether an alert fires as nobody has answered in time."""
    remind_ms: int | None = None
    """When somebody is to be reminded of `respond_by`, milliseconds since 1970; none: nobody is, or was already."""
    reminded: bool = False
    """Whether an alert fires that reminds of it."""
    heard_ms: int | None = None
    """When the customer's last message was decided or a person last did something, milliseconds since 1970; none: as
    `at`."""
    language: str | None = None
    """The customer's language, as in decisions."""
    intent: str | None = None
    """What it is about as the last decision has it (`conversation.intent`): what the customer chose, too."""
    intents: list[HeadAnswer] = Field(default_factory=list)
    """What the messages in `said` are about, each with its probability, oldest first."""
    slots: list[KnownSlot] = Field(default_factory=list)
    """What the customer has given."""
    courses: dict[str, list[str]] = Field(default_factory=dict)
    """Each further head's labels over the messages in `said`, oldest first: how the mood went."""
    said: list[Utterance] = Field(default_factory=list)
    """The last things said, in full, oldest first; those by `headrace` are the answers that were tried."""
    counted_from: int = 0
    """What `version` stood at when the worker began to count anew."""
    decided: str | None = None
    """Where the last decision about it stands: `topic@epoch-partition-offset`."""
    changed: str | None = None
    """The same of the last change that was looked at."""
    change_id: str | None = None
    """The id of the last change that holds."""
    dropped: DroppedChange | None = None
    """The last change that was not taken."""


class ConversationChange(Wire):
    """What a person does with a conversation. Written to `changes.<app>`, keyed by the conversation's id in UTF-8, by
    `headrace conversations` or any other desk."""

    id: str = Field(min_length=1, max_length=200)
    """Its own; the same id is the same change."""
    conversation: str = Field(min_length=1)
    """The decisions' `conversation.id`."""
    kind: ChangeKind
    """`taken`: `by` answers from here on; `assigned`: `assignee` or `queue` does; `answered`: with `text` for the
    customer; `handed_back`: Headrace answers again."""
    by: str = Field(min_length=1, max_length=200)
    """The person."""
    at: str
    """When, RFC 3339, UTC."""
    version: int = Field(ge=0)
    """The conversation's version that the person saw."""
    revision: int = Field(ge=0)
    """Its revision that the person saw; 0: Headrace had it."""
    text: str | None = Field(default=None, max_length=8_000)
    """`answered`: the words for the customer."""
    assignee: str | None = Field(default=None, max_length=200)
    """`assigned`: who is to have it; none: nobody in particular."""
    queue: str | None = Field(default=None, max_length=200)
    """`assigned`: where it goes; none: where it is."""
    because: str | None = Field(default=None, max_length=500)
    """Why, in words."""
