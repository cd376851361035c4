"""A teacher's soft labels in the full strategy: out of fold, calibrated, and without a training of their own."""

import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from small_bert import CONFIG, dense_layer, small_tokenizer_json, small_weights
from test_train_options import order, world  # noqa: F401  # a fixture
from tiny_texts import labelled, of_head
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.training.adaptation.folder import write_encoder
from models.errors import ConfigError
from models.heads import label_probabilities
from retrain.adaptation.teacher_answers import teacher_answers
from retrain.fitting.tuning.plan import TAUGHT, plan_from
from retrain.fitting.tuning.texts import LabelledTexts

pytestmark = pytest.mark.train


def embedded(texts: LabelledTexts, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """A space in which the subjects stand apart, with some noise."""
    rng = np.random.default_rng(seed)
    points = np.eye(3, 12)[texts.labels["subject"]] + rng.normal(0, 0.2, (len(texts), 12))
    found: np.ndarray[tuple[int, int], np.dtype[np.float32]] = points / np.linalg.norm(points, axis=1, keepdims=True)
    return found.astype(np.float32)


def test_a_teacher_doubts_wrong_labels_as_it_was_not_fitted_on_them() -> None:
    training, tuning = of_head(labelled(240, 1)), of_head(labelled(90, 2))
    spaces = embedded(training, 1), embedded(tuning, 2)
    wrong = np.arange(0, 240, 16)
    training.labels["subject"][wrong] = (training.labels["subject"][wrong] + 1) % 3
    answers = teacher_answers(*spaces, training, tuning, np.arange(240) // 3 % 3, 0)["subject"]
    assert answers.shape == (240, 3)
    of_given_label = label_probabilities(answers)[np.arange(240), training.labels["subject"]]
    assert of_given_label[wrong].max() < 0.3 and np.median(np.delete(of_given_label, wrong)) > 0.8


def test_a_label_of_one_fold_alone_is_unlikely_there_and_texts_without_a_label_are_answered() -> None:
    training, tuning = of_head(labelled(120, 1)), of_head(labelled(60, 2))
    spaces, folds = embedded(training, 1), np.arange(120) // 3 % 2
    labels = training.labels["subject"]
    labels[(labels == 2) & (folds == 1)] = -1
    answers = teacher_answers(spaces, embedded(tuning, 2), training, tuning, folds, 0)["subject"]
    assert (answers[folds == 0, 2] == -30).all() and (answers[folds == 1, 2] != -30).all()
    assert (answers[(labels == -1) & (folds == 1)].argmax(1) == 2).mean() > 0.9


def test_a_plan_that_names_a_teacher_hears_it() -> None:
    assert plan_from({}).soft_share == 0
    assert plan_from({"teacher": "mpnet"}).soft_share == TAUGHT
    assert plan_from({"teacher": "mpnet", "distillation": 0.2}).soft_share == 0.2
    with pytest.raises(ConfigError, match="teacher = 3: it is a word in quotes"):
        plan_from({"teacher": 3})


def test_a_training_is_taught_by_a_folder_s_encoder(world: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    large = small_weights(seed=3) | dense_layer(48)
    write_encoder(world / "large", large, CONFIG | {"dense": "identity"}, small_tokenizer_json(), "")
    options = f"[full]\nsteps = 6\nevaluations = 2\nbatch_texts = 16\nteacher = {json.dumps(str(world / 'large'))}\n"
    stages: list[str] = []
    with pytest.MonkeyPatch.context() as told:
        told.setattr("headrace.output.StageLines.__call__", lambda self, stage, done, total: stages.append(stage))
        done = CliRunner().invoke(cli, [*order(world, options), "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout.splitlines()[-1])["strategy"] == "full"
    assert "asking the teacher" in stages
    assert not [stage for stage in stages if stage.startswith("out of fold")], "no further training"
    assert not list((world / "home" / "trainings").glob("*.safetensors"))


def test_a_teacher_that_cannot_be_had_is_told_before_anything_is_trained(world: Path) -> None:  # noqa: F811
    done = CliRunner().invoke(cli, order(world, '[full]\nsteps = 6\nteacher = "nobody"\n'))
    assert done.exit_code == 1 and "'nobody' is unknown" in str(done.exception)
