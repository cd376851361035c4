"""A release's card: metadata that the Hub reads, figures with intervals, no empty field, and nothing of a label is
markup."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from small_release import small_release
from typer.testing import CliRunner

from connectors.encoders.known import DEFAULT_ENCODER, ENCODERS
from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.pages.model_card import attach_card, render_card
from headrace.training.energy_counter import EnergyMeter
from headrace.training.from_file import prepare_folder, write_release
from models.bundle import unpack
from retrain.cost import Reading, cost_between
from retrain.training_data import CARD_ROLE, served_bytes

OLD_RELEASE = Path(__file__).parents[1] / "data/d23f76a/registry/models/support/1/manifest.json"
HOSTILE = 'a | b <script>alert(1)</script>\n# no heading "x"'


def manifest(**changed: Any) -> dict[str, Any]:
    return json.loads(json.dumps(small_release().manifest)) | changed


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


def test_metadata_is_what_the_hub_reads() -> None:
    read = ModelCard(render_card(manifest(version="3"))).data
    assert read.library_name == "headrace" and read.pipeline_tag == "text-classification"
    figures = {(one.task_name, one.metric_type): one.metric_value for one in read.eval_results or []}
    metrics = small_release().manifest["metrics"]
    assert figures == {
        (head, metric): metrics[head][name]
        for head in ("intent", "urgency")
        for metric, name in (("accuracy", "accuracy"), ("f1", "macro_f1"))
    }


def test_encoder_is_named_with_its_licence_only_where_its_weights_are_the_published_ones() -> None:
    weights = ENCODERS[DEFAULT_ENCODER].sha256["model.safetensors"]
    of_package = manifest(encoder={"max_tokens": 32, "source": {"name": DEFAULT_ENCODER, "weights_sha256": weights}})
    card = render_card(of_package)
    assert ModelCard(card).data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert "licence Apache-2.0" in card and weights in card
    own = render_card(manifest(encoder={"max_tokens": 32, "source": {"name": DEFAULT_ENCODER, "weights_sha256": "f"}}))
    assert ModelCard(own).data.base_model is None and "licence" not in own


@pytest.mark.parametrize("described", [manifest(), json.loads(OLD_RELEASE.read_text("utf-8")), {"model": "bare"}])
def test_what_a_manifest_does_not_say_is_left_out_and_never_left_empty(described: dict[str, Any]) -> None:
    lines = body(render_card(described)).splitlines()
    assert not any(word in line for line in lines for word in ("None", "–", "nan", "| |", "``", "()"))
    assert not any(line.rstrip().endswith(":") for line in lines)


def test_figures_stand_with_intervals_and_slices_with_theirs() -> None:
    card = render_card(manifest())
    low, high = small_release().manifest["metrics"]["intent"]["accuracy_ci95"]
    assert f"({low:.4f} to {high:.4f})" in card
    assert "| length=up to 40 characters | 32 | 1.000 (0.893 to 1.000) |" in card
    assert small_release().manifest["training"]["fingerprint"] in card
    assert "fewer than 20 test texts each" in card


def test_nothing_of_a_label_is_markup_or_a_cell_of_its_own() -> None:
    described = manifest()
    metrics = described["metrics"]["intent"]
    described["heads"][0]["labels"][0] = HOSTILE
    metrics["per_label"][HOSTILE] = metrics["per_label"].pop("delivery")
    card = body(render_card(described))
    assert "<script" not in card and "\n# no heading" not in card
    (row,) = [line for line in card.splitlines() if line.startswith("| a ")]
    assert row.replace("\\|", "").count("|") == 6


def test_a_release_carries_its_card_which_no_worker_reads(tmp_path: Path) -> None:
    described, blobs = manifest(), dict(small_release().blobs)
    before = served_bytes(described)
    attach_card(described, blobs)
    assert served_bytes(described) == before
    registry = FolderRegistry(str(tmp_path))
    version = registry.publish("support", described, blobs)
    published = registry.manifest("support", version)
    card = registry.blobs_of(published)(json.loads(published)["files"][CARD_ROLE]["sha256"]).decode()
    assert ModelCard(card).data.library_name == "headrace"
    assert unpack(published, registry.blobs_of(published), version=version).model == "support"


def test_command_tells_and_writes_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REGISTRY", str(tmp_path / "registry"))
    FolderRegistry(str(tmp_path / "registry")).publish("support", manifest(), small_release().blobs)
    told = CliRunner().invoke(app, ["models", "card", "support@1"])
    assert told.exit_code == 0 and "# support@1" in told.stdout
    written = CliRunner().invoke(app, ["models", "card", "support", "--output", str(tmp_path / "MODEL_CARD.md")])
    assert written.exit_code == 0
    assert (tmp_path / "MODEL_CARD.md").read_text("utf-8").rstrip() == told.stdout.rstrip()


def test_a_release_in_a_folder_has_its_card_beside_the_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    prepare_folder(folder)
    write_release(small_release(), folder)
    assert "# support" in (folder / "MODEL_CARD.md").read_text("utf-8")


def test_energy_is_the_counter_s_or_else_an_estimate_that_says_so() -> None:
    counted = cost_between(Reading(10.0, 4.0, 100.0), Reading(70.0, 94.0, 7300.0))
    assert counted == {"seconds": 60.0, "processor_seconds": 90.0, "energy_wh": 2.0, "energy_from": "counter"}
    guessed = cost_between(Reading(10.0, 4.0), Reading(70.0, 94.0))
    assert guessed["energy_wh"] == 0.25 and guessed["energy_from"] == "estimate"
    described = manifest()
    described["training"]["cost"] = guessed
    assert "0.25 Wh, estimated" in render_card(described)


def test_counter_of_packages_goes_on_where_it_begins_again_at_zero(tmp_path: Path) -> None:
    def zone(name: str, energy: int) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "energy_uj").write_text(str(energy))
        (tmp_path / name / "max_energy_range_uj").write_text("10000000")

    meter = EnergyMeter(tmp_path)
    assert meter().joules is None
    zone("intel-rapl:0", 9_000_000), zone("intel-rapl:1", 0), zone("intel-rapl:0:0", 0)
    meter = EnergyMeter(tmp_path)
    assert meter().joules == 0.0
    zone("intel-rapl:0", 1_000_000), zone("intel-rapl:1", 500_000), zone("intel-rapl:0:0", 900_000)
    assert meter().joules == pytest.approx(2.5)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert meter().joules is None
