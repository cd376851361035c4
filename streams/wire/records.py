"""What travels in the topics: one schema each, JSON in UTF-8, validated where it enters.

`SourceReader` is the gate for other people's records: it gives a text or raises MessageError, never anything else.
"""

import functools
import hashlib
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import MessageError


class Wire(BaseModel):
    """Base of our own records: unknown fields are kept, so that newer writers do not break older readers."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    def encode(self) -> bytes:
        """As it stands in the topic."""
        return orjson.dumps(self.model_dump(exclude_none=True))


W = TypeVar("W", bound=Wire)
Severity = Literal["info", "warning", "critical"]


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


class Feedback(Wire):
    """What a person (or a system that knows) says a decision should have been. Written to `feedback.labels`, keyed
    `decision_id|head|by`: a later record of the key replaces it, one without a value withdraws it."""

    decision_id: str
    """The decision's `id`."""
    head: str
    """The head that the label is for."""
    label: str
    """The right label."""
    by: str
    """Who says so."""
    at: str
    """When, RFC 3339."""
    introduces: bool | None = None
    """Whether the label is meant to be new; else one that the model does not know trains only once ten texts and two
    people stand behind it."""
    chosen: Literal["random", "queue", "correction", "import"] | None = None
    """How the decision came to be labelled: `random` (drawn whatever was decided), `queue` (asked for, as worth
    knowing), `correction` (somebody noticed it), `import` (labelled elsewhere); none: written before this was noted.
    Only `random` can say how often decisions are right."""
    probability: float | None = Field(default=None, gt=0, le=1)
    """`random` only: how probable it was that this decision was drawn."""
    stratum: Literal["episode"] | None = None
    """`random` only: the part of the stream that it was drawn from, more densely than from the rest. Such labels
    compare releases and say nothing of how often decisions are right; none: all of the stream."""
    confirms: bool | None = None
    """Whether the giver was told that the label is doubted, and means it. It counts where nobody else labels, or
    hardly anybody; else a second person's word is wanted."""
    decided: str | None = None
    """The label that the decision had; none: written before this was noted."""

    @property
    def is_of_the_stream(self) -> bool:
        """Whether it was drawn from all decisions: only such labels say how often decisions are right."""
        return self.chosen == "random" and self.stratum is None

    @property
    def key(self) -> bytes:
        """One opinion per decision, head and person."""
        return f"{self.decision_id}|{self.head}|{self.by}".encode()


class Lease(Wire):
    """A person looks at a decision to label it; nobody else is given it meanwhile. Written to `labels.leases`, keyed by
    the decision: of those whose time is not over, the first one's counts."""

    decision_id: str
    """The decision's `id`."""
    by: str
    """Who looks at it."""
    until_ms: int
    """When it ends, milliseconds since 1970; 0: given back."""


class Doubts(Wire):
    """Labels that do not count yet, of which a second person should say what they think. Written to `labels.doubts` by
    each training, keyed by the application: what the last one wrote stands."""

    app: str
    """Whose decisions they are of."""
    request: str
    """The `id` of the request that was trained for."""
    at: str
    """When, RFC 3339."""
    labels: list[dict[str, Any]] = []
    """Each: `decision_id`, `head`, `label`, `by` (a list: who says so), `reason` (`contested`, `relabelling`,
    `unlikely`, `over the cap`) and, where the texts say so, the label `instead`; those that matter most first."""


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
    values: dict[str, Any] = {}
    """The figures behind the summary."""
    evidence: list[Any] = []
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


class Told(Wire):
    """A receiver has taken an alert, or will never take it. Written to `alerts.told`, keyed
    `app|receiver|fingerprint`: a later record of the key replaces it."""

    app: str
    """The application whose alert it is."""
    receiver: str
    """The receiver's name in the application's file."""
    fingerprint: str
    """What the alert is about."""
    key: str
    """Names the word that was told; a repeat of it has the same."""
    state: Literal["firing", "resolved"]
    """What was told."""
    severity: Severity
    """By which the receiver knows the cause."""
    fired_at: str
    """When the cause began to fire, RFC 3339."""
    at: str
    """When it was told, RFC 3339."""
    refused: str | None = None
    """Why the receiver will not take it."""

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
    part_centres: list[str] = []
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


class RetrainRequest(Wire):
    """The monitor's wish for a better model. Written to `retrain.requests`, keyed by the application."""

    id: str
    """Names the request: a job that is delivered again finds its own work by it."""
    app: str
    """The application whose model should be trained."""
    reason: str
    """Why, in words."""
    evidence: dict[str, Any] = {}
    """`version`: the release that the request is about; `labels` so far, since `since_ms`; `settled`: on how
    many a second word was given."""
    at: str
    """When, RFC 3339."""


class Step(Wire):
    """What was done to a model's releases, and why."""

    kind: str
    """`champion` (it serves), `rolled_back` (the one before serves again), `canary`, `shadow` (it looks on),
    `trials_ended`, `refused` (the gate let nothing pass), `waiting` (somebody is asked), `rejected` (and said no),
    `stopped` (it did worse on its way),
    `put_back` (written by earlier versions: two announced at the same moment, and the first one's word stands)."""
    version: str | None = None
    """The version that it is about; of a request that led to none: missing."""
    reason: str = ""
    """Why, in words: the gate's, or a person's."""
    figures: dict[str, Any] = {}
    """What the words stand on."""
    who: str | None = None
    """The person behind it, where there was one."""
    request: str | None = None
    """The id of the retrain request that led to the version; none: the state's own."""


class ReleaseStep(Step):
    """A step of a model's releases, kept for good. Written to `model.releases.history`, keyed by what it is about, so
    that a step that is written again stands there once."""

    model: str
    """The model's name."""
    revision: int | None = None
    """Of the state in `model.releases` that it led to; none: nothing was changed."""
    by: str
    """What did it: as `by` in that state."""
    at: str
    """When, RFC 3339."""


class Candidate(Wire):
    """A version that passed the gate and is on its way to serve. It ends with the champion that it was compared
    with."""

    version: str
    """The version."""
    compared_with: str
    """The champion that the gate compared it with."""
    stage: Literal["waiting", "shadow", "canary"]
    """How far it is; `waiting`: somebody is asked (`headrace models approve`)."""
    plan: list[Literal["shadow", "canary", "champion"]] = ["champion"]
    """The steps that are left after this one."""
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the keys, that it decides as a canary."""
    since: str
    """When the stage began, RFC 3339."""
    reason: str = ""
    """The gate's words."""
    request: str | None = None
    """The id of the retrain request that led to it."""
    approved_by: str | None = None
    """Who let it go on."""

    @property
    def trial(self) -> str:
        """Names this stage of this candidate: what the same version did at another time, or while somebody tried it
        out by hand, is no part of it."""
        return hashlib.sha256("\x1f".join((self.version, self.stage, self.since)).encode()).hexdigest()[:8]


class Release(Wire):
    """The whole state of a model: which version serves, which one it took over from, and which ones are on trial (see
    streams.classify.serving.Trial). Written to `model.releases`, keyed by the model."""

    model: str
    """The model's name: its application's."""
    champion: str
    """The version that decides."""
    champion_since: str | None = None
    """When the champion began to serve, RFC 3339: steps that leave it in place keep this; none: written before this was
    noted."""
    previous: str | None = None
    """The champion before this one, to which a rollback goes back."""
    canary: str | None = None
    """A version that decides a share of the keys as well, into `trials.<app>`, without acting; or, where `canary_acts`,
    in the champion's place."""
    canary_acts: bool | None = None
    """Whether what the canary decides acts: those keys are not the champion's."""
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the keys, that the canary decides."""
    shadow: str | None = None
    """A version that decides every event as well, into `trials.<app>`, without acting."""
    revision: int
    """Grows by one with every change; for people: the order of records in the topic decides."""
    manifest_sha256: dict[str, str]
    """What the manifest of each version named here must hash to."""
    by: str
    """What changed it: start, train, promote, rollback, try, retrainer, approve, reject or watch."""
    at: str
    """When, RFC 3339."""
    request: str | None = None
    """The id of the retrain request that led to the champion."""
    step: Step | None = None
    """What changed with this record, and why; none: written before this was noted."""
    candidate: Candidate | None = None
    """The version that is on its way to serve."""
    set_aside: list[str] = []
    """Versions that were rolled back or turned down, the latest last: only a person lets them serve again."""


def decode(kind: type[W], value: bytes | None) -> W:
    """One of our own records from its bytes. Raises MessageError."""
    try:
        return kind.model_validate(orjson.loads(value or b""))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise MessageError("bad_record", f"no valid {kind.__name__}: {str(error).splitlines()[0]}") from error


def decision_id(topic: str, epoch: str, partition: int, offset: int) -> str:
    """Names the source event; epoch tells a topic from one of the same name made again."""
    return f"{topic}@{epoch}-{partition}-{offset}"


def format_time(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    second, millisecond = divmod(at_ms, 1000)
    return f"{_format_second(second)}.{millisecond:03d}Z"


@functools.lru_cache(4_096)  # the texts of a batch come from a few seconds
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
