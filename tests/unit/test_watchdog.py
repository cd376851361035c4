from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.log_watch import LogWatch
from streams.engine.watchdog import (
    BrokerGone,
    LogChanged,
    LogState,
    Position,
    RoleState,
    RoleWatch,
    Stuck,
    TopicLog,
    cut_partitions,
    is_behind,
    lags,
)

T0 = ("texts", 0)


def log(end: int = 10, first: int = 0, epoch: str = "aaaaaaaa", cluster: str = "c1", partitions: int = 1) -> LogState:
    return LogState(cluster, {"texts": TopicLog(epoch, dict.fromkeys(range(partitions), (first, end)))})


def role(
    committed: int | None = 5,
    *,
    read: int | None = 5,
    outstanding: bool = False,
    paused: bool = False,
    finished: int = 0,
    in_flight: int = 0,
    may_take_long: bool = False,
    positions: Mapping[tuple[str, int], Position] | None = None,
) -> RoleState:
    given = {T0: Position(committed, read, outstanding, paused)} if positions is None else positions
    return RoleState("worker", given, finished, in_flight, may_take_long)


def test_a_partition_that_is_behind_and_does_not_move_stops_the_role_with_all_it_takes_to_look() -> None:
    watch = RoleWatch(60)
    watch.check(0, role(), log())
    watch.check(60, role(), log())
    with pytest.raises(Stuck, match=r"texts\[0\] position 5 of 10: nothing moved for 61 s"):
        watch.check(61, role(), log())


def test_a_position_that_moves_or_has_nothing_to_do_is_never_stuck() -> None:
    watch = RoleWatch(60)
    for minute in range(10):
        watch.check(60.0 * minute, role(committed=minute), log())
    for minute in range(10, 20):
        watch.check(60.0 * minute, role(committed=10), log())


def test_the_time_without_work_does_not_count_when_work_comes() -> None:
    watch = RoleWatch(60)
    watch.check(0, role(committed=10), log(end=10))
    watch.check(1_000, role(committed=10), log(end=10))
    watch.check(1_050, role(committed=10), log(end=11))
    with pytest.raises(Stuck):
        watch.check(1_061, role(committed=10), log(end=11))


def test_paused_partitions_wait_as_long_as_the_engine_finishes_others() -> None:
    watch = RoleWatch(60)
    for second in range(0, 1_000, 10):
        watch.check(second, role(paused=True, outstanding=True, finished=second + 1, in_flight=9), log())
    with pytest.raises(Stuck, match="in flight and none finished"):
        for second in range(1_000, 1_100, 10):
            watch.check(second, role(paused=True, outstanding=True, finished=1_000, in_flight=9), log())


def test_a_fetched_event_may_wait_its_turn_but_not_for_ever() -> None:
    watch = RoleWatch(60)
    for second in range(0, 300, 10):
        watch.check(second, role(outstanding=True, finished=second + 1, in_flight=9), log())
    with pytest.raises(Stuck, match=r"texts\[0\]"):
        for second in range(300, 400, 10):
            watch.check(second, role(outstanding=True, finished=second + 1, in_flight=9), log())


def test_one_silent_partition_beside_a_busy_one_is_noticed() -> None:
    watch = RoleWatch(60)
    with pytest.raises(Stuck, match=r"texts\[1\]"):
        for second in range(0, 100, 10):
            both = {T0: Position(second, second, False), ("texts", 1): Position(0, 0, False)}
            watch.check(second, role(positions=both, finished=second + 1), log(end=1_000, partitions=2))


def test_training_may_take_as_long_as_it_takes() -> None:
    watch = RoleWatch(60)
    for minute in range(60):
        watch.check(60.0 * minute, role(in_flight=1, outstanding=True, may_take_long=True), log())


def test_what_took_long_rightly_does_not_count_once_it_is_over() -> None:
    """A monitor that had read its topics for two minutes was ended at its first text, and the next one as well."""
    watch = RoleWatch(60)
    for second in range(0, 130, 10):
        watch.check(second, role(in_flight=9, outstanding=True, may_take_long=True), log())
    for second in range(130, 180, 10):
        watch.check(second, role(in_flight=9, outstanding=True), log())
    with pytest.raises(Stuck, match="9 events in flight and none finished"):
        watch.check(190, role(in_flight=9, outstanding=True), log())


def test_a_retrainer_that_does_not_take_its_request_is_stuck() -> None:
    watch = RoleWatch(60)
    watch.check(0, role(may_take_long=True), log())
    with pytest.raises(Stuck):
        watch.check(61, role(may_take_long=True), log())


def test_a_rebalance_that_does_not_end_stops_the_role_and_one_that_ends_does_not() -> None:
    watch = RoleWatch(60)
    away = RoleState("worker", None, 0, 0)
    watch.check(0, away, log())
    watch.check(59, away, log())
    watch.check(60, role(committed=10), log())
    watch.check(61, away, log())
    watch.check(120, away, log())
    with pytest.raises(Stuck, match="no place in its consumer group"):
        watch.check(122, away, log())


def test_standing_by_is_said_now_and_then_and_is_no_error() -> None:
    watch = RoleWatch(60)
    said = [second for second in range(0, 2_000, 10) if watch.check(second, role(positions={}), log())]
    assert len(said) == 3 and said[0] == 60


@pytest.mark.parametrize(
    ("position", "behind"),
    [
        pytest.param(Position(10, 10, False), False, id="at the end"),
        pytest.param(Position(7, 10, False), False, id="only transaction markers are left"),
        pytest.param(Position(7, 10, True), True, id="fetched to the end and not finished"),
        pytest.param(Position(7, 7, False), True, id="not fetched"),
        pytest.param(Position(None, None, False), True, id="nothing known yet"),
        pytest.param(Position(12, 12, False), False, id="a look older than the position"),
    ],
)
def test_behind_means_that_there_is_something_left_to_decide(position: Position, behind: bool) -> None:
    assert is_behind(position, (0, 10)) is behind


def test_an_emptied_log_is_not_behind_and_a_lag_counts_from_its_oldest_record() -> None:
    assert not is_behind(Position(None, None, False), (10, 10))
    assert lags({T0: Position(None, 4, False)}, log(end=10, first=4)) == {T0: 6}


@given(st.lists(st.tuples(st.floats(0.1, 59), st.booleans()), max_size=50))
def test_whatever_moves_at_least_once_in_the_limit_is_never_stopped(steps: list[tuple[float, bool]]) -> None:
    watch, now, committed = RoleWatch(60), 0.0, 0
    watch.check(now, role(committed=committed), log(end=1_000))
    for seconds, paused in steps:
        now, committed = now + seconds, committed + 1
        watch.check(now, role(committed=committed, read=committed, paused=paused), log(end=1_000))


T1 = ("texts", 1)
TWO = {T0: Position(5, None, False), T1: Position(5, 5, False)}


def test_a_cut_partition_is_held_and_never_called_stuck_while_the_others_go_on() -> None:
    """S-A14: the process left at once, and the next owner of the partition after it."""
    watch = RoleWatch(60)
    for second in range(0, 300, 10):
        positions = {T0: Position(5, None, False), T1: Position(second, second, False)}
        state = RoleState("worker", positions, second, 0, truncated={T0}, topics=["texts"])
        watch.check(second, state, log(first=0, end=1_000, partitions=2))
    cut = cut_partitions(state, log(first=6, partitions=2))
    assert list(cut) == [T0]
    assert "texts[0] no longer has what stands at position 5" in cut[T0]


def test_where_all_partitions_of_the_topics_were_cut_the_role_stops_with_a_choice() -> None:
    state = RoleState("worker", TWO, 0, 0, truncated={T0, T1}, topics=["texts"])
    with pytest.raises(LogChanged, match=r"texts\[0\].* position 5.*; texts\[1\].*--reset-position beginning"):
        RoleWatch(60).check(0, state, log(partitions=2))


def test_a_process_whose_only_partition_was_cut_stays_while_others_of_the_topic_are_whole() -> None:
    """It would be given the same partition after each restart, with a rebalance for all of the group every time."""
    state = RoleState("worker", {T0: Position(5, None, False)}, 0, 0, truncated={T0}, topics=["texts"])
    assert RoleWatch(60).check(0, state, log(partitions=2)) is None


def test_a_cut_that_the_client_has_not_met_yet_is_known_from_the_logs_beginning() -> None:
    state = RoleState("worker", {T0: Position(3, 3, False), T1: Position(4, 4, False)}, 0, 0)
    assert list(cut_partitions(state, log(first=4, partitions=2))) == [T0]


def test_what_was_cut_is_no_longer_told_of_a_partition_that_went_to_another() -> None:
    state = RoleState("worker", {T1: Position(4, 4, False)}, 0, 0, truncated={T0})
    assert not cut_partitions(state, log(first=4, partitions=2))


def test_a_group_that_flaps_does_not_hide_a_position_that_never_moves() -> None:
    """S-A17p: each rebalance began the count anew, so a worker in a flapping group stood still for ever."""
    watch, away = RoleWatch(60), RoleState("worker", None, 0, 0)
    with pytest.raises(Stuck, match="nothing moved for"):
        for cycle in range(100):
            start = cycle * 30.0
            for second in range(0, 20, 5):
                watch.check(start + second, role(), log())
            watch.check(start + 20, away, log())


def test_the_time_without_a_place_does_not_count_as_standing_still() -> None:
    watch, away = RoleWatch(60), RoleState("worker", None, 0, 0)
    watch.check(0, role(), log())
    watch.check(40, role(), log())
    watch.check(41, away, log())
    watch.check(95, away, log())
    watch.check(96, role(), log())
    watch.check(110, role(), log())
    with pytest.raises(Stuck):
        watch.check(125, role(), log())


def test_a_topic_is_gone_after_two_looks_and_not_after_one() -> None:
    watch = LogWatch(["texts"], 60)
    watch.looked(0, log())
    watch.looked(1, LogState("c1", {}))
    watch.looked(2, log())
    watch.looked(3, LogState("c1", {}))
    with pytest.raises(LogChanged, match=r"topic texts is gone.* a source topic only with --create-topics"):
        watch.looked(4, LogState("c1", {}))


def test_a_topic_that_was_made_again_stops_only_who_reads_it() -> None:
    writer, reader = LogWatch([], 60), LogWatch(["texts"], 60)
    for watch in (writer, reader):
        watch.looked(0, log())
    writer.looked(1, log(epoch="bbbbbbbb"))
    with pytest.raises(LogChanged, match=r"made again \(epoch bbbbbbbb, was aaaaaaaa"):
        reader.looked(1, log(epoch="bbbbbbbb"))


def test_another_cluster_is_told_before_its_missing_topics() -> None:
    watch = LogWatch(["texts"], 60)
    watch.looked(0, log())
    with pytest.raises(LogChanged, match=r"another Kafka cluster answers now \(c2, was c1"):
        watch.looked(1, LogState("c2", {}))


def test_a_silent_broker_is_waited_for_until_the_limit_also_when_the_looks_hang() -> None:
    watch = LogWatch(["texts"], 60)
    watch.looked(0, log())
    watch.unanswered(10, "connection refused")
    watch.check(60)
    watch.looked(61, log())
    watch.check(121)
    with pytest.raises(BrokerGone, match=r"61 s \(connection refused"):
        watch.check(122)
