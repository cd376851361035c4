"""An outage of what a release knows is a burst of its label and no drift; what begins beside it still is."""

from collections.abc import Iterator

import numpy as np
import pytest
from test_drift import LABELS, World, episodes, monitor, world

from streams.monitor.drift.detector import Signal


def test_an_outage_of_a_known_subject_is_a_burst_of_its_label_and_no_drift() -> None:
    here = world(4)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(1_000)) == [] == watch.take_burst_changes()
    only = np.eye(LABELS)[3]
    told: list[tuple[int, str, str]] = []
    for number, signal in enumerate(here.signals(80, mix=only), start=1):
        assert watch.update(signal) is None
        told += [(number, change.state, change.burst.label) for change in watch.take_burst_changes()]
    assert [(state, label) for _, state, label in told] == [("firing", "3")] and told[0][0] <= 15
    assert episodes(watch, here.signals(400)) == []
    assert [change.state for change in watch.take_burst_changes()] == ["resolved"]


def test_what_an_outage_added_before_it_was_told_is_no_drift() -> None:
    """An outage's first texts are known as such once it is told: two of twenty outages were told as drift as well."""
    here = world(0)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(1_000)) == []
    outside = np.linalg.svd(here.subjects[:LABELS])[2][-1]
    texts = here.texts(np.full(20, 3)) + 0.4 * outside
    for number, (text, confidence) in enumerate(zip(texts, here.confidence(texts), strict=True), start=1_001):
        signal = Signal(f"s@1-0-{number}", number, None, "rare", float(confidence), None, text.astype(np.float32))
        assert watch.update(signal) is None
        if [change.state for change in watch.take_burst_changes()] == ["firing"]:
            break
    assert watch.bursts.texts_of("rare") >= 5
    assert max(watch.levels.values()) < 0.05


def outage_with_odd_texts(here: World, word: str, odd_every: int = 6) -> Iterator[Signal]:
    """120 complaints in a row that hold a word of their own. Of most no embedding is known; one in `odd_every` lies
    where no known text does, the model gives it to another label, and it holds `word`."""
    far = np.linalg.svd(here.subjects[:LABELS])[2][-1]
    for number in range(120):
        here.sent += 1
        own = "".join("abcdefghij"[int(digit)] for digit in str(here.sent))
        is_odd = number % odd_every == odd_every - 1
        text = here.texts(np.array([number % LABELS]))[0] + 0.9 * far
        yield Signal(
            f"s@1-0-{here.sent}",
            here.sent,
            f"{own}x {word if is_odd else 'activate'} {own}y",
            str(number % 3) if is_odd else "3",
            0.3 if is_odd else 0.95,
            None,
            (text / np.linalg.norm(text)).astype(np.float32) if is_odd else None,
        )


@pytest.mark.parametrize(("word", "is_drift"), [("activate", False), ("recall", True)])
def test_odd_texts_that_speak_of_an_outage_are_of_it_and_others_are_not(word: str, is_drift: bool) -> None:
    """An outage whose texts the fast path decides has nothing that an odd one is near to: one in twenty was told as
    drift as well."""
    here = world(6)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(800, new=1e-9)) == []
    assert bool(episodes(watch, outage_with_odd_texts(here, word))) is is_drift
    assert [change.burst.label for change in watch.take_burst_changes()] == ["3"]


@pytest.mark.parametrize("seed", range(2))
def test_what_may_be_the_beginning_of_an_outage_is_no_drift_until_that_is_known(seed: int) -> None:
    """An outage of badly typed complaints was told as drift after eight texts, as a burst after fourteen."""
    here = world(seed)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(800, new=1e-9)) == []
    assert episodes(watch, outage_with_odd_texts(here, "activate", odd_every=3)) == []
    assert [change.burst.label for change in watch.take_burst_changes()] == ["3"]


@pytest.mark.parametrize("seed", range(2))
def test_a_new_subject_waits_for_no_burst_that_does_not_come(seed: int) -> None:
    here = world(seed)
    watch = monitor(here.reference())
    assert episodes(watch, here.signals(800)) == []
    assert len(episodes(watch, here.signals(25, new=0.9))) == 1
