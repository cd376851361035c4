"""`headrace train --image-column`: a file whose rows have a text and a picture, to a release that decides by both."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_pictures import encoded, parcel
from small_release import small_encoder
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app as cli
from headrace.training import from_file
from headrace.training.from_file import TrainingRequest
from headrace.training.pictures.folder import PictureOrder
from models.bundle import unpack
from models.errors import TrainingDataError
from retrain.job import TrainedRelease
from retrain.progress import no_progress
from streams.application import Application, HeadSpec

pytestmark = pytest.mark.train

APP = Application(name="support", topic="claims", heads=(HeadSpec(name="intent", column="intent"),))
WISHES = {
    "refund": ("please refund my card", "give my money back", "i want a refund for the order"),
    "late": ("where is my parcel", "my order has not arrived", "is the order late again"),
}
ENDS = ("", "please", "thanks", "hello", "now", "today", "ok", "help", "a b c", "again")


def claims(folder: Path, count: int, *, shows: str) -> Path:
    """Rows of four labels. The text tells a refund from a late order; the picture, where it `shows` damage, a damaged
    parcel from an intact one. Where it shows nothing, it is drawn whatever the label."""
    rng, lines = np.random.default_rng(5), list[dict[str, str]]()
    (folder / "photos").mkdir(parents=True)
    for number in range(count):
        wish, state = ("refund", "late")[number % 2], ("damaged", "intact")[number // 2 % 2]
        damaged = state == "damaged" if shows == "damage" else bool(rng.integers(2))
        (folder / "photos" / f"{number}.png").write_bytes(encoded(parcel(rng, damaged=damaged)))
        text = f"{WISHES[wish][int(rng.integers(3))]} {ENDS[int(rng.integers(10))]} {number}"
        lines.append({"text": text, "intent": f"{wish} {state}", "photo": f"photos/{number}.png"})
    write(folder / "claims.csv", lines)
    return folder / "claims.csv"


def write(file: Path, lines: list[dict[str, str]]) -> None:
    with file.open("w", newline="") as opened:
        table = csv.DictWriter(opened, list(lines[0]))
        table.writeheader()
        table.writerows(lines)


def read(file: Path) -> list[dict[str, str]]:
    with file.open() as opened:
        return list(csv.DictReader(opened))


def trained(data: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> TrainedRelease:
    monkeypatch.setattr(from_file, "default_encoder", lambda _: small_encoder())
    monkeypatch.setattr(from_file, "source_of_encoder", lambda _: {"name": "small"})
    wiring: Any = SimpleNamespace(settings=SimpleNamespace(encoder="small", threads=1))
    order = TrainingRequest(data, pictures=PictureOrder(None, 16, column="photo"), **options)
    return from_file.train(wiring, FolderRegistry(str(data.parent / "registry")), APP, order, no_progress)


def test_text_and_picture_decide_together_what_neither_can_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = claims(tmp_path, 320, shows="damage")
    lines = read(file)
    (tmp_path / "photos" / "3.png").write_bytes(b"no picture")
    lines[4]["photo"] = "photos/gone.png"
    lines[5]["photo"] = ""
    write(file, lines)
    release = trained(file, monkeypatch)
    fusion, figures = release.report["fusion"], release.report["fusion"]["metrics"]
    assert fusion["serves"] and figures["rows"] >= 50
    assert figures["text_accuracy"] < 0.8 and figures["picture_accuracy"] < 0.8
    assert figures["accuracy"] > 0.9 and figures["gain_low"] > 0.1
    assert figures["ece"] < 0.15
    rejected = {one["name"]: one["reason"] for one in release.report["pictures"]["rejected"]}
    assert rejected == {"line 5, photos/3.png": "picture_type", "line 6, photos/gone.png": "picture_type"}
    assert release.report["train_rows"] + release.report["test_rows"] < 320, "some rows only tune"
    assert release.manifest["training"]["valid_rows"] >= 40
    loaded = unpack(json.dumps(release.manifest).encode(), release.blobs.__getitem__, threads=1)
    assert loaded.fusion is not None and loaded.pictures is not None and loaded.pictures.size == 16
    served_and_evaluated(tmp_path, release, monkeypatch)


def served_and_evaluated(folder: Path, release: TrainedRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured comes again from the file, and `classify` decides by both."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HEADRACE_HOME", str(folder))
    monkeypatch.setenv("HEADRACE_THREADS", "1")
    registry = FolderRegistry(str(folder / "registry"))
    registry.publish("support", release.manifest, release.blobs)
    registry.promote("support", "1")
    words = ["evaluate", "support", "--data", "claims.csv", "--image-column", "photo", "--json"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    said, told = json.loads(done.stdout), release.report["fusion"]["metrics"]
    assert said["fusion"]["texts"] == told["rows"] and said["fusion"]["accuracy"] == told["accuracy"]
    assert said["fusion"]["text_accuracy"] == told["text_accuracy"]
    assert said["pictures"]["accuracy"] == told["picture_accuracy"]
    assert sum(said["fusion"]["decided_by"].values()) == told["rows"]
    for number in (0, 2):
        wish, photo = read(folder / "claims.csv")[number]["intent"].split()
        words = ["classify", "support", "i want my money back", "--image", f"photos/{number}.png"]
        found = json.loads(CliRunner().invoke(cli, words, catch_exceptions=False).stdout)
        assert wish == "refund" and found["labels"]["intent"]["label"] == f"refund {photo}"
        assert found["fusion"]["head"] == "intent" and found["picture"]["label"]


def test_where_pictures_are_noise_the_text_goes_on_deciding_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = trained(claims(tmp_path, 240, shows="nothing"), monkeypatch)
    assert not release.report["fusion"]["serves"]
    assert "no gain beyond chance" in release.report["fusion"]["reason"]
    loaded = unpack(json.dumps(release.manifest).encode(), release.blobs.__getitem__, threads=1)
    assert loaded.fusion is None and loaded.pictures is not None


def test_labels_that_only_one_side_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = claims(tmp_path, 120, shows="damage")
    lines = [line | ({"photo": ""} if line["intent"] == "late intact" else {}) for line in read(file)]
    write(file, lines)
    with pytest.raises(TrainingDataError, match="no picture stands beside a row labelled 'late intact'"):
        trained(file, monkeypatch)
    write(file, [line | {"photo": ""} for line in lines])
    with pytest.raises(TrainingDataError, match="no row names a picture"):
        trained(file, monkeypatch)


def test_options_that_do_not_go_together_are_refused() -> None:
    for words, message in (
        (["--data", "a.csv", "--images", "b", "--image-column", "photo"], "they train one network"),
        (["--image-column", "photo"], "--image-column is a column of --data FILE"),
        (["--images", "b", "--image-column", "photo"], "they train one network"),
        (["--data", "a.csv", "--mirror-images"], "go with --images or --image-column"),
    ):
        done = CliRunner().invoke(cli, ["train", "support", *words])
        assert done.exit_code == 2 and message in " ".join(done.stderr.replace("│", "").split())
