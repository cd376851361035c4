"""The demo as a user runs it: measured, complete, and the same from an installed wheel in any folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Headrace

ROOT = Path(__file__).parents[2]


def check(report: dict, *, has_drift: bool) -> None:  # type: ignore[type-arg]
    assert report["events"] >= 3_000
    assert report["decisions"] == report["indexed"] == report["events"]
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert set(report["accuracy"]) == {"support", "finance", "recommend"}
    talks = report["conversations"]["support"]  # the only one of the three that hands over
    assert talks["twice"] == 0 and talks["told"] == talks["alone"] + talks["with_people"]
    assert talks["alone"] and talks["with_people"] and talks["example"]["by"]
    if not has_drift:
        assert report["drift"] == [] and report["releases"] == []
        return
    assert all(episode["detected_event"] > episode["onset_event"] for episode in report["drift"])
    assert [episode["app"] for episode in report["drift"]][:1] == ["support"]
    assert report["releases"][0]["accuracy_after"] > report["releases"][0]["accuracy_before"]


def test_the_demo_loses_nothing_notices_the_drift_and_releases_a_better_model(tmp_path: Path) -> None:
    report = Headrace(tmp_path).json("demo", "--headless", "--seconds", "40", "--seed", "3", timeout=400)
    check(report, has_drift=True)
    assert report["labels"]["random"] > report["labels"]["correction"]
    assert report["mended"], "texts that the release decided wrongly, and its successor rightly"


@pytest.mark.slow
def test_a_second_run_on_the_same_home_is_as_good(tmp_path: Path) -> None:
    home = Headrace(tmp_path)
    for seed in ("1", "2"):
        check(home.json("demo", "--headless", "--seed", seed, timeout=400), has_drift=True)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_without_drift_ten_seeds_of_ten_report_no_episode(tmp_path: Path) -> None:
    for seed in range(10):
        report = Headrace(tmp_path).json(
            "demo", "--headless", "--no-drift", "--seconds", "40", "--seed", str(seed), timeout=400
        )
        check(report, has_drift=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_wheel_alone_in_an_empty_environment_runs_the_demo_from_any_folder(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    wheels, place = tmp_path / "wheels", tmp_path / "venv"
    build = [uv, "build", "-q", "--wheel"] if uv else [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "."]
    subprocess.run([*build, "-o" if uv else "-w", str(wheels)], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    install = [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), *map(str, wheels.glob("*.whl"))], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "PYTHON"))}
    environment |= {"HEADRACE_HOME": str(tmp_path / "home"), "HEADRACE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [str(place / "bin" / "headrace"), "demo", "--headless", "--json"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check(json.loads(done.stdout), has_drift=True)
