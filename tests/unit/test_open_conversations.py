"""What a dispatcher remembers of open conversations: counted without looking at each, and small."""

import tracemalloc
from pathlib import Path

from desk import FILE, MINUTE_MS, NOON_MS, decision
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.application import parse_application
from streams.dispatcher.dispatching import PartitionDispatcher
from streams.dispatcher.open_conversations import OpenConversations
from streams.wire.records import HeldConversation, format_time

PUT = st.tuples(st.sampled_from("abcd"), st.sampled_from(("people", "headrace")), st.none() | st.integers(0, 9))


def held(identity: str, owner: str, due: int | None) -> HeldConversation:
    return HeldConversation.model_validate(
        {"id": identity, "app": "desk", "owner": owner, "step": "taken", "reason": "r", "asked_by": "ann"}
        | {"at": format_time(NOON_MS), "revision": 1, "version": 1, "queue": "q"}
        | ({} if due is None else {"respond_by": format_time(NOON_MS + due)})
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(PUT | st.sampled_from("abcd")))
def test_what_is_counted_is_what_stands(events: list[tuple[str, str, int | None] | str]) -> None:
    known, slow = OpenConversations({}, MINUTE_MS), dict[str, HeldConversation]()
    for event in events:
        if isinstance(event, str):
            known.drop(event)
            slow.pop(event, None)
        else:
            slow[event[0]] = held(*event)
            known.put(slow[event[0]])
    assert {name: known.get(name) for name in known} == slow
    assert known.with_people == sum(one.owner == "people" for one in slow.values())
    late = [one for one in slow.values() if one.respond_by and one.respond_by < format_time(NOON_MS + 5)]
    assert known.overdue(NOON_MS + 5) == len(late)


def test_a_conversation_with_people_takes_less_than_4_kb() -> None:
    """8.4 kB, while all of it stood there as values."""
    app = parse_application(FILE.replace("window_records = 100", "window_records = 50000"), Path(), "desk.toml")
    dispatcher, sizes = PartitionDispatcher(app), []
    tracemalloc.start()
    try:
        for number in range(3_001):
            if number in (1_000, 3_000):
                sizes.append(tracemalloc.get_traced_memory()[0])
            made = decision(number, key=f"c{number}", version=1, text="my parcel has not come " * 5)
            dispatcher.take_decision(f"decisions.desk@d0-0-{number}", number, made)
    finally:
        tracemalloc.stop()
    assert dispatcher.with_people == 3_001
    assert (sizes[1] - sizes[0]) / 2_000 < 4_000
