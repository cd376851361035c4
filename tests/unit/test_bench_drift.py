"""bench drift: what trains, what is shown in which order, and what is counted; on the shipped corpus."""

import csv
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from small_release import small_encoder

from bench.drift import table
from bench.drift.encoding import RememberingEncoder
from bench.drift.figures import Watched, count_watched, delay_figures, rate_figures
from bench.drift.names import Corpus, belongs, is_common
from bench.drift.noise import said_again, syndicated
from bench.drift.outcomes import Estimate, Outcome, Story, cost_figures, expected_right, outcome_of, row_figures
from bench.drift.peers.order import Case, Order, read_order, write_order
from bench.drift.peers.race import wrong_events
from bench.drift.peers.tuning import bisect, judge_windows, level_alarms
from bench.drift.playing import Played, Told, Watch, event_name, event_of
from bench.drift.releases import HEAD, VERSION, Releases, Shown
from bench.drift.streams import (
    EVERY_MS,
    START_MS,
    Stream,
    appearing,
    by_hour,
    conversations,
    first_blocks,
    growing,
    in_order,
    outage,
    rising,
    rows_by_label,
    stationary,
    swapping,
    with_copies,
)
from bench.drift.texts import Columns, LabelledSet, at_most, random_share, read_set, split_parts
from models.errors import ConfigError
from models.words.typing_noise import typed_badly
from retrain.data import Row
from retrain.text_keys import text_key
from streams.wire.records import Alert
from streams.wire.signals import MonitorSignal

CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "support.csv"


@pytest.fixture(scope="module")
def support() -> LabelledSet:
    return read_set(CORPUS, "support", Columns(label="intent", group="urgency", split=None))


def test_rows_are_read_in_the_order_of_the_file(support: LabelledSet) -> None:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert support.texts == tuple(line["text"] for line in lines)
    assert support.labels[5] == lines[5]["intent"]
    assert support.splits == ()


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="topic"):
        read_set(CORPUS, "support", Columns(label="topic"))


def test_held_back_labels_never_train_and_nothing_shown_has_trained(support: LabelledSet) -> None:
    label = support.labels[0]
    parts = split_parts(support, random_share(support, 0.5, 0), support.where("labels", [label]))
    assert label not in {support.labels[row] for row in parts.training}
    assert {support.labels[row] for row in parts.new} == {label}
    assert label not in {support.labels[row] for row in parts.known}
    trained = {text_key(support.texts[row]) for row in parts.training}
    assert not trained & {text_key(support.texts[row]) for row in [*parts.known, *parts.new]}


def test_a_text_that_differs_from_one_that_trains_by_a_number_only_is_not_shown() -> None:
    texts = LabelledSet("made", ("order 12 is late", "order 99 is late", "a refund"), ("late", "late", "refund"))
    parts = split_parts(texts, np.array([True, False, False]))
    assert parts.known.tolist() == [2]


def test_a_random_share_keeps_equal_texts_on_one_side(support: LabelledSet) -> None:
    twice = LabelledSet("twice", support.texts * 2, support.labels * 2)
    share = random_share(twice, 0.3, 1)
    assert (share[: len(support)] == share[len(support) :]).all()
    assert 0.25 < share.mean() < 0.35
    assert (share != random_share(twice, 0.3, 2)).any()


def test_at_most_so_many_rows_stay_in_their_order() -> None:
    assert at_most(np.arange(3), 5, 0).tolist() == [0, 1, 2]
    assert (np.diff(at_most(np.arange(100), 20, 0)) > 0).all()


def test_new_texts_appear_at_the_onset_with_their_share() -> None:
    stream = appearing(np.arange(500), np.arange(500, 600), before=400, after=400, share=0.2, seed=3)
    assert stream.onset == 400
    assert not stream.new[:400].any()
    assert 0.15 < stream.new[400:].mean() < 0.25
    assert (stream.new == (stream.rows >= 500)).all()
    assert len(set(stream.rows[:400].tolist())) == 400  # none twice while others wait
    assert (np.diff(stream.at_ms) == EVERY_MS).all()


def test_the_same_seed_gives_the_same_stream() -> None:
    first, second, other = (stationary(np.arange(50), 200, seed).rows.tolist() for seed in (1, 1, 2))
    assert first == second != other


def test_a_growing_share_goes_from_its_start_to_its_end() -> None:
    stream = growing(
        np.arange(9_000), np.arange(9_000, 9_900), before=500, ramp=4_000, after=500, start=0.01, end=0.2, seed=0
    )
    assert stream.new[:500].mean() < 0.03
    assert 0.07 < stream.new[500:4_500].mean() < 0.14
    assert stream.new[4_500:].mean() > 0.15
    assert stream.onset == 500


def test_swapped_labels_have_their_share_all_along_and_nothing_is_new(support: LabelledSet) -> None:
    by_label = rows_by_label(support.labels, np.arange(len(support)))
    pair = (sorted(by_label)[0], sorted(by_label)[1])
    stream = swapping(by_label, pair, before=300, after=300, share=0.2, seed=0)
    of_pair = np.array([support.labels[row] in pair for row in stream.rows])
    assert 0.14 < of_pair[:300].mean() < 0.26 and 0.14 < of_pair[300:].mean() < 0.26
    assert stream.swapped == {pair[0]: pair[1], pair[1]: pair[0]}
    assert not stream.new.any()


def test_labels_rise_and_fall_once_a_day(support: LabelledSet) -> None:
    by_label = rows_by_label(support.labels, np.arange(len(support)))
    stream = by_hour(by_label, days=2, events_per_day=2_000, depth=0.9, seed=0)
    assert stream.at_ms[2_000] - stream.at_ms[0] == 86_400_000
    counts = np.array(
        [
            [np.isin(stream.rows[start : start + 500], rows).sum() for rows in by_label.values()]
            for start in range(0, 4_000, 500)
        ]
    )
    assert np.abs(counts[0] - counts[4]).mean() < np.abs(counts[0] - counts[2]).mean()


def test_a_conversation_is_of_one_label_and_has_one_key(support: LabelledSet) -> None:
    by_label = rows_by_label(support.labels, np.arange(len(support)))
    stream = conversations(by_label, messages=5, events=103, seed=0)
    assert len(stream) == 103
    for key in range(20):
        own = stream.keys == key
        assert own.sum() == 5
        assert len({support.labels[row] for row in stream.rows[own]}) == 1


def test_an_outage_is_one_run_of_a_label_and_comes_faster() -> None:
    stream = outage(np.arange(1_000), np.arange(1_000, 1_020), before=100, run=40, after=50, seed=0)
    assert np.flatnonzero(stream.rows >= 1_000).tolist() == list(range(100, 140))
    gaps = np.diff(stream.at_ms)
    assert (gaps[99:139] == 2_000).all() and (gaps[:99] == EVERY_MS).all()


def test_all_copies_of_a_story_come_within_its_window() -> None:
    stories = [np.arange(500, 530), np.arange(600, 630)]
    stream = with_copies(np.arange(500), stories, events=460, within=60, seed=0)
    assert len(stream) == 460
    for story in stories:
        places = np.flatnonzero(np.isin(stream.rows, story))
        assert len(places) == 30
        assert places[-1] - places[0] < 60


def test_a_stream_in_its_own_order_goes_by_time() -> None:
    stream = in_order(np.array([0, 1, 2]), np.array([30, 10, 20], np.int64))
    assert stream.rows.tolist() == [1, 2, 0]


def test_only_the_first_run_of_a_label_is_its_first_block() -> None:
    assert first_blocks(["a", "a", "b", "a", "b", "c"]).tolist() == [True, True, True, False, False, True]


def test_noise_changes_letters_at_its_rate_and_copies_stay_alike() -> None:
    random = np.random.default_rng(0)
    text = "where is my parcel, it should have come on monday"
    assert typed_badly(text, 0.0, random) == text
    assert typed_badly(text, 0.5, random) != text
    again = {said_again(text, random) for _ in range(20)}
    assert len(again) > 10
    words = set(text.replace(",", "").split())
    for copy in (syndicated(text, random) for _ in range(20)):
        assert len(words & set(copy.lower().replace(",", "").split())) >= len(words) - 3


def test_a_missed_change_counts_as_later_than_all_others() -> None:
    assert delay_figures([10, 20, None]) == {"runs": 3, "median": 20, "p90": None, "missed": 1}
    assert delay_figures([10, None, None])["median"] is None


def test_alarms_of_young_monitors_are_counted_apart() -> None:
    watched = count_watched("pool", [(0, 5_000), (5_000, 6_000)], [100, 4_000, 5_500])
    assert watched == Watched("pool", 1, 2_000, 2, 4_000)


def test_the_rate_is_over_the_stated_one_and_has_an_interval() -> None:
    pools = [Watched(str(number), alarms, 100_000) for number, alarms in enumerate([1, 1, 1, 5])]
    figures = rate_figures(pools, 100_000)
    assert figures["settled"]["ratio"] == 2.0
    low, high = figures["settled"]["ratio_ci95"]
    assert low < 2.0 < high
    assert figures["worst_pool"]["pool"] == "3"


def test_no_alarm_at_all_still_has_an_upper_end() -> None:
    settled = rate_figures([Watched("a", 0, 100_000)], 100_000)["settled"]
    assert settled["ratio"] == 0.0
    assert settled["ratio_ci95"][1] == pytest.approx(3.69, abs=0.01)


def test_a_word_belongs_to_the_new_subject_where_it_is_much_commoner_there() -> None:
    new = Corpus.of(["My flight is late", "book a flight to Rome", "flight times please", "my visa"])
    known = Corpus.of(["my card", "my card is late", "pay my bill please", "a flight of steps", "x", "y", "z", "w"])
    assert belongs("flight", new, known)
    assert not belongs("my", new, known)
    assert is_common("the", new, known) and is_common("my", new, known) and not is_common("visa", new, known)
    assert belongs("flight to", new, known)


def test_a_word_of_a_stop_list_is_not_common_where_it_names_the_new_subject() -> None:
    bills, cards = (Corpus.of([f"{one} {word}" for one in "abcdefghijklmnopqrstuvwxyz"]) for word in ("bill", "card"))
    assert not is_common("bill", bills, cards), "scikit-learn's list holds content words"
    assert is_common("bill", cards, bills) and is_common("bill", cards, cards)
    assert is_common("what", Corpus.of(["what bill"]), cards), "a function word never names a subject"


def test_runs_are_summed_up_by_group() -> None:
    words = (("flight", True, False), ("visa", True, False), ("my", False, True), ("rome", True, False))
    first, second = Story(words, (9, 10), 0.04, 3), Story(words[:2], (7, 10), -0.02, -5)
    runs = {
        "travel": [Outcome(30, 0, "warning", first, first), Outcome(50, 1, "warning", second, first)],
        "work": [Outcome(None, 0)],
    }
    figures = row_figures(runs, before=100)
    assert figures["delay"]["by"]["travel"]["median"] == 30
    assert figures["delay"]["missed"] == 1
    assert figures["early_alarms"] == 1 and figures["early_events"] == 300
    assert figures["names"]["three_of_five"] == 0.5
    assert figures["names"]["with_a_common_word"] == 0.5
    assert figures["names"]["eight_of_ten"] == 0.5
    assert figures["names_told_last"]["eight_of_ten"] == 1.0


def test_an_alert_that_is_told_again_is_one_alarm_and_its_last_words_count() -> None:
    alert = Alert(fingerprint="x", rule="drift", severity="warning", state="firing", summary="first", at="")
    better = alert.model_copy(update={"summary": "better"})
    played = Played([Told(5, alert, first=True), Told(55, better)])
    (alarm,) = played.fired()
    assert alarm.event == 5
    assert played.last_words(alarm).alert.summary == "better"


def test_an_estimate_is_judged_by_what_is_expected_of_the_texts_since_the_onset() -> None:
    labels, decided = ("a", "a", "b", "b", "n", "n"), ("a", "a", "b", "a", "a", "b")
    shown = Shown((), labels, (), (), decided, np.zeros(6, np.float32), np.zeros((6, 1), np.float32))
    expected = expected_right(shown, (np.arange(4), np.array([4, 5])))
    assert expected.tolist() == [0.75] * 4 + [0.0] * 2
    cost = {"accuracy": 0.5, "accuracy_range": [0.4, 0.6]}
    alert = Alert(
        fingerprint="x", rule="drift", severity="info", state="firing", summary="", at="", values={"cost": cost}
    )
    stream = Stream(np.array([0, 1, 4, 2, 3, 5]), np.zeros(6, np.int64), np.zeros(6, bool), onset=2)
    outcome = outcome_of(Played([Told(4, alert, first=True)]), stream, expected=expected)
    assert outcome.delay == 3
    assert outcome.cost == Estimate(0.5, 0.4, 0.6, 0.5)
    figures = cost_figures([outcome])
    assert figures["cost"]["covered"] == 1.0 and figures["cost"]["error"] == 0.0


def test_texts_of_each_step_come_one_step_after_the_other() -> None:
    steps = [np.arange(100, 110), np.arange(110, 120)]
    stream = rising(np.arange(100), steps, before=50, ramp=20, seed=0)
    assert stream.onset == 50
    assert (stream.rows[:50] < 100).all()
    assert sorted(stream.rows[50:60].tolist()) == list(range(100, 110))
    assert sorted(stream.rows[60:].tolist()) == list(range(110, 120))


def test_an_order_reads_as_it_was_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors, confidence = random.random((6, 3)).astype(np.float32), random.random(6).astype(np.float32)
    rows, wrong = np.array([0, 1, 5]), np.array([True, False, True])
    case = Case("one", vectors[:2], confidence[:2], vectors, confidence, rows, (rows, rows[:2]), wrong, (wrong, wrong))
    write_order(Order((case,), 2_000, 3), tmp_path)
    read = read_order(tmp_path)
    assert (read.every, read.seed, read.cases[0].name) == (2_000, 3, "one")
    assert [stream.tolist() for stream in read.cases[0].streams] == [[0, 1, 5], [0, 1]]
    assert (read.cases[0].embeddings == vectors).all()
    assert (read.cases[0].wrong[1] == wrong).all()


def test_a_setting_is_sought_that_fires_as_often_as_asked() -> None:
    def alarms(setting: float, events: int) -> int:
        return int(events * setting)

    setting, count = bisect(alarms, 1e-8, 0.5, events=200_000, every=2_000, rough=40_000)
    assert setting == pytest.approx(1 / 2_000, rel=0.2)
    assert count == pytest.approx(100, rel=0.2)


def test_windows_pass_their_threshold_as_often_as_asked() -> None:
    levels = np.random.default_rng(0).random(2_000).tolist()
    judged = judge_windows([levels[:1_000], levels[1_000:]], [[[0.0, 1.1, 0.0]], [[0.0]]], 100, 2_000)
    assert judged["tuned_events"] == 200_000
    assert judged["tuned_alarms"] == pytest.approx(100, abs=2)
    assert judged["alarms"] == [[[199]], [[]]]


def test_after_an_alarm_a_running_level_is_silent_while_its_window_fills() -> None:
    assert level_alarms(np.array([0.0, 2.0, 2.0, 2.0, 0.0, 2.0]), 1.0, 3) == [1, 5]


def test_swapped_labels_make_right_answers_wrong_from_the_onset_on() -> None:
    shown = Shown((), ("a", "b", "c"), (), (), ("a", "b", "a"), np.zeros(3), np.zeros((3, 1)))
    stream = Stream(np.array([0, 1, 2, 0, 1]), np.zeros(5), np.zeros(5, bool), onset=3, swapped={"a": "b", "b": "a"})
    assert wrong_events(shown, stream).tolist() == [False, False, True, True, True]


def test_an_events_number_stands_in_its_name() -> None:
    assert event_of(event_name(41)) == 41


def made_up(random: np.random.Generator, subject: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = np.eye(24)[subject] * 4 + random.standard_normal(24)
    return cast("np.ndarray[Any, np.dtype[np.float32]]", (vector / np.linalg.norm(vector)).astype(np.float32))


def test_a_stream_goes_through_the_live_monitor_and_its_change_is_told() -> None:
    random = np.random.default_rng(0)
    known = np.stack([made_up(random, number % 4) for number in range(800)])
    shown_vectors = np.stack([made_up(random, number % 4 if number < 600 else 7) for number in range(800)])
    centroids = np.eye(24, dtype=np.float32)[:4]
    arrays = {
        "centroids": centroids,
        "reference_distances": 1 - (known @ centroids.T).max(axis=1),
        "reference_confidence": random.random(800).astype(np.float32),
        "reference_embeddings": known,
    }
    signals = tuple(
        MonitorSignal(id="", at="", version=VERSION, labels={HEAD: ("0", 0.9)}, text="x" * (number + 1)).model_copy(
            update={"embedding": vector}
        )
        for number, vector in enumerate(shown_vectors)
    )
    shown = Shown((), (), signals, (None,) * 800, (), np.zeros(0, np.float32), shown_vectors)
    watch = Watch(arrays, false_alarm_every=10_000)
    stream = appearing(np.arange(600), np.arange(600, 800), before=300, after=200, share=0.5, seed=0)
    played = watch.play(shown, stream, until_drift_from=300)
    (alarm,) = played.fired()
    assert 300 <= alarm.event < 400
    assert alarm.alert.at.startswith("2025-12-01T00:5")
    assert stream.at_ms[0] == START_MS


def test_the_table_shows_every_figure() -> None:
    report = {
        "commit": "abc",
        "false_alarm_every": 100_000,
        "seeds": 2,
        "streams": {"a20": {"delay": {"median": 40, "by": {"travel": {"p90": None}}}, "share": 0.2, "seconds": 1}},
    }
    text = "\n".join(table.lines(report))
    assert "a20" in text and "travel" in text and "40" in text and "p90 -" in text and "0.200" in text


def test_a_release_is_trained_once_for_the_same_rows_and_code(tmp_path: Path) -> None:
    encoder = RememberingEncoder(small_encoder(), tmp_path)
    rows = [
        Row(f"{words} number {word}", {HEAD: label}, "train")
        for label, words in (("card", "my card is lost"), ("rate", "which rate of exchange"))
        for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")
    ]
    steps: list[str] = []
    releases = Releases(encoder, tmp_path, lambda step, _done, _of: steps.append(step))
    trained = releases.train_rows("made-up", rows)
    assert steps
    steps.clear()
    assert releases.train_rows("made-up", rows).arrays.keys() == trained.arrays.keys()
    assert not steps
