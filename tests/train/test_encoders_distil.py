"""`headrace encoders distil`: from texts without labels to a folder that serves, or to a line that says why not."""

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from safetensors.numpy import load_file, save_file
from small_bert import CONFIG, dense_layer, small_tokenizer_json, small_weights
from test_adaptation import TEXTS, start
from topics_in_memory import MemoryAdmin, MemoryTopics
from typer.testing import CliRunner, Result

from connectors.encoders.files import calibration_texts, default_calibration_texts, load_encoder, locate_encoder
from headrace.cli import app as cli
from headrace.training.adaptation.folder import write_encoder
from models.errors import HeadraceError

pytestmark = pytest.mark.train


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a student, a teacher of a larger space, and texts."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADRACE_THREADS", "1")
    card = "---\nlicense: apache-2.0\n---\n# Teacher\n"
    write_encoder(tmp_path / "student", start(), CONFIG, small_tokenizer_json(), "# Student\n")
    large = small_weights() | dense_layer(48)
    write_encoder(tmp_path / "teacher", large, CONFIG | {"dense": "tanh"}, small_tokenizer_json(), card)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n\n", encoding="utf-8")
    return tmp_path


def arguments(
    place: Path, *words: object, data: str = "texts.txt", student: str = "student", out: str = "ours"
) -> list[str]:
    steps = [] if "--steps" in words else ["--steps", 60]
    asked = ["encoders", "distil", place / data, "--student", place / student, "--out", place / out, *steps, *words]
    return [str(word) for word in asked]


def run(place: Path, *words: object, **names: str) -> Result:
    return CliRunner().invoke(cli, arguments(place, *words, **names))


def report_of(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def fault_of(result: Result) -> str:
    """The one line that the command line would print."""
    assert isinstance(result.exception, HeadraceError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_student_is_written_that_serves_in_its_teachers_space(place: Path) -> None:
    report = report_of(run(place, "--teacher", place / "teacher", "--json"))
    assert report["written"] and report["folder"] == str(place / "ours")
    assert report["texts"] + report["held_out_texts"] == len(TEXTS)
    assert report["after"]["loss"] < report["before"]["loss"] and report["after"]["cosine"] > report["before"]["cosine"]
    source = locate_encoder("ours", folder=place / "ours")
    served = load_encoder(source, cache=place / "cache", threads=1)
    large = load_encoder(
        locate_encoder("teacher", folder=place / "teacher"), cache=place / "cache", precision="fp32", threads=1
    )
    assert report["dimensions"] == served.dimensions == 48
    assert float((served.embed(TEXTS) * large.embed(TEXTS)).sum(1).mean()) > 0.9
    files = {path.name for path in (place / "ours").rglob("*") if path.is_file()}
    assert files == {"config.json", "tokenizer.json", "model.safetensors", "modules.json", "README.md"}
    card = (place / "ours" / "README.md").read_text()
    assert "teacher, licence apache-2.0" in card and "student, its files state no licence" in card
    assert not list((place / "home").rglob("*.safetensors")), "checkpoints go when it is over"
    assert not list(place.glob(".*")), "no scratch folder stays"


def test_without_a_teacher_an_encoder_learns_by_itself_out_of_a_column_and_no_row_that_tests(place: Path) -> None:
    rows = [f'"{text}",{"test" if number % 5 == 0 else "train"}' for number, text in enumerate(TEXTS)]
    (place / "rows.csv").write_text("message,split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    shown = run(place, "--text-column", "message", "--epochs", 8, "--json", "--steps", 60, data="rows.csv")
    assert shown.exit_code == 2, "epochs or steps"
    report = report_of(run(place, "--text-column", "message", "--json", "--steps", 40, data="rows.csv"))
    assert report["teacher"] is None and report["written"]
    assert report["texts"] + report["held_out_texts"] == sum("train" in row for row in rows)
    assert report["test_rows_left_out"] == sum("test" in row for row in rows)
    assert set(load_file(place / "ours" / "model.safetensors")) == set(start())


def test_a_topic_is_learnt_from_as_data_check_reads_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = MemoryTopics()
    for text in TEXTS:
        topics.append("support.chats", orjson.dumps({"text": text}), b"customer")
    topics.append("support.chats", None, b"customer")  # a deletion is nothing to learn from
    topics.append("support.chats", b"\xff not JSON", b"customer")
    admin, described = MemoryAdmin(topics), {"support.chats": SimpleNamespace(epoch="0a1b2c3d")}
    monkeypatch.setattr(admin, "describe", lambda names: described, raising=False)
    wiring = SimpleNamespace(admin=lambda: admin, reader=topics.reader, close=lambda: None)
    monkeypatch.setattr("headrace.tools.data.reading.Wiring", lambda settings: wiring)
    command = arguments(place, "--topic", "support.chats", "--app", "support", "--json", "--steps", 20)
    command.remove(str(place / "texts.txt"))
    report = report_of(CliRunner().invoke(cli, command))
    assert report["texts"] + report["held_out_texts"] == len(TEXTS) and report["unreadable_rows"] == 1
    assert report["written"]


def test_the_same_seed_writes_the_same_weights_and_another_one_others(place: Path) -> None:
    for out, seed in (("one", 0), ("two", 0), ("three", 1)):
        asked = ("--teacher", place / "teacher", "--seed", seed, "--json", "--steps", 30)
        assert report_of(run(place, *asked, out=out))["steps"] == 30
    weights = [(place / out / "model.safetensors").read_bytes() for out in ("one", "two", "three")]
    assert weights[0] == weights[1] != weights[2]


def test_where_the_texts_held_out_say_no_nothing_is_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from headrace.training.adaptation import distilling

    monkeypatch.setattr(distilling, "BY_ITSELF", replace(distilling.BY_ITSELF, learning_rate=1e-12))
    result = run(place, "--json", "--steps", 4)
    assert "did not fall" in fault_of(result) and "nothing was written" in fault_of(result)
    assert report_of(result)["written"] is False and report_of(result)["folder"] is None
    assert not (place / "ours").exists() and result.exit_code == 1


def test_a_run_that_was_killed_goes_on_when_it_is_asked_for_again(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kept() -> list[Path]:
        return list((place / "home" / "trainings").glob("*.safetensors"))

    words = ("--steps", 60, "--json")
    command = [sys.executable, "-m", "headrace.cli", *arguments(place, *words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as first:
        deadline = time.monotonic() + 800
        while not kept():
            assert first.poll() is None, first.stderr and first.stderr.read()
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    assert not (place / "ours").exists()
    with caplog.at_level("INFO", logger="headrace.training.run.checkpoints"):
        report = report_of(run(place, *words))
    assert "going on from" in caplog.text and report["steps"] == 60 and len(report["losses"]) == 11
    assert not kept(), "a run that is over leaves none"


def test_a_full_disk_is_one_line_and_costs_no_training(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.training.adaptation import folder

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(folder, "save_file", full)
        said = fault_of(run(place, "--steps", 20))
    assert "No space left on device" in said and "nothing was written" in said
    assert not (place / "ours").exists() and not list(place.glob(".*"))

    def stepped(*_: object) -> None:
        raise AssertionError("it was trained already")

    monkeypatch.setattr("retrain.adaptation.loop._Run._make_step", stepped)
    assert report_of(run(place, "--steps", 20, "--json"))["written"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("few.txt", "\n".join(TEXTS[:50]).encode(), "50 different texts are too few"),
        ("same.txt", b"where is my order 12\n" * 500, "1 different texts are too few"),
        ("picture.txt", bytes(range(128, 256)) * 50, "not UTF-8"),
        ("wide.txt", "hello\n".encode("utf-16"), "UTF-16"),
        ("empty.txt", b"", "empty"),
        ("zip.txt", b"PK\x03\x04" + bytes(500), "workbook or a zip"),
        ("cut.txt.gz", b"\x1f\x8b\x08\x00" + bytes(6), "cannot be unpacked"),
        ("other.csv", b"message\n" + b"hello\n" * 200, "no column 'text'; its columns are: message"),
    ],
)
def test_texts_that_are_none_are_told_in_one_line(place: Path, name: str, content: bytes, words: str) -> None:
    (place / name).write_bytes(content)
    assert words in fault_of(run(place, data=name))
    assert not (place / "ours").exists()


def test_a_teacher_that_is_none_is_told_in_one_line(place: Path) -> None:
    weights = place / "teacher" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes((2**63).to_bytes(8, "little") + whole[8:])
    assert "cannot be read" in fault_of(run(place, "--teacher", place / "teacher"))
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in fault_of(run(place, "--teacher", place / "teacher"))
    weights.rename(place / "teacher" / "pytorch_model.bin")
    assert "no pickle is read" in fault_of(run(place, "--teacher", place / "teacher"))
    assert "unknown" in fault_of(run(place, "--teacher", "nobody"))
    config = place / "teacher" / "config.json"
    config.write_text(json.dumps(CONFIG | {"model_type": "no such"}))
    save_file(small_weights(), weights)
    assert "describes no encoder" in fault_of(run(place, "--teacher", place / "teacher"))


def test_a_folder_with_files_in_it_is_left_as_it_is(place: Path) -> None:
    (place / "ours").mkdir()
    (place / "ours" / "notes").write_text("mine")
    assert "left as it is" in fault_of(run(place))
    assert [path.name for path in (place / "ours").iterdir()] == ["notes"]
    assert "no folder" in fault_of(run(place, out="nowhere/ours"))


def test_an_encoder_made_of_a_chinese_one_keeps_its_calibration_texts(place: Path) -> None:
    config = CONFIG | {"calibration_language": "zh"}
    write_encoder(place / "chinese", start(), config, small_tokenizer_json(), "")
    assert report_of(run(place, "--json", "--steps", 20, student="chinese"))["written"]
    source = locate_encoder("ours", folder=place / "ours")
    assert calibration_texts(source) == default_calibration_texts("zh")


def test_what_was_written_reads_back_as_it_was(place: Path) -> None:
    for pooling, dense in (("mean", None), ("cls", None), ("mean", "tanh"), ("cls", "identity")):
        ending = {"pooling": pooling} | ({} if dense is None else {"dense": dense})
        weights = small_weights() | ({} if dense is None else dense_layer(20))
        folder = place / f"{pooling}-{dense}"
        write_encoder(folder, weights, CONFIG | ending, small_tokenizer_json(), "")
        source = locate_encoder("any", folder=folder)
        assert (source.config["pooling"], source.config.get("dense")) == (pooling, dense)
        found = source.read_weights()
        assert set(found) == set(weights) and all(np.array_equal(found[name], weights[name]) for name in weights)
