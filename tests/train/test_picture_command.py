"""`headrace train APP --images FOLDER`: a folder in, a version in the registry that decides pictures out."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_pictures import encoded, parcel
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app as cli
from models.bundle import unpack
from retrain.pictures.release import known_pictures

pytestmark = pytest.mark.train


def test_a_folder_of_pictures_becomes_a_version_that_decides_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_THREADS", "1")
    registry = FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", small_release().manifest, small_release().blobs)
    registry.promote("support", "1")
    rng = np.random.default_rng(2)
    for label in ("damaged", "intact"):
        (tmp_path / "parcels" / label).mkdir(parents=True)
        for number in range(30):
            content = encoded(parcel(rng, damaged=label == "damaged"))
            (tmp_path / "parcels" / label / f"{number}.png").write_bytes(content)
    (tmp_path / "parcels" / "intact" / "notes.txt").write_text("a note")

    done = CliRunner().invoke(
        cli, ["train", "support", "--images", "parcels", "--register", "--image-size", "16", "--json"]
    )
    assert done.exit_code == 0, done.exception
    report = json.loads(done.stdout)
    assert (report["version"], report["promoted"], report["parent"]) == ("2", False, "1")
    pictures = report["pictures"]
    assert pictures["labels"] == ["damaged", "intact"] and pictures["size"] == 16
    assert pictures["train"] + pictures["valid"] + pictures["test"] == 60
    assert pictures["accuracy_ci95"][0] <= pictures["accuracy"] <= pictures["accuracy_ci95"][1]
    assert [one["name"] for one in pictures["rejected"]] == ["intact/notes.txt"]
    assert "intact/notes.txt does not train" in done.stderr
    manifest = registry.manifest("support", "2")
    known = known_pictures(json.loads(manifest), registry.blobs_of(manifest))
    assert len(known) == pictures["train"] + pictures["valid"], "what tested is not known to it"
    loaded = unpack(manifest, registry.blobs_of(manifest), threads=1)
    assert loaded.pictures is not None and loaded.pictures.labels == ("damaged", "intact")
    described = json.loads(manifest)["pictures"]
    assert described["training"]["libraries"].keys() == {"onnx", "onnxruntime", "pillow", "torch"}
    assert described["training"]["cost"]["seconds"] >= 0
