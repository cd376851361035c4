"""Wherever what is deployed, watched or allowed is listed by role, every role of the code stands."""

import re
from pathlib import Path

import pytest
import yaml

from headrace.applications import load_applications
from headrace.commands.roles import ALL_ROLES
from headrace.process.consumer_groups import ROLES, consumer_groups
from streams.application import parse_application
from streams.topics import specs

ROOT = Path(__file__).parents[2]
EVERYTHING = """
topic = "in"
[[heads]]
name = "intent"
column = "intent"
[[receivers]]
name = "desk"
kind = "webhook"
url = "http://desk.example/alerts"
[conversations]
[hand_over]
[answer_bank]
[stories]
"""
CLASSIFIES = parse_application('name = "a"\n' + EVERYTHING, Path(), "a.toml")
RANKS = parse_application('name = "b"\nkind = "recommend"\ntopic = "in"\ncatalog = "i.csv"\n', Path(), "b.toml")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_commands_and_the_groups_know_the_same_roles() -> None:
    assert ALL_ROLES == ROLES
    assert all(consumer_groups(role, [CLASSIFIES]) for role in ROLES)


def test_each_role_is_a_container_that_prometheus_reads_by_a_job_of_its_own() -> None:
    services = yaml.safe_load(page("docker-compose.yml"))["services"]
    jobs = yaml.safe_load(page("deploy/prometheus/prometheus.yml"))["scrape_configs"]
    read = {job["job_name"]: [name for found in job["dns_sd_configs"] for name in found["names"]] for job in jobs}
    assert read == {f"headrace-{role}": [role] for role in ROLES}
    assert set(ROLES) <= set(services)


@pytest.mark.parametrize("role", ROLES)
def test_a_container_that_starts_by_itself_has_something_to_do(role: str) -> None:
    """A role that none of its applications needs ends at once, and the engine would start it for ever."""
    service = yaml.safe_load(page("docker-compose.yml"))["services"][role]
    apps = load_applications([name for name in service["command"][1:] if not name.startswith("-")])
    has_receivers = role == "notifier" and "HEADRACE_ALERTMANAGER" in service["environment"]
    has_work = bool(consumer_groups(role, apps)) or has_receivers
    assert has_work == ("profiles" not in service)
    for profile in service.get("profiles", []):
        assert f"--profile {profile} " in page("docs/operations.md")


def test_the_rule_about_roles_that_are_gone_knows_each() -> None:
    rules = yaml.safe_load(page("deploy/prometheus/rules.yml"))["groups"][0]["rules"]
    (gone,) = (rule["expr"] for rule in rules if rule["alert"] == "HeadraceGone")
    by_themselves = [
        role for role in ROLES if "profiles" not in yaml.safe_load(page("docker-compose.yml"))["services"][role]
    ]
    assert re.findall(r'absent\(up\{job="headrace-(\w+)"\}\)', gone) == by_themselves
    assert re.findall(r'present_over_time\(up\{job="headrace-(\w+)"\}', gone) == [
        role for role in ROLES if role not in by_themselves
    ]


def test_each_role_has_a_column_of_rights_and_each_topic_a_row() -> None:
    lines = page("docs/security.md").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| topic | worker |"))
    assert lines[start].strip("| ").split(" | ")[1 : len(ROLES) + 1] == list(ROLES)
    rows = "\n".join(line.split(" | ")[0] for line in lines[start + 2 : lines.index("", start)])
    names = {spec.name for spec in specs([CLASSIFIES, RANKS])} - {"in"}
    wanted = {re.sub(r"\.[ab]$", ".<app>", name) for name in names}
    assert wanted <= set(re.findall(r"`([a-z.]+(?:<app>)?)`", rows))
    columns = len(lines[start].split(" | "))
    assert all(line.count("|") == lines[start].count("|") for line in lines[start : lines.index("", start)]), columns


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_a_list_of_roles_in_the_prose_leaves_none_out(name: str) -> None:
    lists = [set(re.findall(r"`(?:headrace )?(\w+)`", line)) & set(ROLES) for line in page(name).splitlines()]
    assert all(roles == set(ROLES) for roles in lists if len(roles) > 3)
