"""The conversations of the partitions that a worker has.

They are a function of the topic: of what was decided about the records before, in a window of so many records of each
partition. All of a conversation stands in the decision about its last message, so after an assignment it is read back
from the decisions, without a model and whatever releases decided them.

A record may come twice (a step is tried again, a partition comes back before its last batch was committed), and must
not count twice: of each conversation the last few states are kept, and a message takes up the one before itself.
"""

import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from streams.conversations.state import Conversation, read_back
from streams.engine.offset_tracker import Partition
from streams.wire.records import ConversationAnswer

log = logging.getLogger(__name__)

STATES: Final = 16  # of a conversation; more messages of one are seldom on their way
_PLACE: Final = re.compile(r"(?P<topic>.+)@(?P<epoch>[^@]*)-(?P<partition>\d{1,10})-(?P<offset>\d{1,19})")

# The decisions about the last records of these partitions that the group has committed, in any order, others among
# them or not. Raises ConnectorError.
Past = Callable[[Collection[Partition]], Iterable[Mapping[str, Any]]]
_States = deque[tuple[int, Conversation]]


class SourcePlace(NamedTuple):
    """Where a decision's source record stands. epoch: of its topic."""

    partition: Partition
    offset: int
    epoch: str


def source_place(identity: str) -> SourcePlace | None:
    """From a decision's id; None where it is another one's."""
    match = _PLACE.fullmatch(identity)
    if match is None:
        return None
    return SourcePlace((match["topic"], int(match["partition"])), int(match["offset"]), match["epoch"])


class ConversationMemory:
    """Told of each assignment (as a role's PartitionHolder). window: see `[conversations] window_records`. epochs: of
    each topic that is read."""

    def __init__(self, window: int, epochs: Mapping[str, str], past: Past = lambda partitions: ()) -> None:
        self._window, self._epochs, self._past = window, epochs, past
        # as the event loop was told last, and of which assignment the past was read; each is written by one thread
        self._assigned: list[Partition] | None = None
        self._read: list[Partition] | None = None
        self._known: dict[Partition, OrderedDict[str, _States]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Their past is read before the next message is decided, as the group waits for this."""
        self._assigned = list(partitions)  # another object each time: the same partitions may come twice

    def rebuild(self) -> None:
        """Where there was an assignment: forget all, and read back. Raises ConnectorError."""
        assigned = self._assigned
        if assigned is None or assigned is self._read:
            return
        past = list(self._past(tuple(assigned)))
        self._known.clear()
        self._read_back(past, frozenset(assigned))
        if self._known:
            log.info("%d conversations known from before, in %d partitions", len(self), len(self._known))
        self._read = assigned  # where there was another assignment meanwhile, that one is still to be read

    def before(self, partition: Partition, offset: int, identity: str) -> Conversation | None:
        """The conversation as the message at this offset finds it, which depends on the window alone; None: it is the
        first one that is known."""
        known = self._known.get(partition)
        states = None if known is None else known.get(identity)
        while states and states[-1][0] >= offset:
            states.pop()
        if not states or states[-1][0] < offset - self._window:
            return None
        state = states[-1][1]
        return replace(state, turns=tuple(turn for turn in state.turns if turn.offset >= offset - self._window))

    def keep(self, partition: Partition, offset: int, conversation: Conversation) -> None:
        """As it is after the message at this offset. Conversations that the window has left behind are forgotten."""
        known = self._known.setdefault(partition, OrderedDict())
        known.setdefault(conversation.id, deque(maxlen=STATES)).append((offset, conversation))
        known.move_to_end(conversation.id)
        while known:
            states = next(iter(known.values()))
            if states and states[-1][0] >= offset - self._window:
                return
            known.popitem(last=False)

    def _read_back(self, decisions: Iterable[Mapping[str, Any]], partitions: frozenset[Partition]) -> None:
        told: dict[tuple[Partition, int], tuple[ConversationAnswer, Mapping[str, Any]]] = {}
        for decision in decisions:
            place = source_place(decision["id"])
            if place is None or place.partition not in partitions or "conversation" not in decision:
                continue
            if place.epoch != self._epochs.get(place.partition[0]) or place[:2] in told:
                continue  # of a topic that is gone; or a repeat, of which the first decision counts, as in the store
            try:
                said = ConversationAnswer.model_validate(decision["conversation"])
            except ValidationError:
                continue
            told[place[:2]] = said, decision["labels"]
        for (partition, offset), (said, labels) in sorted(told.items(), key=lambda one: one[0]):
            state = read_back(said, offset, labels, self.before(partition, offset, said.id))
            if state is not None:
                self.keep(partition, offset, state)
