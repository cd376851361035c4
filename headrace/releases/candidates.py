"""What `model.releases` holds while a version is on its way to serve: it is proposed, goes on step by step, or ends."""

from collections.abc import Callable

from connectors.errors import TopicMismatch
from connectors.ports import ReleaseRegistry
from headrace.releases.release_log import ReleaseLog, manifest_hashes, next_release, set_aside
from models.errors import ConfigError
from streams.release_watch.settings import ReleaseSettings
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Candidate, Release, Step, format_time


def proposed(
    registry: ReleaseRegistry,
    version: str,
    standing: Release,
    settings: ReleaseSettings,
    *,
    reason: str,
    request: str | None = None,
) -> Release:
    """The state once a challenger passed the gate: it serves, or is a candidate, in place of one that was. reason: the
    gate's words. Raises ReleaseCorrupt, RegistryError."""
    candidate = Candidate(
        version=version,
        compared_with=standing.champion,
        stage="waiting",
        since=format_time(wall_clock_ms()),
        reason=reason,
        request=request,
    )
    if settings.approval != "ask":
        return gone_on(registry, standing, candidate, by="retrainer", reason=reason)
    if (replaced := standing.candidate) is not None:
        reason = f"{reason}; {replaced.version}, which was {replaced.stage}, is given up for it"
    return _changed(registry, standing, candidate, Step(kind="waiting", version=version, reason=reason), "retrainer")


def gone_on(
    registry: ReleaseRegistry,
    standing: Release,
    candidate: Candidate,
    *,
    by: str,
    who: str | None = None,
    reason: str = "",
) -> Release:
    """The state once a candidate has taken the next step of its plan. Raises ReleaseCorrupt, RegistryError."""
    return next_release(
        registry,
        standing.model,
        candidate.version,
        standing,
        by=by,
        who=who,
        request=candidate.request,
        reason=reason,
    )


def given_up(standing: Release, candidate: Candidate, *, by: str, who: str | None = None, reason: str = "") -> Release:
    """The state without its candidate, which is not tried again by itself."""
    return standing.model_copy(
        update={
            "candidate": None,
            "set_aside": set_aside(standing, candidate.version),
            "revision": standing.revision + 1,
            "step": Step(kind="rejected", version=candidate.version, reason=reason, who=who),
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


def _changed(registry: ReleaseRegistry, standing: Release, candidate: Candidate, step: Step, by: str) -> Release:
    versions = [standing.champion, candidate.version]
    return standing.model_copy(
        update={
            "candidate": candidate,
            "manifest_sha256": manifest_hashes(registry, standing.model, versions, standing.manifest_sha256),
            "revision": standing.revision + 1,
            "step": step,
            "by": by,
            "at": format_time(wall_clock_ms()),
            "request": standing.request,
        }
    )
