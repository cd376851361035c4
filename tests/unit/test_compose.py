"""docker-compose.yml: valid, hardened, and such that what it keeps is kept."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from headrace.cli import app
from headrace.process.consumer_groups import ROLES
from headrace.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_a_command_with_settings_that_the_code_reads(role: str) -> None:
    service = SERVICES[role]
    assert service["command"][0] == role
    assert role in get_command(app).commands  # type: ignore[attr-defined]
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(service["environment"]) <= known
    values = {name.removeprefix(PREFIX).lower(): value for name, value in service["environment"].items()}
    settings = Settings(**values)
    stop_grace = int(service["stop_grace_period"].removesuffix("s"))
    assert stop_grace > settings.stop_seconds, "the engine must not kill a role that is still within its own limit"


def test_every_service_that_is_depended_on_and_every_volume_and_network_is_declared() -> None:
    for name, service in SERVICES.items():
        for needed in service.get("depends_on", {}):
            assert needed in SERVICES, name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert exists, f"{name}: {source}"


def test_kafkas_log_lies_in_the_volume_and_its_cluster_has_an_id_of_its_own() -> None:
    """D-C1: the volume was mounted and never written; a recreated container lost topics, positions and releases."""
    kafka = SERVICES["kafka"]
    (mounted,) = (volume.split(":")[1] for volume in kafka["volumes"])
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == mounted
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", kafka["environment"]["CLUSTER_ID"]), "16 bytes in base64"


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_has_limits_a_health_check_and_comes_back(name: str) -> None:
    """D-C1: ten containers without a limit, four without a health check or a restart."""
    service = SERVICES[name]
    assert service["cpus"] and service["mem_limit"] and service["pids_limit"]
    assert service["healthcheck"]["test"] and service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_as_a_number_on_a_file_system_that_it_cannot_write(role: str) -> None:
    """D-A15: a user's name is none that Kubernetes' runAsNonRoot takes, and nothing was read-only."""
    service = SERVICES[role]
    assert re.fullmatch(r"\d+:\d+", service["user"]) and not service["user"].startswith("0")
    assert service["read_only"] is True
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == [service["user"]]


def test_only_windows_listen_on_the_host_and_only_on_its_loopback() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if not service.get("ports"):
            assert all(COMPOSE["networks"][network]["internal"] for network in service["networks"]), name


def test_elasticsearch_is_not_healthy_while_it_is_red() -> None:
    """D-C1: it answers 200 then as well."""
    assert "wait_for_status=yellow" in SERVICES["elasticsearch"]["healthcheck"]["test"][1]


def test_the_image_is_pinned_and_built_of_files_with_known_hashes() -> None:
    """D-A14, D-A15: versions without hashes, a base image by a moving tag, one layer for all."""
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:\d+\.\d+\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    installs = [line for line in dockerfile.splitlines() if "pip install" in line]
    assert "--require-hashes" in installs[0] and "-r /src/requirements.lock" in installs[0]
    assert all("--no-deps" in line for line in installs)
    assert dockerfile.index("--require-hashes") < dockerfile.index("COPY headrace "), "the code is a later layer"


def test_what_the_image_copies_is_let_through_and_nothing_else() -> None:
    """D-A15: .git, environments of gigabytes and whatever secrets lay there went to the builder."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    passed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert passed == {source for line in copies for source in line.split()}


def test_dashboards_and_rules_name_metrics_that_exist() -> None:
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


def test_every_dashboard_is_json_that_grafana_reads() -> None:
    for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_operations_page_tells_who_is_on_which_network_and_what_is_published() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for network in COMPOSE["networks"]:
        (row,) = re.findall(rf"^\| `{network}` \| ([^|]+) \|", page, re.MULTILINE)
        members = {name for name, service in SERVICES.items() if network in service["networks"]}
        assert set(re.findall(r"`(\w+)`", row)) == members, network
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            address, published, _ = port.split(":")
            assert f"| `{name}` | `{address}:{published}` |" in page, name
