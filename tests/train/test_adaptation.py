"""An encoder learns from a teacher, or from itself, on texts without labels; what is cut off ends as it would have."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_bert import CONFIG, WORDS, dense_layer, small_tokenizer_json, small_weights

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.tokenization import TextTokenizer
from models.errors import ConfigError, ModelError
from retrain.adaptation.loop import adapt
from retrain.adaptation.objectives import Teaching
from retrain.adaptation.plan import Adaptation, Adapted, neighbours_kept
from retrain.adaptation.teacher import TorchTeacher, ask_teacher
from retrain.fitting.resuming.checkpoints import Tensors

pytestmark = pytest.mark.train

TEXTS = [" ".join(words) for words in itertools.islice(itertools.permutations(WORDS[:12], 4), 0, 4000, 17)]
HELD_OUT = 40
PLAN = Adaptation(steps=60, learning_rate=1e-3, batch_texts=16, evaluations=4, half=False)
ALONE = Adaptation(steps=30, learning_rate=1e-3, batch_texts=32, evaluations=3, half=False)


def graph(weights: Mapping[str, Any], config: Mapping[str, Any]) -> Encoder:
    content = build_encoder_graph(weights, config).SerializeToString()
    return Encoder.from_bytes(content, small_tokenizer_json(), max_tokens=32, threads=1)


def teacher(ending: Mapping[str, Any] | None = None, weights: Mapping[str, Any] | None = None) -> TorchTeacher:
    """A larger space than the student's, out of the same words."""
    config = CONFIG | (ending or {})
    own = weights or small_weights() | (dense_layer(48) if "dense" in config else {})
    return TorchTeacher(own, config, small_tokenizer_json(), max_tokens=32, sha256="of the teacher")


def start() -> dict[str, NDArray[np.float32]]:
    """A student that has words and most of its ways from its teacher."""
    rng = np.random.default_rng(5)
    return {
        name: value + rng.normal(0, 0.05, value.shape).astype(np.float32) * (value.ndim == 2 and "layer" in name)
        for name, value in small_weights().items()
    }


def tokens() -> list[NDArray[np.int32]]:
    return [text.ids for text in TextTokenizer(small_tokenizer_json(), max_tokens=32).tokenize(TEXTS)]


def adapted(of: TorchTeacher | None = None, plan: Adaptation = PLAN, weights: Any = None, **more: Any) -> Adapted:
    ids, teaching = tokens(), None
    if of is not None:
        wanted = of.embed(TEXTS)
        teaching = Teaching(wanted[HELD_OUT:], wanted[:HELD_OUT])
    own = start() if weights is None else weights
    return adapt(own, CONFIG, ids[HELD_OUT:], ids[:HELD_OUT], teaching=teaching, plan=plan, threads=1, **more)


class InMemory:
    """Checkpoints that end a training at their n-th save."""

    def __init__(self, ends_at: int | None = None) -> None:
        self.kept: dict[str, tuple[Tensors, dict[str, Any]]] = {}
        self.saved, self._ends_at = 0, ends_at

    def load(self, name: str) -> tuple[Tensors, dict[str, Any]] | None:
        return self.kept.get(name)

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        self.kept[name] = {key: np.array(value) for key, value in tensors.items()}, dict(state)
        self.saved += 1
        if self.saved == self._ends_at:
            self._ends_at = None
            raise KeyboardInterrupt

    def forget(self) -> None:
        self.kept.clear()


@pytest.mark.parametrize("ending", [{}, {"pooling": "cls"}, {"dense": "tanh"}, {"dense": "identity"}])
def test_a_teacher_answers_what_the_graph_of_its_weights_does(ending: dict[str, Any]) -> None:
    texts = ["refund", *TEXTS[:7], "please help with my card transfer fee"]  # of several lengths, so some are padded
    weights = small_weights() | (dense_layer(48) if "dense" in ending else {})
    assert np.abs(teacher(ending).embed(texts) - graph(weights, CONFIG | ending).embed(texts)).max() < 1e-4


def test_a_teacher_of_another_kind_reads_each_text_as_if_it_were_alone() -> None:
    import torch
    from transformers import MPNetConfig, MPNetModel

    torch.manual_seed(0)
    kind = MPNetConfig(
        vocab_size=int(str(CONFIG["vocab_size"])),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    weights = {f"mpnet.{name}": value.numpy() for name, value in MPNetModel(kind).state_dict().items()}
    config = kind.to_dict()
    mpnet = TorchTeacher(weights, config, small_tokenizer_json(), max_tokens=32, sha256="")
    together = mpnet.embed([*TEXTS[:3], "refund"])
    alone = np.concatenate([mpnet.embed([text]) for text in [*TEXTS[:3], "refund"]])
    assert np.abs(together - alone).max() < 1e-5
    assert (together[0] @ together[3]) < 0.99, "texts are told apart"


def test_a_student_comes_into_a_larger_space_and_nearer_to_its_teacher() -> None:
    found = adapted(teacher({"dense": "identity"}))
    assert found.is_better and found.best > 0
    assert 1 - found.after.cosine < 0.7 * (1 - found.before.cosine)
    assert found.after.neighbours_kept > found.before.neighbours_kept
    assert found.losses[found.best] == min(found.losses) and len(found.losses) == PLAN.evaluations + 1
    texts = TEXTS[:HELD_OUT]
    served = graph(found.weights, found.config).embed(texts)
    assert served.shape == (HELD_OUT, 48)
    wanted = teacher({"dense": "identity"}).embed(texts)
    assert float((served * wanted).sum(1).mean()) == pytest.approx(found.after.cosine, abs=1e-4)


def test_a_student_that_stands_in_its_teachers_space_gets_no_map() -> None:
    found = adapted(teacher())
    assert found.before.cosine > 0.5 and found.is_better
    assert "dense" not in found.config and set(found.weights) == set(start())


def test_a_student_with_a_dense_layer_of_its_own_is_refused_where_it_would_need_a_map() -> None:
    ids, wanted = tokens(), teacher({"dense": "identity"}).embed(TEXTS)
    with pytest.raises(ConfigError, match="dense layer of its own"):
        adapt(
            start() | dense_layer(12),
            CONFIG | {"dense": "tanh"},
            ids[HELD_OUT:],
            ids[:HELD_OUT],
            teaching=Teaching(wanted[HELD_OUT:], wanted[:HELD_OUT]),
            plan=PLAN,
        )


@pytest.mark.parametrize("has_teacher", [True, False], ids=["teacher", "by itself"])
def test_the_same_seed_gives_the_same_encoder_and_the_words_stay(has_teacher: bool) -> None:
    plan = Adaptation(steps=6, learning_rate=1e-3, batch_texts=16, evaluations=2, half=False)
    of = teacher({"dense": "identity"}) if has_teacher else None
    first, again, other = (adapted(of, plan, seed=seed) for seed in (0, 0, 1))
    assert first.losses == again.losses != other.losses
    assert all(np.array_equal(first.weights[name], again.weights[name]) for name in first.weights)
    words = "embeddings.word_embeddings.weight"
    assert np.array_equal(first.weights[words], start()[words])


@pytest.mark.parametrize("has_teacher", [True, False], ids=["teacher", "by itself"])
def test_what_is_cut_off_goes_on_and_ends_as_it_would_have(has_teacher: bool) -> None:
    of, plan = (teacher({"dense": "identity"}), PLAN) if has_teacher else (None, ALONE)
    whole = adapted(of, plan)
    kept = InMemory(ends_at=2)
    with pytest.raises(KeyboardInterrupt):
        adapted(of, plan, checkpoints=kept)
    steps: list[int] = []
    rest = adapted(of, plan, checkpoints=kept, progress=lambda stage, done, total: steps.append(done))
    assert steps[0] == round(plan.steps * 2 / plan.evaluations)
    assert rest.losses == whole.losses
    assert all(np.array_equal(rest.weights[name], whole.weights[name]) for name in whole.weights)


def test_what_a_teacher_has_answered_before_a_kill_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.adaptation.teacher.KEPT_TEXTS", 64)
    of, kept = teacher(), InMemory(ends_at=2)
    with pytest.raises(KeyboardInterrupt):
        ask_teacher(of, TEXTS, kept)
    asked: list[str] = []
    answer = of.embed

    def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return answer(texts)

    monkeypatch.setattr(of, "embed", counted)
    found = ask_teacher(of, TEXTS, kept)
    assert asked == TEXTS[128:]
    assert np.abs(found - answer(TEXTS)).max() < 1e-5


def test_an_encoder_learns_by_itself_to_tell_texts_apart() -> None:
    found = adapted(None, ALONE)
    assert found.is_better and found.after.loss < found.before.loss
    assert found.before.cosine == pytest.approx(1, abs=1e-5) and found.before.neighbours_kept == 1
    assert found.after.cosine < 1


def test_where_nothing_is_learnt_nothing_is_better() -> None:
    still = Adaptation(steps=4, learning_rate=1e-12, batch_texts=16, evaluations=2, half=False)
    assert not adapted(None, still).is_better
    harmful = Adaptation(steps=8, learning_rate=1.0, batch_texts=16, evaluations=2, half=False)
    found = adapted(teacher({"dense": "identity"}), harmful)
    assert not found.is_better and found.best == 0 and found.after.loss == pytest.approx(found.before.loss)


def test_damaged_weights_are_told_in_one_line() -> None:
    lacking = small_weights()
    del lacking["encoder.layer.1.output.dense.bias"]
    narrow = small_weights() | {"encoder.layer.0.output.dense.weight": np.zeros((32, 7), np.float32)}
    nothing = small_weights() | {"embeddings.LayerNorm.weight": np.full(32, np.nan, np.float32)}
    for weights, words in (
        (lacking, "encoder.layer.1.output.dense.bias"),
        (narrow, "do not fit"),
        (nothing, "damaged"),
    ):
        with pytest.raises(ModelError, match=words) as told:
            adapted(None, ALONE, weights)
        assert "\n" not in str(told.value)
    for weights, words in ((lacking, "lack encoder.layer.1"), (narrow, "do not fit"), (nothing, "damaged")):
        with pytest.raises(ModelError, match=words) as told:
            teacher(weights=weights).embed(TEXTS)
        assert "\n" not in str(told.value)


def test_neighbours_are_kept_where_a_space_is_turned_and_lost_where_it_is_drawn_anew() -> None:
    rng = np.random.default_rng(0)

    def unit(values: NDArray[np.float64]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
        return found

    space = unit(rng.normal(size=(200, 16)))
    turned = unit(space @ np.linalg.qr(rng.normal(size=(16, 16)))[0])
    assert neighbours_kept(space, turned) > 0.99
    assert neighbours_kept(space, unit(rng.normal(size=(200, 24)))) < 0.15
