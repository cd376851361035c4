"""Which items go together, by who touched them and by their words."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.errors import ModelError
from models.recommendation.catalogue import Catalogue
from models.recommendation.covisitation import CovisitationPolicy, fit_covisitation
from models.recommendation.live_covisitation import LiveCovisitation
from models.recommendation.ranked import best
from models.recommendation.titles import TitleVectors

RNG = np.random.default_rng(0)
TOUCHED = csr_matrix((RNG.random((60, 12)) < 0.3).astype(np.float32))
NO_WORDS = csr_matrix((12, 1), dtype=np.float32)


def test_each_items_weights_are_the_ridge_regression_of_it_on_all_others() -> None:
    model = fit_covisitation(TOUCHED, NO_WORDS, CovisitationPolicy(ridge=7.0, words=0.0))
    users = np.asarray(TOUCHED.todense(), np.float64)
    for item in range(12):
        others = np.delete(np.arange(12), item)
        x = users[:, others]
        expected = np.linalg.solve(x.T @ x + 7.0 * np.eye(11), x.T @ users[:, item])
        np.testing.assert_allclose(model.weights(np.array([item]), others)[0], expected, atol=1e-4)
        assert model.weights(np.array([item]), np.array([item])).tolist() == [[0.0]]


def test_scores_are_the_histories_times_the_weights() -> None:
    model = fit_covisitation(TOUCHED, NO_WORDS, CovisitationPolicy(ridge=7.0, words=0.0))
    weights = model.weights(np.arange(12), np.arange(12)).T
    histories = csr_matrix(TOUCHED.multiply(RNG.random((60, 12))).astype(np.float32))
    np.testing.assert_allclose(model.scores(histories), histories @ weights, atol=1e-5)


def test_an_item_that_nobody_touched_is_foretold_by_those_that_read_like_it() -> None:
    titles = TitleVectors(["red garden chair", "green garden chair", "copper kettle", "iron kettle"])
    vectors = titles.of(["red garden chair", "green garden chair", "copper kettle", "iron kettle"])
    touched = csr_matrix(np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]], np.float32))
    scores = fit_covisitation(touched, vectors, CovisitationPolicy(ridge=1.0, words=2.0)).scores(touched)
    assert scores[0, 1] > scores[0, 3]
    assert scores[2, 3] > scores[2, 1]


def test_titles_of_another_number_of_items_are_refused() -> None:
    with pytest.raises(ModelError, match="12 items and titles of 3"):
        fit_covisitation(TOUCHED, csr_matrix((3, 2), dtype=np.float32))


@pytest.mark.parametrize("texts", [["", "", ""], ["!", "?", ""]])
def test_titles_without_a_word_are_like_no_other(texts: list[str]) -> None:
    assert TitleVectors(texts).of(texts).nnz == 0


def test_titles_of_a_script_without_spaces_meet_by_their_characters() -> None:
    texts = ["红色花园椅", "绿色花园椅", "铜水壶"]
    vectors = TitleVectors(texts).of(texts)
    like = (vectors @ vectors.T).toarray()
    assert like[0, 1] > like[0, 2]


def test_the_best_of_equal_scores_come_in_their_order_and_what_must_not_be_shown_never() -> None:
    scores = np.array([1.0, 5.0, 5.0, -np.inf, 2.0, -np.inf])
    assert best(scores, 3).tolist() == [1, 2, 4]
    assert best(scores, 10).tolist() == [1, 2, 4, 0]
    many = np.zeros(100)
    many[::2] = -np.inf
    assert best(many, 3).tolist() == [1, 3, 5]


def test_users_who_touch_more_than_is_remembered_again_and_again_do_not_end_it() -> None:
    """Their counts are no sum of squares: a negative eigenvalue beyond the ridge, and a fit has no solution."""
    items = 120
    catalogue = Catalogue(
        [f"i{n}" for n in range(items)], np.eye(items, dtype=np.float32), [f"w{n}" for n in range(items)]
    )
    live = LiveCovisitation(catalogue, CovisitationPolicy(ridge=200.0, words=100.0), 5_000)
    for touch in range(6_000):
        live.touched(touch % items, (touch - 1 - np.arange(min(touch, 50))) % items, at_once=False)
    assert np.linalg.eigvalsh(live._counts)[0] < -300
    assert np.isfinite(live.scores(np.arange(5), np.ones(5, np.float32))).all()
