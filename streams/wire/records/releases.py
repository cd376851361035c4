"""What serves, how it came to serve, and the requests for something better."""

import hashlib
from typing import Any, Literal

from pydantic import Field

from streams.wire.records.base import Wire


class RetrainRequest(Wire):
    """The monitor's wish for a better model. Written to `retrain.requests`, keyed by the application."""

    id: str
    """Names the request: a job that is delivered again finds its own work by it."""
    app: str
    """The application whose model should be trained."""
    reason: str
    """Why, in words."""
    evidence: dict[str, Any] = Field(default_factory=dict)
    """`version`: the release that the request is about; `labels` so far, since `since_ms`; `settled`: on how
    many a second word was given."""
    at: str
    """When, RFC 3339."""


class Step(Wire):
    """What was done to a model's releases, and why."""

    kind: str
    """`champion` (it serves), `rolled_back` (the one before serves again), `canary`, `shadow` (it looks on),
    `trials_ended`, `refused` (the gate let nothing pass), `tried` (the gate looked at one whose release nobody asked
    for), `waiting` (somebody is asked), `rejected` (and said no), `stopped` (it did worse on its way),
    `put_back` (written by earlier versions: two announced at the same moment, and the first one's word stands)."""
    version: str | None = None
    """The version that it is about; of a request that led to none: missing."""
    reason: str = ""
    """Why, in words: the gate's, or a person's."""
    figures: dict[str, Any] = Field(default_factory=dict)
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
    plan: list[Literal["shadow", "canary", "champion"]] = Field(default=["champion"])
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
    set_aside: list[str] = Field(default_factory=list)
    """Versions that were rolled back or turned down, the latest last: only a person lets them serve again."""
