"""A retraining whose application asks for a strategy that tunes: it starts from the configured encoder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file
from small_bert import CONFIG, small_tokenizer_json, small_weights
from small_entities import small_entity_rows, small_gazetteer
from small_release import SUBJECTS, small_release

from connectors.registry import FolderRegistry
from headrace.training import retrain_child
from models.bundle import unpack
from retrain import training_data
from retrain.entities.release import fit_entities
from retrain.job import TrainedRelease

pytestmark = pytest.mark.train
ENDS = "please hello thanks now today help ok soon again quickly maybe never often really tomorrow yesterday"


def configured_encoder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(small_tokenizer_json())
    save_file(dict(small_weights()), folder / "model.safetensors")
    return folder


def retrained(
    folder: Path, *, per_text: int, strategy: str = "full", names: bool = False
) -> tuple[dict[str, Any], TrainedRelease]:
    """The verdict, and what was trained. per_text: labelled decisions for each of the corpus's texts. names: the
    champion says what is said of each entity."""
    release, registry = small_release(), FolderRegistry(str(folder / "registry"))
    manifest, blobs = json.loads(json.dumps(release.manifest)), dict(release.blobs)
    training_data.attach(manifest, blobs, release.dataset)
    if names:
        fit_entities(manifest, blobs, release.classifier, small_gazetteer(), small_entity_rows())
    version = registry.publish("support", manifest, blobs)
    labelled = [
        {
            "id": f"{subject}-{number}-{word}",
            "text": f"{text} {word} {number}",
            "labels": {"intent": subject, "urgency": "low" if number % 2 else "high"},
            "by": dict.fromkeys(("intent", "urgency"), f"person {len(word) % 3}"),
        }
        for subject, texts in SUBJECTS.items()
        for number, text in enumerate(texts)
        for word in ENDS.split()[:per_text]
    ]
    order: dict[str, Any] = {
        "registry": str(folder / "registry"),
        "model": "support",
        "champion": version,
        "manifest_sha256": hashlib.sha256(registry.manifest("support", version)).hexdigest(),
        "request": "support@1-7",
        "labelled": labelled,
        "seed": 0,
        "threads": 1,
        "strategy": strategy,
        "max_texts_per_label": 2_000,
        "look": 1,
        "mask_personal_data": False,
        "settings": {
            "home": str(folder / "home"),
            "cache": str(folder / "cache"),
            "encoder": str(configured_encoder(folder / "encoder")),
            "threads": 1,
        },
    }
    trained: list[TrainedRelease] = []
    train = retrain_child.train_release
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrain_child, "train_release", lambda *a, **k: trained.append(train(*a, **k)) or trained[-1])
        return retrain_child.run(order), trained[-1]


@pytest.mark.parametrize("strategy", ["full", "fewshot", "lora"])
def test_a_challenger_is_tuned_from_the_configured_encoder(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, full: True)
    verdict, challenger = retrained(tmp_path, per_text=16, strategy=strategy)
    assert challenger.manifest["strategy"] == challenger.manifest["serves"] == strategy
    before = small_release().manifest["files"]["encoder"]["sha256"]
    assert challenger.manifest["files"]["encoder"]["sha256"] != before
    assert "quick strategy" not in verdict["words"]


def test_a_challenger_is_tuned_to_the_champions_entities_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, full: True)
    _, challenger = retrained(tmp_path, per_text=16, names=True)
    assert challenger.manifest["entities"]["reads"] == "tokens"
    served = unpack(json.dumps(challenger.manifest).encode(), challenger.blobs.__getitem__, threads=1)
    (answer,) = served.classify_texts(["Acme wins the order , Zorn loses it"])
    assert [entity.id for entity in answer.entities or ()] == ["acme", "zorn"]


def test_too_few_texts_for_fine_tuning_leave_the_quick_strategy_and_are_told(tmp_path: Path) -> None:
    verdict, challenger = retrained(tmp_path, per_text=1)
    assert challenger.manifest["strategy"] == "quick"
    assert "trained by the quick strategy: " in verdict["words"]
