"""Texts that look new because they are typed badly are none of a new subject."""

import numpy as np
import pytest

from models.words.counts import WordCounts
from models.words.typing_noise import typed_badly
from streams.monitor.drift.episode import Episode, SeenText, describe_episode
from streams.monitor.episodes.writing.mistyped import most_are_mistyped
from streams.wire.records import format_time

VERBS = ("cancel", "change", "return", "track", "replace", "insure")
THINGS = ("order", "parcel", "invoice", "address", "subscription", "refund")
BEFORE = [f"please {verb} the {thing} of {number}" for number in range(12) for verb in VERBS for thing in THINGS]
USUAL = WordCounts.of(BEFORE)
OTHERS = [
    f"our {what} charger burns {where}" for what in ("scooter", "bicycle") for where in ("quickly", "brightly")
] * 5


def noisy(rate: float, texts: int = 40) -> list[str]:
    random = np.random.default_rng(3)
    return [typed_badly(str(random.choice(BEFORE)), rate, random) for _ in range(texts)]


@pytest.mark.parametrize("rate", [0.08, 0.12])
def test_known_texts_typed_badly_are_told_from_a_new_subject(rate: float) -> None:
    assert most_are_mistyped(noisy(rate), BEFORE, USUAL)
    assert not most_are_mistyped(OTHERS, BEFORE, USUAL)
    assert not most_are_mistyped(noisy(rate)[:10] + OTHERS, BEFORE, USUAL), "most of them are of a subject"
    assert not most_are_mistyped(noisy(rate)[:2], BEFORE, USUAL) and not most_are_mistyped([], BEFORE, USUAL)


def test_who_always_types_badly_says_nothing_by_it() -> None:
    before = [*BEFORE, *noisy(0.12, 100)]
    assert not most_are_mistyped(noisy(0.12), before, WordCounts.of(before))


def test_a_word_that_comes_again_and_a_plural_are_no_slips() -> None:
    assert not most_are_mistyped(["where is my parcels", "two orderz", "my orderz", "other orderz"], BEFORE, USUAL)


def test_what_is_too_long_for_a_word_is_none() -> None:
    """Its slips are as many as the square of its letters: a text without spaces held the monitor up for a minute."""
    long = ["abcdefgh" * times for times in (4, 6)]
    for word, are_mistyped in zip(long, (True, False), strict=True):
        slips = [word[:place] + word[place + 1 :] for place in range(3, 9)]
        before = [f"where is {word}"] * 20
        assert most_are_mistyped(slips, before, WordCounts.of(before)) is are_mistyped


def story(rate: float) -> Episode:
    """A text a minute: the model is right of nine in ten, of mistyped ones that look new of eight in ten."""
    random = np.random.default_rng(1)
    history = []
    for number in range(1_050):
        text, tail, sure = str(random.choice(BEFORE)), float(random.exponential()), 0.9
        if number >= 800 and random.random() < 0.5:
            text, tail, sure = typed_badly(text, rate, random), 8.0, 0.8
        text = f"{text} {number}"
        history.append(
            SeenText(f"t@1-0-{number}", number, text, "a", tail, 1, None, format_time(number * 60_000), confidence=sure)
        )
    return describe_episode(history, 250, ("both",))


def test_mistyped_texts_cost_what_the_model_doubts_of_them() -> None:
    """They counted as wrong: the loss was told 15 points too high."""
    episode = story(0.1)
    assert episode.is_mistyped and "typed badly" in episode.summary and "never learnt" not in episode.summary
    assert episode.cost is not None and episode.cost.accuracy == pytest.approx(0.85, abs=0.02)
    assert not story(0.0).is_mistyped and story(0.0).cost != episode.cost
