"""Texts of an outage that the model gives to another label."""

import numpy as np
import pytest

from streams.monitor.drift.burst_texts import TEXTS, BurstTexts
from streams.monitor.drift.bursts import LabelBurst


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def outage() -> BurstTexts:
    """Others, then an outage that begins with a text of its label."""
    texts = BurstTexts(0.8, 2)
    texts.add("fee", unit(1.0, 0.0, 0.1), (9.0, 9.0))
    for number, label in enumerate(["fee", "fee", "transfer", "parcel", "fee"]):
        place = unit(0.0, 0.0, 1.0) if label == "parcel" else unit(1.0, 0.1 * number, 0.0)
        texts.add(label, place, (1.0, -0.5) if label != "parcel" else (5.0, 5.0))
    return texts


def test_what_a_burst_added_is_that_of_its_label_since_it_began_and_of_texts_near_it() -> None:
    burst = LabelBurst("fee", 0.01, "id", "at", texts=4, events=6)
    texts = outage()
    assert texts.take_back("fee", [False] * 5) == [4.0, 0.0], "two of fee, one of transfer, one of fee; no parcel"
    assert texts.take_back("fee", [False] * 5) == [0.0, 0.0], "told once"
    assert outage().is_near(burst, unit(1.0, 0.2, 0.0)) and not outage().is_near(burst, unit(0.0, 0.0, 1.0))
    assert not outage().is_near(burst, None) and not outage().is_near(burst, unit(1.0, 0.0))
    assert BurstTexts(np.inf, 2).take_back("fee", [False] * 5) == [0.0, 0.0]


def test_words_say_what_is_of_a_burst_and_nearness_counts_over_what_is() -> None:
    texts = BurstTexts(0.9, 1)
    for label, angle in [("fee", 0.0), ("fee", 0.1), ("card", 0.4), ("card", 0.5), ("card", 0.8), ("card", 2.0)]:
        texts.add(label, unit(np.cos(angle), np.sin(angle)), (1.0,))
    texts.add("card", None, (1.0,))
    assert texts.take_back("fee", [False] * 7) == [5.0], "the third is near both, then the fourth, then the fifth"
    assert texts.take_back("fee", [False] * 5 + [True] * 2) == [2.0]


def test_once_the_sums_began_anew_nothing_is_taken_back_from_them() -> None:
    texts = outage()
    texts.forget_added()
    assert texts.take_back("fee", [False] * 5) == [0.0, 0.0]
    texts.add("fee", unit(1.0, 0.0, 0.0), (1.0, 0.5))
    assert texts.take_back("fee", [False] * 6) == [1.0, 0.5]


@pytest.mark.parametrize("lost", [0, 3])
def test_restored_it_goes_on_with_the_texts_that_are_left(lost: int) -> None:
    before, again = outage(), BurstTexts(0.8, 2)
    for number in range(2 * TEXTS):
        before.add("fee", unit(1.0, number, 0.0) if number % 2 else None, (0.5, 0.25) if number % 3 else ())
    embeddings = [unit(1.0, number, 0.0) if number % 2 else None for number in range(TEXTS + lost, 2 * TEXTS)]
    again.restore(before.state(), embeddings)
    assert len(again.state()["labels"]) == TEXTS - lost
    assert again.take_back("fee", [False] * 49) == before.take_back("fee", [False] * 49)
