"""Subjects that began together are one episode until its texts are clearly of two; a broad subject stays one."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from repeats import repeats
from test_drift import QUICK, World, monitor
from test_second_episode import FIRST, SECOND, found, signals, two_new, whole_again

from models.words.counts import WordCounts
from streams.monitor.drift.alerts import alert_for_episode, drift_fingerprint
from streams.monitor.drift.detector import DriftMonitor, Signal
from streams.monitor.episodes.naming import have_other_words
from streams.monitor.episodes.splitting import step_row, two_subjects
from streams.monitor.monitored_release import MonitoredRelease

BOTH = {FIRST: 0.2, SECOND: 0.15}
KEPT = 150


def subject(random: np.random.Generator, intents: int = 12, common: float = 0.5) -> NDArray[np.float64]:
    """Places of a broad subject's intents: they have a little in common."""
    own = random.standard_normal((intents, KEPT)) / np.sqrt(KEPT)
    shared = random.standard_normal(KEPT) / np.sqrt(KEPT)
    return own + common * shared


def texts(random: np.random.Generator, places: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return places[random.integers(len(places), size=count)] + random.standard_normal((count, KEPT)) / np.sqrt(KEPT)


def together(seed: int) -> World:
    """Two new subjects that have nothing in common with each other and with what is known."""
    here = two_new(seed)
    axes, _ = np.linalg.qr(here.subjects[:SECOND].T)
    other = here.subjects[SECOND] - axes @ (axes.T @ here.subjects[SECOND])
    here.subjects[SECOND] = other / np.linalg.norm(other)
    return here


@pytest.mark.parametrize("seed", range(6))
def test_two_broad_subjects_are_told_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    is_second = np.arange(400) % 3 == 0
    first, second = subject(random, common=1.0), subject(random, common=1.0)
    centre = first.mean(axis=0) / np.linalg.norm(first.mean(axis=0))
    second -= np.outer(second @ centre, centre)
    vectors = texts(random, first, 400)
    vectors[is_second] = texts(random, second, int(is_second.sum()))
    sides = two_subjects(vectors)
    assert sides is not None and np.mean(sides == is_second) > 0.9, "the smaller one is the second"


@pytest.mark.parametrize("seed", range(6))
def test_a_broad_subject_is_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert two_subjects(texts(random, subject(random), 400)) is None
    assert two_subjects(texts(random, subject(random, intents=2), 400)) is None


def test_texts_with_nothing_in_common_and_few_texts_are_no_subjects() -> None:
    random = np.random.default_rng(1)
    lonely = random.standard_normal((150, KEPT)) / np.sqrt(KEPT)
    assert two_subjects(np.vstack([texts(random, subject(random), 150), lonely])[random.permutation(300)]) is None
    apart = np.repeat(np.eye(2, KEPT), 30, axis=0)[random.permutation(60)]
    assert two_subjects(apart) is None
    assert two_subjects(np.zeros((300, KEPT))) is None


def test_the_step_of_a_share_is_where_it_rose() -> None:
    random = np.random.default_rng(0)
    is_own = np.r_[random.random(500) < 0.01, random.random(300) < 0.3]
    assert abs(step_row(is_own, 0.01, 0.3) - 500) < 15


def test_groups_are_told_by_other_words() -> None:
    known = WordCounts.of(["where is my order", "a refund please"] * 20)
    chess, rugby = ([f"{word} {one}ortle {one}andle" for one in "abcdefghij"] for word in ("chess", "rugby"))
    both = [f"chess {text} knight bishop" for text in rugby]
    assert have_other_words(chess, rugby, known)
    assert not have_other_words(both[:5], both[5:], known)
    assert have_other_words([], rugby, known)


@pytest.mark.parametrize("seed", range(repeats(1, 2)))
def test_subjects_that_came_together_are_split_once_and_stay_two(seed: int) -> None:
    here = together(seed)
    watch = monitor(here.reference(), seed)
    (first,) = found(watch, iter([*signals(here, 400), *signals(here, 300, BOTH)]))
    assert len(watch.episodes) == 1, "too few texts to say"
    found(watch, signals(here, 700, BOTH))
    kept, other = watch.episodes
    assert kept.detected_id == first.detected_id and kept.split_from == "" and kept.told_event == other.detected_event
    assert other.split_from == first.detected_id and other.detected_id not in ("", first.detected_id)
    assert abs(other.onset_event - 401) < 60 and kept.onset_event == first.onset_event
    assert kept.share_after > other.share_after > 0.05 and kept.centre != other.centre
    assert watch.take_ended() == []
    found(watch, signals(here, 700, {FIRST: 0.2}))
    ((ended, merged_into),) = watch.take_ended()
    assert (ended.detected_id, merged_into) == (other.detected_id, ""), "it ends by itself, merged by nobody"


@pytest.mark.parametrize("seed", range(repeats(1, 2)))
def test_one_subject_is_never_split(seed: int) -> None:
    here = together(seed)
    watch = monitor(here.reference(), seed)
    found(watch, iter([*signals(here, 400), *signals(here, 1_000, {FIRST: 0.3})]))
    (only,) = watch.episodes
    assert only.split_from == ""


def test_what_was_split_is_not_merged_and_what_was_merged_is_not_split() -> None:
    here = together(0)
    watch = monitor(here.reference(), 0)
    found(watch, iter([*signals(here, 400), *signals(here, 1_000, BOTH)]))
    one, other = watch._open
    other.places[0], other.directions[0] = one.places[0], one.directions[0]
    other.episode = replace(other.episode, centre=one.places[0])
    watch._open.merge()
    assert len(watch.episodes) == 2
    one.family = other.family = ""
    watch._open.merge()
    ((ended, merged_into),) = watch.take_ended()
    assert (ended.detected_id, merged_into) == (other.episode.detected_id, one.episode.detected_id)
    found(watch, signals(here, 100, BOTH))
    assert one.is_whole and not one.is_due(10**6, QUICK.split_looks)
    assert all(not episode.split_from for episode in watch.episodes)


def test_stopped_around_a_split_it_goes_on_as_if_it_never_had() -> None:
    here = together(0)
    arrays = here.reference()
    whole = monitor(arrays, 0)
    stopped = whole_again(whole, arrays, [])
    stream: list[Signal] = [*signals(here, 400), *signals(here, 1_000, BOTH)]
    for number, signal in enumerate(stream):
        if number in (430, 650, 800, 860, 1_250, 1_350):
            stopped = whole_again(stopped, arrays, stream[:number])
        whole.update(signal)
        stopped.update(signal)
        assert whole.episodes == stopped.episodes
    assert len(whole.episodes) == 2 and whole.state() == stopped.state()


def test_an_open_episode_of_an_earlier_version_is_split_at_the_next_look() -> None:
    here = together(0)
    watch = monitor(here.reference(), 0)
    stream = [*signals(here, 400), *signals(here, 700, BOTH)]
    found(watch, iter(stream[:750]))
    state: dict[str, Any] = orjson.loads(orjson.dumps(watch.state()))
    (part,) = state["episodes"]["open"]
    for name in ("looked", "family", "is_whole"):
        del part[name]
    del part["story"]["split_from"]
    again = DriftMonitor(watch._reference, watch._sums.live._simulated, QUICK)
    again.restore(state, stream[:750])
    found(again, iter(stream[750:]))
    found(again, signals(here, 800, BOTH))
    assert [bool(episode.split_from) for episode in again.episodes] == [False, True]


def test_the_alert_names_the_episode_that_it_was_split_from_and_labels_count_on() -> None:
    here = together(0)
    watch = monitor(here.reference(), 0)
    release = MonitoredRelease("7", watch)
    for number, signal in enumerate([*signals(here, 400), *signals(here, 1_000, BOTH)]):
        watch.update(signal)
        release.follow_episodes(number)
    kept, other = watch.episodes
    alert = alert_for_episode("support", "7", other, "now")
    origin = drift_fingerprint("support", "7", kept)
    assert alert.values["split_from"] == origin and origin in alert.summary and alert.fingerprint != origin
    assert "split_from" not in alert_for_episode("support", "7", kept, "now").values
    assert release.opened_ms[other.detected_id] == release.opened_ms[kept.detected_id] < kept.told_event
