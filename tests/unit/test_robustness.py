"""Texts typed badly, and decisions turned by swapped words."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from models.decision import HeadDecision
from retrain.evaluation.attack import Attacked, AttackFigures, Limits, attack
from retrain.evaluation.robustness import RATES, noise_figures, noisy_texts

REFUND, FEE = HeadDecision("refund", 0.9), HeadDecision("fee", 0.8)
NEAR = {"refund": ["repayment", "parcel"], "please": ["kindly"]}


def by_word(texts: Sequence[str]) -> list[HeadDecision]:
    """Hangs on the word refund, and a little on money."""
    return [(REFUND if "money" in text else HeadDecision("refund", 0.6)) if "refund" in text else FEE for text in texts]


def near_but_parcel(texts: Sequence[str]) -> NDArray[np.float32]:
    """A text about a parcel means something else."""
    return np.array([[0.0, 1.0] if "parcel" in text else [1.0, 0.0] for text in texts], dtype=np.float32)


def nearest(word: str) -> list[str]:
    return NEAR.get(word, [])


def test_the_word_that_the_decision_hangs_on_is_swapped_and_the_meaning_kept() -> None:
    found = attack("Refund my money".replace("R", "r"), by_word, near_but_parcel, nearest)
    assert found == Attacked("refund my money", "refund", "repayment my money", "fee", found.queries, 1)


def test_a_swap_that_changes_the_meaning_does_not_count() -> None:
    only_parcel = {"refund": ["parcel"]}
    found = attack("a refund", by_word, near_but_parcel, lambda word: only_parcel.get(word, []), Limits(words=1))
    assert found.after is None or "parcel" not in found.after


def test_no_more_texts_are_asked_about_than_allowed() -> None:
    asked = []

    def stubborn(texts: Sequence[str]) -> list[HeadDecision]:
        asked.extend(texts)
        return [REFUND] * len(texts)

    many = {word: [f"{word}{number}" for number in range(50)] for word in ("refund", "money", "parcel")}
    found = attack(
        "refund money parcel", stubborn, near_but_parcel, lambda word: many.get(word, []), Limits(queries=30)
    )
    assert found.after is None and found.queries == len(asked) <= 30


def test_chinese_is_attacked_character_by_character() -> None:
    def decide(texts: Sequence[str]) -> list[HeadDecision]:
        return [REFUND if "退" in text else FEE for text in texts]

    found = attack("我要退款", decide, near_but_parcel, lambda word: ["返"] if word == "退" else [])
    assert (found.after, found.label_after) == ("我要返款", "fee")


def test_a_text_without_a_word_is_not_turned() -> None:
    assert attack("?? 12", by_word, near_but_parcel, nearest).after is None


def test_figures_count_texts_that_were_turned() -> None:
    turned = Attacked("a", "refund", "b", "fee", 10, 2)
    figures = AttackFigures.of([turned, Attacked("c", "refund", None, None, 30, 3)])
    assert (figures.texts, figures.changed, figures.queries, figures.swapped) == (2, 0.5, 20.0, 2.0)
    assert figures.examples == (turned,) and json.loads(json.dumps(figures.as_json()))["examples"][0]["after"] == "b"


def test_noise_is_the_same_by_its_seed_and_grows_with_its_rate() -> None:
    texts = ["where is the parcel that i ordered last week"] * 20
    noisy = noisy_texts(texts, seed=3)
    assert noisy == noisy_texts(texts, seed=3) != noisy_texts(texts, seed=4)
    assert noisy[0.0] == texts and set(noisy) == {0.0, *RATES}
    intact = [sum(one == text for one, text in zip(noisy[rate], texts, strict=True)) for rate in sorted(noisy)]
    assert intact[0] == 20 and intact[-1] < intact[1] < 20


def test_noise_figures_are_against_the_texts_as_they_came() -> None:
    decisions = {0.0: [REFUND, FEE, FEE], 0.1: [REFUND, REFUND, HeadDecision("fee", 0.5, 1.0, True)]}
    clean, noisy = noise_figures(["refund", "fee", "refund"], decisions)
    assert (clean.accuracy, clean.changed) == (pytest.approx(2 / 3), 0.0)
    assert (noisy.accuracy, noisy.changed, noisy.handed_over) == tuple(pytest.approx(1 / 3) for _ in range(3))
    assert noisy.accuracy_ci95[0] < noisy.accuracy < noisy.accuracy_ci95[1]


def test_evaluate_tells_how_robust_a_release_is_on_the_page_and_in_its_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    release = small_release()
    FolderRegistry(str(tmp_path / "registry")).publish("support", release.manifest, release.blobs)
    lines = [
        "text,label",
        "refund my order please,refund",
        "what fee is this,fee",
        "退款到账了吗,到账",
        "shares fell,oos",
    ]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    words = ["evaluate", "support", "--data", "data.csv", "--robustness", "--oos-label", "oos", "--report", "page.html"]
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)["heads"]["intent"]["robustness"]
    assert [one["rate"] for one in told["noise"]] == [0.0, *RATES]
    assert {one["texts"] for one in told["noise"]} == {3}, "out-of-scope texts are none to be right about"
    assert told["attack"] is None or told["attack"]["texts"] <= 3
    page = (tmp_path / "page.html").read_text()
    assert "typed badly" in page and page.count("<svg") >= 3
    assert CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout == done.stdout
