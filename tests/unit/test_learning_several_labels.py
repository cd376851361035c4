"""What people say of a head of several labels: given, counted, learnt from, and judged by the gate."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_world import World, decision
from small_release import ENDINGS
from small_sets import sets_release

from connectors.registry import FolderRegistry
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.training.retrain_child import run
from models.bundle import unpack
from models.errors import ConfigError, TrainingDataError
from retrain import training_data
from retrain.challenge import challenger_dataset
from retrain.class_balance import newest_of_each_label
from retrain.data import Dataset, Row
from retrain.evaluation.scoring import evaluate
from retrain.feedback.sets import as_sets
from retrain.gate.head_checks import HeadPair, on_known_labels
from retrain.search.quick_search import QuickSearch

ANN = Speaker("ann")
SEVERAL = frozenset({"topics"})
BOTH = {"label": "fee", "probability": 0.6, "labels": [{"label": "fee", "probability": 0.8}]}
THINGS = ("blender", "kettle", "toaster", "heater", "lamp", "charger", "battery", "drill", "scooter", "fan")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.decide(decision(11, labels={"intent": BOTH, "urgency": {"label": "low", "probability": 0.9}}))
    yield made


ID = decision(11)["id"]


def test_a_set_is_given_in_any_order_and_none_says_that_no_label_holds(world: World) -> None:
    correct_one(world.wiring, ID, "", " refund| delivery", ANN)
    assert correct_one(world.wiring, ID, "", "delivery|refund", ANN).unchanged == 1
    correct_one(world.wiring, ID, "", "none", Speaker("bob"))
    assert [(said.label, said.introduces) for said in world.said()] == [("delivery|refund", None), ("none", None)]


def test_a_slip_in_a_set_is_refused_by_its_label_and_a_new_one_is_introduced(world: World) -> None:
    with pytest.raises(ConfigError, match="no label 'refnd' of intent; did you mean 'refund'"):
        correct_one(world.wiring, ID, "", "delivery|refnd", ANN)
    with pytest.raises(ConfigError, match="write none alone"):
        correct_one(world.wiring, ID, "", "delivery|none", ANN)
    correct_one(world.wiring, ID, "", "delivery|recall", Speaker("ann", introduces=True))
    assert correct_one(world.wiring, ID, "", "recall", Speaker("bob")).taken, "known from then on, in any set"
    with pytest.raises(ConfigError, match=r"no label 'delivery\|refund'"):
        correct_one(world.wiring, ID, "urgency", "delivery|refund", ANN)


def said(number: int, text: str, labels: str, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "text": text, "labels": {"topics": labels}, "chosen": {"topics": "random"}} | more


def test_an_unknown_label_of_a_set_keeps_the_text_from_training() -> None:
    before = Dataset(
        ("topics",), (Row("a parcel", {"topics": "delivery"}), Row("b", {"topics": "fee"})), several=SEVERAL
    )
    items = [said(1, "one more", "delivery|fee"), said(2, "two more", "fee|recall"), said(3, "three more", "none")]
    challenge = challenger_dataset(before, items)
    assert challenge.unknown_labels == (("topics", "recall"),)
    assert {row.text: row.labels["topics"] for row in challenge.dataset.rows if row.origin == "feedback"} == {
        "one more": "delivery|fee",
        "three more": "none",
    }
    meant = challenger_dataset(before, [*items, said(4, "four more", "delivery|recall", introduces=["topics"])])
    assert meant.unknown_labels == ()
    assert meant.dataset.several == SEVERAL


def test_what_is_written_otherwise_is_the_same_set_and_what_is_none_says_nothing() -> None:
    items = [said(1, "x", "fee|delivery", said={"topics": [{"by": "ann", "label": "fee | delivery"}]})]
    (one,) = as_sets([*items, said(2, "y", "fee|none")], SEVERAL)
    assert (one["labels"], one["said"]) == (
        {"topics": "delivery|fee"},
        {"topics": [{"by": "ann", "label": "delivery|fee"}]},
    )
    assert as_sets(items, ())[0]["labels"] == {"topics": "fee|delivery"}


def test_a_text_trains_while_one_of_its_labels_is_wanted() -> None:
    rows = [Row(f"t{n}", {"topics": "fee"}, origin="feedback") for n in range(4)]
    rows.insert(0, Row("rare", {"topics": "fee|recall"}, origin="feedback"))
    dataset, words = newest_of_each_label(Dataset(("topics",), tuple(rows), several=SEVERAL), 2)
    assert [row.text for row in dataset.rows] == ["rare", "t2", "t3"] and "topics=fee" in words


def test_the_gate_judges_each_label_by_itself() -> None:
    rows = [Row(row.text, row.labels, "test") for row in sets_release().dataset.part("test")]
    metrics = evaluate(sets_release().classifier, rows)["topics"]
    pair = HeadPair.of(metrics, metrics, rows)
    changes = {change.label: change for change in pair.changes(frozenset({"delivery", "fee", "refund"}))}
    assert set(changes) == {"delivery", "fee", "refund"}
    assert all(change.lost == change.won == 0 and change.loss_probability is not None for change in changes.values())
    for label, change in changes.items():
        assert change.texts == sum(label in row.labels["topics"].split("|") for row in rows)
        assert change.before == pytest.approx(metrics.per_label[label]["recall"])
    known = on_known_labels(pair, [change for label, change in changes.items() if label != "fee"])
    assert known.texts == sum("fee" not in row.labels["topics"] for row in rows)


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, release = tmp_path_factory.mktemp("registry"), sets_release()
    registry = FolderRegistry(str(folder))
    manifest, blobs = json.loads(json.dumps(release.manifest)), dict(release.blobs)
    training_data.attach(manifest, blobs, release.dataset)
    version = registry.publish("desk", manifest, blobs)
    return {
        "registry": str(folder),
        "model": "desk",
        "champion": version,
        "manifest_sha256": hashlib.sha256(registry.manifest("desk", version)).hexdigest(),
        "request": "desk@1-7",
        "labelled": [],
        "seed": 0,
        "threads": 1,
        "strategy": "quick",
        "max_texts_per_label": 2_000,
        "look": 1,
        "mask_personal_data": False,
    }


def test_a_label_that_people_brought_is_learnt_beside_the_others(order: dict[str, Any]) -> None:
    texts = [(f"is the {thing} recalled by its maker{ending}", "recall") for thing in THINGS for ending in ENDINGS]
    texts += [
        (f"where is my parcel . is the {thing} recalled{ending}", "recall|delivery")
        for thing in THINGS
        for ending in ENDINGS[:4]
    ]
    labelled = [said(n, text, labels, introduces=["topics"]) for n, (text, labels) in enumerate(texts)]
    verdict = run(order | {"labelled": labelled})
    assert verdict["version"] == "2", verdict["words"]
    registry = FolderRegistry(order["registry"])
    manifest = registry.manifest("desk", "2")
    again = unpack(manifest, registry.blobs_of(manifest), threads=1)
    (answer,) = again.classify_texts(["where is my parcel . is the fan recalled now"])
    assert answer.heads["topics"].label == "delivery|recall"
    assert training_data.of_release(json.loads(manifest), registry.blobs_of(manifest)).several == SEVERAL
    labels = {change["label"] for change in json.loads(manifest)["gate"]["labels"]["topics"]}
    assert labels == {"delivery", "fee", "recall", "refund"}


def test_a_search_of_options_refuses_it_in_one_line() -> None:
    with pytest.raises(TrainingDataError, match="which a search of options cannot do"):
        QuickSearch(sets_release().classifier.encoder, sets_release().dataset)
    assert np.isfinite(sets_release().metrics["topics"].ece)
