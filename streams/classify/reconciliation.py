"""What has to happen so that an application serves what `model.releases` says: a pure core, without thread or clock.

Wanted and served are compared, never events counted: what is heard too early, or fails, is still wanted at the next
look. A version that is corrupt is not tried again until the release changes; one that cannot be had now is, with
back-off.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from streams.classify.serving import ServingPlan, TrialRole
from streams.wire.records import Release

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 5.0  # one small read of a manifest each time
CANARY_SHARE = 0.05  # of the keys, where a release does not say


@dataclass(frozen=True, slots=True)
class WantedTrial:
    """A release that shall decide beside the champion, or in its place where it `acts`, on `share` of the keys. trial:
    see streams.wire.records.Candidate; empty: somebody tries it out by hand."""

    role: TrialRole
    version: str
    share: float
    acts: bool = False
    trial: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version is not served. retry_at: when it is tried again; None: not before the release changes."""

    reason: str
    retry_at: float | None
    failures: int = 1


def wanted_trials(release: Release) -> tuple[WantedTrial, ...]:
    """The trials that a release asks for, the canary first."""
    trials: list[WantedTrial] = []
    if release.canary is not None:
        share, acts = release.share or CANARY_SHARE, bool(release.canary_acts)
        trials.append(WantedTrial("canary", release.canary, share, acts, _trial_of(release, "canary", release.canary)))
    if release.shadow is not None:
        trials.append(WantedTrial("shadow", release.shadow, 1.0, trial=_trial_of(release, "shadow", release.shadow)))
    return tuple(trials)


def _trial_of(release: Release, role: TrialRole, version: str) -> str:
    candidate = release.candidate
    return candidate.trial if candidate is not None and (candidate.stage, candidate.version) == (role, version) else ""


class Reconciliation:
    """Of one application: the latest release heard, and what became of the attempts to serve it."""

    def __init__(self) -> None:
        self.wanted: Release | None = None
        self._refusals: dict[str, Refusal] = {}

    def hear(self, release: Release) -> None:
        """This is wanted from now on. A release that changed gives every version a new chance."""
        if release != self.wanted:
            self.wanted = release
            self._refusals.clear()

    @property
    def refused(self) -> Mapping[str, str]:
        """Versions that are not tried again for this release, with the reason."""
        return {version: refusal.reason for version, refusal in self._refusals.items() if refusal.retry_at is None}

    def next_version(self, loaded: Collection[str], now: float) -> str | None:
        """The version to load next: the champion before the trials. loaded: versions that are in service already."""
        return next((version for version in self._missing(loaded) if self._may_try(version, now)), None)

    def wake_at(self, loaded: Collection[str]) -> float | None:
        """When a version that failed is to be tried again, at the earliest."""
        times = [refusal.retry_at for v in self._missing(loaded) if (refusal := self._refusals.get(v)) is not None]
        return min((at for at in times if at is not None), default=None)

    def succeeded(self, version: str) -> None:
        """A version was loaded."""
        self._refusals.pop(version, None)

    def failed(self, version: str, reason: str, *, retriable: bool, now: float) -> None:
        """A version could not be loaded."""
        before = self._refusals.get(version)
        failures = 1 if before is None else before.failures + 1
        pause = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16), LAST_RETRY_SECONDS)
        self._refusals[version] = Refusal(reason, now + pause if retriable else None, failures)

    def gap(self, plan: ServingPlan) -> str | None:
        """In words, in what the served plan differs from what is wanted; None where it does not."""
        if self.wanted is None:
            return None
        differences = []
        if plan.champion.classifier.version != self.wanted.champion:
            differences.append(
                f"{self._named(self.wanted.champion)} is wanted, {plan.champion.classifier.version} serves"
            )
        served = {(trial.role, trial.served.classifier.version, trial.share, trial.acts) for trial in plan.trials}
        wanted = {(trial.role, trial.version, trial.share, trial.acts) for trial in wanted_trials(self.wanted)}
        differences += [f"{role} {self._named(version)} is wanted" for role, version, *_ in sorted(wanted - served)]
        differences += [f"{role} {version} is not wanted any more" for role, version, *_ in sorted(served - wanted)]
        return "; ".join(differences) or None

    def _missing(self, loaded: Collection[str]) -> list[str]:
        if self.wanted is None:
            return []
        wanted = [self.wanted.champion, *(trial.version for trial in wanted_trials(self.wanted))]
        return [version for version in dict.fromkeys(wanted) if version not in loaded]

    def _may_try(self, version: str, now: float) -> bool:
        refusal = self._refusals.get(version)
        return refusal is None or (refusal.retry_at is not None and refusal.retry_at <= now)

    def _named(self, version: str) -> str:
        refusal = self._refusals.get(version)
        return version if refusal is None else f"{version} ({refusal.reason})"
