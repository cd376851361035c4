"""What the full strategy teaches the encoder: which rows, which labels, which texts beside them."""

import numpy as np
import pytest
from tiny_texts import WORDS, labelled, of_head, strange, tiny_start

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.errors import TrainingDataError
from retrain.data import Dataset, Row
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.out_of_fold import out_of_fold_answers
from retrain.fitting.tuning.plan import FineTuning, plan_from
from retrain.fitting.tuning.soft_labels import with_soft_labels
from retrain.job import train_release
from retrain.strategies.full import FullStrategy, numbered_texts
from retrain.strategies.tuned import Asked
from retrain.text_keys import key_hash

pytestmark = pytest.mark.train

PLAN = FineTuning(steps=40, learning_rate=5e-3, batch_texts=16, evaluations=2)


def rows() -> list[Row]:
    """Subject and politeness; every third training row has no subject of its own, some are out of scope."""
    found = []
    for split, count, seed in (("train", 150, 1), ("valid", 60, 2), ("test", 60, 3)):
        texts = labelled(count, seed)
        for number, text in enumerate(texts.texts):
            subject = list(WORDS)[texts.labels["subject"][number]]
            polite = "yes" if texts.labels["polite"][number] else "no"
            found.append(Row(f"{text} {seed}", {"subject": subject, "polite": polite}, split))  # type: ignore[arg-type]
    found += [Row(text, {"subject": "oos"}, "train") for text in strange(20, 4)]
    return found


def test_labels_become_numbers_and_texts_out_of_scope_are_no_label() -> None:
    more = Row("hello there", {"polite": "no"}, "train")
    training, tuning = numbered_texts(
        Dataset(("subject", "polite"), (*rows(), more)), ("subject", "polite"), Asked(oos_label="oos")
    )
    assert len(training) == 151, "texts out of scope have no label to learn"
    assert training.labels["subject"].tolist()[:3] == [sorted(WORDS).index(name) for name in list(WORDS)[:3]]
    assert training.texts[-1] == "hello there"
    assert (training.labels["subject"][-1], training.labels["polite"][-1]) == (-1, 0)
    assert len(tuning) == 60


def test_a_head_beside_the_first_that_has_one_label_is_left_out() -> None:
    one = [Row(row.text, dict(row.labels) | {"channel": "web"}, row.split) for row in rows()]
    training, _ = numbered_texts(Dataset(("subject", "channel"), tuple(one)), ("subject", "channel"), Asked())
    assert list(training.labels) == ["subject"]


def test_a_first_head_of_one_label_cannot_be_tuned_to() -> None:
    one = Dataset(("channel",), tuple(Row(row.text, {"channel": "web"}, row.split) for row in rows()))
    with pytest.raises(TrainingDataError, match="head 'channel' needs two labels"):
        numbered_texts(one, ("channel",), Asked())


def test_own_soft_labels_come_from_folds_that_do_not_know_the_text_and_doubt_wrong_labels() -> None:
    training = of_head(labelled(240, 1))
    wrong = np.arange(0, 240, 16)
    training.labels["subject"][wrong] = (training.labels["subject"][wrong] + 1) % 3
    answers = out_of_fold_answers(
        tiny_start(), training, of_head(labelled(60, 2)), np.arange(240) // 3 % 2, seed=0, plan=PLAN
    )
    taught = with_soft_labels(training, answers, 1.0).soft["subject"]
    assert taught.shape == (240, 3)
    assert np.allclose(taught.sum(1), 1.0, atol=1e-5)
    of_given_label = taught[np.arange(240), training.labels["subject"]]
    assert of_given_label[wrong].mean() < np.delete(of_given_label, wrong).mean() - 0.3


def test_all_that_a_plan_asks_for_ends_in_a_release_that_remembers_what_its_encoder_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, full: True)
    start, seen, steps = tiny_start(), set(), []
    base = Encoder.from_bytes(
        build_encoder_graph(start.weights, start.config).SerializeToString(), start.tokenizer_json, max_tokens=64
    )
    strategy = FullStrategy(
        start.weights,
        start.config,
        lambda weights, _: build_encoder_graph(weights, start.config).SerializeToString(),
        plan_from(
            {"outside": 0.5, "unlabelled": 0.5, "unlabelled_from": 0.2, "distillation": 0.5, "folds": 2, "stack": True},
            PLAN,
        ),
        around=Around(watch=lambda name, *_: seen.add(name)),
        unlabelled=tuple(labelled(50, 9).texts),
    )
    data = Dataset(("subject", "polite"), tuple(rows()))
    done = train_release(
        "tiny",
        data,
        base,
        strategy="full",
        trainer=strategy,
        oos_label="oos",
        progress=lambda stage, *_: steps.append(stage),
    )
    assert done.report["accuracy"] >= 0.9
    assert done.manifest["serves"] == "full"
    lessons = {"loss/labels", "loss/outside", "loss/unlabelled"}
    assert seen == lessons | {"tuning/accuracy", "tuning/accuracy/polite", "tuning/loss"}
    assert {"out of fold, 1 of 2", "out of fold, 2 of 2", "fine-tuning"} <= set(steps)
    known = done.dataset.encoder_tuned_on
    assert known == {key_hash(row.text) for row in data.part("train")}, "texts out of scope are known by heart, too"
