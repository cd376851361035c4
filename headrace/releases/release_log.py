"""Models as a process needs them: the encoder, the champion of an application, its announcement, its references."""

import hashlib
import logging
from collections.abc import Iterable

from connectors.errors import TopicMismatch
from connectors.ports import ReleaseRegistry
from headrace.wiring import Wiring
from models.errors import ConnectorError
from streams.topics import RELEASES_TOPIC
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Release, decode, format_time

log = logging.getLogger(__name__)


def announce(
    wiring: Wiring, registry: ReleaseRegistry, model: str, version: str, known: Release | None, *, by: str
) -> Release:
    """Tell everyone through `model.releases` that `version` serves; returns what was told."""
    return tell(wiring, next_release(registry, model, version, known, by=by))


def tell(wiring: Wiring, release: Release) -> Release:
    """Put a model's new state into `model.releases`."""
    publisher = wiring.publisher()
    try:
        publisher.send(RELEASES_TOPIC, release.encode(), release.model.encode())
        publisher.flush()
    finally:
        publisher.close()
    return release


def known_release(wiring: Wiring, model: str) -> Release | None:
    """The state that stands in `model.releases`. Raises BrokerUnavailable; None where nothing was said of the model
    yet."""
    reader = wiring.reader()
    try:
        known = None
        for record in reader.read(RELEASES_TOPIC):
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
        version: hashlib.sha256(registry.manifest(model, version)).hexdigest()
        for version in versions
        if version is not None
    }
