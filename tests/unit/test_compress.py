"""A release made smaller: the graph really has fewer layers, heads and units, and no accuracy is lost unseen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_bert import CONFIG, TEXTS, dense_layer, small_tokenizer_json, small_weights
from small_entities import small_entity_rows, small_gazetteer
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.pages.model_card import render_card
from headrace.tools.tuning.compress import names_in_words
from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.input_ranges import BINS, Histogram, choose_range
from models.encoder.precision import build_half_graph, count_layers
from models.encoder.quantization import equal_length_batches, quantize_encoder
from models.encoder.weights_of_graph import weights_of_graph
from models.errors import ConfigError, ModelError
from retrain.compression import pruning
from retrain.compression.comparison import Comparison, Side
from retrain.compression.plan import CompressionPlan
from retrain.compression.small_encoder import compress_encoder
from retrain.entities.comparing import EntityComparison
from retrain.entities.release import fit_entities

LONGER = (*TEXTS, "a b c x y z a b c", "x", "fee fee transfer refund ok", "why was my card charged twice please help")


def encoder(weights: Any, config: Any) -> Encoder:
    content = build_encoder_graph(weights, config).SerializeToString()
    return Encoder.from_bytes(content, small_tokenizer_json(), max_tokens=32, threads=1)


def batches() -> list[Any]:
    return equal_length_batches([text.ids for text in encoder(small_weights(), CONFIG).tokenize(LONGER)])


def cosine(first: Encoder, second: Encoder) -> float:
    return float((first.embed(LONGER) * second.embed(LONGER)).sum(axis=1).mean())


@pytest.mark.parametrize("ending", [{}, {"pooling": "cls"}, {"dense": "tanh"}, {"dense": "identity"}])
def test_a_graph_gives_the_weights_back_that_it_was_built_from(ending: dict[str, Any]) -> None:
    weights = small_weights() | (dense_layer(24) if "dense" in ending else {})
    first = encoder(weights, CONFIG | ending)
    again = encoder(*weights_of_graph(build_encoder_graph(weights, CONFIG | ending).SerializeToString()))
    assert np.abs(first.embed(LONGER) - again.embed(LONGER)).max() < 1e-6
    half = encoder(*weights_of_graph(build_half_graph(weights, CONFIG | ending)))
    assert np.abs(first.embed(LONGER) - half.embed(LONGER)).max() < 2e-3


def test_an_int8_graph_gives_no_weights_back_and_says_so() -> None:
    int8 = quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32)
    with pytest.raises(ModelError, match="gives its weights back"):
        weights_of_graph(int8)


def test_heads_and_units_that_do_nothing_go_first_and_cost_nothing() -> None:
    weights = small_weights()
    weights["encoder.layer.0.attention.output.dense.weight"][:, 8:16] = 0  # the second of four heads
    weights["encoder.layer.1.output.dense.weight"][:, :32] = 0
    pruned = pruning.prune_widths(weights, CONFIG, batches(), heads=7 / 8, units=96 / 128)
    assert pruned.heads == (3, 4) and pruned.units == (64, 32)
    assert cosine(encoder(weights, CONFIG), encoder(pruned.weights, pruned.config)) > 0.9999


def test_a_layer_that_hardly_moves_the_embeddings_gives_up_its_units_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "UNIT_STEP", 4)
    for quiet, loud in ((0, 1), (1, 0)):
        weights = small_weights()
        weights[f"encoder.layer.{quiet}.output.dense.weight"] *= np.float32(0.02)
        units = pruning.prune_widths(weights, CONFIG, batches(), units=0.6).units
        assert units[quiet] < 32 < 40 < units[loud]


def test_what_is_left_makes_up_for_what_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "UNIT_STEP", 4)
    whole = encoder(small_weights(), CONFIG)
    pruned = pruning.prune_widths(small_weights(), CONFIG, batches(), units=0.6)
    refitted = cosine(whole, encoder(pruned.weights, pruned.config))
    for layer in range(2):
        name = f"encoder.layer.{layer}.output.dense"
        kept = [
            np.flatnonzero((small_weights()[f"encoder.layer.{layer}.intermediate.dense.weight"] == row).all(axis=1))[0]
            for row in pruned.weights[f"encoder.layer.{layer}.intermediate.dense.weight"]
        ]
        pruned.weights[f"{name}.weight"] = small_weights()[f"{name}.weight"][:, kept]
        pruned.weights[f"{name}.bias"] = small_weights()[f"{name}.bias"]
    assert refitted > cosine(whole, encoder(pruned.weights, pruned.config))


def test_a_layer_that_changes_nothing_is_the_one_taken_out() -> None:
    weights = small_weights()
    for name in ("attention.output.dense", "output.dense"):
        weights[f"encoder.layer.0.{name}.weight"][:] = 0
        weights[f"encoder.layer.0.{name}.bias"][:] = 0
    for name in ("attention.output.LayerNorm", "output.LayerNorm"):  # what stands before it is normalised already
        weights[f"encoder.layer.0.{name}.weight"] = weights["embeddings.LayerNorm.weight"] * 0 + 1
    pruned = pruning.prune_layers(weights, CONFIG, batches(), 1, lambda *_: None)
    assert pruned.layers == (1,) and pruned.config["num_hidden_layers"] == 1
    with pytest.raises(ConfigError, match="from 1 to 2"):
        pruning.prune_layers(weights, CONFIG, batches(), 3, lambda *_: None)


def test_a_pruned_graph_is_smaller_in_int8_and_fp16_and_answers_the_same_in_any_batch() -> None:
    small = compress_encoder(
        *weights_of_graph(build_half_graph(small_weights(), CONFIG)),
        small_tokenizer_json(),
        LONGER,
        CompressionPlan(layers=1, heads=0.5, units=0.5),
        max_tokens=32,
        threads=1,
    )
    graph = onnx.load_model_from_string(small.encoder.model_bytes()).graph
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    assert sizes["layer0.qkv.weight"] == (32, 48) and sizes["layer0.down.weight"] == (32, 32)
    assert "layer1.up.weight" not in sizes
    assert len(small.how["layers"]) == 1 and small.how["heads"] == [2] and small.how["feed_forward_units"] == [32]
    alone = np.concatenate([small.encoder.embed([text]) for text in LONGER])
    assert np.abs(small.encoder.embed(LONGER) - alone).max() < 1e-5
    half = small.encoder.half_bytes()
    assert half is not None and count_layers(half) == 1
    again = encoder(*weights_of_graph(half))
    assert cosine(again, small.encoder) > 0.99


def test_of_the_int8_variants_the_one_serves_that_is_closest_to_the_exact_embeddings() -> None:
    given = weights_of_graph(build_encoder_graph(small_weights(), CONFIG).SerializeToString())
    words = (small_tokenizer_json(), LONGER)
    auto = compress_encoder(*given, *words, CompressionPlan(), max_tokens=32, threads=1)
    cosines = auto.how["int8_cosines"]
    assert set(cosines) == {"outliers", "percentile", "entropy", "smoothing"}
    assert cosines[auto.how["quantization"]] == max(cosines.values()) > 0.99
    named = compress_encoder(*given, *words, CompressionPlan(quantization="entropy"), max_tokens=32, threads=1)
    assert named.how["quantization"] == "entropy" and named.encoder.sha256 != auto.encoder.sha256


def test_a_few_far_values_are_left_out_of_the_range_and_zero_never_is() -> None:
    histogram = Histogram(-1.0, 100.0)
    values = np.random.default_rng(0).uniform(-1, 1, 100_000).astype(np.float32)
    histogram.add(np.append(values, np.float32([100.0])))
    assert choose_range(histogram, "min-max", 99.9) == (-1.0, 100.0)
    low, high = choose_range(histogram, "percentile", 99.9)
    step = 101 / BINS
    assert low == pytest.approx(-1, abs=2 * step) and high == pytest.approx(1, abs=2 * step)
    bell = Histogram(-5.0, 100.0)
    bell.add(np.append(np.random.default_rng(0).normal(0, 1, 100_000).clip(-5, 5).astype(np.float32), np.float32(100)))
    assert choose_range(bell, "entropy", 99.9)[1] < 90
    positive = Histogram(0.0, 4.0)
    positive.add(np.full(100, 3.0, dtype=np.float32))
    assert choose_range(positive, "percentile", 90)[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [({"heads": 0.0}, "heads is 0"), ({"units": 1.5}, "units is 1.5"), ({"quantization": "magic"}, "there are: auto")],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_way_out(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CompressionPlan(**options)


def test_a_loss_at_the_limit_holds_and_one_above_does_not() -> None:
    side = Side(0.9, (0.8, 0.95), 100.0, 10)
    assert Comparison(side, side, -0.005, (-0.01, 0.0), 1000).holds(0.5)
    assert not Comparison(side, side, -0.006, (-0.01, 0.0), 1000).holds(0.5)
    assert Comparison(side, side, 0.01, (0.0, 0.02), 1000).holds(0.0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one small release, whose encoder's FP16 weights are at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_THREADS", "1")
    half = build_half_graph(small_weights(), CONFIG)
    monkeypatch.setattr("headrace.training.compressing.half_graphs", lambda wiring: lambda sha256: half)
    release = small_release()
    registry = FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", release.manifest, release.blobs)
    registry.promote("support", "1")
    text = "\n".join(f"{row.text},{row.labels['intent']},{row.split}" for row in release.dataset.rows)
    (tmp_path / "data.csv").write_text(f"text,label,split\n{text}\n", encoding="utf-8")
    return tmp_path


def test_a_smaller_release_says_what_it_was_made_of_and_how_it_compares(home: Path) -> None:
    words = ["compress", "support", "--data", "data.csv", "--epochs", "0", "--units", "0.5", "--register", "--json"]
    done = CliRunner().invoke(app, [*words, "--limit-points", "100"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["parent"] == "1" and report["version"] == "2" and report["within_limit"]
    assert sum(report["how"]["feed_forward_units"]) == 64
    assert report["after"]["encoder_bytes"] < report["before"]["encoder_bytes"]
    low, high = report["accuracy_change_ci95"]
    assert low <= report["accuracy_change"] <= high
    registry = FolderRegistry(str(home / "registry"))
    assert registry.champion("support") == "1"
    manifest = json.loads(registry.manifest("support", "2"))
    assert manifest["parent"] == "1" and manifest["compression"]["parent"] == "1"
    card = render_card(manifest)
    assert "Made smaller out of version 1" in card and "64 feed-forward units" in card


def test_what_is_said_of_names_is_told_before_and_after_and_has_the_same_limit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows())
    FolderRegistry(str(home / "registry")).publish("support", manifest, blobs)
    words = ["compress", "support@2", "--data", "data.csv", "--epochs", "0", "--units", "0.5", "--register"]
    done = CliRunner().invoke(app, [*words, "--limit-points", "100", "--json"], catch_exceptions=False)
    report = json.loads(done.stdout)
    names = report["entities"]
    assert names["names_are"] == "given" and names["texts"] == len(small_entity_rows().part("test"))
    assert names["f1_before"] == manifest["entities"]["metrics"]["accuracy"] > 0.9
    small = json.loads(FolderRegistry(str(home / "registry")).manifest("support", report["version"]))
    assert small["compression"]["entities"] == names
    assert small["entities"]["metrics"]["accuracy"] == names["f1_after"]
    assert "F1 of what is said of names" in render_card(small)
    assert names_in_words(names).startswith(f"what is said of names (given): F1 {names['f1_before']:.4f} before, ")

    monkeypatch.setattr(EntityComparison, "change", property(lambda _: -0.02))
    monkeypatch.setattr(Comparison, "holds", lambda *_: True)
    refused = CliRunner().invoke(app, [*words, "--limit-points", "1.5"])
    assert "F1 of what is said of names falls by 2.00 points, more than the 1.5" in str(refused.exception)
    assert len(FolderRegistry(str(home / "registry")).versions("support")) == 3


def test_a_release_that_loses_more_than_allowed_is_kept_nowhere(home: Path) -> None:
    words = ["compress", "support", "--data", "data.csv", "--epochs", "0", "--units", "0.5", "--limit-points", "-101"]
    done = CliRunner().invoke(app, [*words, "--output", "small"])
    assert isinstance(done.exception, ModelError) and "--limit-points" in str(done.exception)
    assert not (home / "small" / "manifest.json").exists()
    assert CliRunner().invoke(app, [*words, "--register"]).exit_code != 0
    assert FolderRegistry(str(home / "registry")).versions("support") == ["1"]
