"""The drift monitor on made-up embeddings: labels are directions, texts are scattered around them."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from repeats import repeats

from models.errors import ModelError
from streams.monitor.drift.cusum import Cusum
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy, Episode, Signal
from streams.monitor.drift.evidence import TAILS, Evidence, EvidencePolicy, tail_evidence, unusual_share
from streams.monitor.drift.reference import Reference
from streams.monitor.drift.thresholds import SimulationPolicy, simulate_thresholds, threshold_from_climbs

DIMENSIONS, LABELS = 48, 8
QUICK = DriftPolicy(simulation=SimulationPolicy(runs=64, events=1_000), quiet_events=300)
Vectors = NDArray[np.float32]


@dataclass
class World:
    """Eight subjects that the release knows, and a ninth that it does not."""

    random: np.random.Generator
    subjects: Vectors = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.subjects = np.random.default_rng(7).standard_normal((LABELS + 1, DIMENSIONS)).astype(np.float32)
        self.subjects /= np.linalg.norm(self.subjects, axis=1, keepdims=True)

    def texts(self, subjects: NDArray[np.int64]) -> Vectors:
        vectors = self.subjects[subjects] + 0.16 * self.random.standard_normal((len(subjects), DIMENSIONS))
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def confidence(self, texts: Vectors) -> Vectors:
        logits = 8.0 * texts @ self.subjects[:LABELS].T
        highest: Vectors = (np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)).astype(np.float32)
        return highest

    def reference(self, texts: int = 1_200) -> dict[str, NDArray[Any]]:
        known = self.texts(self.random.integers(LABELS, size=texts))
        return {
            "centroids": self.subjects[:LABELS],
            "reference_distances": 1.0 - (known @ self.subjects[:LABELS].T).max(axis=1),
            "reference_confidence": self.confidence(known),
            "reference_embeddings": known[:1_000].astype(np.float16),
            "label_shares": np.full(LABELS, 1 / LABELS, np.float32),
        }

    def signals(self, events: int, new: float = 0.0, mix: NDArray[np.float64] | None = None) -> Iterator[Signal]:
        subjects = self.random.choice(LABELS, size=events, p=mix)
        subjects = np.where(self.random.random(events) < new, LABELS, subjects)
        texts = self.texts(subjects)
        for subject, text, confidence in zip(subjects, texts, self.confidence(texts), strict=True):
            self.sent += 1
            label = str(np.argmax(text @ self.subjects[:LABELS].T))
            told = "recall battery fire" if subject == LABELS else f"order {'abcdefgh'[subject]}way parcel"
            own = "".join("abcdefghij"[int(digit)] for digit in str(self.sent))  # no two texts are near copies
            shown = (
                None
                if new == 0.0
                else " ".join(f"{word} {own}{end}" for word, end in zip(told.split(), "xyz", strict=True))
            )
            yield Signal(f"s@1-0-{self.sent}", self.sent, shown, label, float(confidence), None, text)


def world(seed: int) -> World:
    return World(np.random.default_rng(seed))


def monitor(
    reference: Mapping[str, NDArray[Any]], seed: int = 0, every: int = 100_000, policy: DriftPolicy = QUICK
) -> DriftMonitor:
    return DriftMonitor.from_reference(reference, false_alarm_every=every, seed=seed, policy=policy)


def episodes(watch: DriftMonitor, signals: Iterator[Signal]) -> list[Episode]:
    return [episode for signal in signals if (episode := watch.update(signal)) is not None]


@pytest.mark.parametrize("seed", range(repeats(3, 8)))
def test_stationary_stream_stays_silent(seed: int) -> None:
    here = world(seed)
    assert episodes(monitor(here.reference(), seed), here.signals(1_500)) == []


@pytest.mark.parametrize("seed", range(3))
def test_other_mix_of_known_labels_is_no_drift(seed: int) -> None:
    here = world(seed)
    watch = monitor(here.reference(), seed)
    assert episodes(watch, here.signals(600)) == []
    assert episodes(watch, here.signals(1_000, mix=np.array([0.4, 0.3, 0.1, 0.1, 0.04, 0.03, 0.02, 0.01]))) == []


def test_new_subject_is_found_soon_and_its_onset_is_near() -> None:
    for seed in range(repeats(2, 4)):
        here = world(seed)
        watch = monitor(here.reference(), seed)
        assert episodes(watch, here.signals(500)) == []
        (episode,) = episodes(watch, here.signals(200, new=0.2))
        assert 500 < episode.detected_event < 570
        assert abs(episode.onset_event - 501) <= 25


def test_new_subject_of_a_hundred_customers_who_come_again_is_found_as_soon() -> None:
    """Each text counted as a tenth, and never for the direction: it was not found within 1,000 events."""
    here = world(0)
    watch = monitor(here.reference(), 0)
    customers = (f"customer {number % 97}" for number in range(1_000))
    signals = itertools.chain(here.signals(500), here.signals(200, new=0.2))
    (episode,) = episodes(watch, (replace(signal, key=next(customers)) for signal in signals))
    assert 500 < episode.detected_event < 570


@pytest.mark.parametrize(("seed", "texts"), [(0, 200), (5, 250)])
def test_a_new_subject_of_three_in_a_hundred_is_found_by_the_sum_for_small_shares(seed: int, texts: int) -> None:
    here = world(seed)
    watch = monitor(here.reference(), seed)
    assert episodes(watch, here.signals(500)) == []
    episode = episodes(watch, here.signals(texts, new=0.03))[0]
    assert "small_share" in episode.detectors


def test_detection_falls_on_the_same_event_for_the_same_seed() -> None:
    both = []
    for _ in range(2):
        here = world(3)
        watch = monitor(here.reference(), 3)
        both.append(episodes(watch, iter([*here.signals(400), *here.signals(200, new=0.3)])))
    assert both[0] == both[1]
    assert (both[0][0].onset_event, both[0][0].detected_event) == EXPECTED_EVENTS


EXPECTED_EVENTS = (388, 410)


def test_one_cause_is_told_once() -> None:
    here = world(1)
    watch = monitor(here.reference())
    alarms = episodes(watch, iter([*here.signals(300), *here.signals(1_500, new=0.3)]))
    assert len(alarms) == 1 and watch.episode is not None and watch.episode.detected_id == alarms[0].detected_id


def test_monitor_arms_itself_again_when_the_stream_is_as_before() -> None:
    here = world(2)
    watch = monitor(here.reference())
    assert len(episodes(watch, iter([*here.signals(300), *here.signals(200, new=0.4)]))) == 1
    assert episodes(watch, here.signals(800)) == []
    assert watch.episode is None
    assert len(episodes(watch, here.signals(200, new=0.4))) == 1


def test_falling_confidence_is_found_without_embeddings() -> None:
    here = world(4)
    watch = monitor(here.reference())
    plain = (
        Signal(signal.id, signal.event_number, None, signal.label, signal.confidence) for signal in here.signals(500)
    )
    assert episodes(watch, plain) == []
    doubtful = (
        Signal(
            signal.id,
            signal.event_number,
            None,
            signal.label,
            signal.confidence * (0.5 if signal.event_number % 3 == 0 else 1.0),
        )
        for signal in here.signals(400)
    )
    (episode,) = episodes(watch, doubtful)
    assert episode.detectors == ("confidence",)


def test_release_without_a_sample_of_embeddings_still_detects() -> None:
    here = world(5)
    reference = {name: array for name, array in here.reference().items() if name != "reference_embeddings"}
    watch = monitor(reference)
    assert episodes(watch, here.signals(800)) == []
    assert len(episodes(watch, here.signals(300, new=0.4))) == 1


def test_copies_of_one_strange_text_are_not_as_many_texts() -> None:
    here = world(6)
    watch = monitor(here.reference())
    strange = here.texts(np.array([LABELS]))[0]
    for signal in here.signals(300):
        assert watch.update(signal) is None
        if signal.event_number % 10 == 0:
            copy = Signal(
                "c",
                signal.event_number,
                f"Order {signal.event_number}:  is THIS a bot?",
                "0",
                0.3,
                None,
                strange,
            )
            assert watch.update(copy) is None


def test_a_story_that_many_tell_in_a_row_is_no_new_subject() -> None:
    """180 alarms in 3,502 events came of a news day in its own order."""
    here = world(5)
    watch = monitor(here.reference())
    stories = [
        signal
        for story in range(12)
        for signal in (*here.signals(30, mix=np.eye(LABELS)[story % LABELS]), *here.signals(20))
    ]
    assert episodes(watch, iter(stories)) == []


def test_episode_says_what_is_new() -> None:
    here = world(8)
    watch = monitor(here.reference())
    for signal in here.signals(300, new=1e-9):
        watch.update(signal)
    (episode,) = episodes(watch, here.signals(300, new=0.3))
    assert {"recall", "battery", "fire"} <= set(episode.words)
    assert not {"order", "parcel"} & set(episode.words)
    assert len(episode.examples) >= 3
    named = ["recall" in str(example.text) for example in episode.examples]
    assert named[0] and sum(named) >= 3
    assert all(episode.onset_event <= example.event_number <= episode.detected_event for example in episode.examples)
    assert 0.15 < episode.share_after < 0.6 and episode.share_before < 0.08
    assert f"Since about event {episode.onset_event}" in episode.summary and "recall" in episode.summary


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "infinite"])
def test_signal_with_numbers_that_are_none_is_left_out(value: float) -> None:
    here = world(9)
    watch = monitor(here.reference())
    before = watch.levels
    assert watch.update(Signal("1", 1, "text", "0", value, None, np.ones(DIMENSIONS, np.float32))) is None
    assert watch.levels == before
    watch.update(Signal("2", 2, "text", "0", 0.9, None, np.full(DIMENSIONS, value, np.float32)))
    watch.update(Signal("3", 3, "text", "0", 0.9, None, np.zeros(DIMENSIONS, np.float32)))
    assert all(np.isfinite(level) for level in watch.levels.values())


def test_embedding_of_another_encoder_is_refused() -> None:
    watch = monitor(world(0).reference())
    with pytest.raises(ValueError, match="48 dimensions"):
        watch.update(Signal("1", 1, "text", "0", 0.9, None, np.ones(12, np.float32)))


@pytest.mark.parametrize("name", ["centroids", "reference_distances", "reference_confidence"])
def test_reference_that_lacks_an_array_is_refused_by_name(name: str) -> None:
    reference = {key: array for key, array in world(0).reference().items() if key != name}
    with pytest.raises(ModelError, match=name):
        Reference.from_arrays(reference)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("reference_distances", np.array([0.1, np.nan])),
        ("reference_embeddings", np.ones((5, 3))),
        ("centroids", np.ones(4)),
    ],
    ids=["not finite", "other dimensions", "no table"],
)
def test_reference_of_the_wrong_shape_is_refused(name: str, array: NDArray[Any]) -> None:
    with pytest.raises(ModelError):
        Reference.from_arrays(world(0).reference() | {name: array})


@pytest.mark.parametrize("texts", [1, 5, 40], ids=["one text", "five texts", "forty texts"])
def test_small_reference_gives_finite_thresholds_and_silence(texts: int) -> None:
    here = world(11)
    watch = monitor(here.reference(texts))
    assert all(np.isfinite(height) and height > 0 for height in watch.thresholds.values())


def few_texts(random: np.random.Generator, labels: int = 12, each: int = 20, dimensions: int = 160) -> list[Any]:
    """A release of few texts a label, and 1,000 texts more of the same labels: (reference, texts, confidence)."""
    subjects = random.standard_normal((labels, 1, dimensions)) / np.sqrt(dimensions)
    wordings = subjects + 0.7 * random.standard_normal((labels, 12, dimensions)) / np.sqrt(dimensions)
    spreads = np.linspace(0.4, 1.0, labels)[:, None]  # some labels are wider than others

    def draw(which: NDArray[np.int64]) -> Vectors:
        own = spreads[which] * random.standard_normal((len(which), dimensions)) / np.sqrt(dimensions)
        vectors = wordings[which, random.integers(12, size=len(which))] + own
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def unit_means(texts: Vectors, which: NDArray[np.int64]) -> Vectors:
        means = np.stack([texts[which == label].mean(axis=0) for label in range(labels)])
        unit: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit

    which = np.tile(np.arange(labels), each)
    known, fold = draw(which), np.arange(labels * each) // labels % 5
    centroids = unit_means(known, which)
    similar = np.empty((len(known), labels), np.float32)
    for one in range(5):  # by centroids of the other folds
        similar[fold == one] = known[fold == one] @ unit_means(known[fold != one], which[fold != one]).T
    confidence = np.exp(8 * similar).max(axis=1) / np.exp(8 * similar).sum(axis=1)
    reference = {
        "centroids": centroids,
        "reference_distances": 1.0 - similar.max(axis=1),
        "reference_confidence": confidence,
        "reference_embeddings": known,
    }
    stream = draw(random.integers(labels, size=1_000))
    logits = 8 * stream @ centroids.T
    return [reference, stream, np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)]


def test_few_texts_a_label_give_no_alarms() -> None:
    """Twenty texts a label tell roughly only where each label lies: no finding about the stream."""
    told = []
    for seed in range(repeats(4, 12)):
        reference, texts, confidence = few_texts(np.random.default_rng(seed))
        watch = monitor(reference, seed)
        stream = zip(texts, confidence, strict=True)
        signals = [Signal(str(n), n, None, "a", float(sure), None, text) for n, (text, sure) in enumerate(stream)]
        told += episodes(watch, iter(signals))
    assert told == []


def test_reference_with_more_labels_than_dimensions_still_works() -> None:
    here = world(12)
    many = np.random.default_rng(0).standard_normal((200, DIMENSIONS)).astype(np.float32)
    many /= np.linalg.norm(many, axis=1, keepdims=True)
    watch = monitor(here.reference() | {"centroids": many})
    for signal in here.signals(50):
        watch.update(signal)
    assert all(np.isfinite(level) for level in watch.levels.values())


def test_thresholds_are_the_same_for_a_seed_and_grow_with_the_expected_run() -> None:
    reference = Reference.from_arrays(world(0).reference())

    def heights(seed: int, run: float) -> list[float]:
        policy = QUICK.simulation
        heights = simulate_thresholds(reference, EvidencePolicy(), expected_run_events=run, seed=seed, policy=policy)
        return [float(height) for height in heights]

    assert heights(1, 1e5) == heights(1, 1e5)
    assert all(low < high for low, high in zip(heights(1, 1e4), heights(1, 1e6), strict=True))


def test_thresholds_take_at_most_two_seconds() -> None:
    reference = world(0).reference()
    started = time.process_time()
    DriftMonitor.from_reference(reference, false_alarm_every=100_000, seed=0)
    assert time.process_time() - started < 10.0  # measured: about 1; the promise is 2, and machines are slower


def test_threshold_of_exponential_climbs_is_where_theory_has_it() -> None:
    excursions = np.random.default_rng(0).exponential(1.5, 20_000)
    expected = 1.5 * np.log(20_000 * 1_000_000 / 500_000)
    assert threshold_from_climbs(excursions, 500_000, 1_000_000.0) == pytest.approx(expected, rel=0.12)


def test_threshold_is_neither_above_nor_below_its_place_on_average() -> None:
    random = np.random.default_rng(0)
    heights = [threshold_from_climbs(random.exponential(0.4, 2_000), 500_000, 100_000.0) for _ in range(200)]
    assert np.mean(heights) == pytest.approx(0.4 * np.log(2_000 * 100_000 / 500_000), rel=0.01)


def test_too_few_climbs_fall_back_on_the_bound_that_always_holds() -> None:
    assert threshold_from_climbs(np.array([1.0, 2.0]), 1_000, 1e5) == pytest.approx(np.log(1e5))


@given(st.integers(1, 3_000))
def test_tail_evidence_never_averages_above_one_on_the_reference(texts: int) -> None:
    surprisals = -np.log((np.arange(texts) + 2.0) / (texts + 1.0))
    assert np.exp(tail_evidence(surprisals)).mean() <= 1.0 + 1e-9
    assert np.all((unusual_share(surprisals) >= 0) & (unusual_share(surprisals) <= 1))


def test_direction_says_nothing_on_average_whatever_the_mix() -> None:
    here = world(13)
    reference = Reference.from_arrays(here.reference())
    evidence = Evidence(EvidencePolicy(), 200, reference.basis.shape[1], reference.spread)
    silent = np.zeros((200, len(TAILS)))
    ratios = []
    for _ in range(200):
        texts = here.texts(here.random.choice(LABELS, size=200, p=[0.7, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02]))
        increments = evidence.add(silent, texts @ reference.basis) - tail_evidence(np.zeros(1))
        ratios.append(np.exp(increments[:, 0]).mean())
    assert np.mean(ratios[50:]) == pytest.approx(1.0, abs=0.02)


@settings(max_examples=50)
@given(st.lists(st.floats(-5, 5)))
def test_cusum_stays_between_zero_and_its_threshold(increments: list[float]) -> None:
    cusum = Cusum(4.0)
    for increment in increments:
        cusum.update(increment)
        assert 0.0 <= cusum.value <= 4.0
        assert cusum.drift_detected == (cusum.value == 4.0)
        assert (cusum.texts_since_zero == 0) == (cusum.value == 0.0)
