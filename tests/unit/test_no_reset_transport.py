"""Which partitions are read from their beginning, and which are left where they were committed: without a broker."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from streams.faust_runtime.app import make_app
from streams.faust_runtime.no_reset_transport import NoResetThread

FORMER, NEW = TP("texts", 0), TP("texts", 1)


@dataclass
class State:
    """A partition as aiokafka's fetcher knows it. position: None where it has none yet."""

    committed: int | None
    position: int | None = None
    awaiting_reset: bool = False
    paused: bool = False
    has_valid_position: bool = field(init=False, default=False)

    async def fetch_committed(self) -> OffsetAndMetadata:
        return OffsetAndMetadata(-1 if self.committed is None else self.committed, "")

    def pause(self) -> None:
        self.paused = True

    def seek(self, offset: int) -> None:
        self.position, self.awaiting_reset, self.has_valid_position = offset, False, True


class Fetcher:
    """The client's: it goes on where the group stands, and where it stands nowhere asks for the beginning."""

    def __init__(self, states: Mapping[TP, State]) -> None:
        self.states = states

    async def _update_fetch_positions(self, _assignment: Any, _node: Any, partitions: Iterable[TP]) -> bool:
        for tp in partitions:
            state = self.states[tp]
            if state.awaiting_reset:
                state.seek(0)
            elif state.committed is None:
                state.awaiting_reset = True
            else:
                state.seek(state.committed)
        return False


def look(states: Mapping[TP, State], truncated: set[tuple[str, int]]) -> None:
    """The client looks twice at what has no position."""
    thread = NoResetThread.__new__(NoResetThread)
    thread.truncated_partitions = truncated
    fetcher: Any = Fetcher(states)
    thread._hold(fetcher)
    assignment = SimpleNamespace(state_value=states.__getitem__)

    async def twice() -> None:
        for _ in range(2):
            waiting = [tp for tp, state in states.items() if not state.has_valid_position]
            await fetcher._update_fetch_positions(assignment, 0, waiting)

    asyncio.run(twice())


def test_a_partition_that_appears_while_a_worker_runs_is_read_from_its_beginning(tmp_path: Path) -> None:
    """F-16 stays: a topic went from one to three partitions under `up`, and none of the new ones' records was lost."""
    states = {FORMER: State(committed=41), NEW: State(committed=None)}
    truncated: set[tuple[str, int]] = set()
    look(states, truncated)
    assert (states[FORMER].position, states[NEW].position) == (41, 0)
    assert not truncated and not any(state.paused for state in states.values())
    app = make_app("app", "kafka://127.0.0.1:1", folder=tmp_path)
    assert app.conf.consumer_auto_offset_reset == "earliest", "the beginning is what the client goes to there"


def test_a_partition_whose_next_record_is_gone_is_held_and_the_others_go_on() -> None:
    """S-A14."""
    states = {FORMER: State(committed=41, awaiting_reset=True), NEW: State(committed=7)}
    truncated: set[tuple[str, int]] = set()
    look(states, truncated)
    assert truncated == {("texts", 0)} and states[FORMER].paused
    assert states[FORMER].position == 41, "not a step further, not a step back"
    assert states[NEW].position == 7
