"""What was said lately in a partition of decisions, whoever has the conversation: what people are shown once they take
over. It holds what so many last decisions said, so it can be read back from them."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from streams.wire.records import ConversationAnswer, Utterance, decode
from streams.wire.records.base import Wire

_Said = tuple[int, tuple[bytes, ...]]  # as records: a fifth of the memory of their values


@dataclass(frozen=True, slots=True)
class About:
    """What a decision says of its conversation beside the words. priority: None: there is none. place: where the
    decision stands."""

    conversation: ConversationAnswer
    priority: str | None = None
    place: str | None = None


class Window:
    """records: how many decisions it reaches back."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._known: OrderedDict[str, deque[_Said]] = OrderedDict()  # by conversation, the longest silent one first
        self._about: dict[str, tuple[bytes, str | None, str | None]] = {}  # of each, what its last decision says
        self._ids: OrderedDict[str, int] = OrderedDict()  # decisions' ids to their offsets

    def __contains__(self, decision_id: str) -> bool:
        return decision_id in self._ids

    def has(self, conversation: str) -> bool:
        """Whether anything was said in it within the window."""
        return conversation in self._known

    def __len__(self) -> int:
        return len(self._ids)

    def move_to(self, offset: int) -> list[str]:
        """A decision at this offset is looked at. Returns the conversations that the window has left behind."""
        start = offset - self._records
        while self._ids and next(iter(self._ids.values())) <= start:
            self._ids.popitem(last=False)
        gone = []
        while self._known:
            identity, said = next(iter(self._known.items()))
            while said and said[0][0] <= start:
                said.popleft()
            if said:
                break
            del self._known[identity], self._about[identity]
            gone.append(identity)
        return gone

    def add(self, offset: int, decision_id: str, about: About, said: Sequence[Utterance]) -> None:
        """What this decision's message said, and what was answered."""
        conversation = about.conversation.id
        self._ids[decision_id] = offset
        self._about[conversation] = (compact(about.conversation), about.priority, about.place)
        self._known.setdefault(conversation, deque()).append((offset, tuple(map(compact, said))))
        self._known.move_to_end(conversation)

    def said(self, conversation: str, offset: int) -> list[Utterance]:
        """What was said in it, as the decision at this offset finds it."""
        start = offset - self._records
        known = self._known.get(conversation, ())
        return [decode(Utterance, one) for at, each in known if at > start for one in each]

    def about(self, conversation: str) -> About | None:
        """What its last decision says of it; None: nothing was said in it within the window."""
        known = self._about.get(conversation)
        return None if known is None else About(decode(ConversationAnswer, known[0]), *known[1:])


def compact(record: Wire) -> bytes:
    """As it stands in the topic. Copied: what orjson gives keeps the room that it was written in."""
    return bytes(memoryview(record.encode()))
