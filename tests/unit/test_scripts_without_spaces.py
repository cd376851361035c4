"""Scripts written without spaces: their characters carry the decision, by a linear support vector machine."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC
from small_release import small_encoder

from models.ngrams import hash_ngrams, share_without_spaces
from retrain.data import Dataset, Row
from retrain.fitting.kernel import Kernels, fit_kernel_classifier
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.fitting.support_vectors import fit_support_vectors
from retrain.fitting.vocabulary import build_vocabulary
from retrain.strategies.quick import train_quick

HINGE = LinearPolicy(embedding=0.5, words=0.3, characters=1.0, strength=0.5, loss="squared_hinge")
WORDS = {"han": "退款 还没 到账 包裹 丢了 地址 密码 忘了 订单 取消", "thai": "เงิน คืน พัสดุ หาย ที่อยู่ รหัส ลืม ยกเลิก สั่งซื้อ ช้า"}


def texts_of(script: str, count: int) -> tuple[list[str], list[str]]:
    """Two labels, told apart by which half of the words is commoner."""
    random, words = np.random.default_rng(0), WORDS[script].split()
    labels = ["b" if number % 2 else "a" for number in range(count)]
    odds = {"a": [0.15] * 5 + [0.05] * 5, "b": [0.05] * 5 + [0.15] * 5}
    return ["".join(random.choice(words, size=6, p=odds[label])) for label in labels], labels


@pytest.mark.parametrize("script", sorted(WORDS))
def test_texts_without_spaces_are_read_by_their_characters_with_a_linear_svm(script: str) -> None:
    """Chinese texts were decided 0.7 to 1.5 points worse than by TF-IDF of 1 to 3 characters with LinearSVC: softmax
    regression by few epochs, rare characters left out, and unknown ones made the known ones count less."""
    texts, labels = texts_of(script, 120)
    trained = train_quick(small_encoder(), Dataset(("topic",), tuple(map(_row, texts, labels))))
    assert trained.choices["topic"]["squared_hinge"] == 1.0
    assert trained.vocabulary.unseen_idf == 0.0


def _row(text: str, label: str) -> Row:
    return Row(text, {"topic": label})


def test_texts_with_spaces_keep_softmax_regression() -> None:
    texts = ["where is my parcel", "refund please", "my card is late", "cancel the order"] * 6
    trained = train_quick(small_encoder(), Dataset(("topic",), tuple(map(_row, texts, ["a", "b"] * 12))))
    assert "squared_hinge" not in trained.choices["topic"]
    assert trained.vocabulary.unseen_idf > 0


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        ([], 0.0),
        (["", "?!"], 0.0),
        (["where is it"], 0.0),
        (["我要退款"], 1.0),
        (["ฉันต้องการเงินคืน"], 1.0),
        (["退款ok"], 0.5),
    ],
)
def test_share_of_scripts_without_spaces(texts: list[str], share: float) -> None:
    assert share_without_spaces(texts) == pytest.approx(share)


@pytest.mark.parametrize("labels", [2, 4])
def test_both_solvers_decide_like_scikit_learns_machine(labels: int) -> None:
    texts, _ = texts_of("han", 200)
    targets = np.arange(200) % labels
    embeddings = np.asarray(np.random.default_rng(0).normal(scale=0.3, size=(200, 8)), dtype=np.float32)
    embeddings[:, :labels] += np.eye(labels, dtype=np.float32)[targets]
    counts = hash_ngrams(texts)
    vocabulary = build_vocabulary(counts, np.arange(200), labels, without_spaces=True)
    ngrams = vocabulary.weigh(counts)
    rows = np.arange(200)
    kernels = Kernels.of(embeddings, ngrams, vocabulary.words)
    solved: list[LinearWeights] = [
        fit_support_vectors(embeddings, ngrams, targets, labels, HINGE, words=vocabulary.words),
        fit_kernel_classifier(kernels, rows, embeddings, ngrams, targets, labels, HINGE, words=vocabulary.words),
    ]
    scale = np.where(np.arange(ngrams.shape[1]) < vocabulary.words, HINGE.words, HINGE.characters)
    dense = np.hstack([embeddings * HINGE.embedding, ngrams.toarray() * scale])
    machine = LinearSVC(C=HINGE.strength, random_state=0).fit(sparse.csr_matrix(dense), targets)
    expected = machine.predict(sparse.csr_matrix(dense))
    for weights in solved:
        assert (weights.logits(embeddings, ngrams).argmax(axis=1) == expected).mean() >= 0.97
