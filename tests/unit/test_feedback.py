"""Which label of a decision counts."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.feedback import Opinions, of_topics
from streams.wire.records import Feedback

DECISION = "support.chats@0a1b2c3d-0-7"
SUBJECT = (DECISION, "intent")
# Written by d23f76a: the fields of its Feedback, as orjson gave them.
OLD_RECORD = (
    b'{"decision_id":"support.chats@0a1b2c3d-0-7","head":"intent","label":"refund","by":"ann",'
    b'"at":"2026-11-24T10:00:00.000Z"}'
)


def said(
    label: str | None,
    *,
    by: str = "ann",
    at: str = "2026-11-24T10:00:00Z",
    offset: int = 0,
    partition: int = 0,
    given_ms: int = 1_000,
    decision: str = DECISION,
) -> Record:
    feedback = Feedback(decision_id=decision, head="intent", label=label or "", by=by, at=at)
    value = None if label is None else feedback.encode()
    return Record("feedback.labels", partition, offset, feedback.key, value, given_ms)


def current_labels(records: Iterable[Record], topics: Iterable[str]) -> dict[tuple[str, str], Feedback]:
    opinions = Opinions(of_topics(topics))
    for record in records:
        opinions.take(record)
    return opinions.labels()


def label_of(records: Iterable[Record], topics: Iterable[str] = ("support.chats",)) -> str | None:
    feedback = current_labels(records, topics).get(SUBJECT)
    return None if feedback is None else feedback.label


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_several_people_the_latest_by_its_own_time_counts_whatever_partition_is_read_first(
    order: tuple[int, ...],
) -> None:
    """S-A13, M-10: the retrainer took the label that it happened to read last across four partitions."""
    records = [
        said("cancel", by="ann", at="2026-11-24T10:00:05Z", partition=0, given_ms=9_000),
        said("refund", by="bob", at="2026-11-24T12:30:00+02:00", partition=1, given_ms=1_000),
        said("fee", by="cay", at="2026-11-24T10:00:01Z", partition=2, given_ms=99_000),
    ]
    assert label_of(records[index] for index in order) == "refund"


def test_labels_of_the_same_time_have_one_winner_in_any_order() -> None:
    records = [said("cancel", by="ann"), said("refund", by="bob", partition=1), said("fee", by="cay", partition=2)]
    assert {label_of(order) for order in itertools.permutations(records)} == {"fee"}


def test_labels_of_priority_topics_count() -> None:
    """S-A13, D-B5, M-10: labels of decisions from priority topics counted for the request and never trained."""
    urgent = said("refund", decision="support.urgent@0a1b2c3d-0-1")
    labels = current_labels([urgent], ("support.chats", "support.urgent"))
    assert labels[("support.urgent@0a1b2c3d-0-1", "intent")].label == "refund"
    assert current_labels([urgent], ("support.chats",)) == {}


def test_a_tombstone_withdraws_one_persons_label_and_the_others_counts_again() -> None:
    both = [said("refund", by="ann"), said("fee", by="bob", at="2026-11-24T11:00:00Z", partition=1)]
    assert label_of(both) == "fee"
    assert label_of([*both, said(None, by="bob", offset=4, partition=1)]) == "refund"


def test_a_key_in_two_partitions_is_settled_by_the_records_times() -> None:
    """Two clients may share keys out differently; a withdrawal must reach the label it is about."""
    label, withdrawal = said("refund", partition=0, given_ms=1_000), said(None, partition=3, given_ms=2_000)
    assert label_of([label, withdrawal]) is None and label_of([withdrawal, label]) is None


def test_what_is_no_label_is_told_and_takes_the_place_of_what_stood_there() -> None:
    refused: list[Record] = []

    def refuse(record: Record, error: MessageError) -> None:
        refused.append(record)

    opinions = Opinions(of_topics(["support.chats"]), refuse)
    opinions.take(said("refund"))
    before, after = opinions.take(Record("feedback.labels", 0, 1, said("refund").key, b"[1]", 1_000))
    assert before is not None and after is None and len(refused) == 1 and opinions.labels() == {}


def test_a_label_without_a_readable_time_has_its_records() -> None:
    records = [said("refund", at="soon", given_ms=1_764_000_000_000), said("fee", by="bob", at="1999-01-01T00:00:00")]
    assert label_of(records) == "refund"


def test_a_label_written_by_an_older_headrace_is_read() -> None:
    record = Record("feedback.labels", 0, 0, f"{DECISION}|intent|ann".encode(), OLD_RECORD, 1_000)
    assert label_of([record]) == "refund"


steps = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cay"]),
        st.sampled_from(["refund", "fee", None]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(steps, st.randoms(use_true_random=False))
def test_the_label_is_the_same_in_whatever_order_partitions_are_read(
    opinions: list[tuple[str, str | None, int, int]], random: object
) -> None:
    records = [
        said(label, by=by, at=f"2026-11-24T10:00:0{second}Z", offset=offset, partition=partition, given_ms=offset)
        for offset, (by, label, second, partition) in enumerate(opinions)
    ]
    queues = [[record for record in records if record.partition == partition] for partition in range(4)]
    shuffled = list(records)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    order = [queues[record.partition].pop(0) for record in shuffled]
    assert label_of(order) == label_of(records)


@given(steps)
def test_each_step_tells_what_it_replaced(opinions: list[tuple[str, str | None, int, int]]) -> None:
    """Counting by what changes gives the same as counting what stands."""
    state, counted = Opinions(), 0
    for offset, (by, label, _, partition) in enumerate(opinions):
        before, after = state.take(said(label, by=by, offset=offset, partition=partition, given_ms=offset))
        counted += (after is not None) - (before is not None)
        assert counted == len(list(state))
