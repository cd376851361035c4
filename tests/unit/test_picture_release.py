"""A release's picture part: packed with it, proved at every load, carried on by whoever trains on texts."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_pictures import encoded, flat, parcel, small_picture_classifier
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app as cli
from headrace.pages.model_card import render_card
from headrace.training.pictures.training import carry_from_champion
from models.bundle import unpack
from models.errors import ConfigError, ReleaseCorrupt, TrainingDataError
from retrain.pictures.release import attach_pictures, with_pictures
from retrain.pictures.training import TrainedPictures

METRICS = {
    "pictures": 40,
    "accuracy": 0.9,
    "accuracy_ci95": [0.77, 0.96],
    "macro_f1": 0.88,
    "ece": 0.03,
    "per_label": {
        name: {"precision": 0.9, "recall": 0.9, "f1": 0.9, "pictures": 14} for name in ("damaged", "intact", "open")
    },
}
TRAINING = {
    "fingerprint": "f" * 64,
    "train_pictures": 100,
    "valid_pictures": 30,
    "test_pictures": 40,
    "rejected_pictures": 2,
    "seed": 0,
}


def trained_pictures() -> TrainedPictures:
    classifier = small_picture_classifier()
    return TrainedPictures(classifier, classifier.describe() | {"metrics": METRICS, "training": TRAINING})


def release() -> tuple[dict[str, Any], dict[str, bytes]]:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    attach_pictures(manifest, blobs, trained_pictures())
    return manifest, blobs


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderRegistry:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    return FolderRegistry(str(tmp_path / "registry"))


def publish(registry: FolderRegistry) -> None:
    registry.publish("support", *release())
    registry.promote("support", "1")


def test_a_release_comes_back_with_its_picture_part() -> None:
    manifest, blobs = release()
    pictures = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1).pictures
    assert pictures is not None and pictures.labels == ("damaged", "intact", "open")
    before = unpack(json.dumps(small_release().manifest).encode(), blobs.__getitem__, threads=1)
    assert before.pictures is None, "releases without one are as they were"


def test_a_picture_network_that_was_altered_is_not_served() -> None:
    manifest, blobs = release()
    digest = manifest["files"]["pictures"]["sha256"]
    with pytest.raises(ReleaseCorrupt, match="file 'pictures'"):
        unpack(json.dumps(manifest).encode(), (blobs | {digest: b"another"}).__getitem__, threads=1)


def test_a_release_trained_on_texts_alone_keeps_what_the_champion_knows_of_pictures(registry: FolderRegistry) -> None:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    successor = replace(small_release(), manifest=manifest, blobs=blobs)
    assert not carry_from_champion(registry, successor)
    publish(registry)
    assert carry_from_champion(registry, successor)
    assert unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1).pictures is not None


def test_pictures_can_be_added_to_what_serves(registry: FolderRegistry) -> None:
    manifest = json.loads(json.dumps(small_release().manifest)) | {"retraining": {"request": "r1"}, "gate": {}}
    registry.publish("support", manifest, small_release().blobs)
    after, blobs = with_pictures(json.loads(registry.manifest("support", "1")), trained_pictures())
    assert after["parent"] == "1" and not {"retraining", "gate", "version"} & set(after)
    sent = {after["files"][role]["sha256"] for role in ("pictures", "picture_keys")}
    assert set(blobs) == sent, "the files that stand in the registry already are not sent again"
    assert registry.publish("support", after, blobs) == "2"
    loaded = unpack(registry.manifest("support", "2"), registry.blobs_of(registry.manifest("support", "2")), threads=1)
    assert loaded.pictures is not None and list(loaded.heads) == ["intent", "urgency"]


def test_the_card_says_how_good_the_pictures_are_and_what_is_not_known() -> None:
    card = render_card(release()[0])
    assert "## Pictures beside texts" in card and "0.9000 (0.7700 to 0.9600)" in card
    assert "fewer than 20 test pictures each" in card and "16 by 16 pixels" in card
    assert "Pictures" not in render_card(small_release().manifest)


def classify(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["classify", "support", *arguments, "--model", "support@1"])


@pytest.fixture
def served(registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(registry)
    monkeypatch.setattr("headrace.tools.classifying.hash_to_compare", lambda *_: None)


@pytest.mark.usefixtures("served")
def test_a_picture_is_decided_beside_its_text_and_alone(tmp_path: Path) -> None:
    (tmp_path / "parcel.png").write_bytes(encoded(flat()))
    (decision,) = map(json.loads, classify("refund please", "--image", "parcel.png").stdout.splitlines())
    assert decision["labels"]["intent"]["label"] and decision["picture"]["label"] in ("damaged", "intact", "open")
    assert 0 < decision["picture"]["probability"] <= 1
    alone = json.loads(classify("--image", "parcel.png").stdout)
    assert alone["labels"] == {} and alone["picture"] == decision["picture"]


@pytest.mark.usefixtures("served")
def test_a_bad_picture_leaves_the_text_its_decision(tmp_path: Path) -> None:
    (tmp_path / "parcel.png").write_bytes(b"no picture")
    decision = json.loads(classify("refund please", "--image", "parcel.png").stdout)
    assert decision["labels"]["intent"]["label"]
    assert decision["picture"]["fault"] == "picture_type" and "no known kind" in decision["picture"]["detail"]


@pytest.mark.usefixtures("served")
def test_what_cannot_be_done_with_a_picture_is_one_line(tmp_path: Path) -> None:
    done = classify("refund please", "--image", "gone.png")
    assert done.exit_code == 1 and "--image gone.png cannot be read: No such file" in str(done.exception)
    assert "stands beside one text, and 2 are given" in str(classify("a", "b", "--image", "gone.png").exception)


def test_a_release_without_a_picture_part_says_how_to_get_one(registry: FolderRegistry, tmp_path: Path) -> None:
    from headrace.tools.pictures.reading import read_picture

    (tmp_path / "parcel.png").write_bytes(encoded(flat()))
    with pytest.raises(ConfigError, match="support@1 decides no pictures: `headrace train support --images FOLDER"):
        read_picture(SimpleNamespace(pictures=None, model="support", version="1"), tmp_path / "parcel.png")  # type: ignore[arg-type]


def train(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["train", "support", *arguments])


def test_train_wants_texts_or_pictures(registry: FolderRegistry) -> None:
    assert "give --data FILE, --images FOLDER or both" in train().output
    assert "go with --images" in train("--data", "x.csv", "--mirror-images").output
    assert train().exit_code == 2


def test_pictures_alone_want_a_release_beside_which_they_stand(registry: FolderRegistry) -> None:
    done = train("--images", ".")
    assert isinstance(done.exception, ConfigError) and "give --data FILE as well" in str(done.exception)


def test_a_folder_that_cannot_train_is_one_line(registry: FolderRegistry, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    publish(registry)
    missing = train("--images", "nowhere")
    assert isinstance(missing.exception, ConfigError) and "nowhere cannot be read" in str(missing.exception)
    (tmp_path / "empty").mkdir()
    empty = train("--images", "empty")
    assert isinstance(empty.exception, TrainingDataError) and "the folder has no picture" in str(empty.exception)
    odd = train("--images", "empty", "--image-size", "17")
    assert isinstance(odd.exception, ConfigError) and "a multiple of 8 from 16 to 224" in str(odd.exception)


def explain(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["explain", "support@1", *arguments])


@pytest.fixture
def explained(served: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("shap")
    monkeypatch.setattr("headrace.tools.pictures.explaining.hash_to_compare", lambda *_: None)


@pytest.mark.usefixtures("explained")
def test_a_picture_is_explained_by_places_that_add_up_and_drawn_on_one_page(tmp_path: Path) -> None:
    (tmp_path / "<b>.png").write_bytes(encoded(parcel(np.random.default_rng(0), damaged=True)))
    done = explain("--image", "<b>.png", "--samples", "100", "--html", "why.html", "--json")
    assert done.exit_code == 0, done.exception
    said = json.loads(done.stdout)
    shares = sum(place["share"] for place in said["superpixels"])
    assert shares == pytest.approx(said["probability"] - said["base"], abs=1e-4)
    for place in said["superpixels"]:
        left, top, right, bottom = place["box"]
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    page = (tmp_path / "why.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "<rect" in page and "&lt;b&gt;.png" in page
    assert "<b>" not in page and "http" not in page.replace("http-equiv", "")
    assert said["label"] in explain("--image", "<b>.png", "--samples", "100").stdout


@pytest.mark.usefixtures("explained")
def test_what_cannot_be_explained_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_bytes(b"no picture")
    assert "notes.png cannot be decided (picture_type)" in str(explain("--image", "notes.png").exception)
    assert "--image is explained alone" in str(explain("a text", "--image", "notes.png").exception)
