"""What `model.releases` holds while a version is on its way to serve: it is proposed, goes on step by step, or ends."""

from collections.abc import Callable, Mapping
from typing import Any

from connectors.errors import TopicMismatch
from connectors.ports import ReleaseRegistry
from headrace.releases.looks import COMPARED_WITH
from headrace.releases.release_log import ReleaseLog, manifest_hashes, next_release, set_aside
from models.errors import ConfigError
from streams.clock import wall_clock_ms
from streams.release_watch.settings import ReleaseSettings
from streams.wire.records import Candidate, Release, Step, format_time


def proposed(
    registry: ReleaseRegistry,
    version: str,
    standing: Release,
    settings: ReleaseSettings,
    *,
    reason: str,
    request: str | None = None,
    by: str = "retrainer",
) -> Release:
    """The state once a challenger passed the gate: it serves, or is a candidate, in place of one that was. reason: the
    gate's words. by: what trained it. Raises ReleaseCorrupt, RegistryError."""
    candidate = Candidate(
        version=version,
        compared_with=standing.champion,
        stage="waiting",
        plan=list(settings.steps),
        share=settings.share if "canary" in settings.steps else None,
        since=format_time(wall_clock_ms()),
        reason=reason,
        request=request,
    )
    figures = {COMPARED_WITH: standing.champion}
    if settings.approval != "ask":
        return gone_on(registry, standing, candidate, by=by, reason=reason, figures=figures)
    reason = _with_what_is_replaced(standing, version, reason)
    step = Step(kind="waiting", version=version, reason=reason, figures=figures, request=request)
    return _changed(registry, standing, candidate, step, by)


def gone_on(
    registry: ReleaseRegistry,
    standing: Release,
    candidate: Candidate,
    *,
    by: str,
    who: str | None = None,
    reason: str = "",
    figures: Mapping[str, Any] | None = None,
) -> Release:
    """The state once a candidate has taken the next step of its plan. Raises ReleaseCorrupt, RegistryError."""
    stage, version = candidate.plan[0], candidate.version
    if stage == "champion":
        return next_release(
            registry,
            standing.model,
            version,
            standing,
            by=by,
            who=who,
            request=candidate.request,
            reason=reason,
            figures=figures,
        )
    changes = {"stage": stage, "plan": candidate.plan[1:], "since": format_time(wall_clock_ms())}
    entered = candidate.model_copy(update=changes | {"approved_by": who or candidate.approved_by})
    reason = _with_what_is_replaced(standing, version, reason)
    step = _step(candidate, stage, reason, who, figures)
    return _changed(registry, _without_trials_of(standing), entered, step, by)


def given_up(
    standing: Release,
    candidate: Candidate,
    *,
    by: str,
    kind: str = "rejected",
    who: str | None = None,
    reason: str = "",
    figures: Mapping[str, Any] | None = None,
) -> Release:
    """The state without its candidate, which is not tried again by itself."""
    return _without_trials_of(standing).model_copy(
        update={
            "candidate": None,
            "set_aside": set_aside(standing, candidate.version),
            "revision": standing.revision + 1,
            "step": _step(candidate, kind, reason, who, figures),
            "by": by,
            "at": format_time(wall_clock_ms()),
        }
    )


def change_candidate(
    log: ReleaseLog, model: str, version: str, change: Callable[[Release, Candidate], Release]
) -> Release:
    """Let a person's word on a candidate stand, unless another state came in between. Raises ConfigError saying what
    stands instead, BrokerUnavailable."""
    standing = log.standing(model)
    if standing is None:
        raise ConfigError(f"nothing of {model} was announced yet")
    candidate = standing.release.candidate
    if candidate is None or candidate.version != version or candidate.compared_with != standing.release.champion:
        raise ConfigError(f"{model}@{version} is not on its way to serve: {_on_its_way(standing.release)}")
    wanted = change(standing.release, candidate)
    announced = log.announce_if(model, standing, lambda _: wanted)
    if announced.release.step != wanted.step or announced.release.at != wanted.at:
        raise TopicMismatch(f"what stands of {model} changed at the same moment; look (`headrace models history`)")
    return announced.release


def _on_its_way(release: Release) -> str:
    candidate = release.candidate
    if candidate is not None and candidate.compared_with != release.champion:
        return (
            f"it was compared with {candidate.compared_with}, and {release.champion} serves; `headrace models promote "
            f"{release.model}@{candidate.version}` lets it serve all the same"
        )
    if candidate is not None:
        return f"{release.model}@{candidate.version} is ({candidate.stage})"
    return (
        f"{release.champion} serves, and no version is (one that is ends with the champion that it was compared with: "
        f"`headrace models history {release.model}`)"
    )


def _step(candidate: Candidate, kind: str, reason: str, who: str | None, figures: Mapping[str, Any] | None) -> Step:
    """With the candidate's request: that of the state is its champion's."""
    figures = dict(figures or {})
    return Step(
        kind=kind, version=candidate.version, reason=reason, who=who, figures=figures, request=candidate.request
    )


def _with_what_is_replaced(standing: Release, version: str, reason: str) -> str:
    """The words of a step; where it ends another candidate's way, they say so."""
    replaced = standing.candidate
    if replaced is None or replaced.version == version:
        return reason
    return "; ".join(filter(None, (reason, f"{replaced.version}, which was {replaced.stage}, is given up for it")))


def _without_trials_of(standing: Release) -> Release:
    """The state without what its candidate was on trial as; what people try out by hand goes on."""
    version = None if standing.candidate is None else standing.candidate.version
    changes: dict[str, Any] = {}
    if version is not None and standing.shadow == version:
        changes["shadow"] = None
    if version is not None and standing.canary == version:
        changes |= {"canary": None, "share": None, "canary_acts": None}
    return standing.model_copy(update=changes)


def _on_trial(candidate: Candidate) -> dict[str, Any]:
    if candidate.stage == "shadow":
        return {"shadow": candidate.version}
    if candidate.stage == "canary":
        return {"canary": candidate.version, "share": candidate.share, "canary_acts": True}
    return {}


def _changed(registry: ReleaseRegistry, standing: Release, candidate: Candidate, step: Step, by: str) -> Release:
    versions = [standing.champion, candidate.version]
    return standing.model_copy(
        update={
            **_on_trial(candidate),
            "candidate": candidate,
            "manifest_sha256": manifest_hashes(registry, standing.model, versions, standing.manifest_sha256),
            "revision": standing.revision + 1,
            "step": step,
            "by": by,
            "at": format_time(wall_clock_ms()),
        }
    )
