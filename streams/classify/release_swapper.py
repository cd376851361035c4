"""Following `model.releases`: every worker hears of a release by itself, proves it, warms it up and swaps.

The topic carries the whole state of each model, so the last record of a key is all one has to know. The follower reads
from the beginning to the end before its worker joins the group, and on from there, in a thread of its own.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from connectors.ports import ReleaseRegistry
from models.bundle import HalfGraphs, unpack
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import HeadraceError, ReleaseCorrupt
from streams.classify.serving import ServedRelease, Serving, Trial, TrialRole
from streams.wire.records import Release

log = logging.getLogger(__name__)

WARM_UP_TEXTS = ("warm up", "the first batch of a session allocates its buffers, so it must not be a customer's " * 4)
CANARY_SHARE = 0.05  # of the keys, where a release does not say


class Load(Protocol):
    """Loads a release; see `load_release`."""

    def __call__(self, model: str, version: str, manifest_sha256: str | None, encoder: Encoder | None, /) -> Classifier:
        """Raises ReleaseCorrupt, ModelError, RegistryError."""


def load_release(
    registry: ReleaseRegistry,
    model: str,
    version: str,
    manifest_sha256: str | None = None,
    *,
    threads: int = 0,
    device: str = "cpu",
    encoder: Encoder | None = None,
    half: HalfGraphs | None = None,
) -> Classifier:
    """A proved, warm classifier. encoder: one that is loaded already; releases on the same encoder share it, so that
    a swap takes neither its time nor its memory twice. half: gives a GPU the FP16 weights (`models.bundle.unpack`).
    Raises ReleaseCorrupt where a hash or a golden text disagrees, RegistryError."""
    manifest = registry.manifest(model, version)
    found = hashlib.sha256(manifest).hexdigest()
    if manifest_sha256 is not None and found != manifest_sha256:
        raise ReleaseCorrupt(
            f"manifest of {model}@{version} has sha256 {found[:12]}, the release says {manifest_sha256[:12]}: "
            f"the registry was altered; publish the release again"
        )
    classifier = unpack(
        manifest, registry.blob, version=version, threads=threads or None, device=device, encoder=encoder, half=half
    )
    classifier.classify_texts(list(WARM_UP_TEXTS))
    return classifier


class Swapper:
    """Brings a release's state into service: champion, canary and shadow. On any failure the champion goes on, and
    `on_refused` says why.

    load: model, version, the manifest's hash (or None) and an encoder that may be shared; see `load_release`.
    on_swapped: told when another champion serves, with the seconds it took. on_settled: told of every state, by role.
    """

    def __init__(
        self,
        serving: Serving,
        load: Load,
        on_swapped: Callable[[Release, float], None] = lambda release, seconds: None,
        on_refused: Callable[[Release, str, HeadraceError], None] = lambda release, version, error: None,
        on_settled: Callable[[str, Mapping[str, str]], None] = lambda model, versions: None,
    ) -> None:
        self._serving, self._load = serving, load
        self._on_swapped, self._on_refused, self._on_settled = on_swapped, on_refused, on_settled

    def __call__(self, release: Release) -> None:
        """Load, verify, warm up, switch; then see to the trials."""
        self._swap(release)
        self._try_out(release)
        plan = self._serving.plan
        trials: dict[str, str] = {trial.role: trial.served.classifier.version for trial in plan.trials}
        self._on_settled(release.model, {"champion": plan.champion.classifier.version, **trials})

    def _swap(self, release: Release) -> None:
        if release.champion == self._serving.current.version:
            return
        started = time.monotonic()
        trial = self._on_trial(release.champion)
        classifier = trial.classifier if trial is not None else self._loaded(release, release.champion)
        if classifier is None:
            return
        replaced = self._serving.swap(classifier).version
        seconds = time.monotonic() - started
        log.info(
            "%s@%s serves, %s@%s is replaced (%.1f s)",
            release.model,
            release.champion,
            release.model,
            replaced,
            seconds,
        )
        self._on_swapped(release, seconds)

    def _try_out(self, release: Release) -> None:
        wanted: list[tuple[TrialRole, str, float]] = []
        if release.canary is not None:
            wanted.append(("canary", release.canary, release.share or CANARY_SHARE))
        if release.shadow is not None:
            wanted.append(("shadow", release.shadow, 1.0))
        trials = []
        for role, version, share in wanted:
            served = self._on_trial(version)
            if served is None and (classifier := self._loaded(release, version)) is not None:
                served = ServedRelease(classifier)
            if served is not None:
                log.info("%s@%s looks on as %s (%.0f %% of the keys)", release.model, version, role, 100 * share)
                trials.append(Trial(role, served, share))
        self._serving.set_trials(tuple(trials))

    def _on_trial(self, version: str) -> ServedRelease | None:
        """A release that is loaded already because it looks on."""
        return next(
            (trial.served for trial in self._serving.plan.trials if trial.served.classifier.version == version), None
        )

    def _loaded(self, release: Release, version: str) -> Classifier | None:
        current = self._serving.current
        try:
            return self._load(release.model, version, release.manifest_sha256.get(version), current.encoder)
        except HeadraceError as error:
            # as words: a handler that keeps records would keep the error's frames, and with them the champion, in
            # memory
            log.error(
                "release %s@%s refused, %s@%s goes on: %s",
                release.model,
                version,
                current.model,
                current.version,
                str(error),
            )
            self._on_refused(release, version, error)
            return None
