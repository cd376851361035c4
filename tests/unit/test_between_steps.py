"""What is written by one thread and read by another is whole at any moment: each place between two steps is tried."""

from typing import Any

import pytest
from interleaving import interleaved

from headrace.process.broker_probe import BrokerProbe
from headrace.process.health import Health, HealthState
from headrace.process.watch import Watch
from streams.batch_histogram import BatchHistogram
from streams.engine.watchdog import LogState
from streams.metrics import Metrics
from streams.monitor.core import MonitorTotals
from streams.monitor.event_rate import ByChance
from streams.role_counts import RoleCounts


def test_each_place_between_two_steps_is_tried_once() -> None:
    tried: list[int] = []
    health = Health()
    assert interleaved(lambda: (health.ready, lambda: tried.append(1))) == len(tried) > 10
    with pytest.raises(AssertionError, match="no step in the project's code"):
        interleaved(lambda: (lambda: sum(range(9)), lambda: None))


def totals_of(histogram: BatchHistogram) -> dict[str, float]:
    (family,) = histogram.collect()
    return {sample.name: sample.value for sample in family.samples if "le" not in sample.labels}


@pytest.mark.parametrize("before", [0, 3])
def test_a_scrape_sees_a_batchs_count_and_sum_together(before: int) -> None:
    """KeyError within an application's first batch: its counts were there before their sum."""

    def make() -> Any:
        histogram, batch = BatchHistogram("x_seconds", "x", "app", [1.0]), [0.5] * 4
        if before:
            histogram.observe_all("support", [0.5] * before)

        def look() -> None:
            seen = totals_of(histogram)
            assert seen.get("x_seconds_sum", 0.0) == 0.5 * seen.get("x_seconds_count", 0.0)

        return lambda: histogram.observe_all("support", batch), look

    interleaved(make)


@pytest.mark.parametrize("what", ["a detector's first episode", "no stated rate any more", "a notifier, a dispatcher"])
def test_a_scrape_is_answered_whatever_changes_meanwhile(what: str) -> None:
    """RuntimeError (a table changed while it was gone through) and AttributeError (what was asked of is None now)."""

    def make() -> Any:
        counts, totals = RoleCounts(), MonitorTotals(by_chance=ByChance(1_000, 500.0, 0.5, 24.0))
        counts.monitors["support"] = totals
        totals.detections["text"] = 1
        follow(counts, "support")

        def other() -> None:
            if what == "a detector's first episode":
                totals.detections["another"] += 1
            elif what == "no stated rate any more":
                totals.by_chance = None
            else:
                follow(counts, "finance")

        return lambda: list(counts.collect()), other

    interleaved(make)


def follow(counts: RoleCounts, app: str) -> None:
    """As at a start, while Prometheus asks already."""
    counts.told[app], counts.to_tell[app] = {"pager": {"told": 1}}, lambda: {"pager": 0}
    counts.dispatched[app], counts.standing[app] = {"sent": 1}, lambda: {"people": 1}
    counts.timers_silence[app] = lambda: 0.0


def test_what_serves_is_told_of_one_application_while_another_one_begins() -> None:
    """RuntimeError: each is told by a thread of its own, and all stood in one set."""

    def make() -> Any:
        metrics = Metrics()
        metrics.serving("shop", {"champion": "1", "canary": "2"})
        return lambda: metrics.serving("shop", {"champion": "2"}), lambda: metrics.release("support", "1")

    interleaved(make)


def test_health_tells_reasons_and_roles_of_the_same_look() -> None:
    def make() -> Any:
        health = Health()
        health.update(HealthState(["worker stands still"], ["worker stands still"], {"worker": "stands still"}))
        said: list[dict[str, Any]] = []

        def look() -> None:
            said.extend((health.ready(), health.live()))
            for answer in said:
                assert bool(answer["reasons"]) == bool(answer["roles"])

        return look, lambda: health.update(HealthState())

    interleaved(make)


def test_a_store_that_answers_again_is_no_reason_without_words() -> None:
    """ "store: None"."""

    def make() -> Any:
        lookout = BrokerProbe(lambda: LogState("c", {}), [], 60)
        lookout.store_trouble = "no answer"
        watch = Watch(60, lookout=lookout)

        def look() -> None:
            watch._tell(0.0, [], 0.0)
            assert "store: None" not in watch.health.ready()["reasons"]

        return look, lambda: setattr(lookout, "store_trouble", None)

    interleaved(make)
