"""The table [stories]: whether each item of a feed is told which story it belongs to, and windows are counted."""

from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints

from streams.application.names import SHAPE

SourceName = Annotated[str, StringConstraints(min_length=1, max_length=512)]
SourceWeight = Annotated[FiniteFloat, Field(ge=0, le=100)]


class Stories(BaseModel):
    """Each item is told which story it belongs to, and how new it is (`docs/stories.md`), and windows of trends are
    counted as items come. The table may be empty."""

    model_config = SHAPE

    cosine: float = Field(default=0.7, gt=0, lt=1)
    """An item joins the story whose items' mean embedding is so near to it or nearer; a little less will do where the
    feed shows that stories told so lately are, and more is asked for otherwise. Lower: fewer and larger stories."""
    window_hours: float = Field(default=24.0, gt=0, le=24 * 31)
    """After so long without an item, of event time, a story is over."""
    late_minutes: float = Field(default=15.0, ge=0, le=24 * 60)
    """For so long after its end a window of trends takes late items in (`docs/trends.md`)."""
    open: int = Field(default=800, ge=10, le=800)
    """Stories that are open at most; the one that was not told for longest makes room."""
    sources: dict[SourceName, SourceWeight] = Field(default={}, max_length=1_000)
    """How much items of a source count in the mean sentiment of trends and in the order of a digest's stories, by the
    source's name, which is the record's key: `{"wire one" = 2, "a blog" = 0.5}`. Others count 1; of 0 the mood says
    nothing. Counts of items and stories are counts all the same."""
