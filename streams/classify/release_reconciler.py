"""Closes the gap between what `model.releases` says and what a process serves: loads, proves, warms up, swaps.

It looks after every change, after a serving was added, with back-off while something could not be had, and now and
then. Whatever fails, the champion goes on.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import HeadraceError
from streams.classify.reconciliation import Reconciliation, wanted_trials
from streams.classify.release_loading import announced_hash
from streams.classify.serving import ServedRelease, Serving, ServingPlan, Trial
from streams.wire.records import Release

log = logging.getLogger(__name__)

TELL_AGAIN_SECONDS = 5.0  # until an observer that failed hears of the same state again
REFUSED_SECONDS = 60.0  # until it hears again that a version is refused
SERVED_SECONDS = 120.0  # until it hears again that all that is wanted serves: others may be gone that refused it


class Load(Protocol):
    """Loads a release; see `streams.classify.release_loading.load_release`."""

    def __call__(self, model: str, version: str, manifest_sha256: str, encoder: Encoder | None, /) -> Classifier:
        """Raises ReleaseCorrupt, ModelError, RegistryError; whatever is retriable is tried again."""


class ReleaseObserver:
    """What wants to know of releases; does nothing by itself."""

    def swapped(self, release: Release, seconds: float) -> None:
        """Another champion serves; loading and switching took so long."""

    def refused(self, release: Release, version: str, reason: str) -> None:
        """A version is not served and not tried again before the release changes. Told once."""

    def settled(self, model: str, versions: Mapping[str, str], refused: Mapping[str, str]) -> None:
        """What serves now, by role, and what is refused, with the reason. Told after every change and now and then,
        more often while something is refused; what it raises is logged, and the same state is told again later."""


@dataclass(slots=True)
class _Application:
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    serving: Serving | None = None
    gap_since: float | None = None
    told: object = None
    tell_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """What is wanted and not served, in words, and for how long already."""

    words: str
    seconds: float


class ReleaseReconciler:
    """Of all applications of a process. hear and add come from any thread; start, close; `step` is one look."""

    def __init__(
        self,
        load: Load,
        observer: ReleaseObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._observer, self._clock = load, observer or ReleaseObserver(), clock
        self._applications: dict[str, _Application] = {}
        self._lock = threading.RLock()  # of the table; loading, which takes seconds, happens outside
        self._changed, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="release-reconciler", daemon=True)

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._changed.set()

    def hear(self, release: Release) -> None:
        """This state is wanted of its model from now on, whether it is served here (yet) or not."""
        with self._lock:
            self._of(release.model).reconciliation.hear(release)
        self._changed.set()

    def add(self, model: str, serving: Serving) -> None:
        """This serving is to follow what was heard of its model, before or after."""
        with self._lock:
            self._of(model).serving = serving
        self._changed.set()

    def gaps(self) -> dict[str, Gap]:
        """Applications that do not serve what is wanted, as of the last look."""
        now, gaps = self._clock(), {}
        with self._lock:
            for model, application in self._applications.items():
                if application.serving is None:
                    continue
                words = application.reconciliation.gap(application.serving.plan)
                if words is not None and application.gap_since is not None:
                    gaps[model] = Gap(words, now - application.gap_since)
        return gaps

    def step(self) -> float | None:
        """Load what can be loaded, switch, tell. Returns the seconds until the next look; None: not before a change, as
        nothing is served."""
        with self._lock:
            models = [model for model, application in self._applications.items() if application.serving is not None]
        waits = [wait for model in models if (wait := self._reconcile(model)) is not None]
        return min(waits, default=None)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._changed.clear()
            if self._closing.is_set():  # it was closed in between: nobody would wake it again
                return
            try:
                wait = self.step()
            except Exception:
                log.exception("looking after the releases failed; trying again")
                wait = TELL_AGAIN_SECONDS
            self._changed.wait(wait)

    def _of(self, model: str) -> _Application:
        return self._applications.setdefault(model, _Application())

    def _reconcile(self, model: str) -> float | None:
        application = self._applications[model]
        while True:
            with self._lock:
                serving, wanted = application.serving, application.reconciliation.wanted
                if serving is None or wanted is None:
                    return None
                swapped = self._put_in_place(application, serving, wanted)
                version = application.reconciliation.next_version(_loaded(serving.plan), self._clock())
            if swapped:
                self._observer.swapped(wanted, 0.0)  # it was loaded already, as a trial
            if version is None:
                break
            self._attempt(application, serving, wanted, version)
        self._tell(application, serving, wanted)
        with self._lock:
            times = [application.reconciliation.wake_at(_loaded(serving.plan)), application.tell_at or None]
        return min((max(at - self._clock(), 0.0) for at in times if at is not None), default=None)

    def _attempt(self, application: _Application, serving: Serving, wanted: Release, version: str) -> None:
        """Load one version; what comes of it counts only where the release is still the wanted one."""
        started = self._clock()
        try:
            sha256 = announced_hash(wanted, version)
            classifier = self._load(wanted.model, version, sha256, serving.current.encoder)
        except Exception as error:
            # as words: whoever keeps the error would keep its frames, and with them the champion, in memory
            self._note_failure(application, serving, wanted, version, _in_words(error), _is_retriable(error))
            return
        with self._lock:
            if application.reconciliation.wanted != wanted:
                return
            application.reconciliation.succeeded(version)
            swapped = self._put_in_place(application, serving, wanted, ServedRelease(classifier))
        if swapped:
            self._observer.swapped(wanted, self._clock() - started)

    def _note_failure(
        self, application: _Application, serving: Serving, wanted: Release, version: str, reason: str, retriable: bool
    ) -> None:
        with self._lock:
            if application.reconciliation.wanted != wanted:
                return
            application.reconciliation.failed(version, reason, retriable=retriable, now=self._clock())
        outcome = "cannot be had now" if retriable else "refused"
        level = logging.WARNING if retriable else logging.ERROR
        current = serving.current
        log.log(
            level,
            "release %s@%s %s, %s@%s goes on: %s",
            wanted.model,
            version,
            outcome,
            current.model,
            current.version,
            reason,
        )
        if not retriable:
            self._observer.refused(wanted, version, reason)

    def _put_in_place(
        self, application: _Application, serving: Serving, wanted: Release, loaded: ServedRelease | None = None
    ) -> bool:
        """Serve what is wanted as far as it is loaded, and nothing that is not wanted any more but the champion.

        Returns whether the champion changed."""
        plan = serving.plan
        served = {trial.served.classifier.version: trial.served for trial in plan.trials}
        served.setdefault(plan.champion.classifier.version, plan.champion)
        if loaded is not None:
            served[loaded.classifier.version] = loaded
        before = plan.champion.classifier.version
        swapped = wanted.champion != before and wanted.champion in served
        is_compared = swapped or wanted.champion == before  # else with a champion that nobody asked about
        trials = tuple(
            Trial(trial.role, served[trial.version], trial.share, trial.acts, trial.trial if is_compared else "")
            for trial in wanted_trials(wanted)
            if trial.version in served
        )
        if swapped:
            serving.swap(served[wanted.champion].classifier, trials)
            log.info("%s@%s serves, %s@%s is replaced", wanted.model, wanted.champion, wanted.model, before)
        elif trials != plan.trials:
            serving.set_trials(trials)
        if trials != plan.trials:
            for trial in trials:
                log.info(
                    "%s@%s %s as %s (%.0f %% of the keys)",
                    wanted.model,
                    trial.served.classifier.version,
                    "decides" if trial.acts else "looks on",
                    trial.role,
                    100 * trial.share,
                )
        has_gap = application.reconciliation.gap(serving.plan) is not None
        if not has_gap:
            application.gap_since = None
        elif application.gap_since is None:
            application.gap_since = self._clock()
        return swapped

    def _tell(self, application: _Application, serving: Serving, wanted: Release) -> None:
        plan = serving.plan
        versions = {"champion": plan.champion.classifier.version}
        versions |= {trial.role: trial.served.classifier.version for trial in plan.trials}
        with self._lock:
            refused = dict(application.reconciliation.refused)
        if application.told == (versions, refused) and self._clock() < application.tell_at:
            return
        try:
            self._observer.settled(wanted.model, versions, refused)
        except Exception as error:
            log.warning("what became of %s could not be told: %s; trying again", wanted.model, _in_words(error))
            application.tell_at = self._clock() + TELL_AGAIN_SECONDS
        else:
            application.told = versions, refused
            application.tell_at = self._clock() + (REFUSED_SECONDS if refused else SERVED_SECONDS)


def _loaded(plan: ServingPlan) -> set[str]:
    return {plan.champion.classifier.version, *(trial.served.classifier.version for trial in plan.trials)}


def _is_retriable(error: Exception) -> bool:
    """What is not ours (a fault, or the runtime's) comes again with the same file: it is no reason to try again."""
    return isinstance(error, HeadraceError) and error.retriable


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
