from hypothesis import given
from hypothesis import strategies as st

from streams.engine.offset_tracker import InFlight, OffsetTracker

PARTITION = ("texts", 0)


def test_nothing_is_acknowledged_past_an_unfinished_delivery() -> None:
    mark: OffsetTracker[int] = OffsetTracker()
    mark.assign([PARTITION])
    first, second, third = (mark.deliver(PARTITION, n) for n in range(3))
    assert mark.mark_done([second]) == []
    assert mark.mark_done([third]) == []
    assert mark.mark_done([first]) == [0, 1, 2]


def test_what_finishes_after_a_revoke_is_not_acknowledged() -> None:
    mark: OffsetTracker[int] = OffsetTracker()
    mark.assign([PARTITION])
    ticket = mark.deliver(PARTITION, 0)
    mark.revoke([PARTITION])
    assert mark.mark_done([ticket]) == []


def test_what_was_delivered_before_a_reassignment_does_not_count_after_it() -> None:
    mark: OffsetTracker[int] = OffsetTracker()
    mark.assign([PARTITION])
    old = mark.deliver(PARTITION, 0)
    mark.assign([PARTITION])
    again = mark.deliver(PARTITION, 0)
    assert mark.mark_done([old]) == []
    assert mark.mark_done([again]) == [0]


@given(st.permutations(range(12)), st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_each_partition_is_acknowledged_in_delivery_order_and_completely(
    order: list[int], partitions: list[int]
) -> None:
    mark: OffsetTracker[int] = OffsetTracker()
    mark.assign([("texts", p) for p in range(3)])
    tickets: list[InFlight[int]] = [mark.deliver(("texts", p), n) for n, p in enumerate(partitions)]
    done: set[int] = set()
    acknowledged: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for n in order:
        done.add(n)
        for handle in mark.mark_done([tickets[n]]):
            acknowledged[partitions[handle]].append(handle)
            assert all(earlier in done for earlier in range(handle + 1) if partitions[earlier] == partitions[handle])
    for partition, handles in acknowledged.items():
        assert handles == [n for n, p in enumerate(partitions) if p == partition]
    assert not any(mark.is_in_flight(("texts", p)) for p in range(3))
