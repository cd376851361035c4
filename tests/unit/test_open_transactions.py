"""A transaction that stays open keeps records back: that is told, and is no reason to stop."""

import logging

import pytest
from test_health import Role, Seen, checked

from headrace.process.watch import Watch
from streams.engine.open_transactions import OpenTransaction, TransactionWatch, open_transactions
from streams.engine.watchdog import LogState, Position, RoleState, RoleWatch, TopicLog, lags
from streams.metrics import Metrics

T0 = ("texts", 0)


def log(stable: int, end: int) -> LogState:
    return LogState("c", {"texts": TopicLog("aaaaaaaa", {0: (0, stable)}, {0: end})})


def test_a_log_that_ends_behind_its_last_stable_offset_has_an_open_transaction() -> None:
    assert open_transactions(log(5, 9)) == [OpenTransaction(T0, 5, 4)]
    assert open_transactions(log(9, 9)) == []
    assert open_transactions(LogState("c", {"texts": TopicLog("aaaaaaaa", {0: (0, 9)})})) == []


def test_a_reader_at_the_last_stable_offset_is_never_stuck_and_has_no_lag() -> None:
    """F-8, F-9: measured to the log's end, a worker that waits for a transaction would leave as stuck after 90 s."""
    position = Position(committed=5, read=5, outstanding=False)
    watch = RoleWatch(60)
    for minute in range(10):
        assert watch.check(60.0 * minute, RoleState("worker", {T0: position}, 5, 0), log(5, 9)) is None
    assert lags({T0: position}, log(5, 9)) == {T0: 0}


def test_an_open_transaction_is_told_after_a_minute_and_then_every_ten() -> None:
    watch = TransactionWatch()
    lines = [line for second in range(1_400) for line in watch.check(second, open_transactions(log(5, 9)))]
    assert len(lines) == 3
    assert "texts[0]: a transaction has been open at offset 5 for 61 s and keeps 4 offsets back" in lines[0]


def test_transactions_that_end_are_not_told_however_many_follow() -> None:
    watch = TransactionWatch()
    assert [watch.check(50.0 * turn, open_transactions(log(5 + turn, 9 + turn))) for turn in range(20)] == [[]] * 20
    assert watch.check(2_000, []) == []


def test_an_open_transaction_stands_in_metrics_and_health_and_the_process_stays_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    watch = Watch(60, lookout=Seen(log(5, 9)), metrics=metrics)
    with caplog.at_level(logging.WARNING):
        answer = checked(watch, [Role()])
    assert answer["status"] == "ok"
    assert answer["roles"]["worker"]["partitions"]["texts[0]"]["behind_open_transaction"] == 4  # type: ignore[index]
    labels = {"topic": "texts", "partition": "0"}
    assert metrics.registry.get_sample_value("headrace_behind_open_transaction_events", labels) == 4
