import pytest

from headrace.process.consumer_groups import consumer_groups
from headrace.process.start_offsets import pin, positions_to_pin, take_over
from models.errors import ConfigError
from streams.application import Application, HeadSpec

BOUNDS = {0: (5, 90), 1: (0, 10)}


class Admin:
    def __init__(self, committed: dict[int, int]) -> None:
        self._committed = committed
        self.commits: list[tuple[str, str, dict[int, int]]] = []

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        return BOUNDS

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return self._committed

    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        self.commits.append((group, topic, offsets))


def test_a_first_start_reads_from_the_end() -> None:
    assert positions_to_pin(BOUNDS, {}, from_beginning=False) == {0: 90, 1: 10}


def test_a_first_start_from_the_beginning_reads_what_the_log_still_holds() -> None:
    assert positions_to_pin(BOUNDS, {}, from_beginning=True) == {0: 5, 1: 0}


def test_committed_positions_are_never_moved_and_a_new_partition_is_read_whole() -> None:
    assert positions_to_pin(BOUNDS, {0: 7}, from_beginning=False) == {1: 0}


@pytest.mark.parametrize(
    "offset", [pytest.param(4, id="below what retention left"), pytest.param(91, id="past the end")]
)
def test_a_committed_position_outside_the_log_stops_with_a_choice(offset: int) -> None:
    admin = Admin({0: offset})
    with pytest.raises(ConfigError, match="--reset-position"):
        pin(admin, "group", ["texts"], from_beginning=False)  # type: ignore[arg-type]
    assert admin.commits == []


APPS = [
    Application(name=name, topic=f"{name}.texts", heads=(HeadSpec(name="intent", column="intent"),))
    for name in ("one", "two")
]


@pytest.mark.parametrize("role", ["worker", "indexer"])
def test_each_application_has_a_group_of_its_own_in_each_role(role: str) -> None:
    """Applications in one group dropped each other's records: a member acknowledges what is not its own."""
    groups = consumer_groups(role, APPS)
    assert [group.name for group in groups] == [f"headrace-{role}-one", f"headrace-{role}-two"]
    assert not set(groups[0].topics) & set(groups[1].topics)


class Groups:
    """An admin that knows positions by group."""

    def __init__(self, **committed: dict[int, int]) -> None:
        self.positions = committed

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return self.positions.get(group, {})

    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        self.positions[group] = dict(offsets)


def test_a_group_that_never_was_goes_on_where_the_old_shared_one_stands() -> None:
    admin = Groups(old={0: 7, 1: 9})
    take_over(admin, "old", "new", ["texts"])  # type: ignore[arg-type]
    assert admin.positions["new"] == {0: 7, 1: 9}


def test_a_group_with_positions_of_its_own_takes_none_over() -> None:
    admin = Groups(old={0: 7}, new={0: 12})
    take_over(admin, "old", "new", ["texts"])  # type: ignore[arg-type]
    assert admin.positions["new"] == {0: 12}
