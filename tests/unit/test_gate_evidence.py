"""A challenger that is no better seldom wins the bet, however often one looks; a better one does."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from retrain.gate.evidence import ALPHA, PRIOR, Evidence, level_of, log_e_value, weigh


def weighed(outcomes: str, look: int = 1) -> Evidence:
    """+: only the challenger is right, -: only the champion, =: both."""
    champion = np.array([sign != "+" for sign in outcomes], dtype=bool)
    challenger = np.array([sign != "-" for sign in outcomes], dtype=bool)
    return weigh(champion, challenger, look)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (10, 0), (0, 10), (30, 12), (5, 40)])
def test_the_closed_form_is_the_mean_over_the_prior(won: int, lost: int) -> None:
    def bet(p: float) -> float:
        return float((2 * p) ** won * (2 - 2 * p) ** lost * 2 * beta.pdf(p, PRIOR, PRIOR))

    assert math.exp(log_e_value(won, lost)) == pytest.approx(quad(bet, 0.5, 1.0)[0], rel=1e-6)


def test_a_fair_game_keeps_the_mean() -> None:
    for tosses in (1, 5, 30):
        won = np.arange(tosses + 1)
        chances = np.array([math.comb(tosses, count) for count in won]) / 2**tosses
        assert float(chances @ np.exp(log_e_value(won, tosses - won))) == pytest.approx(1.0)


def test_levels_of_all_challengers_together_stay_below_alpha() -> None:
    assert level_of(1) > level_of(2) > level_of(3)
    assert 0.97 * ALPHA < sum(level_of(look) for look in range(1, 50)) < ALPHA


def test_one_that_is_no_better_seldom_passes_though_one_looks_after_every_text() -> None:
    random = np.random.default_rng(3)
    passed = 0
    for _ in range(250):
        champion, challenger = random.random((2, 400)) < 0.8
        passed += weigh(champion, challenger).suffices
    assert passed <= 10


def test_ten_wins_and_no_loss_suffice() -> None:
    assert weighed("=" * 20 + "+" * 10).suffices
    assert not weighed("=" * 20 + "+" * 8).suffices
    assert not weighed("=" * 20 + "+" * 10, look=3).suffices, "the third challenger needs more"


def test_the_peak_counts() -> None:
    assert weighed("+" * 12 + "-" * 6).suffices and not weighed("-" * 6 + "+" * 12).suffices


def test_how_many_more_texts_would_suffice() -> None:
    few = weighed("+-++" * 3 + "=" * 88)
    assert not few.suffices and few.more_texts is not None
    share = (100 + few.more_texts) / 100
    assert math.exp(log_e_value(9 * share, 3 * share)) == pytest.approx(1 / level_of(2), rel=0.1)
    assert weighed("=+-=").more_texts is None and weighed("=--+").more_texts is None, "it does not win more often"
    assert weighed("").more_texts is None and not weighed("").suffices


def test_a_new_subject_shows_on_the_live_texts_that_chance_on_the_corpus_would_hide() -> None:
    random = np.random.default_rng(0)
    champion = np.concatenate([random.random(400) < 0.9, np.zeros(13, dtype=bool), np.ones(40, dtype=bool)])
    challenger = np.concatenate(
        [np.where(np.arange(400) % 40 == 0, ~champion[:400], champion[:400]), np.ones(53, bool)]
    )
    is_live = np.arange(453) >= 400
    order = random.permutation(453)
    champion, challenger, is_live = champion[order], challenger[order], is_live[order]
    assert not weigh(champion, challenger).suffices
    assert weigh(champion, challenger, is_live=is_live).suffices
    assert not weigh(champion, champion, is_live=is_live).suffices


def test_two_stakes_do_not_make_chance_pass_more_often() -> None:
    random = np.random.default_rng(6)
    passed = 0
    for _ in range(250):
        champion, challenger = random.random((2, 300)) < 0.8
        passed += weigh(champion, challenger, is_live=random.random(300) < 0.2).suffices
    assert passed <= 10
