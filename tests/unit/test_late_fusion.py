"""Text and picture decide together: how it is put together and learnt, how a release keeps it, what a worker does."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_fast_path import classifier_with, with_threshold
from small_pictures import encoded, flat, small_picture_classifier
from small_release import SUBJECTS, small_release
from test_picture_release import METRICS, TRAINING
from test_pictures_beside_texts import BAD, BASE64, Web, decision, handler, run

from headrace.pages.model_card import render_card
from models.bundle import unpack
from models.classifier import Classifier
from models.decision import Classification, HeadDecision
from models.errors import ModelError, PictureFault, ReleaseCorrupt
from models.pictures.classifier import PictureAnswer
from models.pictures.fusion import FusedDecision, LateFusion
from retrain import training_data
from retrain.data import Dataset, Row
from retrain.pictures.fusing import LearntFusion, learn_fusion
from retrain.pictures.paired_rows import PairedRows
from retrain.pictures.release import attach_pictures, carry_fusion, carry_pictures, fuse, with_pictures
from retrain.pictures.training import TrainedPictures
from streams.classify.serving import Serving, Trial

LABELS = ("delivery", "fee", "refund", "到账")  # of the small release's head, in its order
SHOWN = ("refund", "到账", "fee", "delivery")  # a network has its own
EVEN = np.full(4, 0.25)


def fusion(text: float = 1.0, picture: float = 1.0, prior: float = 1.0) -> LateFusion:
    return LateFusion("intent", LABELS, SHOWN, (text, picture, prior), EVEN)


def said(label: str, probability: float, *, rejected: bool = False) -> Classification:
    rest = (1 - probability) / 3
    spread = np.array([probability if name == label else rest for name in LABELS], np.float32)
    head = HeadDecision(label, probability, 0.5, rejected)
    return Classification({"intent": head}, "full", 10, 0.0, distribution=spread)


def shown(label: str, probability: float) -> PictureAnswer:
    spread = np.array([probability if name == label else (1 - probability) / 3 for name in SHOWN], np.float32)
    return PictureAnswer(HeadDecision(label, probability), np.zeros(2, np.float32), spread)


@pytest.mark.parametrize(
    ("text", "picture", "label", "decided_by"),
    [
        (said("refund", 0.9), shown("refund", 0.6), "refund", "both"),
        (said("refund", 0.9), shown("fee", 0.6), "refund", "text"),
        (said("refund", 0.5), shown("fee", 0.9), "fee", "picture"),
        (said("refund", 0.5), None, "refund", "text"),
        (said("refund", 0.4, rejected=True), shown("fee", 0.99), "refund", "text"),
    ],
    ids=["they agree", "the text is surer", "the picture is surer", "no picture", "a text that is rejected"],
)
def test_the_surer_one_decides(
    text: Classification, picture: PictureAnswer | None, label: str, decided_by: str
) -> None:
    fused = fusion().decide(text, picture)
    assert (fused.decision.label, fused.decided_by, fused.text) == (label, decided_by, text.heads["intent"])
    assert fused.decision.rejected == text.heads["intent"].rejected and fused.decision.oos_score == 0.5
    if picture is None or fused.decision.rejected:
        assert fused.decision == fused.text, "the text's own answer, untouched"


def test_what_both_leave_open_can_be_a_third_label() -> None:
    text = replace(said("fee", 0.4), distribution=np.array([0.4, 0.5, 0.05, 0.05], np.float32))
    spread = np.array([0.55, 0.0, 0.0, 0.45], np.float32)  # refund, 到账, fee, delivery
    fused = fusion().decide(text, PictureAnswer(HeadDecision("refund", 0.55), np.zeros(2, np.float32), spread))
    assert (fused.decision.label, fused.decided_by) == ("delivery", "both")
    assert fused.decision.probability == pytest.approx(0.4 * 0.45 / (0.4 * 0.45 + 0.05 * 0.55), abs=1e-4)


def test_what_both_have_of_a_frequent_label_counts_once() -> None:
    shares = np.array([0.7, 0.1, 0.1, 0.1])
    of_both = LateFusion("intent", LABELS, SHOWN, (1.0, 1.0, 1.0), shares)
    nothing = shares[[LABELS.index(label) for label in SHOWN]]
    assert of_both.probabilities(shares[None], nothing[None])[0] == pytest.approx(shares)


def pairs(count: int, seed: int, *, sharp: float) -> PairedRows:
    """Rows of the small release's subjects whose text says another label in 35 of 100. sharp: of the picture's answers;
    0: it says nothing."""
    rng = np.random.default_rng(seed)
    texts, labels, pictures = list[str](), list[str](), list[np.ndarray[Any, Any]]()
    for number in range(count):
        label = LABELS[number % 4]
        told = LABELS[int(rng.integers(4))] if rng.random() < 0.45 else label
        subject = SUBJECTS[told]
        texts.append(f"{subject[int(rng.integers(len(subject)))]} {number}")
        labels.append(label)
        logits = rng.normal(0, 1, 4) + sharp * (np.array(SHOWN) == label)
        pictures.append(np.exp(logits) / np.exp(logits).sum())
    tests = np.arange(count) % 4 == 0
    return PairedRows("intent", SHOWN, tuple(texts), tuple(labels), tests, np.array(pictures, np.float32))


def learnt(rows: PairedRows) -> LearntFusion:
    return learn_fusion(small_release().classifier, rows, EVEN)


def test_a_picture_that_knows_what_the_text_does_not_makes_the_decision_better() -> None:
    found = learnt(pairs(400, 1, sharp=2.0))
    assert found.fusion is not None and found.described["serves"]
    figures = found.described["metrics"]
    assert figures["rows"] == 100 and figures["text_accuracy"] < 0.8 and figures["picture_accuracy"] < 0.8
    assert figures["accuracy"] > max(figures["text_accuracy"], figures["picture_accuracy"]) + 0.05
    assert figures["accuracy_ci95"][0] < figures["accuracy"] < figures["accuracy_ci95"][1]
    assert found.described["held_out"]["gain_low"] > 0 and "decide together" in found.words
    assert learnt(pairs(400, 1, sharp=2.0)).described == found.described, "the same rows, the same weights"


def test_a_picture_of_noise_leaves_the_text_its_decision() -> None:
    for seed in range(3):
        found = learnt(pairs(400, seed, sharp=0.0))
        assert found.fusion is None and not found.described["serves"]
        assert "no gain beyond chance" in found.described["reason"]
        assert found.described["weights"]["picture"] < 0.3, "the weights say the same"


def test_a_few_rows_decide_nothing() -> None:
    found = learnt(pairs(40, 0, sharp=4.0))
    assert found.fusion is None and "30 held-out rows have both, 40 are needed" in found.words


def test_rows_come_back_as_they_were_kept() -> None:
    rows = pairs(12, 0, sharp=1.0)
    again = PairedRows.from_bytes(rows.to_bytes())
    assert (again.head, again.shown, again.texts, again.labels) == (rows.head, rows.shown, rows.texts, rows.labels)
    assert again.pictures == pytest.approx(rows.pictures, abs=1e-6) and (again.tests == rows.tests).all()
    assert rows.to_bytes() == rows.to_bytes() and len(PairedRows.from_bytes(rows.chosen(rows.tests).to_bytes())) == 3
    with pytest.raises(ReleaseCorrupt, match="cannot be read"):
        PairedRows.from_bytes(rows.to_bytes()[:40])


def release(rows: PairedRows | None = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The small release with a network and what both decide together."""
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    network = small_picture_classifier(SHOWN)
    attach_pictures(
        manifest, blobs, TrainedPictures(network, network.describe() | {"metrics": METRICS, "training": TRAINING})
    )
    given = pairs(400, 1, sharp=2.0) if rows is None else rows
    fuse(manifest, blobs, small_release().classifier, given, small_release().dataset)
    return manifest, blobs


def loaded(manifest: dict[str, Any], blobs: dict[str, bytes]) -> Classifier:
    return unpack(json.dumps(manifest).encode(), blobs.__getitem__, version="1", threads=1)


def test_a_release_comes_back_with_its_fusion_and_says_so_in_its_card() -> None:
    manifest, blobs = release()
    found = loaded(manifest, blobs)
    assert found.fusion is not None and found.fusion.shown == SHOWN and found.fusion.labels == LABELS
    assert found.fusion.weights == pytest.approx(list(manifest["fusion"]["weights"].values()))
    assert training_data.served_bytes(manifest) == training_data.served_bytes(
        {"files": {role: file for role, file in manifest["files"].items() if role != training_data.FUSION_ROWS_ROLE}}
    )
    card, figures = render_card(manifest), manifest["fusion"]["metrics"]
    assert "## Text and picture together" in card and f"{figures['accuracy']:.4f}" in card
    assert f"{figures['text_accuracy']:.4f}" in card and f"{figures['picture_accuracy']:.4f}" in card


def test_one_whose_picture_does_not_help_decides_by_text_and_says_why() -> None:
    manifest, blobs = release(pairs(400, 0, sharp=0.0))
    assert loaded(manifest, blobs).fusion is None and not manifest["fusion"]["serves"]
    assert "The text decides alone: with the picture" in render_card(manifest)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["fee", "delivery", "refund", "到账"]},
        {"shares": [0.5, 0.5, 0.0, 0.0]},
        {"weights": {"text": "much", "picture": 1, "prior": 1}},
        {"weights": {"text": float("nan"), "picture": 1, "prior": 1}},
        {"head": "urgency"},
    ],
    ids=["other labels", "a label without a share", "a weight in words", "a weight that is no number", "another head"],
)
def test_a_fusion_that_was_altered_is_not_served(change: dict[str, Any]) -> None:
    manifest, blobs = release()
    with pytest.raises(ReleaseCorrupt, match="late fusion does not fit its parts"):
        loaded(manifest | {"fusion": manifest["fusion"] | change}, blobs)


def test_a_fusion_without_a_network_is_not_served() -> None:
    manifest, blobs = release()
    with pytest.raises(ReleaseCorrupt, match="no network for"):
        loaded({name: value for name, value in manifest.items() if name != "pictures"}, blobs)


def test_a_successor_on_texts_learns_it_anew_on_rows_that_trained_nothing() -> None:
    before, blobs = release()
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    carry_pictures(before, blobs.__getitem__, manifest, own)
    rows = pairs(400, 1, sharp=2.0)
    trained = Dataset(("intent",), tuple(Row(text, {"intent": "fee"}) for text in rows.texts[:200]))
    found = carry_fusion(before, blobs.__getitem__, manifest, own, small_release().classifier, trained)
    assert found is not None and found.fusion is not None and loaded(manifest, own).fusion is not None
    assert found.described["held_out"]["rows"] == 150 and found.described["metrics"]["rows"] == 50
    kept = PairedRows.from_bytes(own[manifest["files"][training_data.FUSION_ROWS_ROLE]["sha256"]])
    assert len(kept) == 400, "the next one may train on other texts"
    plain = json.loads(json.dumps(small_release().manifest))
    assert carry_fusion(plain, own.__getitem__, manifest, own, small_release().classifier, trained) is None


def test_a_successor_with_another_label_decides_by_text_and_says_why() -> None:
    rows = replace(pairs(400, 1, sharp=2.0), shown=("refund", "到账", "fee", "recall"))
    manifest, _ = release(rows)
    assert manifest["fusion"]["reason"] == "texts and pictures have other labels: 'delivery', 'recall'"


def test_another_network_for_what_serves_ends_it() -> None:
    before, _ = release()
    network = small_picture_classifier(SHOWN)
    trained = TrainedPictures(network, network.describe() | {"metrics": METRICS, "training": TRAINING})
    after, _ = with_pictures(before | {"version": "1"}, trained)
    assert "fusion" not in after and training_data.FUSION_ROWS_ROLE not in after["files"] and "pictures" in after


def fusing(**weights: float) -> Classifier:
    manifest, blobs = release()
    found = loaded(manifest, blobs)
    found.fusion = fusion(**weights)
    return found


def both(classifier: Classifier, text: str = "refund 0", picture: bytes | None = None) -> FusedDecision:
    """What a release says of a text with the picture that `run` sends, asked by hand."""
    assert classifier.pictures is not None and classifier.fusion is not None
    (answer,) = classifier.classify_texts([text])
    pixels = classifier.pictures.decode(encoded(flat()) if picture is None else picture)
    return classifier.fusion.decide(answer, classifier.pictures.classify(pixels[None])[0])


def test_a_worker_decides_by_both_and_says_which_of_them_decided() -> None:
    classifier = fusing(text=0.01)
    expected = both(classifier)
    outcome = run(handler(classifier=classifier), BASE64)[0]
    found = decision(outcome)
    assert found["labels"]["intent"]["label"] == expected.decision.label == found["picture"]["label"]
    assert found["labels"]["intent"]["probability"] == round(expected.decision.probability, 6)
    assert found["fusion"] == {
        "head": "intent",
        "decided_by": "picture",
        "text_label": expected.text.label,
        "text_probability": round(expected.text.probability, 6),
    }
    assert expected.text.label != expected.decision.label, "else the test says nothing"
    assert outcome.signal is not None and outcome.signal["labels"]["intent"][0] == expected.text.label
    assert "urgency" in found["labels"], "other heads are the text's"


def test_the_one_decision_acts() -> None:
    classifier = fusing(text=0.01)
    queues = {"refund": "money", "fee": "money", "delivery": "parcels", "到账": "money"}
    acting = handler(classifier=classifier, queues=queues)
    label = both(classifier).decision.label
    assert decision(run(acting, BASE64)[0])["action"] == f"queue:{queues[label]}"


@pytest.mark.parametrize(("photo", "reason"), BAD.values(), ids=BAD)
def test_with_a_bad_picture_the_text_decides_alone(photo: object, reason: str) -> None:
    web = Web({"https://evil.example.com/x": PictureFault("picture_host", "not named")})
    classifier = fusing(text=0.01)
    outcomes = run(handler(web, classifier, max_bytes=1_500), photo, BASE64, ...)
    bad, good, none = map(decision, outcomes)
    for number, found in ((0, bad), (2, none)):
        (alone,) = classifier.classify_texts([f"refund {number}"])
        text = alone.heads["intent"]
        assert found["labels"]["intent"]["label"] == text.label == found["fusion"]["text_label"]
        assert found["labels"]["intent"]["probability"] == round(text.probability, 6)
        assert found["fusion"]["decided_by"] == "text"
    assert bad["picture"]["fault"] == reason and "picture" not in none
    assert good["fusion"]["decided_by"] in ("picture", "both")


def test_a_text_that_is_known_already_is_decided_anew_with_each_picture() -> None:
    """The cache knows the text's answer, not the picture's."""
    classifier = fusing(text=0.01)
    seeing = handler(classifier=classifier)
    first, second = (decision(run(seeing, photo)[0]) for photo in (BASE64, "not base64!"))
    assert first["fusion"]["decided_by"] == "picture" and second["fusion"]["decided_by"] == "text"
    assert first["labels"]["intent"] != second["labels"]["intent"]
    third = decision(run(seeing, BASE64)[0])
    assert third["labels"] == first["labels"] and third["fusion"] == first["fusion"]


def test_what_a_canary_saw_does_not_decide_for_the_champion() -> None:
    class Failing(Classifier):
        def classify(self, *arguments: Any) -> Any:
            raise ModelError("broken")

    champion = fusing(text=0.01)
    small = small_release().classifier
    broken = Failing(
        "support", "2", small.encoder, small.vocabulary, list(small.heads.values()), None, champion.pictures
    )
    seeing = handler(classifier=champion)
    seeing._serving.set_trials((Trial("canary", Serving(broken).plan.champion, acts=True),))
    found = decision(run(seeing, BASE64)[0])
    assert found["version"] == "1" and found["picture"]["label"] and found["fusion"]["decided_by"] == "text"


def test_a_release_without_fusion_decides_as_before() -> None:
    classifier = fusing()
    classifier.fusion = None
    found = decision(run(handler(classifier=classifier), BASE64)[0])
    assert "fusion" not in found and found["picture"]["label"]
    (answer,) = classifier.classify_texts(["refund 0"])
    assert answer.distribution is None


def test_the_distribution_is_that_of_the_path_which_decides() -> None:
    classifier = classifier_with(with_threshold(0.6))
    classifier.fusion = fusion()
    texts = [*(text for subject in SUBJECTS.values() for text in subject), "hello", "a b c", "refund parcel fee"]
    paths = set()
    for answer in classifier.classify_texts(texts):
        assert answer.distribution is not None
        head = answer.heads["intent"]
        assert LABELS[int(answer.distribution.argmax())] == head.label
        assert float(answer.distribution.max()) == pytest.approx(head.probability)
        paths.add(answer.path)
    assert paths == {"fast", "full"}, "else the test says little"
