"""Which items tell one story, and the benchmark that says how well."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.accuracy.live_news import measure_live
from bench.accuracy.stories import b_cubed, tf_idf_centroids
from streams.monitor.trends.originals import TEXTS, Originals
from streams.monitor.trends.recency import Recency, RecencyPolicy
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy
from streams.packing import pack_record, unpack_record

HOUR = 3_600.0


def towards(*parts: float) -> NDArray[np.float32]:
    vector = np.zeros(8, np.float32)
    vector[: len(parts)] = parts
    return vector / np.float32(np.linalg.norm(vector))


def item(name: str, at: float, embedding: NDArray[np.float32] | None, text: str | None = None) -> StoryItem:
    return StoryItem(name, at, text, embedding)


def test_a_story_is_called_by_its_first_item_and_novelty_falls_as_it_is_told() -> None:
    stories = Stories()
    first = stories.add(item("a", 0.0, towards(1, 0.2)))
    again = stories.add(item("b", 60.0, towards(1, 0.1)))
    other = stories.add(item("c", 120.0, towards(0, 0, 1)))
    assert (first.story_id, first.nth, first.novelty) == ("a", 1, 1.0)
    assert (again.story_id, again.nth) == ("a", 2) and again.novelty < 0.1
    assert other.story_id == "c" and other.novelty == 1.0


def test_a_near_copy_joins_though_no_embedding_was_computed_for_it() -> None:
    text = "Brackwater Mills halts its second plant after a flood in the valley"
    stories = Stories()
    stories.add(item("a", 0.0, None, text))
    copy = stories.add(item("b", 1.0, None, f"{text}, says the mayor"))
    assert (copy.story_id, copy.nth, copy.novelty) == ("a", 2, 0.0)
    assert stories.add(item("c", 2.0, None, "Rain is what farmers in the south are waiting for")).story_id == "c"


def pair(first: str, second: str, *, names: tuple[str, str] = ("", "")) -> list[str]:
    """The stories of two texts that mean nearly the same to the encoder."""
    stories, found = Stories(StoryPolicy(cosine=0.7)), []
    for number, (text, name) in enumerate(zip((first, second), names, strict=True)):
        vector = towards(1, 0.1 * number)
        found.append(stories.add(StoryItem(str(number), number, text, vector, (name,) if name else ())).story_id)
    return found


@pytest.mark.parametrize(
    "first, second",
    [
        ("Alder Corp Q3 profit rises 5 % on higher prices", "Birch Corp Q3 profit rises 7 % on higher prices"),
        ("Profit at Alder Corp rises 5 % in the quarter", "Profit at Birch Corp rises 5 % in the quarter"),
        ("Alder posts quarterly profit of 5 million euros", "Birch posts quarterly profit of 7 million euros"),
        ("Alder Corp Q3 Profit Rises 5 % On Higher Prices", "Birch Corp Q3 Profit Rises 7 % On Higher Prices"),
    ],
)
def test_one_template_filled_with_two_companies_is_two_stories(first: str, second: str) -> None:
    assert pair(first, second) == ["0", "1"]


@pytest.mark.parametrize(
    "first, second",
    [
        (
            "Fed official says weak data should not slow taper",
            "UPDATE 2-Fed official says weak data should not slow taper",
        ),
        ("WRAPUP 1-Alder Corp raises its bid for the rival", "UPDATE 3-Alder Corp raises its bid for the rival"),
        (
            "Shares of the maker rise after deal is signed - Courier",
            "Shares of the maker rise after deal is signed - Herald",
        ),
        ("Death toll of the quake rises to 5 in the valley", "Death toll of the quake rises to 17 in the valley"),
        ("Alder Corp Raises Its Bid for the Rival", "Alder Corp raises its bid for the rival"),
        ("Gold falls 2 % as the dollar rises again", "Spot gold falls 3 % as the dollar rises again"),
        ("Profit at Alder Corp rises 5 % in the quarter", "Alder Corp profit rises 5 % in the quarter"),
        ("12 dead after the storm hits the northern coast", "15 dead after the storm hits the northern coast"),
        ("€5bn deal for Alder Corp is near, say two people", "€6bn deal for Alder Corp is near, say two people"),
        ("苹果公司三季度利润上升5%,手机销量增加", "苹果公司三季度利润上升7%,手机销量增加"),
        ("東京で震度5の地震,けが人の情報はない", "東京で震度4の地震,けが人の情報はない"),
    ],
)
def test_editions_of_one_text_are_one_story(first: str, second: str) -> None:
    assert pair(first, second) == ["0", "0"]


def test_names_that_are_known_tell_two_companies_apart_where_letters_do_not() -> None:
    first, second = "ALDER CORP PROFIT RISES AGAIN ON HIGHER PRICES", "BIRCH CORP PROFIT RISES AGAIN ON HIGHER PRICES"
    assert pair(first, second) == ["0", "0"]
    assert pair(first, second, names=("Alder Corp", "Birch Corp")) == ["0", "1"]
    assert pair(first, first.lower() + ", it says", names=("Alder Corp", "Alder Corp")) == ["0", "0"]


def test_of_two_companies_with_one_template_each_has_what_comes_later() -> None:
    template, stories = "{} Corp Q3 profit rises {} % on higher prices", Stories(StoryPolicy(cosine=0.7))
    for number, company in enumerate(("Alder", "Birch", "Cedar")):
        assert stories.add(item(company, number, towards(1, 0.1), template.format(company, number + 4))).nth == 1
    for company in ("Birch", "Alder", "Cedar"):
        text = f"UPDATE 1-{template.format(company, 9)}, shares gain"
        assert stories.add(item(f"{company}2", 9.0, towards(1, 0.1), text)).story_id == company


def test_a_copy_joins_the_story_of_its_original_though_another_is_nearer() -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1, 0.2), "Flood in the valley"))
    stories.add(item("a2", 1.0, towards(1, -1), "Mill stands still"))
    stories.add(item("b", 2.0, towards(0, 0, 1), "Rates stay"))
    copy = stories.add(item("copy", 3.0, towards(0, 0, 1), "FLOOD in  the valley"))
    assert (copy.story_id, copy.novelty) == ("a", 0.0)
    assert stories.add(item("mute", 4.0, None, "Mill stands still")).story_id == "a"


def test_a_copy_joins_no_story_that_is_over_or_has_made_room() -> None:
    stories = Stories(StoryPolicy(stories=2))
    stories.add(item("a", 0.0, towards(1), "Flood in the valley"))
    assert stories.add(item("late", 25 * HOUR, None, "Flood in the valley")).story_id == "late"
    stories.add(item("b", 26 * HOUR, towards(0, 1), "Rates stay"))
    stories.add(item("c", 27 * HOUR, towards(0, 0, 1), "Strike ends"))  # in late's place
    assert stories.add(item("again", 28 * HOUR, None, "Flood in the valley")).story_id == "again"


def test_copies_are_known_of_the_texts_told_last() -> None:
    originals = Originals()
    for number in range(1, TEXTS + 2):
        originals.remember(number, number % 7)
        originals.remember(1, 3)
    assert len(originals) == TEXTS and originals.place_of(1) == 3 and originals.place_of(2) is None
    originals.forget(3)
    assert originals.place_of(1) is None and originals.place_of(5) == 5


def restored(stories: Stories, *, lacking: tuple[str, ...] = ()) -> Stories:
    head, arrays = unpack_record(pack_record(*stories.state()))
    again = Stories(stories.policy)
    again.restore({name: value for name, value in head.items() if name not in lacking}, arrays)
    return again


def test_kept_stories_go_on_as_if_nothing_had_been() -> None:
    """Texts that come again, templates, items without embeddings, and stories that make room."""
    draws = np.random.default_rng(3)
    steady, stopped = Stories(StoryPolicy(stories=12)), Stories(StoryPolicy(stories=12))
    companies = [f"{first}{second}" for first in "BDFGKL" for second in ("ando", "erix", "olum")]
    for number in range(400):
        name, percent = companies[draws.integers(len(companies))], draws.integers(3)
        text = f"{name} Corp quarterly profit rises {percent} % on higher prices"
        vector = None if draws.random() < 0.2 else towards(1, *draws.normal(size=4))
        one = item(str(number), 60.0 * number, vector, text)
        assert steady.add(one) == stopped.add(one)
        if number == 200 or draws.random() < 0.05:
            stopped = restored(stopped)
    assert pack_record(*steady.state()) == pack_record(*stopped.state())


def fed(order: str, weight: float, seed: int = 0) -> float:
    """F1 over 20 stories of 40 items each, in blocks ten minutes apart or side by side. Two stories in a row are about
    one field."""
    draws, dimensions = np.random.default_rng(seed), 64
    fields = np.repeat(draws.normal(size=(10, dimensions)), 2, axis=0)
    means = fields + 1.1 * draws.normal(size=(20, dimensions))
    truth = np.repeat(np.arange(20), 40)
    times = 600.0 * truth + np.tile(np.arange(40) * 0.5, 20)
    if order == "mixed":
        truth = draws.permutation(truth)
    stories, found = Stories(StoryPolicy(recency=RecencyPolicy(weight=weight))), list[str]()
    for number, (story, at) in enumerate(zip(truth, times, strict=True)):
        drawn = means[story] + 1.9 * draws.normal(size=dimensions)
        vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
        found.append(stories.add(item(str(number), float(at), vector)).story_id)
    return b_cubed([str(one) for one in truth], found).f1


def test_a_feed_that_hands_on_one_story_after_the_other_teaches_that_old_ones_are_over() -> None:
    weight = RecencyPolicy().weight
    assert fed("own", weight) > fed("own", 0.0) + 0.03
    assert fed("mixed", weight) > fed("mixed", 0.0) - 0.01


def test_recency_says_nothing_before_it_was_seen_and_is_sharp_in_blocks() -> None:
    recency, ages = Recency(RecencyPolicy()), np.array([0.5, 40.0, 3_000.0, 50_000.0])
    assert recency.worth(ages).tolist() == [0.0] * 4
    for _ in range(300):
        recency.learn(ages, np.array([0.7, 0.1, 0.4, 0.1], np.float32), 0.35)
    worth = recency.worth(ages)
    assert worth[0] > 0.02 and worth.argmax() == 0 and (worth[1:] < -0.05).all()
    assert recency.worth(np.array([-5.0, 0.9]))[0] == worth[0]  # a late item is no surprise


def test_recency_is_flat_where_any_open_story_is_as_likely() -> None:
    recency, draws = Recency(RecencyPolicy()), np.random.default_rng(0)
    for _ in range(2_000):
        ages, cosines = draws.exponential(3_000.0, 30), np.zeros(30, np.float32)
        cosines[draws.integers(30)] = 0.7
        recency.learn(ages, cosines, 0.35)
    assert np.abs(recency.worth(draws.exponential(3_000.0, 500))).max() < 0.02


def test_stories_that_an_earlier_version_kept_are_read() -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1), "Flood in the valley halts the second plant"))
    again = restored(stories, lacking=("originals", "recency"))
    assert again.add(item("b", 1.0, towards(1, 0.1), "Rates stay")).story_id == "a"


def test_a_story_that_nobody_told_for_a_day_is_over() -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1)))
    assert stories.add(item("b", 24 * HOUR, towards(1))).story_id == "a"
    assert stories.add(item("c", 48 * HOUR + 1, towards(1))).story_id == "c"


def test_a_late_item_neither_closes_its_story_nor_makes_it_older() -> None:
    stories = Stories()
    stories.add(item("a", 30 * HOUR, towards(1)))
    assert stories.add(item("late", HOUR, towards(1))).story_id == "a"
    assert stories.add(item("b", 53 * HOUR, towards(1))).story_id == "a"


def test_the_story_that_was_not_told_for_longest_makes_room() -> None:
    stories = Stories(StoryPolicy(stories=2))
    stories.add(item("a", 0.0, towards(1)))
    stories.add(item("b", 1.0, towards(0, 1)))
    stories.add(item("a2", 2.0, towards(1)))
    stories.add(item("c", 3.0, towards(0, 0, 1)))  # in b's place
    assert stories.add(item("a3", 4.0, towards(1))).story_id == "a"
    assert stories.add(item("b2", 5.0, towards(0, 1))).story_id == "b2"


@pytest.mark.parametrize("odd", [np.full(8, np.nan, np.float32), np.ones(3, np.float32) / np.float32(3**0.5)])
def test_odd_embeddings_join_nothing(odd: NDArray[np.float32]) -> None:
    stories = Stories()
    stories.add(item("a", 0.0, towards(1)))
    assert stories.add(item("odd", 1.0, odd)).story_id == "odd"


def test_b_cubed_of_a_worked_example() -> None:
    figures = b_cubed(list("aabbb"), list("xyyyy"))
    # precision: x 1; the a in y 1/4; three b in y 3/4 each. recall: a 1/2 twice; b 1 thrice
    assert (figures.precision, figures.recall, figures.clusters) == (0.7, 0.8, 2)
    assert figures.f1 == pytest.approx(2 * 0.7 * 0.8 / 1.5, abs=1e-4)
    assert b_cubed(list("aab"), list("xxy")).f1 == 1.0


def test_tf_idf_centroids_join_by_words_within_a_day() -> None:
    texts = ["harbour strike spreads", "rates stay where they are", "harbour strike ends", "harbour strike again"]
    assert tf_idf_centroids(texts, [0.0, 1.0, 2.0, 30 * HOUR], 0.2) == ["0", "1", "0", "2"]


def test_the_benchmark_of_the_monitors_part_takes_every_item_and_tells_windows() -> None:
    draws = np.random.default_rng(0)
    embeddings = draws.standard_normal((30, 384)).astype(np.float32)
    texts = [f"text {'abcdefghij'[n % 10]} of {'klmno'[n % 5]} and more" for n in range(30)]
    report = measure_live(texts, embeddings / 20, 300, 10, lambda *_: None, 0)
    assert report["items"] == 300 and 0 < report["stories_begun"] <= 300 and report["left_out"] == {}
    assert report["windows_told"] > 100 and len(report["resident_bytes"]) == 10
    assert report["microseconds_per_item"] > 0 and min(report["state_bytes"].values()) > 1_000
