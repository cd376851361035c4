"""Bursts of known labels: told soon and once, over when they are, never a new subject."""

from collections.abc import Iterable

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.drift.burst_alerts import burst_alert, burst_alerts
from streams.monitor.drift.bursts import BurstChange, BurstEvent, BurstPolicy, LabelBursts

LABELS = [f"label {number}" for number in range(40)]


def usual(events: int, seed: int = 0) -> list[str]:
    """Some labels far more frequent than others."""
    shares = 1.0 / np.arange(1, len(LABELS) + 1)
    return [str(label) for label in np.random.default_rng(seed).choice(LABELS, events, p=shares / shares.sum())]


def watch(
    labels: Iterable[str], bursts: LabelBursts | None = None, weight: float = 1.0
) -> list[tuple[int, BurstChange]]:
    bursts = bursts or LabelBursts(len(LABELS), 100_000)
    return [
        (number, change)
        for number, label in enumerate(labels)
        for change in bursts.observe(
            label,
            BurstEvent(f"s@1-0-{number}", f"2026-11-27T00:{number // 60 % 60:02}:{number % 60:02}Z", label, weight),
        )
    ]


def test_labels_at_their_usual_shares_are_no_burst() -> None:
    assert [watch(usual(5_000, seed)) for seed in range(4)] == [[]] * 4


@pytest.mark.parametrize("label", ["label 0", "label 9", "label 39", "one never seen before"])
def test_a_burst_is_told_once_within_fifteen_texts_and_is_over_soon(label: str) -> None:
    changes = watch([*usual(2_000), *[label] * 60, *usual(400, 1)])
    assert [(change.state, change.burst.label) for _, change in changes] == [("firing", label), ("resolved", label)]
    (begin, _), (end, _) = changes
    assert 2_000 <= begin < 2_015 + 10 * (label == "label 0") and 2_060 < end < 2_260


def test_a_burst_among_other_texts_is_told() -> None:
    mixed = [label if number % 3 else "label 20" for number, label in enumerate(usual(300, 2))]
    changes = watch([*usual(2_000), *mixed])
    assert [(change.state, change.burst.label) for _, change in changes] == [("firing", "label 20")]
    assert changes[0][0] < 2_045 and changes[0][1].burst.times_usual > 10


def test_one_persons_flood_is_no_burst() -> None:
    """The n-th text of a key counts one n-th."""
    bursts = LabelBursts(len(LABELS), 100_000)
    watch(usual(2_000), bursts)
    flood = [
        change for nth in range(1, 41) for change in bursts.observe("label 20", BurstEvent("x", "", None, 1 / nth))
    ]
    assert flood == []


def test_a_share_that_stays_becomes_usual() -> None:
    changes = watch(
        [*usual(1_000), *[label if number % 5 else "label 30" for number, label in enumerate(usual(12_000, 3))]]
    )
    assert [change.state for _, change in changes][:2] == ["firing", "resolved"] and len(changes) <= 2


def test_a_burst_is_over_once_more_of_its_texts_say_that_they_are_no_known_ones() -> None:
    """Ten texts of a new subject that is near a label may look like that label's."""
    bursts = LabelBursts(len(LABELS), 100_000)
    watch(usual(2_000), bursts)
    changes = [
        (number, change)
        for number in range(60)
        for change in bursts.observe("label 20", BurstEvent("x", "", None, surprisal=2.2 if number < 15 else 2.6))
    ]
    assert [change.state for _, change in changes] == ["firing", "resolved"]
    assert changes[0][0] < 15 < changes[1][0] < 45
    assert "none that the release learnt" in burst_alerts("bank", "1", [changes[1][1]])[0].summary
    assert not bursts.firing


def test_nothing_is_told_before_the_stream_is_known() -> None:
    settled = BurstPolicy().settle_texts
    assert watch([*usual(settled - 50), *["label 30"] * 49]) == [] != watch([*usual(settled), *["label 30"] * 49])


@pytest.mark.parametrize(
    ("surprisal", "is_burst"),
    [(1.0, True), (1.9, True), (2.5, False), (4.0, False)],
    ids=["known", "of a label that is hard to tell", "of a subject beside", "far out"],
)
def test_texts_that_look_like_no_known_ones_are_no_burst_of_their_label(surprisal: float, is_burst: bool) -> None:
    """A new subject that the model gives one label is no outage of that."""
    bursts = LabelBursts(len(LABELS), 100_000)
    watch(usual(2_000), bursts)
    for _ in range(30):
        bursts.observe("label 20", BurstEvent("x", "", None, surprisal=surprisal))
    assert (bursts.texts_of("label 20") > 0) is is_burst


@given(st.integers(0, 20), st.lists(st.integers(0, 900), min_size=1, max_size=4))
@settings(deadline=None, max_examples=15)
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(seed: int, stops: list[int]) -> None:
    labels = [*usual(700, seed), *["label 12"] * 30, *usual(200, seed + 1)]
    whole, stopped = LabelBursts(len(LABELS), 1_000), LabelBursts(len(LABELS), 1_000)
    for number, label in enumerate(labels):
        if number in stops:
            state = orjson.loads(orjson.dumps(stopped.state()))
            stopped = LabelBursts(len(LABELS), 1_000)
            stopped.restore(state)
        event = BurstEvent(str(number), "", None, 0.5)
        assert whole.observe(label, event) == stopped.observe(label, event)
    assert whole.state() == stopped.state()


def test_the_alert_says_how_many_in_how_long_and_how_unusual() -> None:
    changes = [change for _, change in watch([*usual(2_000), *["label 33"] * 60, *usual(400, 1)])]
    firing, resolved = burst_alerts("support", "3", changes)
    assert firing.rule == "label_burst" and firing.state == "firing" and firing.fingerprint == resolved.fingerprint
    assert resolved.state == "resolved" and firing.values["label"] == "label 33"
    assert len(firing.evidence) == 5 and firing.evidence[0]["id"] == "s@1-0-2000"
    burst = changes[0].burst
    burst.first_at, burst.last_at, burst.texts, burst.events, burst.share = (
        "2026-11-27T10:00:00Z",
        "2026-11-27T10:10:00Z",
        40,
        100,
        1 / 30,
    )
    summary = burst_alert("support", "3", burst).summary
    assert summary == "support: label 33: 40 texts in 10 minutes, 12 times its usual."


def test_labels_that_nobody_knows_take_no_memory_for_good_and_hide_no_burst() -> None:
    """A writer that put ever new names into its signals made the monitor grow with each."""
    bursts = LabelBursts(len(LABELS), 100_000)
    foreign = [f"foreign {number}" for number in range(6_000)]
    watch([label for pair in zip(foreign, usual(6_000), strict=True) for label in pair], bursts)
    assert len(bursts.state()["usual"]) <= len(LABELS) + 1_000
    share = bursts.usual_share("label 0")
    assert 0.5 * usual(6_000).count("label 0") / 6_000 * 0.9 < share < 0.5 * usual(6_000).count("label 0") / 6_000 * 1.2
    changes = watch([*usual(300, 1), *["label 9"] * 40], bursts)
    assert [change.state for _, change in changes] == ["firing"]
