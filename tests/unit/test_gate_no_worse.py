"""A head that may have become worse is not released unseen, and a small application gets releases all the same."""

import numpy as np
import pytest

from retrain.gate.comparison import Comparison
from retrain.gate.evidence import ALPHA
from retrain.gate.no_worse import LOOKS, MARGIN, NoWorse, no_worse, no_worse_level

FIRST, SECOND = no_worse_level(1), no_worse_level(2)


def answer(texts: int, lost: int, won: int) -> NoWorse:
    return no_worse(Comparison(texts, 0.9, 0.9 + (won - lost) / texts, lost, won, 1.0), FIRST, SECOND)


@pytest.mark.parametrize(
    ("texts", "lost", "won", "outcome"),
    [
        (3000, 60, 60, "passed"),
        (3000, 0, 0, "passed"),
        (3000, 75, 45, "refused"),
        (3000, 250, 250, "refused"),
        (40, 0, 0, "too few"),
        (18, 2, 0, "too few"),
        (600, 12, 12, "too few"),
        (600, 18, 6, "refused"),
        (60, 4, 0, "refused"),
        (600, 4, 0, "too few"),
        (600, 0, 40, "passed"),
    ],
)
def test_no_worse_is_shown_refuted_or_not_to_be_said(texts: int, lost: int, won: int, outcome: str) -> None:
    assert answer(texts, lost, won).outcome == outcome


def test_an_equal_head_is_refused_no_more_often_at_a_later_look_than_at_the_second() -> None:
    """At the eighth look 36 of 100 were refused of which 2 % of the answers change, at the second 9."""
    assert sum(map(no_worse_level, range(1, LOOKS + 1))) <= ALPHA + 1e-12
    assert no_worse_level(2) == no_worse_level(8) == no_worse_level(50)
    counts = np.random.default_rng(4).multinomial(3080, [0.01, 0.01, 0.98], 300)
    pairs = [Comparison(3080, 0.9, 0.9, int(lost), int(won), 1.0) for lost, won, _ in counts]
    assert np.mean([no_worse(pair, no_worse_level(8), SECOND).outcome == "passed" for pair in pairs]) >= 0.8


@pytest.mark.parametrize("texts", [1, 40, 2999, 3000, 100_000])
@pytest.mark.parametrize("look", [1, 2, 8, 1000])
def test_a_head_that_decides_as_before_is_never_refused(texts: int, look: int) -> None:
    level = no_worse_level(look)
    assert no_worse(Comparison(texts, 0.9, 0.9, 0, 0, 1.0), level, level).outcome != "refused"


def test_so_many_more_labels_show_that_an_equal_head_is_equal() -> None:
    few = answer(600, 12, 12)
    assert few.more_texts is not None
    texts = 600 + few.more_texts
    changed = 25 / 601 / 2 * texts
    then = no_worse(Comparison(texts, 0.9, 0.9, round(changed), round(changed), 1.0), SECOND, SECOND)
    assert then.bound == pytest.approx(MARGIN, rel=0.02) and answer(3000, 60, 60).more_texts is None


def test_one_that_loses_a_point_seldom_passes_where_texts_are_enough() -> None:
    random = np.random.default_rng(2)
    counts = random.multinomial(3000, [0.025, 0.015, 0.96], 400)
    passed = [answer(3000, int(lost), int(won)).outcome == "passed" for lost, won, _ in counts]
    assert np.mean(passed) <= 0.05
    equal = random.multinomial(3000, [0.02, 0.02, 0.96], 400)
    assert np.mean([answer(3000, int(lost), int(won)).outcome == "passed" for lost, won, _ in equal]) >= 0.75
