import numpy as np
import pytest

from models.answers.measures import Asked, measure
from models.answers.ranking import confidence, rank_answers


def rank(*rows: tuple[str, float, float, float]):  # type: ignore[no-untyped-def]
    groups = [row[0] for row in rows]
    return rank_answers(groups, *(np.array([row[n] for row in rows], dtype=float) for n in (1, 2, 3)))


def test_the_nearest_question_is_first_and_its_answers_stay_together() -> None:
    ranking = rank(("a", 0, 0.9, 0.0), ("b", 0, 0.8, 0.1), ("a", 0, 0.9, 0.5))
    assert ranking.order == (2, 0, 1)
    assert ranking.scores[0] == ranking.scores[1] > ranking.scores[2]


def test_words_and_answers_decide_between_questions_that_are_equally_near() -> None:
    assert rank(("a", 1, 0.8, 0), ("b", 9, 0.8, 0)).order == (1, 0)
    assert rank(("a", 0, 0.8, 0.1), ("b", 0, 0.8, 0.4)).order == (1, 0)


def test_an_answer_with_a_rival_is_less_strong() -> None:
    alone = rank(("a", 0, 0.8, 0), ("b", 0, 0.2, 0))
    beside = rank(("a", 0, 0.8, 0), ("b", 0, 0.79, 0))
    assert alone.strength > beside.strength


def test_nothing_found_is_the_weakest() -> None:
    assert rank().strength == -1.0


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="each candidate"):
        rank_answers(["a"], np.zeros(2), np.zeros(1), np.zeros(1))


def test_confidence_is_how_rarely_something_wrong_is_so_strong() -> None:
    wrong = [0.1 * number for number in range(99)]
    assert confidence(100.0, wrong) == pytest.approx(0.99)
    assert confidence(wrong[-10], wrong) == pytest.approx(0.89)
    assert confidence(-1.0, wrong) == pytest.approx(0.0)


def test_no_bank_to_compare_with_is_no_confidence() -> None:
    assert confidence(9.0, []) == 0.0


def test_measures_of_a_small_case_by_hand() -> None:
    asked = [
        Asked(["a", "b"], {"a"}, 5.0, True),
        Asked(["b", "a"], {"a"}, 4.0, True),
        Asked(["a", "x", "b"], {"a", "b"}, 3.0, False),
        Asked(["a"], {"a"}, 2.0, False),
        Asked([], {"a"}, 1.0, False),
    ]
    figures = measure(asked)
    assert figures.map == pytest.approx((1 + 0.5 + (1 + 2 / 3) / 2 + 1 + 0) / 5)
    assert figures.p_at_1 == pytest.approx(3 / 5)
    assert figures.p_at_1_at_80 == pytest.approx(3 / 4)
    assert figures.answered_share == pytest.approx(0.4)
    assert figures.p_at_1_answered == pytest.approx(0.5)
