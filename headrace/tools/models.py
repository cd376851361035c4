"""What `headrace models` does: list, show, verify, promote, roll back, try out."""

import json as json_module
import logging
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.output import print_json
from headrace.releases.announcing import hash_to_compare, make_champion, standing_release
from headrace.releases.item_maps import prove_release
from headrace.releases.names import split_name
from headrace.releases.release_log import manifest_hashes
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.releases.sheet import sheet, strategy_in_words
from headrace.wiring import Wiring
from models.errors import ConfigError, ConnectorError
from models.figures import number_of
from models.recommendation.adapting.release import is_map
from streams.clock import wall_clock_ms
from streams.wire.records import Release, Step, format_time

log = logging.getLogger(__name__)


def list_models(json: bool) -> None:
    """Models and versions. `champion`: the registry's note of what was announced last; `serves_as`: what a broker says
    that workers serve, where one answers."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    rows = []
    for model in registry.models():
        champion, serving = registry.champion(model), _serving(wiring, model)
        for version in registry.versions(model):
            manifest = json_module.loads(registry.manifest(model, version))
            first: dict[str, Any] = next(iter(manifest.get("metrics", {}).values()), {})
            rows.append(
                {
                    "model": model,
                    "version": version,
                    "champion": champion == version,
                    "serves_as": None if serving is None else serving.get(version, []),
                    "strategy": manifest.get("strategy"),
                    "serves": manifest.get("serves"),
                    "parent": manifest.get("parent"),
                    "accuracy": first.get("accuracy"),
                    "train_rows": manifest.get("training", {}).get("train_rows"),
                }
            )
    if json:
        return print_json({"models": rows})
    show_table(
        ("model", "", "serves as", "strategy", "parent", "accuracy", "trained on"),
        [
            (
                f"{row['model']}@{row['version']}",
                "*" if row["champion"] else "",
                "?" if row["serves_as"] is None else ", ".join(row["serves_as"]),
                strategy_in_words(row),
                row["parent"],
                row["accuracy"],
                "" if row["train_rows"] is None else f"{number_of(row['train_rows'], 'text')}",
            )
            for row in rows
        ],
    )
    return None


def _serving(wiring: Wiring, model: str) -> dict[str, list[str]] | None:
    """Version to the roles in which it was announced; None where no broker answers."""
    try:
        release = wiring.release_log().standing(model)
    except ConnectorError as error:
        log.info("nobody tells what serves: %s", error)
        return None
    roles: dict[str, list[str]] = {}
    if release is not None:
        for role in ("champion", "canary", "shadow"):
            if (version := getattr(release.release, role)) is not None:
                roles.setdefault(version, []).append(role)
        candidate = release.release.candidate
        if candidate is not None and candidate.stage == "waiting":
            roles.setdefault(candidate.version, []).append("waiting")
    return roles


def show_model(model: str, json: bool) -> None:
    """What a release is; as JSON its manifest, without its golden texts."""
    registry = Wiring(load_settings()).registry()
    name, version = split_name(model, registry)
    manifest = json_module.loads(registry.manifest(name, version))
    manifest.pop("golden", None)
    if json:
        return print_json(manifest)
    for line in sheet(name, version, manifest):
        say(field(line))
    return None


def verify_model(model: str, json: bool) -> None:
    """The manifest against what was announced, every hash and every golden text of a release."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    prove_release(registry, name, version, announced, threads=wiring.settings.threads)
    if json:
        return print_json({"model": name, "version": version, "ok": True, "compared": announced is not None})
    if announced is not None:
        return say(f"{name}@{version} is as it was announced")
    return say(
        f"{name}@{version} agrees with itself; there is nothing to compare its manifest with: it was never announced, "
        f"or no broker answers"
    )


def promote_model(model: str, *, accept_altered: bool, who: str, json: bool) -> None:
    """Serve this version from now on; running workers hear of it through model.releases."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    announced = None if accept_altered else hash_to_compare(wiring, name, version)
    # a release that does not load must not be announced
    prove_release(registry, name, version, announced, threads=wiring.settings.threads)
    _make_champion(wiring, registry, name, version, json, by="promote", who=who, accept_altered=accept_altered)


def rollback_model(name: str, *, who: str, json: bool) -> None:
    """Serve again what served before the champion; where no broker tells, the version that was published before it."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, noted = split_name(name, registry)
    standing = standing_release(wiring, model)
    version = _before(registry, model, noted, standing)
    announced = None if standing is None else standing.manifest_sha256.get(version)
    prove_release(registry, model, version, announced, threads=wiring.settings.threads)
    _make_champion(wiring, registry, model, version, json, by="rollback", who=who)


def _before(registry: ReleaseRegistry, model: str, noted: str, standing: Release | None) -> str:
    versions = registry.versions(model)
    if standing is not None and standing.previous in versions:
        assert standing.previous is not None
        return standing.previous
    champion = noted if standing is None else standing.champion
    older = [version for version in versions if int(version) < int(champion)]
    if not older:
        raise ConfigError(
            f"{model}@{champion} is the first version; there is nothing to go back to (headrace models list)"
        )
    return older[-1]


def _make_champion(
    wiring: Wiring,
    registry: ReleaseRegistry,
    name: str,
    version: str,
    json: bool,
    *,
    by: str,
    who: str,
    accept_altered: bool = False,
) -> None:
    announced = make_champion(wiring, registry, name, version, by=by, who=who, accept_altered=accept_altered)
    if json:
        return print_json({"model": name, "version": version, "announced": announced})
    say(
        f"{name}@{version} is the champion"
        + ("; running workers have been told" if announced else "; no broker runs, the next start serves it")
    )
    return None


def try_model(name: str, *, canary: float | None, shadow: bool, end: bool, who: str, json: bool) -> None:
    """Let a version decide beside the champion: marked, in `trials.<app>`, and never acting."""
    if sum((canary is not None, shadow, end)) != 1:
        raise ConfigError("say one of --canary SHARE, --shadow and --end")
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, version = split_name(name, registry)
    if is_map(registry.manifest(model, version)):
        raise ConfigError(
            f"{model}@{version} is a map of items' embeddings, which cannot be tried out: `headrace models promote` it"
        )
    standing = standing_release(wiring, model)
    if standing is None:
        raise ConfigError(f"nothing of {model} was announced yet: start `headrace up {model}` (or a worker) first")
    if standing.candidate is not None and standing.candidate.stage != "waiting":
        on_its_way = f"{model}@{standing.candidate.version}"
        raise ConfigError(
            f"{on_its_way} is on its way to serve ({standing.candidate.stage}); `headrace models reject {on_its_way}` "
            f"ends that"
        )
    if not end:
        announced = standing.manifest_sha256.get(version)
        prove_release(registry, model, version, announced, threads=wiring.settings.threads)

    def change(now: Release | None) -> Release:
        return _with_trials(registry, now or standing, version, canary=canary, shadow=shadow, end=end, who=who)

    release = wiring.release_log().announce(model, change).release
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


def _with_trials(
    registry: ReleaseRegistry,
    standing: Release,
    version: str,
    *,
    canary: float | None,
    shadow: bool,
    end: bool,
    who: str,
) -> Release:
    """The state with a trial begun, or with none."""
    kind = "trials_ended" if end else "shadow" if shadow else "canary"
    changes: dict[str, Any] = {"canary": None, "share": None, "shadow": None}
    if not end:
        kept = {"canary": standing.canary, "share": standing.share, "shadow": standing.shadow}
        changes = kept | ({"shadow": version} if shadow else {"canary": version, "share": canary})
    versions = [standing.champion, changes["canary"], changes["shadow"]]
    return standing.model_copy(
        update={
            **changes,
            "manifest_sha256": manifest_hashes(registry, standing.model, versions, standing.manifest_sha256),
            "revision": standing.revision + 1,
            "by": "try",
            "at": format_time(wall_clock_ms()),
            "step": Step(kind=kind, version=version, who=who),
        }
    )


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
