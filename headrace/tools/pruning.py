"""What `headrace models prune` does: room is made in the registry, and nothing that anybody refers to goes."""

from connectors.ports import ReleaseRegistry
from connectors.registry.pruning import Garbage
from headrace.output import print_json
from headrace.releases.announcing import standing_release
from headrace.settings import load_settings
from headrace.terminal import say
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import number_of
from streams.wire.records import Release


def prune_models(name: str | None, *, keep: int, yes: bool, json: bool) -> None:
    """List what can go, or with `yes` remove it. Raises BrokerUnavailable where Kafka does not answer: which versions
    serve is then not known."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    models = _models(registry, name)
    garbage = registry.garbage({model: in_use(standing_release(wiring, model)) for model in models}, keep)
    if yes:
        registry.remove(garbage)
    if json:
        return print_json(_as_json(garbage, removed=yes))
    for model, version in garbage.versions:
        say(f"{model}@{version}")
    say(
        f"{'removed' if yes else 'would go'}: {len(garbage.versions)} versions, "
        f"{number_of(len(garbage.blobs), 'file')} "
        f"({garbage.bytes / 1e6:.1f} MB), {len(garbage.leftovers)} left by publishers that died"
        + ("" if yes else "; --yes removes them")
    )
    return None


def in_use(release: Release | None) -> set[str]:
    """The versions that serve, are tried, or are gone back to."""
    if release is None:
        return set()
    candidate = None if release.candidate is None else release.candidate.version
    named = (release.champion, release.previous, release.canary, release.shadow, candidate)
    return {version for version in named if version is not None}


def _models(registry: ReleaseRegistry, name: str | None) -> list[str]:
    known = registry.models()
    if name is not None and name not in known:
        raise ConfigError(f"there is no model {name!r} in the registry; it has {', '.join(known) or 'none'}")
    return known if name is None else [name]


def _as_json(garbage: Garbage, *, removed: bool) -> dict[str, object]:
    return {
        "removed": removed,
        "versions": [f"{model}@{version}" for model, version in garbage.versions],
        "files": len(garbage.blobs),
        "bytes": garbage.bytes,
        "leftovers": len(garbage.leftovers),
    }
