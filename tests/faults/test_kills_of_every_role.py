"""Every role of an application killed in mid-work, on an embedded broker: what comes of it is what came undisturbed."""

from pathlib import Path

import pytest

from bench.kills.roles.run import run
from headrace.settings import load_settings
from headrace.tools.apps.new import Starter, write_starter
from headrace.wiring import Wiring

pytestmark = pytest.mark.slow

HAND_OVER = """
[conversations]
[hand_over]
says = "A colleague will answer you."
chain = ["duty"]
remind_minutes = 1000  # a slow machine must not be reminded in one run and not in the other
[service_levels.default]
response_minutes = 2000
"""


def application(name: str, folder: Path) -> str:
    """support, finance and the shop as they are, or one that `headrace apps new` writes, with a chain."""
    if name == "new":
        write_starter(Starter("desk", folder, ("intent", "urgency")))
        desk = folder / "desk.toml"
        desk.write_text(desk.read_text(encoding="utf-8") + HAND_OVER, encoding="utf-8")
        return str(desk)
    return name


ROLES = {
    "support": ("worker", "indexer", "dispatcher"),
    "new": ("worker", "indexer", "notifier", "dispatcher"),
    "finance": ("worker", "indexer", "monitor", "retrainer", "notifier"),
    "recommend": ("worker", "indexer"),
}


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("name", ROLES)
def test_nobody_can_tell_that_each_role_was_killed(name: str, tmp_path: Path) -> None:
    wiring = Wiring(load_settings(home=tmp_path / "home"))
    report = run(wiring, application(name, tmp_path), 1, 1, lambda *_: None, tmp_path / "runs", ROLES[name])
    assert report["passed"], report["violations"]
    assert report["events"] == 300 and report["killed"] == dict.fromkeys(ROLES[name], 1)
    assert report["replayed"] == 300
    assert bool(report["answers"] and report["conversations"]) == (name in ("support", "new"))
    assert (report["stories"] >= 300 and report["windows"] > 0 and report["told"] > 0) == (name == "finance")
