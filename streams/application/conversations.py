"""The tables `[conversations]` and `[[escalations]]`: what is remembered of a conversation, and when people are to look
at one."""

from pydantic import BaseModel, Field, model_validator

from streams.application.names import SHAPE, Name, Queue

MOST_TURNS = 20  # whose labels are remembered


class Conversations(BaseModel):
    """Messages with the same `[source] key` are one conversation (`docs/conversations.md`)."""

    model_config = SHAPE

    silence_minutes: float = Field(default=24 * 60, gt=0, le=366 * 24 * 60)
    """After so long without a message, by the events' own times, the next one begins a new contact: values that were
    given before are not taken over."""
    window_records: int = Field(default=5_000, ge=100, le=100_000)
    """A conversation is forgotten when so many later records have come in its partition. So much is read again when a
    worker starts, and so many conversations are in memory for each partition at most."""
    ask_again: int = Field(default=1, ge=0, le=5)
    """How often a missing value is asked for again. Then the text goes where it would have gone."""


class Choices(BaseModel):
    """What is asked where a message may be about either of two matters (`docs/conversations.md`)."""

    model_config = SHAPE

    ask: str = Field(min_length=1)
    """The words, with `{first}` and `{second}` for the two titles: `"Is it {first} or {second}?"`."""
    titles: dict[str, str] = Field(min_length=2)
    """The table `[choices.titles]`: label of the first head to words for people. Between labels without a title
    nobody is asked to choose."""
    margin: float = Field(default=0.2, gt=0, lt=1)
    """The most by which the two labels' probabilities may differ."""
    together: float = Field(default=0.6, gt=0, le=1)
    """The least that they come to together: where more than two are likely, none of two may be right."""

    @model_validator(mode="after")
    def _both_titles_are_said(self) -> "Choices":
        if any(self.ask.count(place) != 1 for place in ("{first}", "{second}")):
            raise ValueError("ask needs {first} and {second}, once each, where the titles are to stand")
        if any(not title.strip() for title in self.titles.values()):
            raise ValueError("titles: a title needs words")
        titles = list(self.titles.values())
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            raise ValueError(f"titles: two labels are {twice!r}: nobody could choose between them")
        return self


class Escalation(BaseModel):
    """When a conversation goes to people: all that a rule names must hold. It stays with them for this contact."""

    model_config = SHAPE

    reason: str = Field(min_length=1, max_length=200)
    """Why, in words for people; the decision carries it."""
    head: Name | None = None
    """With `label`: what a head says of its messages, such as head `tone` and label `angry`."""
    label: str | None = None
    """The label."""
    rejected: bool = False
    """In place of a label: messages that the model does not know."""
    times: int = Field(default=1, ge=1, le=MOST_TURNS)
    """So many messages of the last `within` must say so."""
    within: int = Field(default=5, ge=1, le=MOST_TURNS)
    """Messages of this contact, the newest ones."""
    contacts: int | None = Field(default=None, ge=2)
    """From this contact of the conversation on: somebody who writes again and again."""
    turns: int | None = Field(default=None, ge=2)
    """From this message of the contact on."""
    queue: Queue | None = None
    """Where it goes; unset: `human_queue`."""
    priority: str | None = None
    """How urgent it becomes; unset: as the table `[priority]` has it."""

    @model_validator(mode="after")
    def _names_something_that_can_happen(self) -> "Escalation":
        if (self.head is None) != (self.label is None):
            raise ValueError("head and label belong together: which head says what")
        if self.rejected and self.head is not None:
            raise ValueError("a rule counts labels or rejected messages: leave out one of them")
        if not self.counts_messages and self.contacts is None and self.turns is None:
            raise ValueError("a rule needs head and label, rejected, contacts or turns")
        if self.counts_messages and self.times > self.within:
            raise ValueError(f"times = {self.times} of the last within = {self.within} messages never happens")
        return self

    @property
    def counts_messages(self) -> bool:
        """Whether it looks at what was decided about messages."""
        return self.rejected or self.head is not None
