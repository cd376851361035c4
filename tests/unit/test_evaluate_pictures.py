"""`headrace evaluate --images`: what a release's picture network is worth on a folder of labelled pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pictures import encoded, flat, parcel, small_picture_classifier
from small_release import small_release
from test_picture_release import METRICS, TRAINING
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from retrain.pictures.dataset import picture_key
from retrain.pictures.release import attach_pictures
from retrain.pictures.training import TrainedPictures

LABELS = ("damaged", "intact", "open")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A folder `parcels` of 20 pictures, each under the label that the network gives it, but for two; by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    rng, network, content = np.random.default_rng(3), small_picture_classifier(), dict[str, bytes]()
    for number in range(20):
        drawn = encoded(parcel(rng, damaged=number % 2 == 0))
        label = network.classify(network.decode(drawn)[None])[0].decision.label
        wrong = LABELS[(LABELS.index(label) + 1) % 3]
        content[f"{wrong if number < 2 else label}/{number}.png"] = drawn
    for name, drawn in content.items():
        path = tmp_path / "parcels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn)
    return content


def publish(home: Path, known: frozenset[str] = frozenset(), *, seeing: bool = True) -> None:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    if seeing:
        classifier = small_picture_classifier()
        described = classifier.describe() | {"metrics": METRICS, "training": TRAINING}
        attach_pictures(manifest, blobs, TrainedPictures(classifier, described, known))
    registry = FolderRegistry(str(home / "registry"))
    registry.publish("support", manifest, blobs)
    registry.promote("support", "1")


def evaluate(*words: str) -> Any:
    return CliRunner().invoke(app, ["evaluate", "support", *words])


def test_pictures_are_scored_with_interval_labels_and_confusions(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    publish(tmp_path)
    (tmp_path / "parcels" / "damaged").mkdir(exist_ok=True)
    (tmp_path / "parcels" / "damaged" / "notes.txt").write_text("a note")
    twin = next(iter(pictures))
    (tmp_path / "parcels" / twin).with_name("twin.png").write_bytes(pictures[twin])
    done = evaluate("--images", "parcels", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    figures = said["pictures"]
    assert said["heads"] == {} and figures["texts"] == 20 and figures["accuracy"] == 0.9
    assert figures["accuracy_ci95"][0] < 0.9 < figures["accuracy_ci95"][1]
    assert sum(label["texts"] for label in figures["per_label"].values()) == 20
    assert sum(pair["texts"] for pair in figures["confused"]) == 2
    assert figures["left_out_copies"] == 1 and figures["left_out_trained_pictures"] == 0
    assert [one["reason"] for one in figures["rejected"]] == ["picture_type"]
    assert "damaged/notes.txt is not scored" in done.stderr
    again = evaluate("--images", "parcels", "--report", "page.html")
    assert "support@1 pictures: accuracy 0.9000" in again.stdout and "20 pictures" in again.stdout
    assert "<bdi>pictures</bdi>: 90.0 %" in (tmp_path / "page.html").read_text()


def test_texts_and_pictures_are_told_in_one_go(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    publish(tmp_path)
    (tmp_path / "held_out.csv").write_text("text,label\nrefund please do,refund\nwhat fee,fee\n")
    said = json.loads(evaluate("--data", "held_out.csv", "--images", "parcels", "--json").stdout)
    assert said["heads"]["intent"]["texts"] == 2 and said["pictures"]["texts"] == len(pictures)


def test_pictures_that_it_was_trained_on_are_left_out(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    network = small_picture_classifier()
    keys = [picture_key(network.decode(content)) for content in pictures.values()]
    publish(tmp_path, frozenset(keys[5:]))
    done = evaluate("--images", "parcels", "--json")
    figures = json.loads(done.stdout)["pictures"]
    assert figures["texts"] == 5 and figures["left_out_trained_pictures"] == 15
    assert "15 pictures left out: the release was trained on them" in done.stderr


def test_a_folder_that_it_knows_by_heart_is_refused(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    network = small_picture_classifier()
    publish(tmp_path, frozenset(picture_key(network.decode(content)) for content in pictures.values()))
    done = evaluate("--images", "parcels")
    assert done.exit_code == 1 and "the release was trained on 20 of them" in str(done.exception)


@pytest.mark.usefixtures("pictures")
def test_what_cannot_be_scored_is_said_in_a_line(tmp_path: Path) -> None:
    publish(tmp_path, seeing=False)
    assert "support@1 decides no pictures" in str(evaluate("--images", "parcels").exception)
    assert "give --data FILE, --images FOLDER or both" in evaluate().stderr
    refused = " ".join(evaluate("--images", "parcels", "--fairness").stderr.replace("│", "").split())
    assert "--image-column are about texts: give --data FILE" in refused


def test_an_empty_folder_has_nothing_to_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    publish(tmp_path)
    (tmp_path / "none" / "damaged").mkdir(parents=True)
    (tmp_path / "none" / "damaged" / "a.png").write_bytes(encoded(flat())[:50])
    done = evaluate("--images", str(tmp_path / "none"))
    assert "no picture of 1 files is left to score: none can be read" in str(done.exception)
    assert "subfolder of pictures for each label" in str(evaluate("--images", "nowhere").exception)
