"""When audits say that the fast path no longer agrees with the encoder, and which texts are not for it at all."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import betabinom
from small_fast_path import small_fast_path

from models.fast_path import is_readable
from models.ngrams import BUCKETS, find_ngrams
from streams.classify.fast_path_guard import (
    FALSE_ALARM,
    STEP,
    WINDOW_AUDITS,
    FastPathGuard,
    chance_of_at_most,
    training_agreement,
)


def increase(measured: dict[str, Any], agreed: int) -> float:
    """By how much the thresholds rise after one window of audits."""
    classifier: Any = SimpleNamespace(model="m", version="1", fast_path=SimpleNamespace(measured=measured))
    guard = FastPathGuard()
    guard.observe(classifier, [True] * agreed + [False] * (WINDOW_AUDITS - agreed))
    return guard.threshold_increase(classifier)


@pytest.mark.parametrize("texts", [20, 300, 3000])
def test_one_disagreement_is_no_finding(texts: int) -> None:
    """With an agreement of 1.0 in training a single disagreement had probability 0: with a true agreement of 0.995 two
    windows in three were findings, and the fast path flapped off."""
    assert increase({"agreement": 1.0, "agreement_counts": [texts, texts]}, WINDOW_AUDITS - 1) == 0
    assert increase({"agreement": 1.0, "texts": texts, "coverage": 1.0}, WINDOW_AUDITS - 1) == 0


@pytest.mark.parametrize(
    "measured", [{"agreement_counts": [990, 1000]}, {"agreement": 0.99, "texts": 2000, "coverage": 0.5}, {}]
)
def test_many_disagreements_are_a_finding(measured: dict[str, Any]) -> None:
    assert increase(measured, 160) == STEP


def test_false_findings_are_as_rare_as_stated() -> None:
    random = np.random.default_rng(0)
    findings, windows = 0, 4000
    for rate in random.uniform(0.9, 1.0, windows):
        before, now = random.binomial(500, rate), random.binomial(WINDOW_AUDITS, rate)
        findings += chance_of_at_most(int(now), WINDOW_AUDITS, int(before), 500) < FALSE_ALARM
    assert findings <= 4


@pytest.mark.parametrize(("agreed", "before", "texts"), [(199, 50, 50), (150, 400, 420), (200, 7, 9), (0, 0, 5)])
def test_chance_is_the_beta_binomials(agreed: int, before: int, texts: int) -> None:
    expected = betabinom.cdf(agreed, WINDOW_AUDITS, before + 1, texts - before + 1)
    assert chance_of_at_most(agreed, WINDOW_AUDITS, before, texts) == pytest.approx(expected, rel=1e-6)


def test_a_release_that_has_the_share_only_counts_as_about_so_many() -> None:
    assert training_agreement({"agreement": 0.95, "texts": 200, "coverage": 0.5}) == (95, 100)


READABLE = ["where is my parcel now", "please refund the fee", "why was i charged twice ? " * 3, "还没到账我要退款谢谢"]
UNREADABLE = [
    "",
    "?",
    "...",
    "no no no no",
    "no " * 50,
    "ok",
    "?!?!?! ... !!!",
    "🙂🙂",
    "hello hello hello hello",
    "退款",
]


@pytest.mark.parametrize("text", [*READABLE, *UNREADABLE])
def test_texts_that_say_next_to_nothing_are_left_to_the_encoder(text: str) -> None:
    """`?` and `no no no no` were decided by the fast path with 0.93 and 0.98, where the encoder's heads reject both."""
    places = np.zeros(BUCKETS, dtype=np.uint16)  # every n-gram is known
    alone = is_readable(find_ngrams([text]), places, 1)
    together = is_readable(find_ngrams([*READABLE, text, *UNREADABLE]), places, 1)
    assert alone.tolist() == [text in READABLE] == [bool(together[len(READABLE)])]


def test_a_fast_path_is_never_sure_of_them() -> None:
    decided = small_fast_path().decide(find_ngrams(["refund please", *UNREADABLE]))
    assert decided.sure.tolist() == [True] + [False] * len(UNREADABLE)
