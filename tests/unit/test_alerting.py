"""The shipped alert rules, by Prometheus' own checker."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"


def promtool(*arguments: str) -> None:
    if shutil.which("promtool") is None:
        reason = "promtool is not installed (Debian package prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs it: {reason}")
        pytest.skip(reason)
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=DEPLOY, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", "rules.yml")


def test_prometheus_own_settings_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")


def test_the_rules_fire_on_what_they_are_for_and_only_then() -> None:
    promtool("test", "rules", "rules_test.yml")


def test_each_alert_has_a_case_in_which_it_must_fire() -> None:
    """D-C1: five of eight had none, and one of these could never fire at what it was for."""
    rules = yaml.safe_load((DEPLOY / "rules.yml").read_text())["groups"][0]["rules"]
    cases = yaml.safe_load((DEPLOY / "rules_test.yml").read_text())["tests"]
    proved = {test["alertname"] for case in cases for test in case.get("alert_rule_test", []) if test.get("exp_alerts")}
    assert proved == {rule["alert"] for rule in rules}


def test_no_alert_is_thrown_away_without_a_word() -> None:
    """D-C1: the one receiver had no integration."""
    settings = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text())
    for receiver in settings["receivers"]:
        assert any(name.endswith("_configs") and receiver[name] for name in receiver), receiver


def test_each_alert_is_explained_on_the_operations_page() -> None:
    rules = yaml.safe_load((DEPLOY / "rules.yml").read_text())["groups"][0]["rules"]
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(Headrace[A-Za-z]+)`", page, re.MULTILINE))
    assert explained == {rule["alert"] for rule in rules}
