"""What commit d23f76a wrote is read, or refused with the way out."""

import json
from pathlib import Path

import numpy as np
import pytest

from connectors.ports import Record
from connectors.registry import FolderRegistry
from headrace.releases.references import release_reference
from headrace.releases.release_log import next_release
from models.errors import ModelError
from models.ngrams import HASHING
from retrain import training_data
from streams.classify.release_loading import announced_hash, load_release
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_state import what_stands

DATA = Path(__file__).parents[1] / "data" / "d23f76a"
MANIFEST = DATA / "registry" / "models" / "support" / "1" / "manifest.json"


@pytest.fixture
def registry() -> FolderRegistry:
    return FolderRegistry(str(DATA / "registry"))


@pytest.fixture
def release() -> Release:
    record = Record(RELEASES_TOPIC, 0, 0, b"support", (DATA / "release.json").read_bytes(), 0)
    return what_stands([record])["support"].release


def test_the_announced_release_is_proved_and_served(registry: FolderRegistry, release: Release) -> None:
    sha256 = announced_hash(release, release.champion)
    described = json.loads(MANIFEST.read_bytes())
    if described["hashing"] != HASHING:
        with pytest.raises(ModelError, match="train it again"):
            load_release(registry, "support", "1", sha256, threads=1)
        return
    classifier = load_release(registry, "support", "1", sha256, threads=1)
    golden = described["golden"]
    decided = classifier.classify_texts(golden["texts"])
    agree = [
        decision.heads["intent"].label == label
        for decision, label in zip(decided, golden["labels"]["intent"], strict=True)
    ]
    assert np.mean(agree) > 0.9, "but for texts between two labels"


def test_it_can_be_replaced_and_rolled_back_to(registry: FolderRegistry, release: Release) -> None:
    again = next_release(registry, "support", "1", release, by="rollback")
    assert (again.champion, again.manifest_sha256) == ("1", release.manifest_sha256)


def test_what_a_monitor_and_a_retraining_need_of_it_is_read(registry: FolderRegistry, release: Release) -> None:
    reference = release_reference(registry, "support", "1", announced_hash(release, "1"))
    assert {"centroids", "reference_distances", "reference_confidence", "label_shares"} <= set(reference)
    sha256 = json.loads(MANIFEST.read_bytes())["files"][training_data.ROLE]["sha256"]
    dataset = training_data.from_bytes(registry.blob(sha256))
    assert dataset.heads == ("intent", "urgency") and len(dataset.rows) == 160
