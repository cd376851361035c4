"""What `headrace models approve` and `reject` do: a person's word on a version that is on its way to serve."""

import logging

from headrace.output import print_json
from headrace.releases.candidates import change_candidate, given_up, gone_on
from headrace.releases.item_maps import prove_release
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import say
from headrace.wiring import Wiring
from models.errors import ConfigError, ConnectorError
from streams.wire.records import Candidate, Release

log = logging.getLogger(__name__)


def approve_model(name: str, *, who: str, reason: str, json: bool) -> None:
    """Let the version that waits take its next step. Raises ConfigError where it does not wait, ReleaseCorrupt,
    BrokerUnavailable."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, version = split_name(_with_version(name), registry)

    def change(standing: Release, candidate: Candidate) -> Release:
        if candidate.stage != "waiting":
            raise ConfigError(f"{model}@{version} does not wait: it is {candidate.stage}")
        announced = standing.manifest_sha256.get(version)
        # a release that does not load must not be announced
        prove_release(registry, model, version, announced, threads=wiring.settings.threads)
        return gone_on(registry, standing, candidate, by="approve", who=who, reason=reason)

    release = change_candidate(wiring.release_log(), model, version, change)
    if release.champion == version:
        try:
            registry.promote(model, version)
        except ConnectorError as error:
            log.warning("%s@%s serves, but the registry could not note it: %s", model, version, error)
    _tell(release, version, json)


def reject_model(name: str, *, who: str, reason: str, json: bool) -> None:
    """End the way of a version, whatever step it is at. Raises ConfigError where it is on none, BrokerUnavailable."""
    wiring = Wiring(load_settings())
    model, version = split_name(_with_version(name), wiring.registry())

    def change(standing: Release, candidate: Candidate) -> Release:
        return given_up(standing, candidate, by="reject", who=who, reason=reason)

    _tell(change_candidate(wiring.release_log(), model, version, change), version, json)


def _with_version(name: str) -> str:
    if "@" not in name:
        raise ConfigError(f"which version of {name}? Say {name}@VERSION (headrace models list)")
    return name


def _tell(release: Release, version: str, json: bool) -> None:
    candidate = release.candidate
    if json:
        stage = None if candidate is None else candidate.stage
        return print_json({"model": release.model, "champion": release.champion, "version": version, "stage": stage})
    if candidate is not None:
        return say(f"{release.model}@{version} goes on as {candidate.stage}; {release.model}@{release.champion} serves")
    if release.champion == version:
        return say(f"{release.model}@{version} is the champion; running workers have been told")
    return say(f"{release.model}@{version} goes no further; {release.model}@{release.champion} serves")
