"""Seasons by hour of week: what comes each night is told once, and what is new is told as before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from streams.monitor.drift.bursts import BurstEvent, LabelBursts
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy, Episode, Signal
from streams.monitor.drift.thresholds import SimulationPolicy
from streams.monitor.seasons.hours import HOURS_OF_WEEK, StreamHours
from streams.monitor.seasons.labels import LabelSeasons
from streams.monitor.seasons.texts import TextSeasons

MONDAY: Final = datetime(2025, 12, 1, tzinfo=UTC)
DIMENSIONS, LABELS, EVENTS_PER_DAY = 48, 8, 480
Vector = NDArray[Any]
POLICY = DriftPolicy(simulation=SimulationPolicy(runs=64, events=1_000), quiet_events=100)
SUBJECTS = np.random.default_rng(7).standard_normal((LABELS + 1, DIMENSIONS))
SUBJECTS /= np.linalg.norm(SUBJECTS, axis=1, keepdims=True)
CHANNEL = np.random.default_rng(99).standard_normal(DIMENSIONS)
CHANNEL /= np.linalg.norm(CHANNEL)


@dataclass(frozen=True)
class Nights:
    """How texts from 20 to 4 o'clock differ. noise: times as scattered. channel: how far all lie one way. sure: times
    the confidence."""

    noise: float = 1.0
    channel: float = 0.0
    sure: float = 1.0


def scattered(subject: int, random: np.random.Generator, nights: Nights) -> Vector:
    noise = 0.16 * nights.noise * random.standard_normal(DIMENSIONS)
    vector = SUBJECTS[subject] + noise + nights.channel * CHANNEL
    unit: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def confidence(texts: Vector) -> Vector:
    logits = 8.0 * texts @ SUBJECTS[:LABELS].T
    highest: Vector = np.exp(logits).max(axis=-1) / np.exp(logits).sum(axis=-1)
    return highest


@cache
def ready() -> DriftMonitor:
    random = np.random.default_rng(0)
    known = np.stack([scattered(int(subject), random, Nights()) for subject in random.integers(LABELS, size=1_200)])
    reference = {
        "centroids": SUBJECTS[:LABELS].astype(np.float32),
        "reference_distances": 1.0 - (known @ SUBJECTS[:LABELS].T).max(axis=1),
        "reference_confidence": confidence(known),
        "reference_embeddings": known[:1_000],
    }
    return DriftMonitor.from_reference(reference, false_alarm_every=100_000, seed=0, policy=POLICY)


def monitor() -> DriftMonitor:
    """As `from_reference` makes one, without its second."""
    return DriftMonitor(ready()._reference, ready()._sums.live._simulated, POLICY)


def is_night(at: datetime) -> bool:
    return at.hour >= 20 or at.hour < 4


def stream(
    seed: int, days: float, nights: Nights, is_new: Callable[[datetime], bool] = lambda _: False
) -> Iterator[Signal]:
    """Texts about eight subjects that the release knows; a fifth about a ninth where `is_new`."""
    random = np.random.default_rng(1_000 + seed)
    for number in range(round(days * EVENTS_PER_DAY)):
        at = MONDAY + timedelta(days=number / EVENTS_PER_DAY)
        here = nights if is_night(at) else Nights()
        subject = LABELS if is_new(at) and random.random() < 0.2 else int(random.integers(LABELS))
        text = scattered(subject, random, here)
        label = str(np.argmax(text @ SUBJECTS[:LABELS].T))
        yield Signal(
            str(number), number + 1, None, label, here.sure * float(confidence(text)), None, text, at=at.isoformat()
        )


def days_of_alarms(watch: DriftMonitor, signals: Iterator[Signal]) -> list[float]:
    found = (watch.update(signal) for signal in signals)
    return [episode.detected_event / EVENTS_PER_DAY for episode in found if isinstance(episode, Episode)]


@pytest.mark.parametrize(
    "nights", [Nights(noise=1.4), Nights(channel=0.35), Nights(sure=0.8)], ids=["farther out", "elsewhere", "unsure"]
)
def test_what_differs_each_night_alarms_in_the_first_cycle_only(nights: Nights) -> None:
    """Before, each evening gave an alarm. The stream begins at midnight: its first whole night is over at 4 o'clock of
    the second day."""
    days = days_of_alarms(monitor(), stream(0, 2.2, nights))
    assert 1 <= len(days) <= 2 and max(days) < 1.0 + 4 / 24


def test_a_subject_that_begins_by_night_is_found_in_that_night() -> None:
    begins = MONDAY + timedelta(days=1, hours=20)
    new = stream(0, 2.2, Nights(channel=0.3), lambda at: at >= begins and is_night(at))
    assert [day for day in days_of_alarms(monitor(), new) if day > 1.0] == [pytest.approx(1.92, abs=0.08)]


def test_a_stream_without_seasons_alarms_at_the_same_event_as_without_times() -> None:
    begins = MONDAY + timedelta(days=1, hours=12)
    timed = list(stream(0, 1.7, Nights(), lambda at: at >= begins))
    untimed = [replace(signal, at="") for signal in timed]
    alarms = [days_of_alarms(monitor(), iter(signals)) for signals in (timed, untimed)]
    assert alarms[0] == alarms[1] and len(alarms[0]) == 1 and 1.5 < alarms[0][0] < 1.7


def test_an_incident_of_some_hours_gives_no_alarm_at_those_hours_of_the_next_day() -> None:
    """What was learnt of it may explain, and never accuse."""
    begins, ends = MONDAY + timedelta(hours=12), MONDAY + timedelta(hours=18)
    days = days_of_alarms(monitor(), stream(3, 2.2, Nights(), lambda at: begins <= at < ends))
    assert len(days) == 1 and 0.5 < days[0] < 0.7


def watched(labels: Callable[[datetime, np.random.Generator], str], days: float, an_hour: int = 50) -> list[datetime]:
    """When bursts are told."""
    random, bursts, told = np.random.default_rng(0), LabelBursts(20, 100_000), list[datetime]()
    for number in range(round(days * 24 * an_hour)):
        at = MONDAY + timedelta(hours=number / an_hour)
        event = BurstEvent(str(number), at.isoformat(), None, hour=int(at.timestamp() // 3_600))
        changes = bursts.observe(labels(at, random), event)
        told += [at for change in changes if change.state == "firing"]
    return told


def any_label(random: np.random.Generator) -> str:
    return f"label {random.integers(20)}"


def test_a_label_of_monday_mornings_is_a_burst_on_the_first_monday_only() -> None:
    def labels(at: datetime, random: np.random.Generator) -> str:
        is_morning = at.weekday() == 0 and 9 <= at.hour < 12
        return "weekend's orders" if is_morning and random.random() < 0.3 else any_label(random)

    told = watched(labels, 14.6)
    assert [at.date() for at in told] == [MONDAY.date()]


def test_labels_that_come_five_times_as_often_at_weekends_are_no_burst_each_weekend() -> None:
    def labels(at: datetime, random: np.random.Generator) -> str:
        return f"label {random.integers(2)}" if at.weekday() >= 5 and random.random() < 0.44 else any_label(random)

    weekends = {(at - MONDAY).days // 7 for at in watched(labels, 21)}
    assert weekends == {0}


def test_an_outage_is_told_as_soon_where_labels_have_seasons() -> None:
    def labels(at: datetime, random: np.random.Generator) -> str:
        day = (at - MONDAY).days
        is_outage = day == 3 and at.hour == 15 and at.minute < 30
        seasonal = "label 1" if is_night(at) and random.random() < 0.3 else any_label(random)
        return "label 7" if is_outage and random.random() < 0.8 else seasonal

    (told,) = [at for at in watched(labels, 4) if at > MONDAY + timedelta(days=1)]
    assert timedelta() < told - (MONDAY + timedelta(days=3, hours=15)) < timedelta(minutes=20)  # 16 texts


def test_what_is_learnt_of_an_hour_says_nothing_within_that_day() -> None:
    """Else a burst or a drift that lasts would be usual an hour after it began."""
    seasons, texts = LabelSeasons(), TextSeasons(4, 0.25)
    random = np.random.default_rng(0)
    for hour in range(1_000, 1_016):
        texts.enter(hour)
        for _ in range(50):
            texts.add(
                np.full(3, 4.0 if hour >= 1_010 else 1.0), random.standard_normal(4).astype(np.float32), has_tail=True
            )
            seasons.take("a" if hour >= 1_010 and random.random() < 0.5 else "b", hour)
    assert seasons.usual_share("a", 0.01, 50.0) == 0.01
    texts.enter(1_000 + 24)
    assert texts.exponents is not None and np.all(texts.exponents < 1.5)
    texts.enter(1_011 + 24)
    seasons.take("a", 1_011 + 24)
    assert np.all(texts.exponents > 3.0) and seasons.usual_share("a", 0.01, 50.0) > 0.3


def test_few_texts_of_an_hour_are_drawn_towards_the_whole_stream() -> None:
    texts, random = TextSeasons(0, 1.0), np.random.default_rng(0)
    nothing = np.zeros(0, np.float32)
    for hour in range(48):
        texts.enter(hour)
        for _ in range(2 if hour % 24 == 5 else 60):
            texts.add(random.exponential(2.0 if hour % 24 < 8 else 1.0, 3), nothing, has_tail=True)
    of_hour = {}
    for hour in (4, 5):
        texts.enter(48 + hour)
        assert texts.exponents is not None
        of_hour[hour] = float(texts.exponents.mean())
    assert 1.7 < of_hour[4] < 2.3
    assert abs(of_hour[5] - 1.3) < abs(of_hour[4] - 1.3)


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-45T00:00:00Z"])
def test_a_text_without_a_time_counts_in_no_hour(at: str) -> None:
    assert StreamHours().take(at) is None


def test_one_record_dated_years_ahead_does_not_move_the_hour() -> None:
    hours = StreamHours()
    now = MONDAY + timedelta(minutes=5)
    taken = [hours.take((now + timedelta(seconds=second)).isoformat()) for second in range(20)]
    assert len(set(taken)) == 1 and taken[0] is not None
    assert hours.take("2029-01-01T00:00:00Z") is None
    assert hours.take((now + timedelta(seconds=30)).isoformat()) == taken[0]
    assert hours.take((now - timedelta(hours=3)).isoformat()) is None


def test_a_stream_whose_time_goes_back_for_good_is_followed() -> None:
    hours = StreamHours()
    for _ in range(20):
        hours.take((MONDAY + timedelta(days=900)).isoformat())
    taken = [hours.take((MONDAY + timedelta(seconds=second)).isoformat()) for second in range(400)]
    assert taken[50] is None and taken[-1] == int(MONDAY.timestamp() // 3_600)


def test_times_that_do_not_move_make_no_season() -> None:
    texts = TextSeasons(2, 0.5)
    for _ in range(1_000):
        texts.enter(7)
        texts.add(np.full(3, 9.0), np.ones(2, np.float32), has_tail=True)
    assert texts.exponents is None and texts.place is None


def test_texts_of_an_episode_count_once_it_has_ceased_by_itself() -> None:
    def learnt(*, ceased: bool) -> TextSeasons:
        texts = TextSeasons(0, 1.0)
        for hour in range(24):
            texts.enter(hour)
            for number in range(60):
                is_of_episode = hour < 8 and number % 2 == 0
                exponents = np.full(3, 8.0 if is_of_episode else 0.5 + number % 2)
                texts.add(exponents, None, has_tail=True, of_episode=is_of_episode)
        texts.end_episodes(ceased=ceased)
        texts.enter(24 + 3)
        return texts

    by_itself, accepted = learnt(ceased=True), learnt(ceased=False)
    assert by_itself.exponents is not None and np.all(by_itself.exponents > 4.0)
    assert accepted.exponents is None or np.all(accepted.exponents < 2.0)


def test_what_is_kept_stays_small_whatever_labels_are_called() -> None:
    seasons, texts, random = LabelSeasons(), TextSeasons(300, 0.01), np.random.default_rng(0)
    for hour in range(HOURS_OF_WEEK + 30):
        texts.enter(hour)
        for number in range(20):
            seasons.take(f"label {hour} {number}", hour)
            episode = hour > HOURS_OF_WEEK - 40
            texts.add(np.ones(3), random.standard_normal(300).astype(np.float32), has_tail=True, of_episode=episode)
    assert len(orjson.dumps(seasons.state())) < 70_000
    assert len(orjson.dumps(texts.state())) < 130_000


def test_seasons_of_labels_go_on_where_they_were_kept() -> None:
    whole, random = LabelSeasons(), np.random.default_rng(0)
    for number in range(3_000):
        whole.take(f"label {random.integers(9)}", number // 20)
        if number % 700 == 0:
            again = LabelSeasons()
            again.restore(orjson.loads(orjson.dumps(whole.state())))
            assert again.state() == whole.state() and again._views == whole._views
