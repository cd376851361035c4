"""Labels that are probably wrong are found by models that have not seen the row, and told with the label to look at."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from headrace.cli import app
from models.errors import ConnectorError
from retrain.preparation.label_errors import out_of_fold, suspects

SUBJECTS = {
    "card": "card plastic chip contactless wallet expiry",
    "loan": "loan mortgage interest instalment borrow debt",
    "travel": "flight hotel airport luggage boarding visa",
    "food": "pizza dinner menu waiter dessert soup",
}
FILLERS = [
    "please",
    "could",
    "you",
    "tell",
    "me",
    "about",
    "this",
    "since",
    "yesterday",
    "because",
    "I",
    "want",
    "when",
]
NAMES = sorted(SUBJECTS)


def question(label: str, random: np.random.Generator) -> str:
    words = [*random.choice(SUBJECTS[label].split(" "), 3), *random.choice(FILLERS, 6)]
    return " ".join(random.permutation(words).tolist())


def dataset(rows: int, flipped: int) -> tuple[list[str], list[str], set[int]]:
    """Texts, labels, and the numbers of the rows whose label is a wrong one."""
    random = np.random.default_rng(11)
    right = [NAMES[number % 4] for number in range(rows)]
    texts = [question(label, random) for label in right]
    wrong = set(random.permutation(rows)[:flipped].tolist())
    labels = [NAMES[(number + 1) % 4] if number in wrong else label for number, label in enumerate(right)]
    return texts, labels, wrong


class WordEncoder:
    """Embeds a text by the words that stand in it."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, sum(map(ord, word)) * 7 % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def test_flipped_labels_are_found_and_the_right_ones_suggested() -> None:
    texts, labels, wrong = dataset(400, 20)
    targets = np.searchsorted(NAMES, labels).astype(np.int64)
    probabilities = out_of_fold(texts, WordEncoder().embed(texts), targets, NAMES)
    doubted = suspects(probabilities, targets)
    found = set(doubted.rows.tolist())
    assert len(found & wrong) >= 14 and len(found & wrong) >= 0.7 * len(found)
    right = [NAMES[row % 4] for row in doubted.rows.tolist() if row in wrong]
    assert [
        NAMES[label] for row, label in zip(doubted.rows, doubted.suggested, strict=True) if int(row) in wrong
    ] == right
    assert (np.diff(doubted.scores) >= 0).all()


def test_right_labels_of_separate_subjects_are_hardly_doubted() -> None:
    texts, labels, _ = dataset(400, 0)
    targets = np.searchsorted(NAMES, labels).astype(np.int64)
    assert len(suspects(out_of_fold(texts, WordEncoder().embed(texts), targets, NAMES), targets).rows) <= 2


@pytest.mark.parametrize(("labels", "low"), [(2, 0.1), (4, 0.05), (10, 0.02), (150, 0.02)])
def test_the_least_probable_label_comes_first_and_one_that_is_only_unlikely_is_not_doubted(
    labels: int, low: float
) -> None:
    own = np.array([0.9, low * 0.99, low / 10, low * 1.01], dtype=np.float32)
    probabilities = np.zeros((4, labels), dtype=np.float32)
    probabilities[:, 0], probabilities[:, 1] = own, 1 - own
    doubted = suspects(probabilities, np.zeros(4, dtype=np.int64))
    assert doubted.rows.tolist() == [2, 1] and doubted.suggested.tolist() == [1, 1]
    assert doubted.scores.tolist() == pytest.approx([low / 10, low * 0.99])


def check(path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> dict[str, Any]:
    monkeypatch.setattr("headrace.tools.data.label_errors.default_encoder", lambda wiring: WordEncoder())
    result = CliRunner().invoke(app, ["data", "check", str(path), "--json", *options])
    assert result.exit_code == 0, result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def written(folder: Path, texts: list[str], labels: list[str]) -> Path:
    path = folder / "data.csv"
    path.write_text("text,label\n" + "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True)))
    return path


def test_the_check_tells_line_label_and_the_one_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels, wrong = dataset(400, 20)
    path, page = written(tmp_path, texts, labels), tmp_path / "page.html"
    report = check(path, monkeypatch, "--page", str(page))
    found = [one for one in report["findings"] if one["kind"] == "suspected_label"]
    assert len({one["lines"][0] - 2 for one in found} & wrong) >= 14
    first = found[0]
    assert first["label"] == labels[first["lines"][0] - 2] != first["suggested"] and 0 <= first["score"] < 0.1
    assert "rather <b>" in page.read_text()
    assert not [one for one in check(path, monkeypatch, "--no-label-errors")["findings"] if "suggested" in one]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["one"] * 40, "fewer than two labels have 5 different texts"),
        ([f"label {number}" for number in range(40)], "fewer than two labels have 5 different texts"),
        (["a"] * 19 + ["b"] * 19 + ["rare"] * 2, "2 rows whose label has fewer than 5 different texts"),
    ],
    ids=["one label", "one text a label", "a rare label"],
)
def test_what_cannot_be_doubted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: list[str], words: str
) -> None:
    texts, _, _ = dataset(40, 0)
    report = check(written(tmp_path, texts, labels), monkeypatch)
    assert any(words in told for told in report["not_checked"])


def test_very_many_labels_are_not_doubted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.tools.data.label_errors.MOST_LABELS", 3)
    texts, labels, _ = dataset(40, 0)
    report = check(written(tmp_path, texts, labels), monkeypatch)
    assert any("4 labels have 5 texts or more, and 3 are the most" in told for told in report["not_checked"])


def test_without_an_encoder_everything_else_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels, _ = dataset(40, 0)

    def absent(wiring: object) -> WordEncoder:
        raise ConnectorError("the encoder's files are not here")

    path = written(tmp_path, texts, labels)
    monkeypatch.setattr("headrace.tools.data.label_errors.default_encoder", absent)
    result = CliRunner().invoke(app, ["data", "check", str(path), "--json"])
    assert result.exit_code == 0
    assert "suspected label errors: the encoder's files are not here" in json.loads(result.stdout)["not_checked"]
