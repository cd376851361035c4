"""What is told of a window of event time."""

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from streams.wire.records.base import Wire


class MeanSentiment(BaseModel):
    """Over stories, between -1 (all negative) and 1."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    mean: FiniteFloat
    """Of the stories' own means."""
    interval: tuple[FiniteFloat, FiniteFloat]
    """95 %, Wilson's."""


class LargestStory(BaseModel):
    """The story with the most items in a window."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    story_id: str
    """The id of the decision on its first item, which may be in a window before."""
    items: int
    """Of it in this window."""
    text: str
    """Of the first of those, its first 240 bytes."""


class TrendWindow(Wire):
    """What a window of event time counts of a topic, a symbol, both or an entity. Written by the monitor to
    `trends.<app>`, keyed by `id`, again whenever it changed; the store keeps the one with the most items."""

    id: str = Field(min_length=1)
    """Of the window and the group, whatever is in it."""
    app: str
    """The application."""
    window: str
    """`5m`, `1h` or `1d`."""
    start: str
    """RFC 3339, UTC."""
    end: str
    """The moment after it."""
    topic: str | None = None
    """A label of the first head."""
    symbol: str | None = None
    """A symbol of the records."""
    entity: str | None = None
    """The name of an entity that the release looks for."""
    items: int = Field(ge=1)
    """That happened in it."""
    stories: int = Field(ge=1)
    """That they tell."""
    late: int = Field(ge=0)
    """Items that were decided after its end."""
    sentiment: MeanSentiment | None = None
    """None of fewer than five stories."""
    insufficient: bool
    """Whether they are too few for a sentiment."""
    largest: LargestStory
    """The story with the most items."""
    is_sample: bool | None = None
    """True where the monitor was not shown all items (`docs/stories.md`)."""
