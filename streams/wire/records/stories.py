"""What is told of a decided item beside its decision: the story that it tells."""

from pydantic import Field, FiniteFloat

from streams.wire.records.base import Wire


class StoryTold(Wire):
    """Which story an item tells. Written by the monitor to `stories.<app>`, keyed by `id`; the store puts it beside the
    item's decision, and keeps the first one of an id."""

    id: str = Field(min_length=1)
    """Of the item's decision."""
    app: str
    """The application."""
    at: str
    """When the item happened, as in its decision."""
    story_id: str = Field(min_length=1)
    """The id of the decision on the story's first item."""
    novelty: FiniteFloat = Field(ge=0, le=1)
    """1 less the cosine to what the nearest open story says; 0 for a near copy, 1 where nothing was like it."""
    nth: int = Field(ge=1)
    """The how-many-eth item of its story this is."""
