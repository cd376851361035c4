"""What is told of an episode: words, name, examples, share, onset, labels and segments."""

import csv
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.shares import weighted_share
from models.words.counts import WordCounts, terms_of, words_of
from streams.monitor.drift.episode import Episode, SeenText, describe_episode, episode_state, restored_episode
from streams.monitor.episodes.examples import choose_examples
from streams.monitor.episodes.many_tests import chance_of_rise, stands
from streams.monitor.episodes.members import onset_range
from streams.monitor.episodes.moves import moved_labels, segments
from streams.monitor.episodes.naming import distinct_texts, name_of, telling_words
from streams.monitor.episodes.shares import new_share

CORPORA = Path(__file__).parents[2] / "apps" / "corpora"
KNOWN = [
    f"where is my {thing} order {letter}{letter}" for thing in ("blue", "red") for letter in string.ascii_lowercase
]


def seen(number: int, text: str, surprisal: float, label: str = "a", channel: str = "web") -> SeenText:
    fields = {"channel": channel}
    return SeenText(f"t@1-0-{number}", number, text, label, surprisal, 1, None, f"at {number}", number, fields)


def story(
    known: int = 400, after: int = 120, every: int = 4, told: Episode | None = None, calm: float = 1.0
) -> Episode:
    """Every fourth text after the onset is of a new subject, and came by e-mail."""
    random = np.random.default_rng(0)
    history = [seen(n, KNOWN[n % len(KNOWN)], float(random.exponential()) / calm) for n in range(1, known + 1)]
    for n in range(known + 1, known + after + 1):
        is_new = n % every == 0
        letters = string.ascii_lowercase
        text = f"{random.choice(list(letters))}x my Battery recall {letters[n % 8] * 3} {letters[n // 8 % 8] * 4}"
        history.append(
            seen(n, text, 6.0, "b", "mail")
            if is_new
            else seen(n, KNOWN[n % len(KNOWN)], float(random.exponential()), channel="web")
        )
    return describe_episode(history, after, ("both",), told=told)


def test_words_are_found_in_scripts_with_and_without_spaces() -> None:
    assert words_of("Don't PANIC, 42 times!") == {"don't", "panic", "times"}
    assert words_of("我要退款") == {"我要", "要退", "退款"}
    assert words_of("") == set()
    assert terms_of("the credit card is gone") == {"the", "credit", "card", "is", "gone", "credit card"}


def test_words_that_were_common_before_are_not_new() -> None:
    inside = ["is my battery in the recall", "recall of another battery soon", "that order and this recall please"]
    words = [word.term for word in telling_words(inside, WordCounts.of(KNOWN * 5))]
    assert words[0] == "recall" and not {"order", "my", "is", "the"} & set(words)
    assert telling_words([], WordCounts.of(KNOWN)) == ()


def test_a_word_that_the_release_knows_is_not_new_though_the_stream_had_it_never() -> None:
    inside = [
        f"{thing} refund wanted {letter * 4}" for thing, letter in zip(["lamp", "sofa", "desk"], "xyz", strict=True)
    ]
    background = WordCounts.of([*KNOWN, *["a refund of an order"] * 30])
    assert "refund" in [word.term for word in telling_words(inside, WordCounts.of(KNOWN))]
    assert "refund" not in [word.term for word in telling_words(inside, WordCounts.of(KNOWN), background)]


def test_words_of_random_texts_are_not_told() -> None:
    random, told = np.random.default_rng(1), 0
    vocabulary = [f"{first}{second}word" for first in string.ascii_lowercase for second in string.ascii_lowercase]
    for _ in range(40):
        texts = [" ".join(random.choice(vocabulary, 8)) for _ in range(540)]
        told += bool(telling_words(texts[:40], WordCounts.of(texts[40:])))
    assert told <= 4  # 5 % of the runs, by chance


def test_a_word_of_one_text_and_its_near_copies_is_none() -> None:
    copies = [f"dear team the zeppelin flew over our roof at noon number {n}" for n in "abcdefgh"]
    assert telling_words(copies, WordCounts.of(KNOWN)) == ()
    assert len(distinct_texts(copies)) == 1


def test_a_subject_is_named_by_the_words_as_they_are_written() -> None:
    texts = [
        f"Boeing {verb} {letter * 3} jets"
        for verb, letter in zip(["sells", "grounds", "buys", "delays"], "abcd", strict=True)
    ]
    words = telling_words(texts, WordCounts.of(KNOWN * 4))
    assert name_of(words, texts).startswith("Boeing")
    assert name_of((), texts) == ""


MATTERS = (
    "{} recalls pumps after a fault in the seals",
    "Regulator opens an inquiry into {} over invoices",
    "{} names a new head of finance",
    "Strike at {} enters its third day",
    "Why {} may cut its dividend this spring",
    "{} loses the tender for the northern line",
    "Analysts lower their targets for {} once more",
    "A court lets the suit against {} go ahead",
    "{} and its rivals wait for the tariff vote",
    "Investors ask {} to sell its oldest yard",
    "Fire at a warehouse of {} is out",
    "{} says the pension gap is smaller than feared",
)


@pytest.mark.parametrize("company", ["Karsund Energy", "Calder Mutual", "Arvento"])
@pytest.mark.parametrize("usual", [0.0, 0.02, 0.08])
def test_a_surge_of_one_companys_name_is_named_by_that_name(company: str, usual: float) -> None:
    """usual: the share of the texts before that speak of it, each of another matter than the surge's."""
    with (CORPORA / "finance.csv").open(encoding="utf-8", newline="") as rows:
        before = [row["text"] for row in csv.DictReader(rows)][:500]
    spoken = range(0, 500, round(1 / usual)) if usual else ()
    before = [f"{company} {text}" if n in spoken else text for n, text in enumerate(before)]
    inside = [*(matter.format(company) for matter in MATTERS), *before[-3:]]
    words = telling_words(inside, WordCounts.of(before[:300]), WordCounts.of(before))
    name = name_of(words, inside)
    assert company.split()[0] in name and words[0].term in company.lower(), name


def test_a_pair_of_words_stands_for_both() -> None:
    texts = [f"{letter * 4} credit card {letter * 5}" for letter in "abcdef"]
    words = telling_words(texts, WordCounts.of(KNOWN * 4))
    assert [word.term for word in words] == ["card", "credit", "credit card"] and name_of(words, texts) == "credit card"


def test_counts_of_words_come_back_from_a_release() -> None:
    counts = WordCounts.of(KNOWN)
    read = WordCounts.from_arrays(counts.arrays())
    assert read is not None and read.texts == len(KNOWN)
    assert read.of_term("order") == len(KNOWN) and read.of_term("never seen") == 1
    assert WordCounts.from_arrays({}) is None
    empty = WordCounts.from_arrays(WordCounts.of([]).arrays())
    assert empty is not None and empty.texts == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_share_of_new_texts_is_estimated_with_its_interval(share: float) -> None:
    random, errors, covered = np.random.default_rng(0), [], 0
    for _ in range(60):
        after = random.normal(0, 1, 300) + 4.0 * (random.random(300) < share)
        estimate, (low, high) = new_share(random.normal(0, 1, 1_000), after)
        errors.append(abs(estimate - share))
        covered += low <= share <= high
    assert np.median(errors) < 0.03 and covered >= 54


def test_share_is_not_known_without_texts_before() -> None:
    assert new_share(np.empty(0), np.ones(5)) == (0.0, (0.0, 1.0))


def test_share_counts_a_text_for_all_that_it_stands_for() -> None:
    random = np.random.default_rng(3)
    weights = np.where(np.arange(1_000) % 10 == 0, 20.0, 1.0)
    after = random.normal(np.where((weights > 1.0) & (random.random(1_000) < 0.3), 6.0, 0.0), 1.0)
    truth = float(weights[after > 3.0].sum() / weights.sum())
    share, (low, high) = new_share(random.normal(0, 1, 1_000), after, (weights, weights))
    assert abs(share - truth) < 0.03 and low < truth < high
    assert new_share(np.ones(5), np.ones(5), (np.zeros(5), np.ones(5))) == (0.0, (0.0, 1.0))
    thirds = np.full(30, 1 / 3)  # whose sum, taken in steps, is not quite the sum
    assert np.isfinite(new_share(random.normal(0, 1, 30), random.normal(3, 1, 30), (thirds, thirds))[1]).all()


def test_an_episode_is_told_with_words_labels_and_segments() -> None:
    episode = story()
    assert episode.words[:2] == ("battery", "recall") and episode.phrases[0] == "battery recall"
    assert episode.name.startswith("Battery recall")
    assert [move.name for move in episode.rose] == ["b"] and [move.name for move in episode.fell] == ["a"]
    assert [(one.field, one.value) for one in episode.segments] == [("channel", "mail")]
    assert episode.segments[0].inside > 0.9 > 0.1 > episode.segments[0].elsewhere
    assert len(episode.examples) == 10
    assert all("recall" in (example.text or "") for example in episode.examples)
    low, high = episode.share_range
    assert low <= 0.25 <= high and abs(episode.share_after - 0.25) < 0.08
    assert "Battery recall" in episode.summary and "channel mail" in episode.summary


def test_a_story_is_told_better_on_texts_that_nothing_was_chosen_by() -> None:
    first = story(after=30)
    later = story(after=250, told=first)
    assert (later.onset_event, later.detected_event, later.detected_id) == (
        401,
        first.detected_event,
        first.detected_id,
    )
    assert later.told_event == 650 and abs(later.share_after - 0.25) < 0.05
    assert later.share_range[1] - later.share_range[0] < first.share_range[1] - first.share_range[0]


def test_the_onset_lies_within_its_interval() -> None:
    first, last = story(calm=4.0).onset_between
    assert first.event <= 404 and last.event >= 401 and last.event - first.event < 60
    assert first.id == f"t@1-0-{first.event}" and first.at == f"at {first.event}"


def test_onset_of_a_step_is_found() -> None:
    odds = np.r_[np.full(100, -3.0), np.full(40, 2.0)]
    low, high = onset_range(odds, 0.5, 0, 139)
    assert low <= 100 <= high and high - low < 10


@pytest.mark.parametrize("texts", [1, 300, 1_000], ids=["at once", "within 300 texts", "within 1,000 texts"])
def test_the_interval_holds_the_onset_of_what_comes_slowly_as_well(texts: int) -> None:
    """The one of a step alone held the beginning of no rise: it was told as hundreds of texts later, and for sure."""
    random, covered, widths, onset, length = np.random.default_rng(0), 0, list[int](), 700, 1_400
    rise = np.clip((np.arange(length) - onset + 1) / texts, 0.0, 1.0)
    for _ in range(20):
        is_new = random.random(length) < 0.3 * rise
        surprisal = np.where(is_new, random.exponential(2.0, length), random.exponential(1.0, length))
        agreement = np.where(is_new, random.normal(2.5, 1.5, length), random.normal(0.0, 1.3, length))
        odds = 0.5 * surprisal + np.log(0.5 * 1.3 / 1.5) + (agreement / 1.3) ** 2 / 2 - ((agreement - 3) / 1.5) ** 2 / 2
        low, high = onset_range(odds, 0.2, 0, length - 1)
        covered += low <= onset <= high
        widths.append(high - low)
    assert covered >= (17 if texts == 1 else 12) and np.median(widths) < 0.8 * texts + 150


def test_the_story_says_between_which_times_it_began() -> None:
    episode = story(calm=4.0)
    first, last = episode.onset_between
    assert f"(event {episode.onset_event}; between {first.at} and {last.at}), noticed" in episode.summary


def test_episode_of_one_text_and_no_history_can_be_told() -> None:
    only = SeenText("1", 5, None, "a", 3.0, 1, None)
    episode = describe_episode([only], 1, ("confidence",))
    assert (episode.onset_event, episode.detected_event, episode.words) == (5, 5, ())
    assert episode.labels == (("a", 1.0),)


def test_an_episode_comes_back_from_its_state_and_from_that_of_earlier_versions() -> None:
    episode = story()
    assert restored_episode(episode_state(episode)) == episode
    new = ("phrases", "onset_between", "told_event", "name", "rose", "fell", "segments", "detected_id")
    earlier = {name: value for name, value in episode_state(episode).items() if name not in new}
    assert restored_episode(earlier).words == episode.words


def test_examples_are_unlike_each_other() -> None:
    texts = ["the battery is hot", "the battery is hot!", "smoke came out of my scooter", "recall notice by post"]
    chosen = choose_examples([seen(n, text, 1.0) for n, text in enumerate(texts)], np.array([4.0, 3.0, 2.0, 1.0]))
    assert [one.event_number for one in chosen] == [0, 2, 3]


def test_labels_that_stay_as_they_were_did_not_move() -> None:
    def labels(shares: Sequence[float], texts: int) -> list[str]:
        return list(np.random.default_rng(3).choice(list("abc"), texts, p=shares))

    rose, fell = moved_labels(labels([0.5, 0.3, 0.2], 1_000), labels([0.5, 0.1, 0.4], 300))
    assert [one.name for one in rose] == ["c"] and [one.name for one in fell] == ["b"]
    assert moved_labels(labels([0.5, 0.3, 0.2], 1_000), labels([0.5, 0.3, 0.2], 300)) == ((), ())


def test_a_field_of_many_values_is_no_segment() -> None:
    assert segments([{"customer": str(n)} for n in range(80)], [{"customer": "0"}] * 80) == ()
    assert segments([], []) == ()


def test_many_tests_stand_only_where_they_are_surer_than_one_alone_need_be() -> None:
    assert stands(np.array([0.04])).tolist() == [True]
    assert stands(np.r_[0.04, np.full(99, 0.9)]).sum() == 0
    assert stands(np.empty(0)).tolist() == []
    assert chance_of_rise(1, 100, 5, 100) > 0.9 and chance_of_rise(30, 100, 5, 100) < 1e-5


def test_a_weighted_share_counts_what_is_seldom_drawn_for_more() -> None:
    share, (low, high) = weighted_share([True, False], [0.1, 0.9])
    assert share == pytest.approx(0.9) and low < 0.9 < high
