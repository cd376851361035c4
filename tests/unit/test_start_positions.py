import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.assignor.partition_assignor import PartitionAssignor

from connectors.ports import GroupPosition, TopicState
from headrace.process.consumer_groups import ConsumerGroup, consumer_groups
from headrace.process.start_offsets import pin, positions_to_pin, reset, take_over
from models.errors import ConfigError
from streams.application import Application, HeadSpec
from streams.faust_runtime.app import make_app

BOUNDS = {0: (5, 90), 1: (0, 10)}
EPOCH = "aaaaaaaa"
HEADS = (HeadSpec(name="intent", column="intent"),)
APPS = [Application(name=name, topic=f"{name}.texts", heads=HEADS) for name in ("one", "two")]
ROLES = ("worker", "indexer", "monitor", "retrainer")


@dataclass
class Admin:
    """A cluster in which every topic has the same log. groups: group and topic to positions."""

    groups: dict[tuple[str, str], dict[int, GroupPosition]] = field(default_factory=dict)
    running: dict[str, list[str]] = field(default_factory=dict)
    bounds: Mapping[int, tuple[int, int]] = field(default_factory=lambda: BOUNDS)

    def offsets(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return self.bounds

    def describe(self, names: list[str]) -> dict[str, TopicState]:
        return {name: TopicState(name, len(self.bounds), 1, "delete", EPOCH) for name in names}

    def positions(self, group: str, topic: str) -> dict[int, GroupPosition]:
        return self.groups.get((group, topic), {})

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return {partition: position.offset for partition, position in self.positions(group, topic).items()}

    def members(self, group: str) -> list[str]:
        return self.running.get(group, [])

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], epoch: str = "") -> dict[int, int]:
        if self.members(group):
            return {}
        positions = {partition: GroupPosition(offset, epoch) for partition, offset in offsets.items()}
        self.groups[group, topic] = self.positions(group, topic) | positions
        return dict(offsets)


def admin_at(group: str, topic: str, positions: dict[int, int], epoch: str = EPOCH) -> Admin:
    return Admin({(group, topic): {p: GroupPosition(offset, epoch) for p, offset in positions.items()}})


def test_a_first_start_reads_from_the_end() -> None:
    assert positions_to_pin(BOUNDS, {}, from_beginning=False) == {0: 90, 1: 10}


def test_a_first_start_from_the_beginning_reads_what_the_log_still_holds() -> None:
    assert positions_to_pin(BOUNDS, {}, from_beginning=True) == {0: 5, 1: 0}


def test_committed_positions_are_never_moved_and_a_new_partition_is_read_whole() -> None:
    assert positions_to_pin(BOUNDS, {0: 7}, from_beginning=False) == {1: 0}


@pytest.mark.parametrize(
    ("offset", "epoch"),
    [
        pytest.param(91, EPOCH, id="past the end"),
        pytest.param(7, "bbbbbbbb", id="in the log, but of a topic that is gone"),
    ],
)
def test_a_position_in_another_log_stops_with_a_choice(offset: int, epoch: str) -> None:
    """A topic that was made again while nothing ran was read on at the old offset where that happened to lie in it."""
    admin = admin_at("group", "texts", {0: offset, 1: 4}, epoch)
    before = dict(admin.groups)
    with pytest.raises(ConfigError, match="--reset-position beginning"):
        pin(admin, "group", ["texts"], from_beginning=False)  # type: ignore[arg-type]
    assert admin.groups == before


def test_a_group_whose_every_partition_was_cut_stops_with_a_choice() -> None:
    admin = Admin({("group", "texts"): {0: GroupPosition(4, EPOCH)}})
    with pytest.raises(ConfigError, match=r"texts\[0\] offset 4, but the log begins at 5"):
        pin(admin, "group", ["texts"], from_beginning=False)  # type: ignore[arg-type]


def test_one_cut_partition_does_not_keep_a_start_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """S-A14: with 100 partitions, 99 healthy ones stood because retention had overtaken one."""
    admin = admin_at("group", "texts", {0: 4, 1: 4})
    assert pin(admin, "group", ["texts"], from_beginning=False) == {"texts": EPOCH}  # type: ignore[arg-type]
    assert admin.committed("group", "texts") == {0: 4, 1: 4}
    assert "texts[0] offset 4, but the log begins at 5" in caplog.text


def test_a_topic_that_joins_a_running_group_is_told_to_be_read_from_the_beginning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S-A17a: the commit of its first position is refused; the log said "from the end", and the beginning was read."""
    caplog.set_level(logging.INFO)
    admin = Admin(running={"group": ["10.0.0.1"]})
    pin(admin, "group", ["vip"], from_beginning=False)  # type: ignore[arg-type]
    assert "the beginning is read" in caplog.text
    assert "the end" not in caplog.text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("to_beginning", "moved_to"), [(True, 5), (False, 90)])
def test_a_reset_moves_the_lost_positions_of_the_role_that_is_started_and_no_others(
    role: str, to_beginning: bool, moved_to: int, caplog: pytest.LogCaptureFixture
) -> None:
    """S-A7, D-B1: the advice, followed with an indexer, moved the worker's group: undecided events were skipped."""
    all_groups = [group for other in ROLES for group in consumer_groups(other, APPS)]
    lost = {0: GroupPosition(4, EPOCH), 1: GroupPosition(7, EPOCH)}
    admin = Admin({(group.name, topic): dict(lost) for group in all_groups for topic in group.topics})
    started = consumer_groups(role, APPS)
    reset(admin, started, to_beginning=to_beginning)  # type: ignore[arg-type]
    own = {(group.name, topic) for group in started for topic in group.topics}
    for place, positions in admin.groups.items():
        offsets = {partition: position.offset for partition, position in positions.items()}
        assert offsets == ({0: moved_to, 1: 7} if place in own else {0: 4, 1: 7}), place
    for name, topic in own:
        assert f"{name}: {topic}[0] moved from 4 to {moved_to}" in caplog.text


def test_a_reset_moves_positions_of_a_topic_that_was_made_again_though_they_lie_in_the_new_one() -> None:
    admin = admin_at("group", "texts", {0: 40, 1: 3}, epoch="bbbbbbbb")
    assert reset(admin, [ConsumerGroup("group", ("texts",))], to_beginning=True) == 2  # type: ignore[arg-type]
    assert admin.positions("group", "texts") == {0: GroupPosition(5, EPOCH), 1: GroupPosition(0, EPOCH)}


def test_a_reset_is_refused_while_a_member_of_any_of_the_groups_runs() -> None:
    """S-A7: it was an INFO line, and the start went on into the same advice."""
    admin = admin_at("idle", "texts", {0: 4})
    admin.running["busy"] = ["10.0.0.1", "10.0.0.2"]
    groups = [ConsumerGroup("idle", ("texts",)), ConsumerGroup("busy", ("texts",))]
    with pytest.raises(ConfigError, match=r"group busy has 2 running members on 10.0.0.1, 10.0.0.2") as refused:
        reset(admin, groups, to_beginning=True)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert admin.committed("idle", "texts") == {0: 4}, "nothing may be moved before all is known to be idle"


def test_good_positions_are_left_by_a_reset() -> None:
    admin = admin_at("group", "texts", {0: 50, 1: 10})
    assert reset(admin, [ConsumerGroup("group", ("texts",))], to_beginning=True) == 0  # type: ignore[arg-type]
    assert admin.committed("group", "texts") == {0: 50, 1: 10}


@pytest.mark.parametrize("role", ["worker", "indexer"])
def test_each_application_has_a_group_of_its_own_in_each_role(role: str) -> None:
    """Applications in one group dropped each other's records: a member acknowledges what is not its own."""
    groups = consumer_groups(role, APPS)
    assert [group.name for group in groups] == [f"headrace-{role}-one", f"headrace-{role}-two"]
    assert not set(groups[0].topics) & set(groups[1].topics)


def test_applications_named_alike_share_a_group_and_each_keeps_and_reads_its_own_topic(tmp_path: Path) -> None:
    """F-17 stays: two files named alike, other topics, both running: 12 of 12 each."""
    first, second = (Application(name="tickets", topic=f"{place}.tickets", heads=HEADS) for place in ("north", "south"))
    (group,), (other,) = (consumer_groups("worker", [app]) for app in (first, second))
    assert group.name == other.name and not set(group.topics) & set(other.topics)
    admin = admin_at(group.name, "north.tickets", {0: 7, 1: 9})
    pin(admin, other.name, other.topics, from_beginning=False)  # type: ignore[arg-type]
    assert admin.committed(group.name, "north.tickets") == {0: 7, 1: 9}
    assert admin.committed(group.name, "south.tickets") == {0: 90, 1: 10}
    assignor = PartitionAssignor(make_app(group.name, "kafka://127.0.0.1:1", folder=tmp_path))
    members = {place: assignor.metadata({f"{place}.tickets"}) for place in ("north", "south")}
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda _: {0, 1})
    for place, share in assignor.assign(cluster, members).items():
        assert share.assignment == [(f"{place}.tickets", [0, 1])]


def test_a_group_that_never_was_goes_on_where_the_old_shared_one_stands() -> None:
    admin = admin_at("old", "texts", {0: 7, 1: 9})
    take_over(admin, "old", "new", ["texts"])  # type: ignore[arg-type]
    assert admin.committed("new", "texts") == {0: 7, 1: 9}


def test_a_group_with_positions_of_its_own_takes_none_over() -> None:
    admin = admin_at("old", "texts", {0: 7})
    admin.groups["new", "texts"] = {0: GroupPosition(12)}
    take_over(admin, "old", "new", ["texts"])  # type: ignore[arg-type]
    assert admin.committed("new", "texts") == {0: 12}
