"""What `headrace models verdict` does: say how the gate judged a release, or write the page of it."""

import json as json_module
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.output import print_json
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import field, say
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.gate.verdict import PAGE_ROLE

MARKS = {"passed": "+", "too few": "?", "refused": "-"}


def show_verdict(model: str, page: Path | None, json: bool) -> None:
    """The gate's word on a release, every check; with `page` its page as a file. Raises ConfigError where there is
    none."""
    registry = Wiring(load_settings()).registry()
    name, version = split_name(model, registry)
    manifest = registry.manifest(name, version)
    described = json_module.loads(manifest)
    gate: dict[str, Any] | None = described.get("gate")
    if gate is None:
        raise ConfigError(
            f"{name}@{version} met no champion: it was trained from a file, and there is no verdict "
            f"(`headrace evaluate` says how good it is)"
        )
    if page is not None:
        _write_page(f"{name}@{version}", described, registry.blobs_of(manifest), page)
    if json:
        return print_json({"model": name, "version": version, "compared_with": described.get("parent")} | gate)
    say(field(f"{name}@{version}, compared with {name}@{described.get('parent')}: {gate['reason']}"))
    for check in gate.get("checks", []):
        say(field(f"{MARKS[check['outcome']]} {check['name']}: {check['words']}"))
    return None


def _write_page(name: str, described: dict[str, Any], blob: Callable[[str], bytes], path: Path) -> None:
    file = described["files"].get(PAGE_ROLE)
    if file is None:
        raise ConfigError(f"{name} carries no page: it was judged before pages were kept; without --page it is told")
    try:
        path.write_bytes(blob(file["sha256"]))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
