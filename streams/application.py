"""An application: which topic it reads, how a record is shaped, what its heads are called, what a decision leads to.

`[source]` uses JSON pointers (RFC 6901), so other people's records need no change and no Python.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.errors import ConfigError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
Pointer = Annotated[str, StringConstraints(pattern=r"^(/.*)?$")]


class Source(BaseModel):
    """Where text, key and time stand in a record. format "text": the whole value is the text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["json", "text"] = "json"
    text: Pointer = "/text"
    key: Pointer | None = None
    at: Pointer | None = "/at"
    symbols: Pointer | None = None
    user: Pointer = "/user_id"
    item: Pointer = "/item_id"
    action: Pointer = "/action"


class HeadSpec(BaseModel):
    """A question asked of each text; `column` is its label column in the corpus."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    column: str


class Surge(BaseModel):
    """An alert when a label takes too large a share: of `head`, `label` at or above `share` of the last `window`
    texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head: str
    label: str
    share: float = Field(gt=0, le=1)
    window: int = Field(default=100, ge=10)
    by: str | None = None  # group by another head's label, or by "symbols"


class Application(BaseModel):
    """One TOML file. The first head is the primary one: it carries the out-of-scope score and the queue.

    fast_path: whether n-grams may decide where the release says they are sure. cache_texts: answers remembered for
    texts that come again. deadline_seconds: an event taken later than that after its record's time is decided by the
    n-grams alone (when_late "fast", and the decision's extra says headrace_late) or becomes a dead letter with the
    reason "late".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    kind: Literal["classify", "recommend"] = "classify"
    topic: Topic
    partitions: int = Field(default=4, ge=1)
    corpus: Path | None = None
    catalog: Path | None = None
    source: Source = Source()
    heads: tuple[HeadSpec, ...] = ()
    queues: dict[str, str] = {}
    answers: dict[str, str] = {}
    surges: tuple[Surge, ...] = ()
    human_queue: str = "people"
    false_alarm_every: int = Field(default=100_000, ge=1_000)
    priority_topics: tuple[Topic, ...] = ()  # read as well, and decided before what waits from `topic`
    fast_path: Literal["on", "off"] = "on"
    cache_texts: int = Field(default=10_000, ge=0)
    deadline_seconds: float | None = Field(default=None, gt=0)
    when_late: Literal["fast", "deadletter"] = "fast"
    max_dead_letter_share: float = Field(
        default=0.5, gt=0, le=1
    )  # of the last 1,000 events; above it a worker stops; 1: never

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "Application":
        if self.kind == "classify" and not self.heads:
            raise ValueError('a "classify" application needs at least one [[heads]]')
        if self.kind == "recommend" and self.catalog is None:
            raise ValueError('a "recommend" application needs catalog = "items.csv"')
        return self

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of all heads, the primary one first."""
        return tuple(head.name for head in self.heads)

    @property
    def source_topics(self) -> tuple[str, ...]:
        """All topics that it reads."""
        return (self.topic, *self.priority_topics)

    @property
    def trials_topic(self) -> str:
        """Where canaries and shadows say what they would have decided."""
        return f"trials.{self.name}"

    @property
    def decisions_topic(self) -> str:
        """Where decisions of this application go."""
        return f"decisions.{self.name}"

    @property
    def signals_topic(self) -> str:
        """Where what the monitor needs goes; one partition."""
        return f"signals.{self.name}"


def parse_application(text: str, folder: Path, origin: str) -> Application:
    """An application from its TOML text; relative paths in it start at `folder`. Raises ConfigError naming `origin`."""
    try:
        app = Application.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is no valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{origin}: {where}: {first['msg']}") from error
    paths = {name: folder / path for name in ("corpus", "catalog") if (path := getattr(app, name)) is not None}
    return app.model_copy(update=paths)
