"""Strategies that train a few weights beside an encoder's own: what is trained, what is merged, and what serves."""

import functools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cut_off import Kept, Watched
from numpy.typing import NDArray
from tiny_texts import WORDS, labelled, tiny_start
from transformers import BertConfig, BertModel

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.parts import parts_of
from models.encoder.tokenization import TextTokenizer
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.bodies.adapters import Adapters
from retrain.fitting.tuning.bodies.low_rank import AdaptiveRank, LowRank
from retrain.fitting.tuning.bodies.prefix import PrefixTuning
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.loop import FineTuned, fine_tune
from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts

pytestmark = pytest.mark.train
BODIES: dict[str, Callable[[], Body]] = {
    "lora": lambda: LowRank(rank=4, alpha=8),
    "adalora": lambda: AdaptiveRank(first_rank=6, rank=3, alpha=8),
    "prefix": lambda: PrefixTuning(tokens=4, width=16),
    "adapter": lambda: Adapters(width=8),
}
PLAN = FineTuning(epochs=12, learning_rate=1e-2, batch_texts=16, max_tokens=32, evaluations=4)
TEXTS = [*labelled(12, 7).texts, "help", "please i need my money back today please help me today " * 3]


def easy(count: int, seed: int) -> LabelledTexts:
    """Three words of a subject each: an encoder whose words stay random tells them apart with few weights."""
    rng = random.Random(seed)
    texts = [" ".join(rng.sample(list(WORDS.values())[number % 3], 3)) for number in range(count)]
    return LabelledTexts(texts, {"subject": np.arange(count, dtype=np.int64) % 3})


def shaken(body: Body, by: float = 0.3) -> TunedModel:
    """As after a training: every weight that is trained has moved. It computes in float32, as the graph does."""
    torch.manual_seed(0)
    model = TunedModel(tiny_start(), {"subject": 3}, replace(PLAN, half=False), body)
    with torch.no_grad():
        for name, value in model.parameters():
            if not name.startswith("heads."):
                value += by * torch.randn_like(value)
    return model


def ids(max_tokens: int = 64) -> list[NDArray[np.int32]]:
    return [text.ids for text in TextTokenizer(tiny_start().tokenizer_json, max_tokens=max_tokens).tokenize(TEXTS)]


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


@pytest.mark.parametrize("strategy", list(BODIES))
def test_the_graph_computes_what_torch_does(strategy: str) -> None:
    model = shaken(BODIES[strategy]())
    weights = model.weights()
    content = build_encoder_graph(weights, tiny_start().config).SerializeToString()
    served = Encoder.from_bytes(content, tiny_start().tokenizer_json, max_tokens=64, threads=1)
    expected = unit(model.embeddings(ids()))
    assert np.abs(served.embed(TEXTS) - expected).max() <= 1e-4
    plain = build_encoder_graph(tiny_start().weights, tiny_start().config).SerializeToString()
    before = Encoder.from_bytes(plain, tiny_start().tokenizer_json, max_tokens=64, threads=1)
    assert np.abs(served.embed(TEXTS) - before.embed(TEXTS)).max() > 0.01
    assert parts_of(weights) == (() if "lora" in strategy else (strategy,))


@pytest.mark.parametrize("strategy", ["lora", "adalora"])
def test_merged_weights_give_what_the_unmerged_ones_give(strategy: str) -> None:
    model = shaken(BODIES[strategy](), by=0.1)
    weights, config = model.weights(), tiny_start().config
    assert set(weights) == set(tiny_start().weights)
    plain = BertModel(BertConfig(**config), add_pooling_layer=False).eval()
    plain.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    padded, mask = model.padded(ids())
    model.train(False)
    with torch.no_grad():
        unmerged = model.encoder(padded, attention_mask=mask).last_hidden_state
        merged = plain(padded, attention_mask=mask).last_hidden_state
    assert float(((unmerged - merged) * mask.unsqueeze(-1)).abs().max()) <= 1e-5


@pytest.mark.parametrize("strategy", list(BODIES))
def test_a_training_learns_with_a_fraction_of_the_weights_and_leaves_the_others(strategy: str) -> None:
    start, body = tiny_start(), BODIES[strategy]()
    before = TunedModel(start, {"subject": 3}, PLAN, body)
    trained = sum(value.numel() for name, value in before.parameters() if not name.startswith("heads."))
    assert trained < 0.5 * sum(value.size for value in start.weights.values())
    found = fine_tune(start, easy(120, 1), easy(60, 2), plan=PLAN, body=body)
    assert max(found.scores) >= 0.9
    words = "embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(found.weights[words], start.weights[words])


def tuned(strategy: str, around: Around) -> FineTuned:
    plan = replace(PLAN, epochs=5)
    return fine_tune(tiny_start(), easy(90, 1), easy(45, 2), plan=plan, body=BODIES[strategy](), around=around)


@functools.cache
def uninterrupted(strategy: str) -> tuple[FineTuned, Watched]:
    """What each training that is cut off is compared with, and its figures."""
    watched = Watched()
    return tuned(strategy, Around(watch=watched)), watched


@pytest.mark.parametrize("cut_after", [1, 3], ids=["early", "late"])
@pytest.mark.parametrize("strategy", list(BODIES))
def test_a_training_that_was_cut_off_ends_as_it_would_have_and_its_figures_are_shown(
    strategy: str, cut_after: int
) -> None:
    """AdaLoRA has dropped some singular values at the first evaluation, and all that it drops at the third."""
    (whole, watched), kept = uninterrupted(strategy), Kept(whole=cut_after)
    with pytest.raises(KeyboardInterrupt):
        tuned(strategy, Around(kept))
    kept.left = 1000
    again = tuned(strategy, Around(kept))
    assert (again.scores, again.losses, again.best) == (whole.scores, whole.losses, whole.best)
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    assert len(watched.by_name["loss/labels"]) == whole.steps
    assert tuple(value for _, value in watched.by_name["tuning/loss"]) == whole.losses


def test_adalora_drops_singular_values_until_the_average_rank_is_reached() -> None:
    body = AdaptiveRank(first_rank=6, rank=3, alpha=8)
    kept: list[int] = []

    class Watched(AdaptiveRank):
        def after_step(self, module: Any, step: int, steps: int) -> None:
            super().after_step(module, step, steps)
            values = [value for name, value in module.named_parameters() if ".lora_E." in name]
            kept.append(sum(int((value != 0).sum()) for value in values))

    watched = Watched(first_rank=body.first_rank, rank=body.rank, alpha=body.alpha)
    fine_tune(tiny_start(), easy(96, 1), easy(30, 2), plan=PLAN, body=watched)
    layers = 2 * 6  # query, key, value and three dense layers each
    assert max(kept) == layers * 6
    assert kept[-1] == layers * 3


@pytest.mark.parametrize("strategy", list(BODIES))
def test_before_the_first_step_the_encoder_is_nearly_as_it_was(strategy: str) -> None:
    model = TunedModel(tiny_start(), {"subject": 3}, replace(PLAN, half=False), BODIES[strategy]())
    plain = build_encoder_graph(tiny_start().weights, tiny_start().config).SerializeToString()
    before = Encoder.from_bytes(plain, tiny_start().tokenizer_json, max_tokens=64, threads=1).embed(TEXTS)
    assert (unit(model.embeddings(ids())) * before).sum(axis=1).min() >= (0.9 if strategy == "prefix" else 0.9999)
