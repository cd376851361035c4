"""Few texts a label: the encoder is tuned by contrast, with the labels' names as texts."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cut_off import Kept, Watched
from tiny_encoder import tiny_tokenizer, tiny_weights
from tokenizers import Tokenizer

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.errors import TrainingDataError
from retrain.data import Dataset, Row
from retrain.fitting.contrastive import Contrasted, Contrasting, contrast, name_as_text
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained
from retrain.job import train_release
from retrain.strategies.fewshot import FewShotStrategy

pytestmark = pytest.mark.train
SYLLABLES = [first + second for first in "bdfgklmnprst" for second in "aeiou"]
GROUPS = [SYLLABLES[start::15] for start in range(6)]
LABELS = [f"subject_{words[0]}" for words in GROUPS]
FILLER = ["please", "i", "my", "the", "is", "need", "help", "today"]
PLAN = Contrasting(epochs=12, learning_rate=5e-3, batch_texts=8)
TOKENIZER = tiny_tokenizer([*SYLLABLES, *FILLER, "subject"])


def start() -> Pretrained:
    config, weights = tiny_weights(Tokenizer.from_str(TOKENIZER).get_vocab_size())
    return Pretrained(weights, config, TOKENIZER)


def texts(per_label: int, seed: int) -> LabelledTexts:
    rng = random.Random(seed)
    written, labels = [], []
    for number, words in enumerate(GROUPS):
        for _ in range(per_label):
            said = [*rng.sample(words, 3), *rng.sample(FILLER, rng.randint(0, 2))]
            rng.shuffle(said)
            written.append(" ".join(said))
            labels.append(number)
    return LabelledTexts(written, {"intent": np.array(labels)})


def tuned(seed: int = 0, plan: Contrasting = PLAN, **options: Any) -> Contrasted:
    return contrast(start(), texts(10, 1), texts(4, 2), LABELS, seed=seed, plan=plan, **options)


def test_tuning_brings_unseen_texts_of_a_label_nearer_to_it() -> None:
    found = tuned()
    assert found.best_epoch > 0
    assert min(found.losses) < 0.8 * found.losses[0]
    before = start().weights
    changed = {name for name in before if not np.array_equal(before[name], found.weights[name])}
    assert changed and all(name.startswith("encoder.layer.1.") for name in changed)  # the lower layer is as it was


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    plan = Contrasting(epochs=1, learning_rate=3e-3, batch_texts=24)
    first, again, other = tuned(1, plan), tuned(1, plan), tuned(2, plan)
    assert first.losses == again.losses != other.losses
    assert all(np.allclose(first.weights[name], again.weights[name], atol=1e-6) for name in first.weights)


@pytest.mark.parametrize("cut_after", [1, 3])
def test_a_training_that_was_cut_off_goes_on_and_ends_as_it_would_have(cut_after: int) -> None:
    plan, watched = replace(PLAN, epochs=5, learning_rate=3e-3), Watched()
    whole, kept, seen = tuned(plan=plan, around=Around(watch=watched)), Kept(whole=cut_after), list[int]()
    with pytest.raises(KeyboardInterrupt):
        tuned(plan=plan, around=Around(kept))
    kept.left = 1000
    again = tuned(plan=plan, around=Around(kept), progress=lambda _, done, __: seen.append(done))
    assert seen[0] == cut_after * 9 + 1, "the steps of whole epochs are not made again"
    assert (again.losses, again.best_epoch) == (whole.losses, whole.best_epoch)
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    assert len(watched.by_name["loss/contrast"]) == 45
    assert [round(value, 4) for _, value in watched.by_name["tuning/loss"]] == list(whole.losses[1:])
    tuned(plan=replace(plan, temperature=0.1), around=Around(kept))
    assert len(kept.by_name) == 2, "another option is another training"


def test_the_time_before_a_cut_counts() -> None:
    plan = Contrasting(epochs=8, learning_rate=3e-3, batch_texts=24, max_seconds=35)
    kept, ticks = Kept(whole=1), iter(range(0, 1000, 10))
    with pytest.raises(KeyboardInterrupt):
        tuned(plan=plan, around=Around(kept), clock=lambda: next(ticks))
    kept.left, ticks = 1000, iter(range(0, 1000, 10))
    assert len(tuned(plan=plan, around=Around(kept), clock=lambda: next(ticks)).losses) == 4


def test_no_epoch_begins_that_would_end_behind_the_time_that_there_is() -> None:
    ticks = iter(range(0, 1000, 10))  # seconds: the first epoch ends at 10
    found = tuned(
        plan=Contrasting(epochs=8, learning_rate=3e-3, batch_texts=24, max_seconds=15), clock=lambda: next(ticks)
    )
    assert len(found.losses) == 2  # before tuning, and one epoch


def test_tuning_that_helps_no_tuning_text_leaves_the_encoder_as_it_is() -> None:
    plan = Contrasting(epochs=8, learning_rate=3e-3, batch_texts=24, patience=1)
    turned = texts(4, 2)
    wrong = LabelledTexts(turned.texts, {"intent": (turned.labels["intent"] + 3) % len(GROUPS)})
    found = contrast(start(), texts(10, 1), wrong, LABELS, plan=plan)
    assert found.best_epoch == 0 and len(found.losses) == 2
    assert all(np.array_equal(found.weights[name], value) for name, value in start().weights.items())


def test_one_text_a_label_is_contrasted_with_the_label_s_name() -> None:
    assert contrast(start(), texts(1, 1), texts(2, 2), LABELS, plan=PLAN).losses
    with pytest.raises(TrainingDataError, match="no label has two texts"):
        contrast(start(), texts(1, 1), texts(2, 2), [str(number) for number in range(6)], plan=PLAN)


@pytest.mark.parametrize(
    ("label", "words"), [("card_not-arrived", "card not arrived"), ("退款", "退款"), ("17", ""), ("", "")]
)
def test_a_label_s_name_is_read_as_words(label: str, words: str) -> None:
    assert name_as_text(label) == words


def rows(per_label: dict[str, int]) -> Dataset:
    made = []
    for part, count in per_label.items():
        drawn = texts(count, len(part))
        made += [
            Row(f"{text} {number}", {"intent": LABELS[label]}, part)  # type: ignore[arg-type]
            for number, (text, label) in enumerate(zip(drawn.texts, drawn.labels["intent"].tolist(), strict=True))
        ]
    return Dataset(("intent",), tuple(made))


def strategy(quantized: list[Sequence[str]]) -> FewShotStrategy:
    def quantize(weights: Any, calibration: Sequence[str]) -> bytes:
        quantized.append(calibration)
        content: bytes = build_encoder_graph(weights, start().config).SerializeToString()
        return content

    return FewShotStrategy(start().weights, start().config, quantize, PLAN)


def base() -> Encoder:
    content = build_encoder_graph(start().weights, start().config).SerializeToString()
    return Encoder.from_bytes(content, TOKENIZER, max_tokens=64, threads=1)


def test_the_tuned_encoder_serves_with_heads_that_know_every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, tuned: True)
    done = train_release("tiny", rows({"train": 24, "test": 10}), base(), strategy="fewshot", trainer=strategy([]))
    assert done.report["strategy"] == done.report["serves"] == "fewshot"
    chosen = done.manifest["training"]["choices"]["intent"]
    assert chosen["fine_tuned"] == 1.0 and "quick_tuning_accuracy" in chosen
    known = done.manifest["training"]["encoder_tuned_on_texts"]
    assert 60 < known < 110  # of 144: a third judges, and then trains the heads
    assert done.classifier.encoder.sha256 != base().sha256
    assert done.report["accuracy"] >= 0.9


def test_the_quick_release_serves_where_tuning_is_not_clearly_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, tuned: False)
    done = train_release("tiny", rows({"train": 24, "test": 10}), base(), strategy="fewshot", trainer=strategy([]))
    assert (done.report["strategy"], done.report["serves"]) == ("fewshot", "quick")
    assert done.classifier.encoder.sha256 == base().sha256


def test_too_few_texts_are_told_in_one_line() -> None:
    with pytest.raises(TrainingDataError, match="give it more"):
        train_release("tiny", rows({"train": 1, "test": 2}), base(), strategy="fewshot", trainer=strategy([]))
    with pytest.raises(TrainingDataError, match="40 are needed"):
        train_release("tiny", rows({"train": 6, "test": 2}), base(), strategy="fewshot", trainer=strategy([]))
