"""Another new subject beside an open episode opens its own; the same one never does, whatever is left of it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from repeats import repeats
from test_drift import DIMENSIONS, LABELS, QUICK, World, monitor, world

from streams.monitor.drift.detector import DriftMonitor, Episode, Signal

FIRST, SECOND = LABELS, LABELS + 1


def two_new(seed: int) -> World:
    """A world with a tenth subject, which the release does not know either."""
    here = world(seed)
    other = np.random.default_rng(99).standard_normal(DIMENSIONS).astype(np.float32)
    here.subjects = np.vstack([here.subjects, other / np.linalg.norm(other)])
    return here


def signals(here: World, events: int, shares: Mapping[int, float] | None = None) -> Iterator[Signal]:
    """shares: of new subjects; all else is known."""
    shares = shares or {}
    known = (1.0 - sum(shares.values())) / LABELS
    mix = np.full(len(here.subjects), known)
    mix[LABELS:] = [shares.get(subject, 0.0) for subject in range(LABELS, len(here.subjects))]
    texts = here.texts(here.random.choice(len(mix), size=events, p=mix))
    for text, confidence in zip(texts, here.confidence(texts), strict=True):
        here.sent += 1
        label = str(np.argmax(text @ here.subjects[:LABELS].T))
        yield Signal(f"s@1-0-{here.sent}", here.sent, None, label, float(confidence), None, text, at=f"at {here.sent}")


def found(watch: DriftMonitor, stream: Iterator[Signal]) -> list[Episode]:
    return [episode for signal in stream if (episode := watch.update(signal)) is not None]


@pytest.mark.parametrize("seed", range(repeats(2, 4)))
def test_another_new_subject_opens_an_episode_of_its_own(seed: int) -> None:
    here = two_new(seed)
    watch = monitor(here.reference(), seed)
    assert len(found(watch, iter([*signals(here, 400), *signals(here, 500, {FIRST: 0.2})]))) == 1
    began = here.sent
    (second,) = found(watch, signals(here, 400, {FIRST: 0.2, SECOND: 0.2}))
    assert second.detected_event - began < 200 and abs(second.onset_event - began) <= 60
    assert 0.1 < watch.episodes[1].share_after < 0.35, "of its own texts, not of both subjects'"
    assert [one.detected_id for one in watch.episodes] == [watch.episodes[0].detected_id, second.detected_id]
    assert watch.take_ended() == []


def test_the_episode_whose_texts_cease_ends_and_the_other_goes_on() -> None:
    here = two_new(1)
    watch = monitor(here.reference(), 1)
    found(watch, iter([*signals(here, 400), *signals(here, 500, {FIRST: 0.2})]))
    found(watch, signals(here, 600, {FIRST: 0.2, SECOND: 0.2}))
    first, second = watch.episodes
    assert found(watch, signals(here, 800, {SECOND: 0.2})) == []
    ((ended, merged_into),) = watch.take_ended()
    assert (ended.detected_id, merged_into) == (first.detected_id, "")
    assert [one.detected_id for one in watch.episodes] == [second.detected_id]
    assert len(found(watch, signals(here, 300, {FIRST: 0.3, SECOND: 0.2}))) == 1, "and may come again"


def test_episodes_that_turn_out_to_be_of_one_subject_are_merged_into_the_first() -> None:
    here = two_new(2)
    watch = monitor(here.reference(), 2)
    (first,) = found(watch, iter([*signals(here, 400), *signals(here, 500, {FIRST: 0.2})]))
    (second,) = found(watch, signals(here, 150, {FIRST: 0.1, SECOND: 0.2}))
    _, later = watch._open
    later.episode = replace(later.episode, centre=watch.episodes[0].centre)
    later.episode = replace(later.episode, told_event=10**9)  # told no more
    assert found(watch, signals(here, 200, {FIRST: 0.2})) == []
    ((ended, merged_into),) = watch.take_ended()
    assert (ended.detected_id, merged_into) == (second.detected_id, first.detected_id)
    assert len(watch.episodes) == 1


def test_an_episode_is_ended_by_its_name_alone() -> None:
    here = two_new(1)
    watch = monitor(here.reference(), 1)
    found(watch, iter([*signals(here, 400), *signals(here, 500, {FIRST: 0.2})]))
    found(watch, signals(here, 300, {FIRST: 0.2, SECOND: 0.2}))
    first, second = watch.episodes
    watch.end_episode(first.detected_id)
    assert [one.detected_id for one in watch.episodes] == [second.detected_id]
    assert [one.episode.detected_id for one in watch.take_ended()] == [first.detected_id]


def test_stopped_between_two_episodes_it_goes_on_as_if_it_never_had() -> None:
    here = two_new(0)
    arrays = here.reference()
    whole = monitor(arrays, 0)
    stream = [*signals(here, 300), *signals(here, 400, {FIRST: 0.2}), *signals(here, 400, {FIRST: 0.2, SECOND: 0.2})]
    stream += signals(here, 500, {SECOND: 0.2})
    stopped, seen = whole_again(whole, arrays, []), 0
    for number, signal in enumerate(stream):
        if number in (350, 500, 600, 720, 950, 1_300):
            stopped, seen = whole_again(stopped, arrays, stream[:number]), seen + 1
        assert whole.update(signal) == stopped.update(signal)
        assert whole.episodes == stopped.episodes and whole.take_ended() == stopped.take_ended()
    assert seen == 6 and whole.state() == stopped.state() and len(whole.episodes) >= 1


def whole_again(watch: DriftMonitor, arrays: Mapping[str, Any], before: list[Signal]) -> DriftMonitor:
    again = DriftMonitor(watch._reference, watch._sums.live._simulated, QUICK)
    state = orjson.loads(orjson.dumps(watch.state()))
    again.restore(state, before[-len(state["history"]) :] if state["history"] else [])
    return again


def test_the_only_episode_of_an_earlier_version_goes_on() -> None:
    here = two_new(0)
    watch = monitor(here.reference(), 0)
    (first,) = found(watch, iter([*signals(here, 300), *signals(here, 100, {FIRST: 0.3})]))
    state = watch.state()
    (part,) = state.pop("episodes")["open"]
    story = {name: value for name, value in part["story"].items() if name not in ("parts", "detected_at")}
    old = {**state, "episode": story, "quiet": 3}
    again = DriftMonitor(watch._reference, watch._sums.live._simulated, QUICK)
    again.restore(orjson.loads(orjson.dumps(old)), [])
    assert [one.detected_id for one in again.episodes] == [first.detected_id]
    again.restore({**old, "episode": None}, [])
    assert again.episodes == ()
