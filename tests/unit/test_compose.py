import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.main import get_command

from headrace.cli import app
from headrace.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
ROLES = ("worker", "indexer", "monitor", "retrainer")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def compose_schema() -> Any:
    """The compose specification's schema, as a package carries it; its code is not imported."""
    package = importlib.util.find_spec("compose")
    assert package is not None and package.submodule_search_locations, (
        "make setup-dev installs docker-compose for its schema"
    )
    return json.loads((Path(package.submodule_search_locations[0]) / "config" / "compose_spec.json").read_text())


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, compose_schema())


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_a_command_with_settings_that_the_code_reads(compose: dict[str, Any], role: str) -> None:
    service = compose["services"][role]
    assert service["command"][0] == role
    assert role in get_command(app).commands  # type: ignore[attr-defined]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(service["environment"]) <= known
    values = {name.removeprefix(PREFIX).lower(): value for name, value in service["environment"].items()}
    settings = Settings(**values)
    stop_grace = int(service["stop_grace_period"].removesuffix("s"))
    assert stop_grace > settings.stop_seconds, "the engine must not kill a role that is still within its own limit"


def test_every_service_that_is_depended_on_and_every_volume_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for needed in service.get("depends_on", {}):
            assert needed in compose["services"], name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert exists, f"{name}: {source}"


def test_dashboards_and_rules_name_metrics_that_exist() -> None:
    import re

    from prometheus_client import generate_latest

    from streams.metrics import Metrics

    metrics = Metrics()
    exposed = generate_latest(metrics.registry).decode()
    names = {line.split()[2] for line in exposed.splitlines() if line.startswith("# TYPE")}
    used = set()
    for file in ("grafana/dashboards/headrace.json", "prometheus/rules.yml"):
        used |= set(re.findall(r"headrace_[a-z_]+", (ROOT / "deploy" / file).read_text()))
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert plain <= names
