import random

import numpy as np
import pytest
from tiny_encoder import tiny_tokenizer, tiny_weights

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from retrain.data import Dataset, Row, split_rows
from retrain.fitting.tuning.loop import fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained
from retrain.job import train_release
from retrain.strategies.full import FullStrategy

pytestmark = pytest.mark.train
WORDS = {
    "refund": ["money", "back", "refund", "paid", "return"],
    "parcel": ["parcel", "late", "where", "courier", "door"],
    "login": ["password", "login", "account", "locked", "reset"],
}
FILLER = ["please", "i", "my", "the", "is", "need", "help", "today"]
PLAN = FineTuning(epochs=8, learning_rate=3e-3, batch_texts=16)


def dataset(seed: int = 0) -> Dataset:
    rng = random.Random(seed)
    rows = []
    for number in range(360):
        label = list(WORDS)[number % 3]
        words = [rng.choice(WORDS[label]), *(rng.choice(FILLER) for _ in range(rng.randint(2, 9)))]
        rng.shuffle(words)
        rows.append(Row(" ".join(words) + f" {number}", {"intent": label}))
    return split_rows(rows, ("intent",), seed=seed)


@pytest.fixture(scope="module")
def tokenizer_json() -> str:
    return tiny_tokenizer([word for words in WORDS.values() for word in words] + FILLER)


def vocabulary_size(tokenizer_json: str) -> int:
    import json

    return len(json.loads(tokenizer_json)["model"]["vocab"])


def tuned(tokenizer_json: str, seed: int) -> tuple[dict[str, np.ndarray], tuple[float, ...]]:  # type: ignore[type-arg]
    config, weights = tiny_weights(vocabulary_size(tokenizer_json))
    data = dataset()
    number = {label: index for index, label in enumerate(WORDS)}
    train, test = data.part("train"), data.part("test")
    result = fine_tune(
        Pretrained(weights, config, tokenizer_json),
        *(
            LabelledTexts(
                [row.text for row in part], {"intent": np.array([number[row.labels["intent"]] for row in part])}
            )
            for part in (train, test)
        ),
        seed=seed,
        plan=FineTuning(epochs=2, learning_rate=3e-3, batch_texts=16),
    )
    return result.weights, result.scores


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tokenizer_json: str) -> None:
    first, scores = tuned(tokenizer_json, 1)
    again, same_scores = tuned(tokenizer_json, 1)
    other, _ = tuned(tokenizer_json, 2)
    assert scores == same_scores
    assert all(np.allclose(first[name], again[name], atol=1e-6) for name in first)
    assert any(not np.allclose(first[name], other[name], atol=1e-4) for name in first)


def test_fine_tuned_weights_serve_through_the_same_graph_and_learn_what_random_ones_do_not_know(
    tokenizer_json: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the n-grams alone are as good on such easy texts, so the quick release would be chosen
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, full: True)
    config, weights = tiny_weights(vocabulary_size(tokenizer_json))

    def quantize(tuned_weights, calibration):  # type: ignore[no-untyped-def]
        assert len(calibration) > 0
        return build_encoder_graph(tuned_weights, config).SerializeToString()

    base = Encoder.from_bytes(build_encoder_graph(weights, config).SerializeToString(), tokenizer_json, max_tokens=64)
    seen: list[tuple[str, int, int]] = []
    strategy = FullStrategy(weights, config, quantize, PLAN)
    done = train_release(
        "tiny", dataset(), base, strategy="full", trainer=strategy, progress=lambda *step: seen.append(step)
    )
    assert done.report["accuracy"] >= 0.95
    assert done.report["strategy"] == "full"
    assert done.classifier.encoder.sha256 != base.sha256
    stages = {stage for stage, _, _ in seen}
    assert "fine-tuning" in stages
    last = [step for step in seen if step[0] == "fine-tuning"][-1]
    assert last[1] == last[2]
