"""One retraining as its process does it: champion's data and labels in, a published release or a refusal out."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small_release import ENDINGS, small_release

from connectors.registry import FolderRegistry
from headrace.training.retrain_child import run
from retrain import training_data
from retrain.gate.verdict import PAGE_ROLE
from retrain.text_keys import is_held_out

THINGS = ("blender", "kettle", "toaster", "heater", "lamp", "charger", "battery", "drill", "scooter", "fan")
RECALLED = [f"is the {thing} recalled by its maker{ending}" for thing in THINGS for ending in ENDINGS]


@pytest.fixture
def order(tmp_path: Path) -> dict[str, Any]:
    """About support@1, without a label so far."""
    release, registry = small_release(), FolderRegistry(str(tmp_path))
    manifest, blobs = json.loads(json.dumps(release.manifest)), dict(release.blobs)
    training_data.attach(manifest, blobs, release.dataset)
    version = registry.publish("support", manifest, blobs)
    sha256 = hashlib.sha256(registry.manifest("support", version)).hexdigest()
    return {
        "registry": str(tmp_path),
        "model": "support",
        "champion": version,
        "manifest_sha256": sha256,
        "request": "support@1-7",
        "labelled": [],
        "seed": 0,
        "threads": 1,
        "strategy": "quick",
        "max_texts_per_label": 2_000,
        "look": 1,
        "mask_personal_data": False,
    }


def recalled(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "text": text,
            "labels": {"intent": "recall"},
            "chosen": {"intent": "random"},
            "introduces": ["intent"],
        }
        for number, text in enumerate(RECALLED[:count])
    ]


def test_a_better_challenger_is_published_with_the_gates_words(order: dict[str, Any]) -> None:
    """Size and speed of both are measured, and found alike."""
    verdict = run(order | {"labelled": recalled(100)})
    assert verdict["version"] == "2", verdict["words"]
    registry = FolderRegistry(order["registry"])
    manifest = registry.manifest("support", "2")
    described = json.loads(manifest)
    assert described["gate"]["passed"] and described["gate"]["reason"] == verdict["words"]
    assert verdict["words"].startswith("better: ") and described["gate"]["gain"]["lost"] == 0
    assert "won" not in described["gate"], "texts are users', a manifest is read by many"
    page = registry.blobs_of(manifest)(described["files"][PAGE_ROLE]["sha256"]).decode()
    assert '<h1 class="good">Passed the gate: better: ' in page and "is the" in page
    assert described["retraining"]["request"] == "support@1-7" and described["serves"] == "quick"
    dataset = training_data.of_release(described, registry.blobs_of(manifest))
    held_out = {text for text in RECALLED if is_held_out(text)}
    assert held_out and held_out == {row.text for row in dataset.part("test")} & set(RECALLED)


def test_one_that_is_much_larger_is_not(order: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """M-4."""
    sizes = iter((1_000_000, 1_600_000))
    monkeypatch.setattr(training_data, "served_bytes", lambda _: next(sizes))
    verdict = run(order | {"labelled": recalled(100)})
    assert verdict["version"] is None
    assert '<h1 class="bad">Not released: intent is better' in verdict["page"]
    assert "1.6 MB against 1.0 MB, more than 1.5 times as large" in verdict["words"]


def test_the_training_data_are_not_what_serves(order: dict[str, Any]) -> None:
    """They grow with every label."""
    described = json.loads(FolderRegistry(order["registry"]).manifest("support", "1"))
    assert described["files"][training_data.ROLE]["bytes"] > 0
    served = training_data.served_bytes(small_release().manifest)
    assert training_data.served_bytes(described) == served
    training_data.attach_file(described, {}, PAGE_ROLE, b"a page")
    assert training_data.served_bytes(described) == served


def test_what_was_set_aside_is_told_and_a_second_person_asked(order: dict[str, Any]) -> None:
    """M-3."""
    rows = training_data.of_release(*_release(order)).part("train")
    renamed = [row.text for row in rows if row.labels["intent"] == "refund"][:12]
    labelled = [
        {"id": f"r{n}", "text": text, "labels": {"intent": "fee"}, "by": {"intent": "mallory"}}
        for n, text in enumerate(renamed)
    ]
    good = [item | {"by": {"intent": "ann"}} for item in recalled(100)]
    verdict = run(order | {"labelled": [*good, *labelled], "given_as": "support"})
    assert verdict["feedback"]["set_aside"]["relabelling"] == 12
    assert "refund -> fee is the word of mallory alone" in verdict["words"]
    assert {doubt["decision_id"] for doubt in verdict["doubts"] if doubt["by"] == ["mallory"]} >= {
        item["id"] for item in labelled
    }


def _release(order: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    registry = FolderRegistry(order["registry"])
    manifest = registry.manifest("support", "1")
    return json.loads(manifest), registry.blobs_of(manifest)
