"""A small encoder learns from a larger one without labels, and what learns is what serves."""

import itertools
from typing import Any

import numpy as np
import pytest
from small_bert import CONFIG, WORDS, dense_layer, small_tokenizer_json, small_weights

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.quantization import equal_length_batches
from models.encoder.weights_of_graph import weights_of_graph
from retrain.adaptation.student import Student
from retrain.compression.distillation import Distillation, distil
from retrain.compression.plan import CompressionPlan
from retrain.compression.pruning import prune_widths, take_layers
from retrain.compression.small_encoder import compress_encoder

pytestmark = pytest.mark.train
TEXTS = [" ".join(words) for words in itertools.islice(itertools.permutations(WORDS[:12], 4), 0, 4000, 13)]
PLAN = Distillation(epochs=6, learning_rate=3e-3, batch_texts=16, half=False)


def encoder(weights: Any, config: Any) -> Encoder:
    content = build_encoder_graph(weights, config).SerializeToString()
    return Encoder.from_bytes(content, small_tokenizer_json(), max_tokens=32, threads=1)


def learnt(seed: int) -> tuple[dict[str, Any], tuple[float, ...]]:
    teacher = encoder(small_weights(), CONFIG)
    start = take_layers(small_weights(), CONFIG, (1,))
    tokens = [text.ids for text in teacher.tokenize(TEXTS)]
    wanted = teacher.embed(TEXTS)
    done = distil(
        start.weights,
        start.config,
        tokens[40:],
        wanted[40:],
        tokens[:40],
        wanted[:40],
        plan=PLAN,
        seed=seed,
        threads=1,
    )
    return done.weights, done.cosines


@pytest.mark.parametrize("ending", [{}, {"pooling": "cls"}, {"dense": "tanh"}])
def test_what_learns_computes_what_the_graph_computes_whatever_its_layers_have_left(ending: dict[str, Any]) -> None:
    weights = small_weights() | (dense_layer(24) if "dense" in ending else {})
    batches = equal_length_batches([text.ids for text in encoder(weights, CONFIG | ending).tokenize(TEXTS[:64])])
    pruned = prune_widths(weights, CONFIG | ending, batches, heads=0.6, units=0.5)
    graph = encoder(pruned.weights, pruned.config)
    texts = ["refund", *TEXTS[:7], "please help with my card transfer fee"]  # of several lengths, so some are padded
    student = Student(pruned.weights, pruned.config, half=False)
    found = student.embed([text.ids for text in graph.tokenize(texts)]).detach().numpy()
    assert np.abs(found - graph.embed(texts)).max() < 1e-4


def test_the_student_comes_closer_to_its_teacher_and_the_same_seed_gives_the_same_student() -> None:
    weights, cosines = learnt(0)
    assert 1 - cosines[-1] < (1 - cosines[0]) / 5
    again, same = learnt(0)
    assert cosines == same and all(np.array_equal(weights[name], again[name]) for name in weights)
    assert learnt(1)[1] != cosines


def test_a_distilled_encoder_has_half_the_layers_and_serves_in_int8() -> None:
    given = weights_of_graph(build_encoder_graph(small_weights(), CONFIG).SerializeToString())
    seen: list[str] = []
    small = compress_encoder(
        *given,
        small_tokenizer_json(),
        TEXTS,
        CompressionPlan(distillation=PLAN),
        max_tokens=32,
        threads=1,
        progress=lambda stage, done, total: seen.append(stage),
    )
    assert small.how["layers"] == [1] and len(small.how["distillation"]["cosines"]) == PLAN.epochs + 1
    assert small.how["cosine"] > small.how["distillation"]["cosines"][0]
    assert list(dict.fromkeys(seen)) == ["asking the teacher", "distilling", "calibrating INT8"]
