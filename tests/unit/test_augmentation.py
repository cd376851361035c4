"""Copies of texts train where their text trains, and are nowhere else; what helps is found by trying."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from scipy import sparse
from small_release import small_dataset, small_encoder
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.training import from_file
from headrace.training.from_file import TrainingRequest
from models.ngrams import find_ngrams
from models.words.typing_noise import typed_badly
from retrain import training_data
from retrain.augmentation.choosing import choose_methods
from retrain.augmentation.copies import copies_of, rows_of_copies, with_copies
from retrain.augmentation.methods import EachByItself
from retrain.challenge import challenger_dataset
from retrain.crossfit import POLICIES, POLICIES_WITHOUT_SPACES, CrossFit, Features, Task
from retrain.data import Dataset, Row, Split
from retrain.fitting.copies import Copies, CountedCopies
from retrain.fitting.linear import LinearPolicy
from retrain.job import train_release
from retrain.progress import no_progress
from retrain.rejection.policy import DEFAULT
from retrain.strategies.full import labelled_texts
from retrain.strategies.quick import head_features, train_quick
from retrain.strategies.tuned import Asked
from retrain.text_keys import same_text_key
from streams.application import Application, HeadSpec

UPPER = EachByItself("upper", lambda text, _: f"{text} once more")
APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))


def rows(**texts: Split) -> tuple[Row, ...]:
    return tuple(Row(text, {"intent": "a"}, split) for text, split in texts.items())


def test_copies_are_made_of_training_texts_alone() -> None:
    dataset = Dataset(("intent",), (*rows(one="train", two="valid", three="test"), Row("four", {"intent": "oos"})))
    copies = {row.text: row.copies for row in with_copies(dataset, [UPPER], 0, oos_label="oos").rows}
    assert copies == {"one": ("one once more",), "two": (), "three": (), "four": ()}


def test_what_is_no_new_text_is_left_out() -> None:
    dataset = Dataset(("intent",), (*rows(one="train", two="train", three="test"),))
    swap = {"one": "THREE ", "two": "Two", "three": "four"}
    same = EachByItself("same", lambda text, _: swap[text])
    assert all(not row.copies for row in with_copies(dataset, [same, same], 0).rows)
    assert [row.copies for row in with_copies(dataset, [UPPER, UPPER], 0).rows][:2] == [
        ("one once more",),
        ("two once more",),
    ]


def test_a_copy_that_has_become_a_text_trains_no_more() -> None:
    copied = replace(Row("one", {"intent": "a"}), copies=("two", "three"))
    dataset = Dataset(("intent",), (copied, Row("TWO", {"intent": "b"}, "test")))
    assert copies_of(dataset.rows, dataset)[0] == ["three"]
    assert [(row.text, row.labels["intent"], row.copies) for row in rows_of_copies(dataset.rows, dataset)] == [
        ("three", "a", ())
    ]
    as_test = replace(dataset, rows=(replace(copied, split="test"),))
    assert copies_of(as_test.rows, as_test)[0] == []


@pytest.mark.parametrize("kernels", [True, False], ids=["few texts", "many texts"])
def test_no_text_is_judged_by_what_learnt_its_copy(kernels: bool) -> None:
    """Labels are drawn by lot, and each text has its exact copy: who learnt that one would know the label."""
    random = np.random.default_rng(0)
    texts = 300
    embeddings = random.normal(size=(texts, 400)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    nothing = sparse.csr_array((texts, 0), dtype=np.float32)
    copies = Copies(np.arange(texts), embeddings, nothing)
    features = Features.of(embeddings, nothing, 0, copies)
    features = features if kernels else replace(features, kernels=None)
    targets = random.integers(2, size=texts)
    task = Task("intent", ("a", "b"), targets, np.arange(250), np.arange(250) % 5, np.arange(250, texts))
    cross = CrossFit(task, features, 0, no_progress)
    policy = replace(POLICIES[0], strength=1000.0, epochs=60)
    assert 0.35 < cross.held_out(policy).right.mean() < 0.65
    assert 0.25 < cross.on_tuning(policy).right.mean() < 0.75
    known = cross.fit(policy).logits(embeddings, nothing).argmax(axis=1)[:250]
    assert (known == targets[:250]).mean() > 0.8, "a leak would show"


def test_copies_train() -> None:
    """The texts alone say nothing of what is asked; their copies say it all."""
    embeddings = np.tile(np.eye(4, dtype=np.float32)[[0, 1]], (20, 1))
    copied = np.tile(np.eye(4, dtype=np.float32)[[2, 3]], (20, 1))
    nothing = sparse.csr_array((40, 0), dtype=np.float32)
    targets = np.arange(40) % 2
    task = Task("intent", ("a", "b"), targets, np.arange(40), np.arange(40) // 2 % 5, np.empty(0, dtype=np.int64))
    features = Features.of(embeddings, nothing, 0, Copies(np.arange(40), copied, nothing))
    weights = CrossFit(task, features, 0, no_progress).fit(POLICIES[0])
    assert (weights.logits(copied, nothing).argmax(axis=1) == targets).all()


@pytest.mark.parametrize(
    "policy", [POLICIES[0], POLICIES[3], POLICIES_WITHOUT_SPACES[0]], ids=["weak", "strong", "hinge"]
)
@pytest.mark.parametrize("kernels", [True, False], ids=["few texts", "many texts"])
def test_copies_as_good_as_their_texts_change_next_to_nothing(policy: LinearPolicy, kernels: bool) -> None:
    dataset = small_dataset()
    texts = [row.text for row in dataset.part("train")]
    names = sorted({row.labels["intent"] for row in dataset.part("train")})
    targets = np.array([names.index(row.labels["intent"]) for row in dataset.part("train")])
    embeddings, counts = small_encoder().embed(texts), find_ngrams(texts).counted()
    task = Task("intent", tuple(names), targets, np.arange(128), np.arange(128) % 5, np.empty(0, dtype=np.int64))
    logits = []
    for copies in (None, CountedCopies(np.arange(128), embeddings, counts)):
        _, features = head_features(embeddings, counts, np.arange(128), 4, copies, without_spaces=False)
        features = features if kernels else replace(features, kernels=None)
        weights = task.fit(features, np.arange(64), replace(policy, epochs=60), 0)
        logits.append(weights.logits(features.embeddings, features.ngrams)[64:])
    least = 0.995 if kernels or policy.loss == "squared_hinge" else 0.9  # mini-batches take other steps
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > least
    assert (logits[0].argmax(axis=1) == logits[1].argmax(axis=1)).mean() > 0.9


def test_a_release_shows_no_copy_where_texts_are_kept() -> None:
    dataset = small_dataset()
    copied = with_copies(dataset, [UPPER], 0)
    assert copied.fingerprint != dataset.fingerprint
    release = train_release("m", copied, small_encoder())
    assert not any(text.endswith("once more") for text in release.manifest["golden"]["texts"])
    assert len(train_quick(small_encoder(), copied).reference.distances) == 128
    assert release.report["train_rows"] == 128
    again = training_data.from_bytes(training_data.to_bytes(release.dataset))
    assert [row.copies for row in again.rows] == [row.copies for row in copied.rows]


def test_an_encoder_is_tuned_on_copies_with_their_texts_labels_and_judged_on_none() -> None:
    parts = [Row(f"{word} {number}", {"intent": word}, "train") for number in range(3) for word in ("a", "b")]
    dataset = Dataset(
        ("intent",), (*parts, Row("a text", {"intent": "a"}, "valid"), Row("b text", {"intent": "b"}, "test"))
    )
    copied = with_copies(dataset, [UPPER], 0)
    training, tuning = labelled_texts(copied, "intent", Asked(None, 0, None, DEFAULT, no_progress))
    assert list(training.texts) == [row.text for row in parts] + [f"{row.text} once more" for row in parts]
    assert training.labels["intent"].tolist() == [0, 1] * 6
    assert list(tuning.texts) == ["a text"]


def test_a_challenger_learns_no_copy_of_what_tests_by_now() -> None:
    near = "could you please tell me where my parcel from last week has gone"
    copied = replace(Row("where is my parcel", {"intent": "a"}), copies=(near, "is it there"))
    tests = Row(f"{near} to", {"intent": "a"}, "test")
    before = Dataset(("intent",), (copied, Row("money back", {"intent": "b"}), tests))
    kept = next(row for row in challenger_dataset(before, []).dataset.rows if row.text == copied.text)
    assert kept.copies == ("is it there",)


def parts(count: int, words: Sequence[str], split: Split, seed: int) -> list[Row]:
    """Texts of three labels that are told by one word each."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        label = number % 3
        filler = " ".join(random.choice(["the", "my", "is", "a", "order", "card", "please"], 3))
        made.append(Row(f"{filler} {words[label]} {number:x}", {"intent": "abc"[label]}, split))
    return made


def test_what_helps_is_switched_on_and_what_does_not_is_not() -> None:
    """Those who write later use other words, which one method knows; the other takes any of them."""
    old, new = ("refund", "parcel", "fee"), ("geld", "paket", "gebuehr")
    dataset = Dataset(("intent",), (*parts(90, old, "train", 0), *parts(300, new, "valid", 1)))

    def translated(text: str, _: np.random.Generator) -> str:
        return " ".join(dict(zip(old, new, strict=True)).get(word, word) for word in text.split())

    def wrong(text: str, random: np.random.Generator) -> str:
        return " ".join(str(random.choice(new)) if word in old else word for word in text.split())

    methods = [EachByItself("wrong", wrong), EachByItself("translated", translated)]
    choice = choose_methods(small_encoder(), dataset, methods)
    assert choice.methods == ("translated",)
    first = {trial.method: trial for trial in choice.trials if not trial.beside}
    assert first["translated"].helps and first["translated"].after > first["translated"].before + 0.2
    assert first["translated"].texts == 300 and not first["wrong"].helps
    trained = [row for row in choice.dataset.rows if row.split == "train"]
    assert all(len(row.copies) == 1 for row in trained)
    json.dumps([trial.as_json() for trial in choice.trials], allow_nan=False)


def test_without_tuning_rows_every_training_text_is_judged_once() -> None:
    dataset = Dataset(("intent",), tuple(parts(60, ("refund", "parcel", "fee"), "train", 0)))
    noise = EachByItself("noise", lambda text, random: typed_badly(text, 0.1, random))
    choice = choose_methods(small_encoder(), dataset, [noise])
    assert [trial.texts for trial in choice.trials] == [60]
    assert choice.methods == () and not any(row.copies for row in choice.dataset.rows), "all are right without it"


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, augment: str) -> Any:
    data = folder / "data.csv"
    dataset = small_dataset()
    lines = "".join(f'"{row.text}",{row.labels["intent"]},{row.split}\n' for row in dataset.rows)
    data.write_text("text,intent,split\n" + lines, encoding="utf-8")
    monkeypatch.setattr(from_file, "default_encoder", lambda _: small_encoder())
    monkeypatch.setattr(from_file, "source_of_encoder", lambda _: {"name": "small"})
    wiring: Any = SimpleNamespace(settings=SimpleNamespace(encoder="small"))
    order = TrainingRequest(data, augment=augment)
    return from_file.train(wiring, FolderRegistry(str(folder / "registry")), APP, order, no_progress)


def test_a_training_says_what_was_made_and_what_each_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = trained(tmp_path, monkeypatch, "swap,typing")
    told = release.report["augmentation"]
    assert told["methods"] == ["swap", "typing"] and told["trials"] == [] and told["copies"] > 100
    assert release.manifest["training"]["augmentation"] == told
    assert release.manifest["training"]["asked"]["augment"] == ["swap", "typing"], "for the next retraining"
    kept = training_data.from_bytes(release.blobs[release.manifest["files"]["training_data"]["sha256"]])
    tested = {same_text_key(row.text) for row in kept.part("test")}
    copies = [copy for row in kept.rows for copy in row.copies]
    assert len(copies) == told["copies"] and not tested & {same_text_key(copy) for copy in copies}
    assert not any(row.copies for row in kept.part("test"))


def augmented(folder: Path, *options: str, header: str = "text,label,split") -> Result:
    data = folder / "data.csv"
    data.write_text(f"{header}\nwhere is my late parcel,a,train\nmoney back now please,b,train\nhello there,a,test\n")
    return CliRunner().invoke(app, ["data", "augment", str(data), "--output", str(folder / "made.csv"), *options])


def test_the_command_shows_texts_beside_what_is_made_of_them(tmp_path: Path) -> None:
    ran = augmented(tmp_path, "--with", "swap,dropout", "--json", "--seed", "3")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["made"]["swap"] == 2 and json.loads(ran.stdout)["texts"] == 2
    lines = (tmp_path / "made.csv").read_text().splitlines()
    assert lines[0] == "line,method,label,text,made"
    assert any(line.startswith("2,swap,a,where is my late parcel,") for line in lines)
    assert not any("hello there" in line for line in lines), "what tests is not augmented"


def test_the_command_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text("mine")
    ran = augmented(tmp_path, "--with", "swap")
    assert ran.exit_code == 1 and (tmp_path / "made.csv").read_text() == "mine"


def test_the_command_tells_a_mistyped_method_in_one_line(tmp_path: Path) -> None:
    ran = augmented(tmp_path, "--with", "typos")
    assert ran.exit_code == 1 and not (tmp_path / "made.csv").exists()
