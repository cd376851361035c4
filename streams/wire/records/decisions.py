"""What a worker answers to an event."""

from typing import Any, Literal

from pydantic import Field

from streams.wire.records.base import Wire


class HeadAnswer(Wire):
    """What one head says in a decision."""

    label: str
    """The most probable label."""
    probability: float = Field(ge=0, le=1)
    """Its calibrated probability."""
    oos_score: float | None = None
    """Primary head only: how far the text is from what the model knows; higher is farther."""
    rejected: bool | None = None
    """Primary head only: the score passed the release's threshold; the label is a guess and does not act."""


class RankedItem(Wire):
    """One item of a recommendation, best first."""

    item_id: str
    """The item, as the catalogue names it."""
    score: float
    """Its share of the model's attention, 0 to 1; comparable within one list only."""


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
    """Each head's answer by the head's name."""
    items: list[RankedItem] | None = None
    """`recommend` only: the ranked list."""
    action: str
    """`queue:<name>`, `human` (rejected, and no queues are configured), `recommend`, or `none`."""
    text: str
    """The text, cut at 8 kB."""
    key: str | None
    """What the event belongs to, as text."""
    extra: dict[str, Any]
    """Fields of the source record that are kept, and marks of Headrace's own, whose names start with `headrace_`."""
    role: Literal["canary", "shadow"] | None = None
    """In `trials.<app>` only: what the release was on trial as."""
