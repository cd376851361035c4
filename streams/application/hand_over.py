"""The table `[hand_over]`: what customers are told, and when a conversation is people's."""

from pydantic import BaseModel, Field, model_validator

from streams.application.names import SHAPE, Queue


class HandOver(BaseModel):
    """With it the dispatcher sends answers, and hands over to people and back (`docs/hand_over.md`)."""

    model_config = SHAPE

    says: str = Field(default="", max_length=2_000)
    """What a customer is told when people take over, such as `"A colleague will answer you."`; empty: nothing."""
    answers_alone: tuple[str, ...] = ()
    """Labels of the first head that their ready answer in `[answers]` settles: it is sent, and nobody is handed over.
    `{NAME}` in it becomes the value of `[slots.NAME]`; where that is not known, people take over."""
    turns: int = Field(default=20, ge=2, le=50)
    """So many of the last things said are shown to people, in full."""
    chain: tuple[Queue, ...] = ()
    """Queues to which a conversation goes, one after the other, that nobody answers in time."""
    step_minutes: float = Field(default=30, gt=0, le=60 * 24 * 31)
    """So long each of the chain has, counted while its queue is open. An assignee has it too, after whom the
    conversation returns to its queue."""
    remind_minutes: float | None = Field(default=None, gt=0, le=60 * 24 * 31)
    """So long before `respond_by` an alert reminds of who is still to be answered; of a promise of less than twice
    that, halfway. None: nobody is reminded."""

    quiet_days: float = Field(default=30, gt=0, le=366)
    """After so long without a word of the customer or a step of a person, and nothing due any more, a conversation that
    people have is Headrace's again, answered or not: it would be remembered for ever."""

    @model_validator(mode="after")
    def _chain_ends(self) -> "HandOver":
        twice = next((queue for queue in self.chain if self.chain.count(queue) > 1), None)
        if twice is not None:
            raise ValueError(f"chain: {twice!r} stands twice; each step is taken once")
        return self
