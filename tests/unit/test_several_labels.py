"""Heads that give a text several labels, from a file of labelled texts to a decision."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from small_release import manifest_bytes, small_encoder, small_release
from small_sets import rows_of_sets, sets_dataset, sets_release

from models.bundle import read_reference, unpack
from models.decision import Classification, HeadDecision, LabelAnswer
from models.errors import ReleaseCorrupt, TrainingDataError
from models.label_sets import canonical, labels_of, set_text, strata
from models.several_labels import SeveralLabels, chances
from retrain.data import Columns, Dataset, Row, parse_labelled_csv, with_tuning_rows
from retrain.evaluation.labels import LabelTable
from retrain.evaluation.report import HeadReport
from retrain.evaluation.scoring import evaluate
from retrain.fitting.several_labels import choose_threshold, fit_calibration, fit_several, micro_f1
from retrain.job import train_release
from retrain.rejection.policy import RejectionPolicy
from retrain.strategies.quick import train_quick
from retrain.strategies.several_heads import rows_of_names, several_task
from retrain.training_data import from_bytes, to_bytes
from streams.application import labels_without_use, parse_application
from streams.routing.routes import Router
from streams.wire.outcomes import head_record

COLUMNS = Columns({"topics": "topics"}, several=frozenset({"topics"}))
APP = """
name = "desk"
topic = "desk.chats"
[[heads]]
name = "topics"
column = "topics"
multi = true
[queues]
fee = "billing"
delivery = "parcels"
none = "front"
[answers]
delivery = "It is on its way."
[priority]
criticality = "topics"
impact = "/tier"
[priority.table.fee]
gold = "P1"
[priority.table.delivery]
gold = "P2"
"""


@pytest.mark.parametrize(
    ("written", "text"),
    {
        "any order": ("b|a", "a|b"),
        "twice": ("a| a |", "a"),
        "nothing": (" ", "none"),
        "none": ("none", "none"),
    }.values(),
)
def test_a_set_has_one_text_however_people_write_it(written: str, text: str) -> None:
    assert canonical(written) == text == set_text(labels_of(text))


def test_none_beside_a_label_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="write none alone"):
        labels_of("refund|none")


def test_an_empty_cell_is_an_answer_and_a_missing_field_is_none() -> None:
    read = parse_labelled_csv(
        b"text,topics,split\nhello,,train\nboth,fee|delivery,train\nodd,fee|none,train\n", COLUMNS
    )
    assert [row.labels["topics"] for row in read.rows] == ["none", "delivery|fee"]
    assert (read.several, [one.line for one in read.rejected]) == (frozenset({"topics"}), [4])
    lines = (
        b'{"text": "a", "topics": ["fee", "delivery"]}\n{"text": "b", "topics": []}\n{"text": "c", "topics": null}\n'
    )
    told = [row.labels for row in parse_labelled_csv(lines, replace(COLUMNS, split="split"), name="x.jsonl").rows]
    assert told == [{"topics": "delivery|fee"}, {"topics": "none"}]


def test_each_label_is_spread_over_the_parts_though_sets_hardly_come_twice() -> None:
    assert strata(["a|b", "a", "a", "none", "b|c"]) == ["b", "a", "a", "none", "c"]
    dataset = with_tuning_rows(sets_dataset(), seed=0)
    for label in ("refund", "delivery", "fee"):
        texts = {
            split: np.mean([label in labels_of(row.labels["topics"]) for row in dataset.part(split)])
            for split in ("train", "valid", "test")
        }
        assert max(texts.values()) - min(texts.values()) < 0.25, (label, texts)


def test_a_release_gives_each_label_of_a_text_with_its_probability() -> None:
    release = sets_release()
    both, nothing = release.classifier.classify_texts(["where is my parcel . what is this fee now", "hello thanks ok"])
    answer = both.heads["topics"]
    assert answer.label == "delivery|fee" and {one.label for one in answer.labels or ()} == {"delivery", "fee"}
    assert [one.probability for one in answer.labels or ()] == sorted(
        (one.probability for one in answer.labels or ()), reverse=True
    )
    assert (nothing.heads["topics"].label, nothing.heads["topics"].labels) == ("none", ())
    assert release.metrics["topics"].micro_f1 is not None and release.metrics["topics"].micro_f1 > 0.85
    assert release.report["heads"]["topics"]["micro_f1"] > 0.85
    assert release.classifier.fast_path is None


def test_the_release_comes_back_the_same_and_decides_alone_as_in_a_batch() -> None:
    release, texts = sets_release(), [row.text for row in rows_of_sets()[::7]]
    again = unpack(manifest_bytes(release), release.blobs.__getitem__, threads=1)
    together = again.classify_texts(texts)
    for text, one, other in zip(texts, together, release.classifier.classify_texts(texts), strict=True):
        assert one.heads == other.heads == again.classify_texts([text])[0].heads
    reference = read_reference(manifest_bytes(release), release.blobs.__getitem__)
    assert reference["centroids"].shape[0] == 3 and reference["label_shares"].sum() > 1.2
    assert np.isfinite(reference["reference_confidence"]).all()


def test_an_altered_threshold_is_found_by_the_golden_texts() -> None:
    manifest: dict[str, Any] = json.loads(manifest_bytes(sets_release()))
    manifest["heads"][0]["several"]["threshold"] = 0.999
    with pytest.raises(ReleaseCorrupt, match="golden text"):
        unpack(json.dumps(manifest).encode(), sets_release().blobs.__getitem__, threads=1)
    manifest["heads"][0]["several"]["threshold"] = 1.5
    with pytest.raises(ReleaseCorrupt, match="cannot be read"):
        unpack(json.dumps(manifest).encode(), sets_release().blobs.__getitem__, threads=1)


def test_heads_of_one_label_say_nothing_of_several() -> None:
    release = small_release()
    assert all("several" not in head for head in release.manifest["heads"])
    assert "micro_f1" not in json.dumps(release.manifest)
    (decision,) = release.classifier.classify_texts(["refund please"])
    assert head_record(decision.heads["intent"]).keys() <= {"label", "probability", "oos_score", "rejected"}


def test_beside_a_head_of_several_labels_another_decides_one() -> None:
    rows = [
        replace(row, labels=row.labels | {"tone": "calm" if row.text.endswith("?") else "loud"})
        for row in sets_dataset().rows
    ]
    dataset = replace(sets_dataset(), heads=("tone", "topics"), rows=tuple(rows))
    release = train_release("desk", dataset, small_encoder())
    (decision,) = release.classifier.classify_texts(["what is this fee ?"])
    assert (decision.heads["tone"].labels, decision.heads["topics"].label) == (None, "fee")
    assert release.classifier.heads["tone"].out_of_scope is not None


def test_the_training_data_remember_which_head_gives_several() -> None:
    dataset = sets_dataset()
    assert from_bytes(to_bytes(dataset)) == dataset
    assert b"several" not in __import__("gzip").decompress(to_bytes(replace(dataset, several=frozenset())))


def test_what_such_a_head_cannot_do_is_refused_in_one_line() -> None:
    with pytest.raises(
        TrainingDataError, match="the strategy full cannot do; leave it out, and train by the strategy quick"
    ):
        train_release("desk", sets_dataset(), small_encoder(), strategy="full")
    for asked in ({"oos_label": "fee|refund"}, {"rejection": RejectionPolicy(target_error=0.1)}):
        with pytest.raises(TrainingDataError, match="rejects nothing"):
            train_quick(small_encoder(), sets_dataset(), **asked)  # type: ignore[arg-type]
    always = replace(sets_dataset(), rows=tuple(Row(f"text {n}", {"topics": "fee"}) for n in range(9)))
    with pytest.raises(TrainingDataError, match="every text has the label 'fee'"):
        train_quick(small_encoder(), always)


def test_the_threshold_is_the_best_there_is_and_calibration_comes_true() -> None:
    random = np.random.default_rng(3)
    odds = random.normal(-1, 2, (400, 5))
    wanted = random.random(odds.shape) < chances(odds.astype(np.float32))
    slope, bias = fit_calibration((odds / 3 + 1).astype(np.float32), wanted)
    assert np.allclose(slope, 3, atol=0.6) and np.allclose(bias, -3, atol=0.6)
    probabilities = chances(odds.astype(np.float32))
    chosen = choose_threshold(probabilities, wanted)
    best = max(micro_f1(probabilities >= at, wanted) for at in np.linspace(0.05, 0.95, 181))
    assert micro_f1(probabilities >= chosen, wanted) >= best
    several = fit_several(odds.astype(np.float32), wanted)
    right = (several.given(odds.astype(np.float32)) == wanted).all(axis=1)
    assert abs(several.set_probabilities(odds.astype(np.float32)).mean() - right.mean()) < 0.02


def test_an_answer_is_clear_where_no_label_is_near_the_threshold() -> None:
    gives = SeveralLabels(0.5, 1.0, 0.0)
    logits = np.array([[3.0, -3.0], [0.1, -3.0]], dtype=np.float32)
    assert gives.clear(logits, 0.25).tolist() == [True, False]
    assert gives.texts(logits, ("a", "b")) == ["a", "a"]
    assert chances(np.array([[-1000.0, 1000.0]], dtype=np.float32)).tolist() == [[0.0, 1.0]]


def test_figures_count_labels_where_accuracy_counts_sets() -> None:
    rows = [Row(row.text, row.labels, "test") for row in rows_of_sets()[::3]]
    found = evaluate(sets_release().classifier, rows)["topics"]
    names = ("delivery", "fee", "refund")
    wanted, given = (
        np.array([[name in labels_of(text) for name in names] for text in texts])
        for texts in ([row.labels["topics"] for row in rows], found.decided.tolist())
    )
    assert found.micro_f1 == pytest.approx(f1_score(wanted, given, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(wanted, given, average="macro"))
    assert found.accuracy == (wanted == given).all(axis=1).mean()
    table = HeadReport.of(found, rows).labels
    assert {one.label: (one.texts, one.decided) for one in table.labels} == {
        name: (int(wanted[:, n].sum()), int(given[:, n].sum())) for n, name in enumerate(names)
    }
    assert LabelTable.of(np.array(["none"]), np.array(["fee"]), several=True).labels == ()


def decided(*labels: str) -> Classification:
    several = tuple(LabelAnswer(label, 0.8) for label in labels)
    return Classification({"topics": HeadDecision(set_text(labels), 0.7, labels=several)}, "full", 3, 0.0)


def test_the_first_entry_of_a_table_that_the_set_holds_routes_the_text() -> None:
    app = parse_application(APP, Path(), "desk.toml")
    router = Router(app)
    assert router.route(decided("delivery", "fee"), {"tier": "gold"}, 0).record() == {
        "action": "queue:billing",
        "priority": "P1",
    }
    assert router.route(decided("delivery", "refund"), {"tier": "gold"}, 0).record() == {
        "action": "queue:parcels",
        "priority": "P2",
    }
    assert router.route(decided(), {}, 0).action == "queue:front"
    assert router.route(decided("refund"), {}, 0).action == "queue:people"
    assert not list(labels_without_use(app, {"topics": ("delivery", "fee", "refund")}))
    assert head_record(decided("fee").heads["topics"]) == {
        "label": "fee",
        "probability": 0.7,
        "labels": [{"label": "fee", "probability": 0.8}],
    }


def test_names_of_labels_train_beside_each_fold_and_judge_nothing() -> None:
    rows = [row for row in sets_dataset().rows if row.split == "train"]
    named = rows_of_names([*rows, Row("x", {"topics": "wrong_numberPlate|HTTPError|到账"})], {"topics"})
    assert {row.text: row.labels["topics"] for row in named} == {
        "delivery": "delivery",
        "fee": "fee",
        "refund": "refund",
        "wrong number plate": "wrong_numberPlate",
        "http error": "HTTPError",
        "到账": "到账",
    }
    named = rows_of_names(rows, {"topics"})
    task = several_task("topics", [*rows, *named], 0, None, without_spaces=False, texts=len(rows))
    assert task.folds[task.rows >= len(rows)].tolist() == [-1, -1, -1] and task.folds[: len(rows)].min() == 0
    assert rows_of_names(rows * 30, {"topics"}) == [], "many texts say it all"


def test_names_are_taken_where_they_help_on_texts_that_were_not_fitted_on() -> None:
    words = ("parcel", "refund", "card", "late", "money", "account", "fee", "order", "help", "warning", "profit")
    others = ("where", "is", "the", "please", "my", "not", "a", "on", "why", "was", "i", "this", "hello", "thanks")
    random, rows = np.random.default_rng(0), []
    for _ in range(30):
        two, more = sorted(random.choice(words, 2, replace=False)), random.choice(others, 6)
        text = " ".join([*more[:2], two[0], *more[2:4], two[1], *more[4:]])
        rows.append(Row(text, {"topics": "|".join(two)}))
    dataset = Dataset(("topics",), tuple(rows), several=frozenset({"topics"}))
    trained = train_quick(small_encoder(), dataset)
    assert trained.choices["topics"]["label_names"] == 1.0
    assert trained.reference.distances.shape == (len(rows),), "names are no texts to compare live ones with"
    opaque = {word: f"l{number}" for number, word in enumerate(words)}
    other = [
        Row(row.text, {"topics": set_text(opaque[word] for word in labels_of(row.labels["topics"]))}) for row in rows
    ]
    choices = train_quick(small_encoder(), replace(dataset, rows=tuple(other))).choices["topics"]
    assert choices["held_out_micro_f1"] < trained.choices["topics"]["held_out_micro_f1"] - 0.05


def test_logits_are_no_longer_than_those_of_a_head_of_one_label() -> None:
    """Golden texts allow both to be off by as much on another processor."""
    head = sets_release().classifier.heads["topics"]
    assert np.linalg.norm(head.dense, axis=0).max() <= 14.1
    assert np.log2(head.temperature) == round(np.log2(head.temperature))
    loud = replace(
        head, dense=head.dense * 4, ngrams=head.ngrams * 4, bias=head.bias * 4, temperature=head.temperature * 4
    )
    texts = [row.text for row in rows_of_sets()[::9]]
    prepared = sets_release().classifier.tokenize(texts, fast=False)
    embeddings = sets_release().classifier.embed(prepared)
    assert loud.decide(embeddings, prepared.ngrams) == head.decide(embeddings, prepared.ngrams)
    assert np.array_equal(loud.predict(embeddings, prepared.ngrams), head.predict(embeddings, prepared.ngrams))
