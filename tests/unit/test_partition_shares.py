"""Which partitions a worker gets: every one gets some while there are enough."""

from pathlib import Path

import pytest
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor
from hypothesis import given, settings
from hypothesis import strategies as st
from repeats import repeats

from streams.faust_runtime.app import make_app


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder: Path = tmp_path_factory.mktemp("faust")
    app = make_app("workers", "kafka://127.0.0.1:9092", folder=folder)
    return int(app.assignor.replicas)  # type: ignore[attr-defined]


def shares(owned: list[set[int]], partitions: int, replicas: int) -> list[int]:
    """Sizes after a rebalance, by what each worker held before; a newcomer held nothing."""
    members = {
        f"worker-{number}": CopartitionedAssignment(set(own), set(), {"texts"}) for number, own in enumerate(owned)
    }
    assigned = CopartitionedAssignor({"texts"}, members, partitions, replicas).get_assignment()
    assert sorted(p for assignment in assigned.values() for p in assignment.actives) == list(range(partitions))
    return sorted(len(assignment.actives) for assignment in assigned.values())


def test_a_fourth_worker_gets_a_partition_of_six(replicas: int) -> None:
    assert shares([{0, 3}, {1, 2}, {4, 5}, set()], 6, replicas) == [1, 1, 2, 2]


@settings(deadline=None, max_examples=repeats(60, 200))
@given(partitions=st.integers(1, 12), data=st.data())
def test_no_worker_is_left_without_a_partition_and_none_has_more_than_its_share(
    replicas: int, partitions: int, data: st.DataObject
) -> None:
    workers = data.draw(st.integers(1, partitions))
    owners = data.draw(
        st.lists(st.integers(0, workers), min_size=partitions, max_size=partitions)
    )  # `workers`: nobody's
    owned = [{p for p, owner in enumerate(owners) if owner == worker} for worker in range(workers)]
    counts = shares(owned, partitions, replicas)
    assert counts[0] >= 1
    assert counts[-1] <= -(-partitions // workers)
