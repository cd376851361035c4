"""What `headrace models` does: list, show, verify, promote, roll back, try out."""

import json as json_module
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.output import print_json
from headrace.releases.names import split_name
from headrace.releases.release_log import announce_if_up, known_release, manifest_hashes, tell
from headrace.settings import load_settings
from headrace.terminal import say, show_table
from headrace.wiring import Wiring
from models.errors import ConfigError, ConnectorError
from streams.classify.release_swapper import load_release
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Release, format_time


def list_models(json: bool) -> None:
    """Models and versions; * serves."""
    registry = Wiring(load_settings()).registry()
    rows = []
    for model in registry.models():
        for version in registry.versions(model):
            manifest = json_module.loads(registry.manifest(model, version))
            first: dict[str, Any] = next(iter(manifest.get("metrics", {}).values()), {})
            rows.append(
                {
                    "model": model,
                    "version": version,
                    "champion": registry.champion(model) == version,
                    "strategy": manifest.get("strategy"),
                    "parent": manifest.get("parent"),
                    "accuracy": first.get("accuracy"),
                    "train_rows": manifest.get("training", {}).get("train_rows"),
                }
            )
    if json:
        return print_json({"models": rows})
    show_table(
        ("model", "", "strategy", "parent", "accuracy", "trained on"),
        [
            (
                f"{row['model']}@{row['version']}",
                "*" if row["champion"] else "",
                row["strategy"],
                row["parent"],
                row["accuracy"],
                f"{row['train_rows']} texts",
            )
            for row in rows
        ],
    )
    return None


def show_model(model: str) -> None:
    """A release's manifest, without its golden texts."""
    registry = Wiring(load_settings()).registry()
    manifest = json_module.loads(registry.manifest(*split_name(model, registry)))
    manifest.pop("golden", None)
    print_json(manifest)


def verify_model(model: str, json: bool) -> None:
    """Every hash and every golden text of a release."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    load_release(registry, name, version, threads=wiring.settings.threads)
    print_json({"model": name, "version": version, "ok": True}) if json else say(
        f"{name}@{version} is as it was published"
    )


def promote_model(model: str, json: bool) -> None:
    """Serve this version from now on; running workers hear of it through model.releases."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    load_release(
        registry, name, version, threads=wiring.settings.threads
    )  # a release that does not load must not be announced
    _make_champion(wiring, registry, name, version, json, by="promote")


def rollback_model(name: str, json: bool) -> None:
    """Serve again what served before the champion; where no broker tells, the version that was published before it."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, champion = split_name(name, registry)
    version = _before(wiring, registry, model, champion)
    load_release(registry, model, version, threads=wiring.settings.threads)
    _make_champion(wiring, registry, model, version, json, by="rollback")


def _before(wiring: Wiring, registry: ReleaseRegistry, model: str, champion: str) -> str:
    try:
        known = known_release(wiring, model)
    except ConnectorError:
        known = None
    if known is not None and known.champion == champion and known.previous in registry.versions(model):
        assert known.previous is not None
        return known.previous
    versions = registry.versions(model)
    older = versions[: versions.index(champion)]
    if not older:
        raise ConfigError(
            f"{model}@{champion} is the first version; there is nothing to go back to (headrace models list)"
        )
    return older[-1]


def _make_champion(wiring: Wiring, registry: ReleaseRegistry, name: str, version: str, json: bool, *, by: str) -> None:
    registry.promote(name, version)
    told = announce_if_up(wiring, registry, name, version, by=by)
    if json:
        return print_json({"model": name, "version": version, "announced": told})
    say(
        f"{name}@{version} is the champion"
        + ("; running workers have been told" if told else "; no broker answers, the next start serves it")
    )
    return None


def try_model(name: str, *, canary: float | None, shadow: bool, end: bool, json: bool) -> None:
    """Let a version decide beside the champion: marked, in `trials.<app>`, and never acting."""
    if sum((canary is not None, shadow, end)) != 1:
        raise ConfigError("say one of --canary SHARE, --shadow and --end")
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, version = split_name(name, registry)
    known = known_release(wiring, model)
    if known is None:
        raise ConfigError(f"nothing of {model} was announced yet: start `headrace up {model}` (or a worker) first")
    changes: dict[str, Any] = {"canary": None, "share": None, "shadow": None}
    if not end:
        load_release(registry, model, version, threads=wiring.settings.threads)
        kept = {"canary": known.canary, "share": known.share, "shadow": known.shadow}
        changes = kept | ({"shadow": version} if shadow else {"canary": version, "share": canary})
    hashes = manifest_hashes(registry, model, {known.champion, changes["canary"], changes["shadow"]})
    release = known.model_copy(
        update={
            **changes,
            "manifest_sha256": hashes,
            "revision": known.revision + 1,
            "by": "try",
            "at": format_time(wall_clock_ms()),
        }
    )
    tell(wiring, release)
    if json:
        return print_json(
            {
                "model": model,
                "champion": release.champion,
                "canary": release.canary,
                "share": release.share,
                "shadow": release.shadow,
            }
        )
    say(_trials_in_words(release))
    return None


def _trials_in_words(release: Release) -> str:
    looking_on = []
    if release.canary is not None:
        looking_on.append(f"{release.model}@{release.canary} on {release.share:.0%} of the keys")
    if release.shadow is not None:
        looking_on.append(f"{release.model}@{release.shadow} on every event")
    said = " and ".join(looking_on)
    if not said:
        return f"{release.model}@{release.champion} decides alone"
    return f"{release.model}@{release.champion} decides; {said} looks on: trials.{release.model} has what it says"
