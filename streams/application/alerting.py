"""The tables `[[surges]]`, `[drift]` and `[[receivers]]`: what is told, and to whom."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from streams.application.names import SHAPE, Name
from streams.signal_specs import USUAL_SIGNALS, DriftSignal


class Surge(BaseModel):
    """An alert when a label takes too large a share of the last texts."""

    model_config = SHAPE

    head: str
    """The head that gives the label."""
    label: str
    """The label to watch."""
    share: float = Field(gt=0, le=1)
    """The share, 0 to 1, of the last `window` texts at which the alert fires."""
    window: int = Field(default=100, ge=10)
    """How many texts are looked at."""
    by: str | None = None
    """Count apart for each label of this other head, for each of the record's `symbols`, or for each of the `entities`
    that a text names: then the label is what it says of that one."""
    relevance_min: float | None = Field(default=None, ge=0, le=1)
    """With `by = "entities"`: how much a text must be about an entity to count here; default: that of
    the table `[entities]`."""


class Drift(BaseModel):
    """How much a drift episode weighs, by what it costs (`docs/drift.md`)."""

    model_config = SHAPE

    note_below_errors_per_hour: float = Field(default=1.0, ge=0)
    """An episode that is estimated to cost fewer wrong decisions an hour in addition is a note (severity `info`)."""
    critical_from_errors_per_hour: float = Field(default=100.0, gt=0)
    """One that costs so many or more is `critical`; in between it is a `warning`."""
    signals: tuple[DriftSignal, ...] = USUAL_SIGNALS
    """The tables `[[drift.signals]]`: what is watched beside the embeddings, each by a change detector; `[]`: nothing.
    Default: length, language, unknown_share, duplicates, confidence and out_of_scope by `ranks`, errors
    and agreement by `share`."""

    @model_validator(mode="after")
    def _signals_have_names_of_their_own(self) -> "Drift":
        titles = [signal.title for signal in self.signals]
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            raise ValueError(f"two [[drift.signals]] are called {twice!r}: give each a name of its own")
        return self


class ReceiverSpec(BaseModel):
    """Who is told of this application's alerts (`docs/alerts.md`)."""

    model_config = SHAPE

    name: Name
    """What it is called in logs, metrics and `alerts.told`."""
    kind: Literal["log", "webhook", "alertmanager", "slack", "email"]
    """How it is told."""
    url: str = ""
    """`webhook`, `alertmanager`: where it is."""
    url_file: Path | None = None
    """`slack`, `webhook`: a file that holds the URL, where that is a secret; relative to this file."""
    secret_file: Path | None = None
    """`webhook`: a file that holds what both sides sign with."""
    server: str = ""
    """`email`: `host:port` of the mail server."""
    tls: Literal["starttls", "tls", "off"] = "starttls"
    """`email`: how the connection is encrypted; `off` only to a host that HEADRACE_ALERT_HOSTS names."""
    user: str = ""
    """`email`: who signs in."""
    password_file: Path | None = None
    """`email`: a file that holds the password."""
    sender: str = ""
    """`email`: from whom."""
    recipients: tuple[str, ...] = ()
    """`email`: to whom."""
    least: Literal["info", "warning", "critical"] = "warning"
    """Alerts of less weight are not told."""
    rules: tuple[str, ...] = ()
    """Only alerts of these rules (`drift`, `surge`, `release_refused`, …) are told; empty: all."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "ReceiverSpec":
        needed = {
            "webhook": bool(self.url) != (self.url_file is not None),
            "alertmanager": bool(self.url),
            "slack": self.url_file is not None,
            "email": bool(self.server and self.sender and self.recipients),
        }
        wanted = {
            "webhook": "url or url_file",
            "alertmanager": "url",
            "slack": "url_file (the URL is a secret)",
            "email": "server, sender and recipients",
        }
        if not needed.get(self.kind, True):
            raise ValueError(f"a receiver of kind {self.kind!r} needs {wanted[self.kind]}")
        return self
