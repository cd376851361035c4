"""`headrace recommend --adapt`: a map of the items' embeddings, trained, judged, released, rolled back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topics_in_memory import MemoryTopics
from typer.testing import CliRunner
from word_shop import write_word_shop

from headrace.cli import app as cli
from headrace.releases.release_log import ReleaseLog
from headrace.wiring import Wiring
from models.errors import ModelError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No embedded broker runs there: what is released, the registry notes."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    yield tmp_path


def run(*given: str) -> str:
    ran = CliRunner().invoke(cli, list(given))
    assert ran.exit_code == 0, f"{ran.output} {ran.exception!r}"
    return ran.stdout


def adapted(folder: Path, *given: str) -> dict[str, Any]:
    files = ["--app", str(folder / "shop.toml"), "--data", str(folder / "events.csv")]
    report: dict[str, Any] = json.loads(run("recommend", "--adapt", *files, *given, "--json"))
    return report


def test_what_is_learnt_of_a_word_is_released_and_rolled_back(home: Path) -> None:
    write_word_shop(home, by_mood=True)
    report = adapted(home, "--register")
    assert report["passed"] and report["version"] == "2", report["reason"]
    files = ["--app", str(home / "shop.toml"), "--data", str(home / "events.csv")]
    assert json.loads(run("models", "verify", "shop", "--json"))["version"] == "2"
    with_map = json.loads(run("recommend", "--item", "i3", *files, "--json"))
    assert run("models", "rollback", "shop")
    without = json.loads(run("recommend", "--item", "i3", *files, "--json"))
    assert [item["item_id"] for item in with_map["items"]] != [item["item_id"] for item in without["items"]]
    assert "shop@2" in run("models", "list") and "better" in run("models", "verdict", "shop@2")
    ran = CliRunner().invoke(cli, ["models", "try", "shop@2", "--shadow"])
    assert ran.exit_code != 0 and "a map of items' embeddings" in str(ran.exception)
    assert "map" in run("models", "show", "shop@2") and run("models", "card", "shop@2")


def test_another_encoder_is_no_dead_end_for_a_shop_with_a_map(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that told to train anew came from the training itself."""
    write_word_shop(home, by_mood=True)
    assert adapted(home, "--register")["version"] == "2"

    def of_another(*_: Any) -> None:
        raise ModelError("shop@2 is a map for embeddings of another encoder")

    monkeypatch.setattr("headrace.releases.item_maps.load_map", of_another)
    files = ["--app", str(home / "shop.toml"), "--data", str(home / "events.csv")]
    assert json.loads(run("recommend", "--item", "i3", *files, "--json"))["items"]
    report = adapted(home)
    assert report["compared_with"] == "2" and report["passed"], report["reason"]


def test_a_look_counts_whether_its_release_was_asked_for_or_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who tries seeds until one passes looks as often; the same events and seed are one look."""
    topics = MemoryTopics()
    releases, read = ReleaseLog(topics.reader, topics.publisher), list[str]()

    def standing(wiring: Wiring, model: str) -> None:
        read.append(model)

    monkeypatch.setattr(Wiring, "release_log", lambda wiring: releases)
    monkeypatch.setattr("headrace.training.item_map.standing_version", standing)
    monkeypatch.setattr("headrace.releases.item_maps.standing_version", standing)
    write_word_shop(home, by_mood=True)
    looks = [adapted(home, "--seed", seed)["gate"]["look"] for seed in ("0", "0", "1")]
    assert looks == [1, 1, 2] and read == ["shop"] * 3
    assert [step.kind for step in releases.history.steps("shop")] == ["tried", "tried"]
    with (home / "shop.toml").open("a", encoding="utf-8") as file:
        file.write('[recommend]\nlists_for = ["click", "view"]\n')
    first = adapted(home, "--seed", "1")["gate"]["look"]
    text = (home / "shop.toml").read_text(encoding="utf-8")
    (home / "shop.toml").write_text(text.replace('"click", "view"', '"view", "click"'), encoding="utf-8")
    assert (first, adapted(home, "--seed", "1")["gate"]["look"]) == (3, 3), "other lists are judged: another look"


def test_random_interactions_are_refused_in_a_line_and_nothing_is_registered(home: Path) -> None:
    write_word_shop(home, by_mood=False)
    report = adapted(home, "--register")
    assert not report["passed"] and report["version"] is None
    assert report["reason"].startswith("not released: ")


def test_what_it_cannot_learn_of_is_told_in_a_line(home: Path) -> None:
    write_word_shop(home, by_mood=True, users=10, touches=4)
    files = ["--app", str(home / "shop.toml"), "--data", str(home / "events.csv")]
    ran = CliRunner().invoke(cli, ["recommend", "--adapt", *files])
    assert ran.exit_code != 0 and "are too few to learn of" in str(ran.exception)
    ran = CliRunner().invoke(cli, ["recommend", "--adapt", "--app", "support"])
    assert ran.exit_code != 0 and "it ranks no items" in str(ran.exception)
    ran = CliRunner().invoke(cli, ["recommend", "u1", "--register", *files])
    assert ran.exit_code != 0 and "--adapt" in ran.output
