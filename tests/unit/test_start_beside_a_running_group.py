"""A process that starts while its group runs looks at positions that move on."""

from typing import Any, cast

from connectors.kafka.client import KafkaAdmin
from connectors.ports import GroupPosition, TopicState
from headrace.process.start_offsets import standing


class BusyAdmin:
    """Each look finds the topic one record longer, and the group at its end."""

    def __init__(self) -> None:
        self._end = 308

    def offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        self._end += 1
        return {0: (0, self._end)}

    def positions(self, group: str, topic: str) -> dict[int, GroupPosition]:
        self._end += 1
        return {0: GroupPosition(self._end, "")}

    def describe(self, names: list[str]) -> dict[str, TopicState]:
        return {name: TopicState(name, 1, 1, "delete", "0a1b2c3d") for name in names}


def test_a_group_that_moves_on_between_two_looks_has_not_lost_its_place() -> None:
    """A second monitor left at its start: "offset 309, but the log ends at 308 (the topic was made again)"."""
    admin: Any = BusyAdmin()
    assert not list(standing(cast(KafkaAdmin, admin), "headrace-monitor-support", "signals.support").lost())
