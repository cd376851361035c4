"""Maps of items' embeddings (`models.recommendation.adapting`) as releases: loaded, proved, and followed by a worker.

A worker follows `model.releases` and serves what stands there, as one that classifies does. Where nothing was announced
of its application, or what was cannot be had, the embeddings count as the encoder made them.
"""

import logging
import threading
import time
from collections.abc import Callable

from connectors.errors import BrokerUnavailable
from connectors.ports import ReleaseRegistry
from headrace.releases.alerts import ReleaseAlerts
from headrace.releases.announcing import standing_release
from headrace.releases.release_log import next_release
from headrace.wiring import Wiring
from models.encoder.encoder import Encoder
from models.errors import ConfigError, HeadraceError, ModelError
from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.adapting.release import is_map, unpack_map
from streams.classify.release_loading import announced_hash, load_release, proved_manifest
from streams.classify.release_reconciler import Gap
from streams.metrics import Metrics
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_follower import ReleaseFollower

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 30.0  # within which the topic must have been read to its end at a start
TELL_AGAIN_SECONDS = 60.0  # until the alert hears again that a version is refused


def load_map(
    registry: ReleaseRegistry, model: str, version: str, manifest_sha256: str | None, encoder: Encoder | None = None
) -> ItemMap:
    """A proved map. encoder: whose embeddings are to be mapped; None: any. Raises ReleaseCorrupt, ModelError,
    RegistryError."""
    manifest = proved_manifest(registry, model, version, manifest_sha256)
    made_for = None if encoder is None else (encoder.sha256, encoder.dimensions)
    return unpack_map(manifest, registry.blobs_of(manifest), version=version, encoder=made_for)


def prove_release(
    registry: ReleaseRegistry, model: str, version: str, manifest_sha256: str | None, *, threads: int = 0
) -> None:
    """Load a release as whoever serves it does, whatever it is. Raises what keeps it from serving."""
    if is_map(registry.manifest(model, version)):
        load_map(registry, model, version, manifest_sha256)
    else:
        load_release(registry, model, version, manifest_sha256, threads=threads)


def served_map(wiring: Wiring, model: str, encoder: Encoder) -> ItemMap | None:
    """The map that serves, for commands; None: there is none, or it cannot serve, as with a worker (a line of the log
    says why). Raises RegistryError."""
    return map_of(wiring, model, standing_version(wiring, model), encoder)


def map_of(wiring: Wiring, model: str, standing: tuple[str, str | None] | None, encoder: Encoder) -> ItemMap | None:
    """The same of what `standing_version` gave."""
    if standing is None:
        return None
    version, sha256 = standing
    try:
        return load_map(wiring.registry(), model, version, sha256, encoder)
    except ModelError as error:
        log.warning("%s@%s cannot serve, the encoder's own embeddings count: %s", model, version, error)
        return None


def standing_version(wiring: Wiring, model: str) -> tuple[str, str | None] | None:
    """The version that is to serve and its manifest's hash, where that is known: as `model.releases` says, or as the
    registry notes where no broker answers; None: there is none."""
    registry = wiring.registry()
    if model not in registry.models():
        return None
    try:
        release = standing_release(wiring, model)
    except BrokerUnavailable as error:
        log.info("what serves is taken from the registry's note: %s", error)
        release = None
    version = registry.champion(model) if release is None else release.champion
    if version is None:
        return None
    return version, None if release is None else release.manifest_sha256.get(version)


class MapControl:
    """Of one worker of one application: start, wanted, gap, tell_again, close. Also tells metrics and alerts."""

    def __init__(
        self,
        wiring: Wiring,
        registry: ReleaseRegistry,
        model: str,
        encoder: Encoder,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wiring, self._registry, self._model, self._encoder = wiring, registry, model, encoder
        self._metrics, self._clock = metrics, clock
        self._alerts = ReleaseAlerts(wiring.reader, wiring.publisher)
        self._map: ItemMap | None = None
        self._refused: dict[str, str] = {}  # version to reason, of what stands now
        self._tell_at: float | None = None  # when the alert is to hear of it again
        self._telling = threading.Lock()  # one word after the other: an older one must not be the last
        self._gap: tuple[float, str] | None = None  # since when another one serves than is wanted, and why
        self._follower = ReleaseFollower(wiring.reader, self._heard)

    def start(self) -> None:
        """Hear all that stands in the topic; where that is nothing, announce what the registry noted. Raises
        ConfigError where the topic cannot be read, or what stands there not be had for now."""
        self._follower.start()
        if not self._follower.wait_until_current(FOLLOW_SECONDS):
            gap = "" if (missing := self.gap) is None else f" ({missing.words})"
            raise ConfigError(
                f"what {RELEASES_TOPIC} says of {self._model} could not be read and loaded within "
                f"{FOLLOW_SECONDS:.0f} s{gap}; `headrace doctor` tells why"
            )
        noted = self._registry.champion(self._model)
        if self._follower.standing(self._model) is None and noted is not None:
            self._announce(noted)

    def wanted(self) -> ItemMap | None:
        """What serves from the next batch on; None: the embeddings as they are."""
        return self._map

    @property
    def gap(self) -> Gap | None:
        """Why another map serves than is wanted, and for how long; None where it does not."""
        gap = self._gap  # read once: the follower's thread clears it
        return None if gap is None else Gap(gap[1], self._clock() - gap[0])

    def tell_again(self) -> None:
        """Keep the alert about what is refused alive; called now and then, from any thread."""
        with self._telling:
            if self._tell_at is not None and self._clock() >= self._tell_at:
                self._tell()

    def close(self) -> None:
        """Follow no more."""
        self._follower.close()

    def _announce(self, noted: str) -> None:
        def change(standing: Release | None) -> Release:
            return next_release(self._registry, self._model, noted, standing, by="start")

        self._wiring.release_log().announce_if(self._model, None, change)
        deadline = self._clock() + FOLLOW_SECONDS  # the first list is to be made with what stands
        while self._follower.standing(self._model) is None and self._clock() < deadline:
            time.sleep(0.05)

    def _heard(self, release: Release) -> None:
        """In the follower's thread. Where it raises (a registry that does not answer), it is told again in a moment."""
        if release.model != self._model:
            return
        refused = dict[str, str]()
        # at a start the one before serves where the wanted one cannot; later what serves goes on
        for version in (release.champion, *((release.previous,) if self._map is None else ())):
            if version is None or (self._map is not None and self._map.version == version):
                break
            try:
                self._take(release, version)
                break
            except HeadraceError as error:
                self._gap = self._gap or (self._clock(), f"{version} is wanted and not served ({error})")
                if error.retriable:
                    raise
                refused[version] = str(error)
                self._metrics.refused(release.model)
                log.error("release %s@%s refused, %s: %s", release.model, version, self._goes_on(), error)
        if release.champion not in refused:
            self._gap = None
        with self._telling:
            self._refused = refused
            self._tell()

    def _take(self, release: Release, version: str) -> None:
        started = self._clock()
        sha256 = announced_hash(release, version)
        item_map = load_map(self._registry, release.model, version, sha256, self._encoder)
        if version == release.champion:
            self._gap = None  # before it serves: who sees it serve finds no gap beside it
        self._map = item_map
        self._metrics.swapped(release.model)
        log.info("%s@%s, a map of items' embeddings, serves (%.1f s)", release.model, version, self._clock() - started)

    def _goes_on(self) -> str:
        return "the encoder's own embeddings go on" if self._map is None else f"{self._map.version} goes on"

    def _tell(self) -> None:
        """What stands; whoever calls it holds `_telling`."""
        self._metrics.serving(self._model, {} if self._map is None else {"champion": self._map.version})
        self._tell_at = self._clock() + TELL_AGAIN_SECONDS if self._refused else None
        try:
            self._alerts.tell(self._model, self._refused)
        except HeadraceError as error:
            log.warning("what became of %s could not be told: %s; trying again", self._model, error)
            self._tell_at = self._clock() + TELL_AGAIN_SECONDS
