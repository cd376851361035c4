"""LoRA, AdaLoRA, prefix and adapters as strategies: from labelled rows to a release that says what serves."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from small_release import manifest_bytes
from tiny_texts import WORDS, labelled, tiny_start

from headrace.training.trainers import STRATEGIES, require_known, require_libraries_of
from models.bundle import unpack
from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.quantization import quantize_encoder
from models.errors import ConfigError
from retrain.data import Dataset, Row
from retrain.job import TrainedRelease, train_release
from retrain.strategies.few_weights import BODIES, PLANS, few_weights_strategy

pytestmark = pytest.mark.train


def rows() -> Dataset:
    made = []
    for part, count in (("train", 150), ("test", 30)):
        drawn = labelled(count, count)
        for number, (text, label) in enumerate(zip(drawn.texts, drawn.labels["subject"].tolist(), strict=True)):
            made.append(Row(f"{text} {number}", {"intent": list(WORDS)[label]}, part))  # type: ignore[arg-type]
    return Dataset(("intent",), tuple(made))


def release(strategy: str, monkeypatch: pytest.MonkeyPatch) -> TrainedRelease:
    """Served in INT8. On so easy texts the quick release would be as good."""
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, tuned: True)
    start = tiny_start()

    def quantize(weights: Any, calibration: Sequence[str]) -> bytes:
        return quantize_encoder(weights, start.config, start.tokenizer_json, calibration, max_tokens=64)

    content = build_encoder_graph(start.weights, start.config).SerializeToString()
    base = Encoder.from_bytes(content, start.tokenizer_json, max_tokens=64, threads=1)
    trainer = few_weights_strategy(strategy, start.weights, start.config, quantize, epochs=2.0)
    return train_release("tiny", rows(), base, strategy=strategy, trainer=trainer)


@pytest.mark.parametrize("strategy", list(BODIES))
def test_a_release_names_its_strategy_and_serves_from_its_files(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = release(strategy, monkeypatch)
    assert done.manifest["strategy"] == done.manifest["serves"] == strategy
    assert done.manifest["training"]["choices"]["intent"][f"{strategy}_tuning_accuracy"] > 0
    served = unpack(manifest_bytes(done), done.blobs.__getitem__, threads=1)
    texts = [row.text for row in done.dataset.part("test")]
    np.testing.assert_allclose(served.encoder.embed(texts), done.classifier.encoder.embed(texts), atol=1e-6)
    names = {node.name for node in onnx.load_model_from_string(served.encoder.model_bytes()).graph.initializer}
    assert any("adapter" in name for name in names) is (strategy == "adapter")
    assert any("prefix" in name for name in names) is (strategy == "prefix")


def test_every_body_has_a_plan_and_a_name_that_the_command_line_knows() -> None:
    assert set(BODIES) == set(PLANS) <= set(STRATEGIES)
    assert all(dataclasses.is_dataclass(make()) for make in BODIES.values())  # by their values checkpoints are named


def test_an_unknown_strategy_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(ConfigError, match="quick, full, fewshot, lora, adalora, prefix, adapter"):
        require_known("lorra")


def test_a_retrainer_without_peft_says_so_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else find(name, *rest))
    require_libraries_of(["quick", "full", "adapter"])
    with pytest.raises(ConfigError, match="needs peft: `make setup-train`"):
        require_libraries_of(["quick", "lora"])
