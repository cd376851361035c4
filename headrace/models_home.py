"""Models as a process needs them: the encoder, the champion of an application, its announcement, its references."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from connectors.encoder_files import EncoderSource, half_graph_of, load_encoder, locate_encoder
from connectors.errors import TopicMismatch
from connectors.ports import ReleaseRegistry
from headrace.wiring import Wiring
from models.bundle import HalfGraphs, read_reference
from models.encoder.encoder import Encoder
from models.errors import ConfigError, ConnectorError, ModelError
from retrain.progress import Progress, no_progress
from streams.application import Application
from streams.outcomes import wall_clock_ms
from streams.records import Release, decode, format_time
from streams.topics import RELEASES

log = logging.getLogger(__name__)


def default_encoder(wiring: Wiring) -> Encoder:
    """The configured encoder, built once and cached."""
    settings = wiring.settings
    return load_encoder(encoder_source(wiring), cache=settings.cache.expanduser(), threads=settings.threads or None)


def encoder_source(wiring: Wiring) -> EncoderSource:
    """The configured encoder's files: a folder's, or those of the package that carries the default one."""
    folder = Path(wiring.settings.encoder).expanduser()
    cache = wiring.settings.cache.expanduser()
    if folder.is_dir():
        return locate_encoder(folder.name, folder=folder, cache=cache)
    return locate_encoder(wiring.settings.encoder, cache=cache)


def half_graphs(wiring: Wiring) -> HalfGraphs:
    """Where a GPU gets the FP16 weights of a release that carries none: from the configured encoder, if it is that one.

    Without its files a warning says so and the answer is None: the release then serves in INT8 on the CPU.
    """

    def find(int8_sha256: str) -> bytes | None:
        try:
            return half_graph_of(int8_sha256, encoder_source(wiring), cache=wiring.settings.cache.expanduser())
        except (ConnectorError, ModelError) as error:
            log.warning("no FP16 weights can be made: %s", error)
            return None

    return find


def champion_or_first(wiring: Wiring, registry: ReleaseRegistry, app: Application, progress: Progress = no_progress) -> str:
    """The version to serve; where there is none, one is trained from the application's own corpus."""
    version = registry.champion(app.name)
    if version is not None:
        return version
    if app.corpus is None or not app.corpus.is_file():
        raise ConfigError(f"there is no model {app.name} and no corpus to train one: run `headrace train APP --data FILE --register`")
    from headrace.training import TrainingOrder, train_and_register

    log.info("no model %s in the registry yet: training one from %s", app.name, app.corpus.name)
    report = train_and_register(wiring, registry, app, TrainingOrder(data=app.corpus), progress)
    return str(report["version"])


def announce(wiring: Wiring, registry: ReleaseRegistry, model: str, version: str, known: Release | None, *, by: str) -> Release:
    """Tell everyone through `model.releases` that `version` serves; returns what was told."""
    return tell(wiring, next_release(registry, model, version, known, by=by))


def tell(wiring: Wiring, release: Release) -> Release:
    """Put a model's new state into `model.releases`."""
    publisher = wiring.publisher()
    try:
        publisher.send(RELEASES, release.encode(), release.model.encode())
        publisher.flush()
    finally:
        publisher.close()
    return release


def known_release(wiring: Wiring, model: str) -> Release | None:
    """The state that stands in `model.releases`. Raises BrokerUnavailable; None where nothing was said of the model yet."""
    reader = wiring.reader()
    try:
        known = None
        for record in reader.read(RELEASES):
            if record.key == model.encode() and record.value is not None:
                known = decode(Release, record.value)
        return known
    except TopicMismatch:
        return None
    finally:
        reader.close()


def announce_if_up(wiring: Wiring, registry: ReleaseRegistry, model: str, version: str, *, by: str = "promote") -> bool:
    """Announce a promotion where a broker answers; without one the next start reads it from the registry."""
    try:
        announce(wiring, registry, model, version, known_release(wiring, model), by=by)
    except ConnectorError:
        return False
    return True


def next_release(registry: ReleaseRegistry, model: str, version: str, known: Release | None, *, by: str) -> Release:
    """The whole state after `version` became champion; trials end with it."""
    return Release(
        model=model,
        champion=version,
        previous=known.champion if known is not None else None,
        revision=known.revision + 1 if known is not None else 1,
        manifest_sha256=manifest_hashes(registry, model, [version]),
        by=by,
        at=format_time(wall_clock_ms()),
    )


def manifest_hashes(registry: ReleaseRegistry, model: str, versions: Iterable[str | None]) -> dict[str, str]:
    """What the manifests of these versions must hash to; None among them is left out."""
    return {
        version: hashlib.sha256(registry.manifest(model, version)).hexdigest() for version in versions if version is not None
    }


def release_reference(registry: ReleaseRegistry, model: str, version: str) -> dict[str, NDArray[Any]]:
    """The arrays that drift monitors compare with."""
    return read_reference(registry.manifest(model, version), registry.blob)
