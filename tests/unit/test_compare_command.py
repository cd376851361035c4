"""`headrace compare`: what the gate would say, without a step towards a release."""

import functools
import hashlib
import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from small_entities import small_entity_rows, small_gazetteer
from small_release import small_dataset, small_encoder, small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from retrain.data import Dataset
from retrain.entities.release import fit_entities
from retrain.gate.contest import contest
from retrain.gate.speed import Speed
from retrain.job import TrainedRelease, train_release
from retrain.training_data import served_bytes

Compare = Callable[..., Result]


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@functools.cache
def poorer_release() -> TrainedRelease:
    """It cannot decide `fee`."""
    dataset = small_dataset()
    kept = tuple(row for row in dataset.rows if row.labels["intent"] != "fee")
    return train_release("support", replace(dataset, rows=kept), small_encoder())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1 knows three labels, 2 all four; `other` decides something else."""
    folder = tmp_path_factory.mktemp("home") / "registry"
    store = FolderRegistry(str(folder))
    for release in (poorer_release(), small_release()):
        store.publish("support", release.manifest, release.blobs)
    store.promote("support", "1")
    urgencies = [
        replace(row, labels={"urgency": row.labels["urgency"]}) for row in small_dataset().rows if len(row.labels) > 1
    ]
    other = train_release("other", Dataset(("urgency",), tuple(urgencies)), small_encoder())
    store.publish("other", other.manifest, other.blobs)
    return folder


@pytest.fixture
def compare(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(registry.parent))
    # The stopwatch has tests of its own, and takes seconds.
    monkeypatch.setattr("retrain.gate.contest.measure_speeds", lambda both, texts: (Speed(100.0, 0.01),) * 2)
    tested = small_dataset().part("test")
    lines = [json.dumps({"text": row.text, "split": "test", **row.labels}, ensure_ascii=False) for row in tested]
    (tmp_path / "held_out.jsonl").write_text("\n".join(lines))

    def run(*arguments: str) -> Result:
        words = ["compare", *arguments, "--data", "held_out.jsonl"]
        return CliRunner().invoke(app, words)

    return run


def test_what_is_said_of_names_is_compared_on_texts_that_came_with_the_releases(
    compare: Compare, registry: Path
) -> None:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows())
    with_names = FolderRegistry(str(registry)).publish("support", manifest, blobs)
    told = json.loads(compare(f"support@{with_names}", "support@2", "--json").stdout)
    (check,) = (one for one in told["checks"] if one["name"] == "what is said of entities is no worse")
    assert check["outcome"] == "refused" and check["names"] > 0 and "F1 0.000 against" in check["words"]
    table = compare(f"support@{with_names}", "support@2", "--page", "page.html").stdout
    assert "what is said of" in table and "F1 0.000 against" in Path("page.html").read_text()


def test_compare_says_what_the_gate_says_of_the_same_texts(compare: Compare) -> None:
    done = compare("support@1", "support@2", "--json")
    told = json.loads(done.stdout)
    dataset = small_dataset()
    sizes = [served_bytes(release.manifest) for release in (poorer_release(), small_release())]
    judged = contest(poorer_release().classifier, small_release().classifier, dataset, (sizes[0], sizes[1])).as_json()
    assert told["checks"] == judged["checks"] and told["passed"] == judged["passed"]
    assert told["gain"] == judged["gain"] and told["labels"] == judged["labels"]
    assert (told["champion"], told["challenger"], done.exit_code) == ("support@1", "support@2", 0)
    assert {example["given"] for example in told["won"]} == {"fee"}


def test_compare_changes_nothing_in_the_registry(compare: Compare, registry: Path) -> None:
    before = files_of(registry)
    assert compare("support", "support@2", "--page", "verdict.html").exit_code == 0
    assert files_of(registry) == before and len(before) > 3


def test_who_wants_an_exit_code_gets_one_and_nobody_else(compare: Compare) -> None:
    worse = compare("support@2", "support@1", "--must-pass")
    assert worse.exit_code == 1 and "support@1 would not pass the gate against support@2" in " ".join(
        worse.stdout.split()
    )
    assert compare("support@2", "support@1").exit_code == 0


def test_the_verdict_becomes_a_page_with_the_checks_of_the_json(compare: Compare, tmp_path: Path) -> None:
    done = compare("support@1", "support@2", "--json", "--page", "verdict.html")
    page = html.unescape((tmp_path / "verdict.html").read_text())
    assert "headrace compare support@1 support@2" in page and "no label of urgency" in page
    assert all(check["name"] in page for check in json.loads(done.stdout)["checks"])


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("support@1", "support"), "compared with itself"),
        (("support@1", "other"), "releases of one application"),
        (("support@1", "support@7"), "has no version 7"),
    ],
    ids=["itself", "another application's", "no such version"],
)
def test_what_cannot_be_compared_is_said_in_one_line(compare: Compare, pair: tuple[str, str], words: str) -> None:
    done = compare(*pair)
    assert done.exit_code != 0 and words in str(done.exception)
