"""What commands do with `model.releases`: say which version serves, and compare a release with what was announced."""

import logging

from connectors.errors import BrokerUnavailable
from connectors.ports import ReleaseRegistry
from headrace.releases.release_log import next_release
from headrace.wiring import Wiring
from models.errors import ConnectorError
from streams.wire.records import Release

log = logging.getLogger(__name__)


def standing_release(wiring: Wiring, model: str) -> Release | None:
    """What stands in `model.releases`. None: nothing of this model, or no embedded broker runs, whose topics are gone
    with it. Raises BrokerUnavailable where Kafka does not answer."""
    try:
        standing = wiring.release_log().standing(model)
    except BrokerUnavailable:
        if wiring.settings.broker == "embedded":
            return None
        raise
    return None if standing is None else standing.release


def hash_to_compare(wiring: Wiring, model: str, version: str) -> str | None:
    """What the manifest must hash to, as it was announced; None where this version never was, or nobody can tell. For
    commands that only read: without a broker they go on, and say that nothing was compared."""
    try:
        release = standing_release(wiring, model)
    except BrokerUnavailable as error:
        log.warning("%s@%s is not compared with what was announced: %s", model, version, error)
        return None
    return None if release is None else release.manifest_sha256.get(version)


def make_champion(
    wiring: Wiring,
    registry: ReleaseRegistry,
    model: str,
    version: str,
    *,
    by: str,
    who: str | None = None,
    accept_altered: bool = False,
) -> bool:
    """Announce that `version` serves, then note it in the registry. Returns whether it was announced: where no embedded
    broker runs it was not, and the next start announces what the registry holds. Raises BrokerUnavailable where Kafka
    does not answer, and then nothing was changed; ReleaseCorrupt, RegistryError."""

    def change(standing: Release | None) -> Release:
        return next_release(registry, model, version, standing, by=by, who=who, accept_altered=accept_altered)

    try:
        announced = bool(wiring.release_log().announce(model, change).release.champion == version)
    except BrokerUnavailable:
        if wiring.settings.broker != "embedded":
            raise
        announced = False
    try:
        registry.promote(model, version)
    except ConnectorError as error:
        if not announced:
            raise
        log.warning("%s@%s was announced and serves, but the registry could not note it: %s", model, version, error)
    return announced
