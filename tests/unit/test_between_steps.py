"""What is written by one thread and read by another is whole at any moment: each place between two steps is tried."""

import asyncio
import contextlib
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.consumer.subscription_state import Subscription
from aiokafka.structs import TopicPartition
from interleaving import interleaved

from headrace.process.broker_probe import BrokerProbe
from headrace.process.event_loop_watchdog import LOOK_SECONDS, EventLoopWatchdog
from headrace.process.health import Health, HealthState
from headrace.process.monitor_sources import KafkaMonitorSources
from headrace.process.release_control import UNREADY_SECONDS, ReleaseControl
from headrace.process.watch import Watch
from headrace.releases.item_maps import MapControl
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.batch_histogram import BatchHistogram
from streams.classify.fast_path_guard import STEP, WINDOW_AUDITS, FastPathGuard
from streams.classify.model_failures import ModelFailures
from streams.classify.release_reconciler import ReleaseReconciler
from streams.conversations.memory import ConversationMemory
from streams.engine.watchdog import LogState
from streams.faust_runtime.backpressure import FetchGate
from streams.faust_runtime.offsets import positions
from streams.metrics import Metrics
from streams.monitor.core import MonitorTotals
from streams.monitor.event_rate import ByChance
from streams.recommend.handler import RecommendHandler
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


def test_a_loop_that_turns_while_it_is_looked_at_has_not_stood_still() -> None:
    """Both wrote one number, and the look's was the last: a loop that had just come back seemed to stand still."""

    def make() -> Any:
        left: list[int] = []
        watch = EventLoopWatchdog(3 * LOOK_SECONDS, 1, left.append)

        def look() -> None:
            ends = iter([False, False, False, True])
            watch._closing.wait = lambda _: next(ends)  # type: ignore[method-assign,assignment]  # no time passes here
            watch._run()

        def ticked() -> None:
            ends = iter([False, True])
            watch._closing.wait = lambda _: next(ends)  # type: ignore[method-assign,assignment]
            watch._run()
            assert left == []

        return look, watch.tick, ticked

    interleaved(make)


def test_a_gap_that_closes_is_no_reason_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "shop: None, for 31 s"."""
    monkeypatch.setattr(
        "headrace.process.release_control.ReleaseReconciler", lambda *_: SimpleNamespace(gaps=dict, hear=0)
    )

    def make() -> Any:
        wiring: Any = SimpleNamespace(reader=None, publisher=None, release_log=lambda: SimpleNamespace(settle=None))
        registry: Any = None
        control = ReleaseControl(wiring, registry, Metrics(), lambda *_: None)
        encoder: Any = None
        shop = MapControl(wiring, registry, "shop", encoder, Metrics(), clock=lambda: UNREADY_SECONDS + 1)
        shop._gap = (0.0, "2 is wanted and not served")
        control._maps["shop"] = shop

        def look() -> None:
            assert control.not_ready() in ([], ["shop: 2 is wanted and not served, for 31 s"])

        def closes() -> None:
            shop._gap = None

        return look, closes

    interleaved(make)


def test_a_reconciler_that_is_closed_ends_whenever_that_is() -> None:
    """Closed between its last look at that and the next step, it waited for a change that never came."""

    class Changed(threading.Event):
        """Notes where somebody would wait for ever."""

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None or self.is_set() or not reconciler._closing.is_set(), "nobody wakes it again"
            reconciler.close()  # else it would look for ever
            return True

    reconciler: ReleaseReconciler

    def make() -> Any:
        nonlocal reconciler
        load: Any = None
        reconciler = ReleaseReconciler(load)
        reconciler._changed = Changed()
        return reconciler._run, reconciler.close

    interleaved(make)


def test_what_a_release_s_thresholds_rose_by_is_never_taken_for_another_ones() -> None:
    def make() -> Any:
        one, two = (
            SimpleNamespace(model="m", version=version, fast_path=SimpleNamespace(measured={})) for version in "12"
        )
        guard: Any = FastPathGuard()
        guard.observe(one, [False] * WINDOW_AUDITS)
        assert guard.threshold_increase(one) == STEP

        def look() -> None:
            assert guard.threshold_increase(two) == 0.0

        return lambda: guard.observe(two, [True]), look

    interleaved(make)


@pytest.mark.parametrize("of", ["conversations", "a shop"])
def test_an_assignment_is_never_lost_to_the_one_before(of: str) -> None:
    """One that came just as the one before was done with was taken for it: its past was not read, and what was of
    others stayed."""

    def make() -> Any:
        if of == "conversations":
            known: Any = ConversationMemory(10, {})
            known._past = lambda partitions: read.append(list(partitions)) or ()
            assigned, rebuild = known.assigned, known.rebuild
        else:
            app = Application(name="shop", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
            shop: Any = RecommendHandler(app, Recommender(["a"], np.ones((1, 4), np.float32)), "v", {})
            shop.recommender.forget = lambda: read.append(list(shop._assigned))
            assigned, rebuild = lambda partitions: asked(shop.assigned(partitions)), shop._rebuild
        read = list[list[tuple[str, int]]]()
        assigned([("chats", 0)])

        def is_read_whenever_it_came() -> None:
            rebuild()
            assert read[-1] == [("chats", 1)]

        return rebuild, lambda: assigned([("chats", 1)]), is_read_whenever_it_came

    interleaved(make)


def asked(coroutine: Any) -> None:
    """One that waits for nothing, without an event loop."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


def test_labels_that_are_left_while_they_are_asked_for_are_none() -> None:
    """A process that ended told of a monitor that had failed."""
    follower = SimpleNamespace(take=lambda: ([], True), close=lambda: None)

    def make() -> Any:
        sources = KafkaMonitorSources.__new__(KafkaMonitorSources)
        sources._labels = sources._accepted = follower  # type: ignore[assignment]  # what is asked of one
        return lambda: (sources.labels(), sources.accepted(), sources.leave_labels()), sources.leave_labels

    interleaved(make)


@pytest.mark.parametrize("what", ["a position that is taken away", "another assignment"])
def test_positions_are_those_of_one_moment_of_the_clients_own_thread(what: str) -> None:
    """AssertionError out of the client, where retention overtook a reader just then: the process ended of it."""
    one, two = TopicPartition("texts", 0), TopicPartition("texts", 1)

    def make() -> Any:
        subscription = Subscription({"texts"})
        subscription._assign([one])
        state = subscription.assignment.state_value(one)
        state.seek(5)
        client = SimpleNamespace(_subscription=SimpleNamespace(subscription=subscription))
        consumer = SimpleNamespace(_thread=SimpleNamespace(_consumer=client), _committed_offset={}, _read_offset={})
        app: Any = SimpleNamespace(_consumer=consumer)

        def look() -> None:
            given = positions(app, FetchGate(), lambda _: False) or {}
            read = {place: position.read for (_, place), position in given.items()}
            assert read in ({0: 5}, {0: None} if what.startswith("a position") else {0: None, 1: None})

        def other() -> None:
            if what.startswith("a position"):
                state.await_reset(1)
            else:
                subscription._assign([one, two])

        return look, other

    async def with_a_loop() -> None:  # the client's states want one
        interleaved(make)

    asyncio.run(with_a_loop())


def test_failures_that_two_steps_add_at_once_all_count() -> None:
    failures = ModelFailures()
    other = threading.Thread(target=lambda: failures.add("prepare", "m@1", 1, ValueError()))

    class Slow(Counter[str]):
        """Between the reading of a count and its writing another thread has its turn."""

        def __getitem__(self, step: str) -> int:
            count = super().__getitem__(step)
            if threading.current_thread() is not other:
                other.start()
                other.join(0.2)
            return count

    failures.counts = Slow()
    failures.add("prepare", "m@1", 1, ValueError())
    other.join(60)
    assert dict(failures.counts) == {"prepare": 2}
