"""What a worker process does about releases: it follows `model.releases`, and serves what stands there.

A start announces something only where the topic has nothing of a model.
"""

import logging
import time
from collections.abc import Callable, Mapping

from connectors.ports import ReleaseRegistry
from headrace.releases.alerts import ReleaseAlerts
from headrace.releases.encoders import half_graphs
from headrace.releases.item_maps import MapControl
from headrace.releases.release_log import next_release
from headrace.training.first_release import settle_first_release, train_first
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ConfigError, HeadraceError, ModelError
from retrain.progress import Progress
from streams.application import Application, labels_without_use
from streams.classify.release_loading import announced_hash, load_release
from streams.classify.release_reconciler import ReleaseObserver, ReleaseReconciler
from streams.classify.serving import Serving
from streams.metrics import Metrics
from streams.recommend.handler import WantedMap
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_follower import ReleaseFollower

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 30.0  # within which the topic must have been read to its end at a start
START_SECONDS = 60.0  # for which a start tries again to load what a registry does not hand over now
RETRY_SECONDS = 1.0
UNREADY_SECONDS = 30.0  # for which another release than the wanted one may serve before the process is not ready


class ReleaseControl(ReleaseObserver):
    """Of one process. start, serve (an application at a time), close. Also tells metrics and alerts."""

    def __init__(
        self, wiring: Wiring, registry: ReleaseRegistry, metrics: Metrics, on_swapped: Callable[[Release, float], None]
    ) -> None:
        self._wiring, self._registry, self._metrics, self._on_swapped = wiring, registry, metrics, on_swapped
        self._apps: dict[str, Application] = {}
        self._shared_encoder: Encoder | None = None  # of all applications that stand on the same one
        self._alerts = ReleaseAlerts(wiring.reader, wiring.publisher)
        self._reconciler = ReleaseReconciler(self._load, self)
        self._maps: dict[str, MapControl] = {}
        self._follower = ReleaseFollower(wiring.reader, self._reconciler.hear, settle=wiring.release_log().settle)
        metrics.follow_releases(self.gap_seconds, self._unread_seconds)

    def start(self) -> None:
        """Hear all that stands in the topic. Raises ConfigError where that takes too long."""
        self._follower.start()
        if not self._follower.wait_until_current(FOLLOW_SECONDS):
            raise ConfigError(
                f"{RELEASES_TOPIC} could not be read to its end within {FOLLOW_SECONDS:.0f} s; `headrace doctor` tells "
                f"why"
            )
        self._reconciler.start()

    def serve(self, app: Application, progress: Progress) -> Serving:
        """The application's wanted release, loaded, proved and warm; it follows the topic from here on.

        Where nothing was announced of it yet, the registry's champion is, or the first release, which one process
        trains. Where the wanted release cannot be served, the one before it is. Raises what keeps both from serving.
        """
        self._apps[app.name] = app
        if self._follower.standing(app.name) is None:
            self._announce_first(app, progress)
        release = self._standing(app.name)
        # stories are told by embeddings, of a text that comes again as well
        has_stories = app.stories is not None
        serving = Serving(self._first_that_loads(release), app.cache_texts, keeps_embeddings=has_stories)
        self._metrics.release(app.name, serving.current.version)
        log.info("%s@%s serves", app.name, serving.current.version)
        self._reconciler.add(app.name, serving)  # which has heard what was announced while this one was loading
        return serving

    def serve_map(self, app: Application, encoder: Encoder) -> WantedMap:
        """What says which map of this encoder's embeddings is wanted of an application that ranks items, from here on.
        Raises ConfigError where `model.releases` cannot be read, or what stands there not be had for now."""
        control = self._maps[app.name] = MapControl(self._wiring, self._registry, app.name, encoder, self._metrics)
        control.start()
        return control.wanted

    def tell_again(self) -> None:
        """Say once more what is refused of maps, where a minute has passed; called now and then."""
        for control in list(self._maps.values()):
            control.tell_again()

    def not_ready(self) -> list[str]:
        """Why this process should not be counted on, in words."""
        reasons = [
            f"{model}: {gap.words}, for {gap.seconds:.0f} s"
            for model, gap in sorted(self._reconciler.gaps().items())
            if gap.seconds > UNREADY_SECONDS
        ]
        trouble = self._follower.trouble()
        if trouble is not None and trouble[0] > UNREADY_SECONDS:
            reasons.append(f"{RELEASES_TOPIC} could not be read for {trouble[0]:.0f} s: {trouble[1]}")
        return reasons + [
            f"{model}: {gap.words}, for {gap.seconds:.0f} s"
            for model, control in sorted(self._maps.items())
            if (gap := control.gap) is not None and gap.seconds > UNREADY_SECONDS
        ]

    def gap_seconds(self) -> dict[str, float]:
        """For how long each application has not served what is wanted; 0 where it does."""
        maps = [(model, control.gap) for model, control in list(self._maps.items())]  # a start adds to them
        of_maps = {model: 0.0 if gap is None else gap.seconds for model, gap in maps}
        classify = {model: gap.seconds for model, gap in self._reconciler.gaps().items()}
        return dict.fromkeys(self._apps, 0.0) | of_maps | classify

    def close(self) -> None:
        """Follow no more."""
        self._follower.close()
        self._reconciler.close()
        for control in self._maps.values():
            control.close()

    def swapped(self, release: Release, seconds: float) -> None:
        """See ReleaseObserver."""
        self._metrics.swapped(release.model)
        self._on_swapped(release, seconds)

    def refused(self, release: Release, version: str, reason: str) -> None:
        """See ReleaseObserver."""
        self._metrics.refused(release.model)

    def settled(self, model: str, versions: Mapping[str, str], refused: Mapping[str, str]) -> None:
        """See ReleaseObserver."""
        self._metrics.serving(model, versions)
        self._alerts.tell(model, refused)

    def _unread_seconds(self) -> float:
        trouble = self._follower.trouble()
        return 0.0 if trouble is None else trouble[0]

    def _announce_first(self, app: Application, progress: Progress) -> None:
        """Have something of this model stand in the topic: another process's word, or ours."""

        def is_settled() -> bool:
            return self._follower.standing(app.name) is not None or self._registry.champion(app.name) is not None

        settle_first_release(
            self._registry,
            app,
            train=lambda: train_first(self._wiring, self._registry, app, progress),
            is_settled=is_settled,
            settle=lambda version: self._announce_if_first(app.name, version),
        )
        if self._follower.standing(app.name) is None and (champion := self._registry.champion(app.name)) is not None:
            self._announce_if_first(app.name, champion)

    def _announce_if_first(self, model: str, version: str) -> None:
        def change(standing: Release | None) -> Release:
            return next_release(self._registry, model, version, standing, by="start")

        announced = self._wiring.release_log().announce_if(model, None, change)
        self._registry.promote(model, announced.release.champion)

    def _standing(self, model: str) -> Release:
        """What stands in the topic: heard, or, a moment after we announced it, read."""
        announced = self._follower.standing(model) or self._wiring.release_log().standing(model)
        if announced is None:
            raise ConfigError(f"{RELEASES_TOPIC} holds nothing of {model}, though it was announced; start again")
        return announced.release

    def _first_that_loads(self, release: Release) -> Classifier:
        """The wanted champion; where that one is corrupt or gone, the one before it, so that a bad release cannot take
        down whoever restarts. The reconciler goes on to tell why."""
        failure: HeadraceError | None = None
        for version in (release.champion, release.previous):
            if version is None:
                continue
            try:
                return self._load_patiently(release, version)
            except HeadraceError as error:
                if error.retriable:
                    raise
                log.error("release %s@%s cannot serve: %s", release.model, version, error)
                failure = failure or error
        assert failure is not None
        raise failure

    def _load_patiently(self, release: Release, version: str) -> Classifier:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._load(release.model, version, announced_hash(release, version), None)
            except HeadraceError as error:
                if not error.retriable or time.monotonic() > deadline:
                    raise
                log.warning("release %s@%s cannot be had now: %s; trying again", release.model, version, error)
            time.sleep(RETRY_SECONDS)

    def _load(self, model: str, version: str, manifest_sha256: str, encoder: Encoder | None) -> Classifier:
        settings = self._wiring.settings
        shared = encoder or self._shared_encoder
        classifier = load_release(
            self._registry,
            model,
            version,
            manifest_sha256,
            threads=settings.threads,
            device=settings.device,
            encoder=shared,
            half=half_graphs(self._wiring),
        )
        self._check_heads(self._apps[model], classifier)
        self._shared_encoder = classifier.encoder
        return classifier

    def _check_heads(self, app: Application, classifier: Classifier) -> None:
        unknown = [head for head in classifier.heads if head not in app.head_names]
        if unknown:
            raise ModelError(
                f"{app.name}@{classifier.version} has heads {unknown} that the application does not name; train it "
                f"again"
            )
        for wrong in labels_without_use(app, {name: head.labels for name, head in classifier.heads.items()}):
            log.warning("%s: %s", app.given_as, wrong)
