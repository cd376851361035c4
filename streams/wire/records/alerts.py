"""What is told to people and by them about alerts: silences, deliveries, drift that is expected."""

from typing import Any, Literal

from pydantic import Field

from streams.wire.records.base import Severity, Wire


class Alert(Wire):
    """Something a person should know. Written to `alerts`, keyed by its fingerprint: the same fingerprint resolves what
    it fired."""

    fingerprint: str
    """What the alert is about; one alert is firing of each at a time."""
    rule: str
    """`drift`, `surge`, `release_refused`, `release_waiting`, …"""
    severity: Severity
    """How much it matters."""
    state: Literal["firing", "resolved"]
    """Whether it is still so."""
    summary: str
    """One line for a person."""
    values: dict[str, Any] = Field(default_factory=dict)
    """The figures behind the summary."""
    evidence: list[Any] = Field(default_factory=list)
    """Examples: decisions' ids and what stood in them."""
    at: str
    """When it fired or resolved, RFC 3339."""
    fired_at: str | None = None
    """When this firing began, RFC 3339: tells it from one before and one after; none: its writer does not know."""
    runbook: str | None = None
    """A page that says what to do; none: the application's."""

    @property
    def kind(self) -> str:
        """The rule without what tells several of its kind apart."""
        return self.rule.partition(":")[0]


class Silence(Wire):
    """Alerts that nobody is to be told of for a while, or one that somebody looks after. Written to `alerts.silences`,
    keyed by what it is about: a later record of the key replaces it, one without a value withdraws it."""

    kind: Literal["silence", "acknowledgement"]
    """`silence`: of all alerts that fit, until its time is over; `acknowledgement`: of one, until it is over."""
    fingerprint: str | None = None
    """Only this alert."""
    app: str | None = None
    """Only alerts of this application."""
    rule: str | None = None
    """Only alerts of this rule (`surge:sentiment=negative`) or of rules of this kind (`surge`)."""
    until_ms: int | None = None
    """`silence`: when it ends, milliseconds since 1970."""
    fired_at: str | None = None
    """`acknowledgement`: when the firing began that it is about, where the alert says so."""
    by: str
    """Who says so."""
    because: str = ""
    """Why."""
    at: str
    """When it was said, RFC 3339."""

    @property
    def record_key(self) -> bytes:
        """One for each kind and what it is about."""
        return "|".join((self.kind, self.fingerprint or "", self.app or "", self.rule or "")).encode()

    def fits(self, alert: Alert) -> bool:
        """Whether it is about this alert."""
        return (
            self.fingerprint in (None, alert.fingerprint)
            and self.app in (None, alert.values.get("app"))
            and self.rule in (None, alert.rule, alert.kind)
        )


class Word(Wire):
    """What is being told to a receiver: from here on it may know it."""

    key: str
    """Names the word; a repeat of it has the same."""
    state: Literal["firing", "resolved"]
    """What is told."""
    severity: Severity
    """By which the receiver is to know the cause."""
    fired_at: str
    """When the cause began to fire, RFC 3339."""


class Told(Wire):
    """A receiver has taken an alert, or will never take it; with `telling`, what it had taken before the word that is
    on its way. Written to `alerts.told`, keyed `app|receiver|fingerprint`: a later record of the key replaces it."""

    app: str
    """The application whose alert it is."""
    receiver: str
    """The receiver's name in the application's file."""
    fingerprint: str
    """What the alert is about."""
    key: str
    """Names the word that was told; a repeat of it has the same; empty: none that would stand for a later one."""
    state: Literal["firing", "resolved"]
    """What was told; `resolved` also where nothing was."""
    severity: Severity
    """By which the receiver knows the cause."""
    fired_at: str
    """When the cause began to fire, RFC 3339."""
    at: str
    """When it was told, RFC 3339."""
    refused: str | None = None
    """Why the receiver will not take it."""
    knows_firing: bool | None = None
    """Whether it took an earlier word that the cause fires, though it refused this one."""
    telling: Word | None = None
    """The word that was about to be told when this was written; the record after it says what came of it."""

    @property
    def record_key(self) -> bytes:
        """The last word that a receiver has of a cause."""
        return f"{self.app}|{self.receiver}|{self.fingerprint}".encode()


class AcceptedDrift(Wire):
    """A drift episode that somebody said is to be expected: texts near it count no more. Written to `drift.accepted`,
    keyed `app|fingerprint`; one without a value withdraws it."""

    app: str
    """The application whose episode it is."""
    fingerprint: str
    """Its alert's."""
    name: str
    """What the episode is about."""
    version: str
    """The release whose texts it was seen among."""
    centre: str
    """Where its texts lie together: base64 of float16, as long as an embedding of that release."""
    part_centres: list[str] = Field(default_factory=list)
    """The same of subjects that came with it."""
    from_ms: int
    """Signals whose records were written from then on pass, milliseconds since 1970."""
    until_ms: int | None = None
    """Until then; none: for good."""
    by: str
    """Who says so."""
    at: str
    """When, RFC 3339."""

    @property
    def record_key(self) -> bytes:
        """One for each episode."""
        return f"{self.app}|{self.fingerprint}".encode()

    def holds_at(self, at_ms: int) -> bool:
        """Whether it holds at a time, milliseconds since 1970."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)
