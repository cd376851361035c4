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
remind_minutes = 10
[service_levels.default]
response_minutes = 60
"""


def application(name: str, folder: Path) -> str:
    """support with conversations that go to people, one that `headrace apps new` writes, or as it is shipped."""
    if name == "new":
        write_starter(Starter("desk", folder, ("intent", "urgency")))
        return str(folder / "desk.toml")
    if name != "support":
        return name
    apps = Path(__file__).parents[2] / "apps"
    (folder / "corpora").symlink_to(apps / "corpora")
    text = (apps / "support.toml").read_text(encoding="utf-8") + HAND_OVER
    (folder / "support.toml").write_text(text, encoding="utf-8")
    return str(folder / "support.toml")


@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("name", ["support", "finance", "recommend", "new"])
def test_nobody_can_tell_that_each_role_was_killed(name: str, tmp_path: Path) -> None:
    wiring = Wiring(load_settings(home=tmp_path / "home"))
    report = run(wiring, application(name, tmp_path), 1, 1, lambda *_: None, tmp_path / "runs")
    assert report["passed"], report["violations"]
    assert report["events"] == 300
    roles = {"worker", "indexer"} | ({"monitor", "retrainer", "notifier"} if name != "recommend" else set())
    assert report["killed"].keys() == (roles | {"dispatcher"} if name == "support" else roles)
    assert bool(report["answers"] and report["conversations"]) == (name == "support")
    assert bool(report["stories"] and report["windows"]) == (name == "finance")
