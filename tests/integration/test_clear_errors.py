"""What goes wrong outside ends in one clear line and exit code 1, within 30 seconds."""

import json
import time
from pathlib import Path

import pytest
from harness import Headrace, MakeHome

SECONDS = 30.0


def refused(home: Headrace, *arguments: str) -> str:
    """Run; expect exit 1 and one line on stderr that starts with the command's name. Returns it."""
    started = time.monotonic()
    done = home.run(*arguments, timeout=60)
    assert time.monotonic() - started < SECONDS
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("headrace: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("up", "support"), "services start", id="up without a broker"),
        pytest.param(("load", "x.csv", "--topic", "support.chats"), "no file", id="load a file that is not there"),
        pytest.param(("up", "suport"), "did you mean support", id="a mistyped application"),
        pytest.param(("evaluate", "nothing", "--data", "x.csv"), "no model", id="evaluate a model that is not there"),
        pytest.param(("train", "support", "--data", "x.csv"), "x.csv", id="train on a file that is not there"),
        pytest.param(("train", "recommend", "--data", "x.csv"), "ranks items", id="train a recommender"),
    ],
)
def test_what_is_not_there_is_named_with_the_way_out(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(Headrace(tmp_path, "kafka://127.0.0.1:9"), *arguments)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    line = refused(Headrace(tmp_path, store="http://127.0.0.1:9"), "search", "card")
    assert "127.0.0.1:9" in line


def test_the_embedded_broker_must_run_before_others_attach(tmp_path: Path) -> None:
    assert "headrace up" in refused(Headrace(tmp_path, "embedded"), "worker", "support")
    (tmp_path / "texts.csv").write_text("text\nhello\n")
    assert "headrace up" in refused(Headrace(tmp_path, "embedded"), "load", "texts.csv", "--topic", "support.chats")


def test_a_mistyped_setting_is_named(tmp_path: Path) -> None:
    assert "HEADRACE_BROKER" in refused(Headrace(tmp_path, extra={"HEADRACE_BROKR": "x"}), "search", "card")


def test_a_wrong_option_is_wrong_usage(tmp_path: Path) -> None:
    assert Headrace(tmp_path).run("load", "--nonsense").returncode == 2


def test_a_csv_without_the_column_names_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("message,kind\nhello,a\n")
    line = refused(Headrace(tmp_path), "train", "support", "--data", "data.csv")
    assert "message, kind" in line


def test_an_altered_model_file_is_refused_by_verify_and_by_up(make_home: MakeHome) -> None:
    home = make_home()
    manifest = next((home.home / "registry").glob("models/support/*/manifest.json"))
    digest = json.loads(manifest.read_text())["files"]["head:intent"]["sha256"]
    blob = next(path for path in (home.home / "registry" / "blobs").rglob(f"{digest}*") if path.is_file())
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 0xFF
    blob.chmod(0o644)
    blob.write_bytes(bytes(content))
    for arguments in (("models", "verify", "support"), ("classify", "support", "hello"), ("up", "support")):
        assert "altered" in refused(home, *arguments)


def test_a_broken_row_is_rejected_with_its_line_and_the_rest_trains(tmp_path: Path, small_corpus: Path) -> None:
    lines = small_corpus.read_text(encoding="utf-8").splitlines(keepends=True)[:161]
    lines.insert(3, '"a quote that never closes,refund,low\n')
    lines.insert(6, "too,many,fields,here\n")
    (tmp_path / "broken.csv").write_text("".join(lines), encoding="utf-8")
    report = Headrace(tmp_path).json("train", "support", "--data", "broken.csv")
    assert [reject["line"] for reject in report["rejected_rows"]] == [4, 7]
    assert report["train_rows"] + report["test_rows"] == len(lines) - 3
