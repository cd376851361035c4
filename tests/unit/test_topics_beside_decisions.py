"""What is of one conversation comes to one dispatcher: its topics have as many partitions as each other."""

import pytest
from desk import APP

from connectors.ports import TopicState
from headrace.process.builder import RoleBuilder
from headrace.tools.doctor.cluster import _dispatcher_topics
from models.errors import ConfigError
from streams.topics import beside_standing, own_specs

PLAIN = APP.model_copy(update={"name": "plain", "hand_over": None})


class Admin:
    """A broker that has these topics."""

    def __init__(self, partitions: dict[str, int]) -> None:
        self.partitions = partitions

    def describe(self, names: tuple[str, ...]) -> dict[str, TopicState]:
        return {
            name: TopicState(name, self.partitions[name], 1, "delete", "e0")
            for name in names
            if name in self.partitions
        }


def test_topics_that_are_new_get_as_many_partitions_as_the_decisions_that_stand() -> None:
    """An application that begins to hand over, on a topic that was made with more: before, `headrace up` refused it."""
    wanted = beside_standing(own_specs([APP, PLAIN]), [APP, PLAIN], {"decisions.desk": 12, "decisions.plain": 7})
    partitions = {spec.name: spec.partitions for spec in wanted}
    assert {partitions[topic] for topic in APP.dispatch_topics} == {12}
    assert partitions["decisions.plain"] == partitions["trials.desk"] == APP.partitions
    assert beside_standing(own_specs([APP]), [APP], {}) == own_specs([APP])


@pytest.mark.parametrize(
    ("partitions", "is_right"),
    [
        ({}, True),
        ({"decisions.desk": 8}, True),
        (dict.fromkeys(("decisions.desk", *APP.dispatch_topics), 8), True),
        ({"decisions.desk": 8, "answers.desk": 4}, False),
    ],
)
def test_topics_that_do_not_belong_together_are_told_and_refused(partitions: dict[str, int], is_right: bool) -> None:
    admin = Admin(partitions)
    (finding,) = _dispatcher_topics(admin, APP)  # type: ignore[arg-type]
    assert finding.ok == is_right
    builder = object.__new__(RoleBuilder)
    builder._admin = admin  # type: ignore[assignment]
    if is_right:
        builder._refuse_other_partitions(APP)
        return
    assert "decisions.desk has 8, answers.desk has 4" in finding.detail
    with pytest.raises(ConfigError, match=r"answers\.desk has 4"):
        builder._refuse_other_partitions(APP)
