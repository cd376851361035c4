from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from connectors.ports import Record
from headrace.replay.labels import TrueLabels, is_file, labels_from_file, labels_from_topic
from models.errors import ConfigError
from streams.application import HeadSpec
from streams.wire.records import Feedback

HEADS = (HeadSpec(name="intent", column="topic"), HeadSpec(name="urgency", column="urgency"))
PREFIX = "chats@0a1b2c3d-"


def from_csv(folder: Path, text: str) -> TrueLabels:
    file = folder / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return labels_from_file(file, HEADS, PREFIX)


def test_a_file_with_ids_gives_labels_by_head_and_tells_ids_of_other_topics(tmp_path: Path) -> None:
    labels = from_csv(
        tmp_path,
        f"id,head,label\n{PREFIX}0-1,intent,refund\n{PREFIX}0-1,urgency,high\nother@0a1b2c3d-0-1,intent,fee\n{PREFIX}0-2,,fee\n",
    )
    assert labels.matched_by == "id"
    assert labels.of(f"{PREFIX}0-1", "") == {"intent": "refund", "urgency": "high"}
    assert labels.of(f"{PREFIX}0-2", "") == {"intent": "fee"}
    assert labels.of(f"{PREFIX}0-3", "") is None
    assert labels.report() == {
        "source": "labels.csv",
        "matched_by": "id",
        "given": 3,
        "matched": 3,
        "events": 2,
        "foreign": 1,
        "disagreeing": 0,
        "unusable": 0,
        "silent": 0,
    }


def test_a_file_with_texts_matches_every_event_with_that_text_and_counts_contradictions(tmp_path: Path) -> None:
    labels = from_csv(
        tmp_path, "text,label\nwhere is it,delivery\nwhere is it,parcel\nmoney back,refund\nnever asked,fee\n"
    )
    for _ in range(3):
        assert labels.of("any", "where is it") == {"intent": "parcel"}
    report = labels.report()
    assert (report["matched_by"], report["given"], report["matched"], report["events"], report["disagreeing"]) == (
        "text",
        4,
        1,
        3,
        1,
    )


def test_a_corpus_with_the_heads_own_columns_labels_every_head(tmp_path: Path) -> None:
    labels = from_csv(tmp_path, "text,topic,urgency\nhello,greeting,low\nbye,,high\n")
    assert labels.of("", "hello") == {"intent": "greeting", "urgency": "low"}
    assert labels.of("", "bye") == {"urgency": "high"}


def test_rows_without_a_label_or_with_a_strange_head_are_counted_with_their_line(tmp_path: Path) -> None:
    labels = from_csv(tmp_path, f"id,head,label\n{PREFIX}0-1,intent,\n{PREFIX}0-2,mood,good\n,intent,fee\n")
    assert labels.unusable == 3
    assert [reason.partition(":")[0] for reason in labels.reasons] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize(
    "text", ["name,label\na,b\n", "id,name\na,b\n", "id,label\n"], ids=["no key", "no label", "no rows"]
)
def test_a_file_that_cannot_label_is_one_clear_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        from_csv(tmp_path, text)


def test_a_name_with_a_tables_ending_is_a_file_and_other_names_are_topics(tmp_path: Path) -> None:
    assert is_file("there/is/none.csv")
    assert is_file(str(tmp_path))
    assert not is_file("feedback.labels")


class Feedbacks:
    """A reader over records in memory."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def read(
        self, topic: str, start: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[Record]:
        yield from self.records

    def follow(self, topic: str, poll_seconds: float = 0.2) -> Iterator[Record | None]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def opinion(
    offset: int,
    place: str,
    label: str | None,
    by: str = "ann",
    head: str = "intent",
    partition: int = 0,
    chosen: Literal["random"] | None = None,
) -> Record:
    said = Feedback(
        decision_id=PREFIX + place, head=head, label=label or "", by=by, at="2026-11-24T10:00:00Z", chosen=chosen
    )
    return Record(
        "feedback.labels", partition, offset, said.key, said.encode() if label is not None else None, 1_000 + offset
    )


def test_the_last_value_of_a_key_counts_and_a_tombstone_withdraws_it() -> None:
    records = [
        opinion(0, "0-1", "refund"),
        opinion(1, "0-1", "fee"),
        opinion(2, "0-2", "refund"),
        opinion(3, "0-2", None),
        opinion(4, "0-3", "refund"),
        opinion(5, "0-3", None),
        opinion(6, "0-3", "fee"),
    ]
    labels = labels_from_topic(Feedbacks(records), "feedback.labels", ["intent"], PREFIX)
    assert {name: labels.of(PREFIX + name, "") for name in ("0-1", "0-2", "0-3")} == {
        "0-1": {"intent": "fee"},
        "0-2": None,
        "0-3": {"intent": "fee"},
    }


def test_of_two_people_the_later_counts_and_where_that_one_withdraws_the_earlier_does() -> None:
    both = [opinion(5, "0-1", "fee", by="bob", partition=1), opinion(1, "0-1", "refund", by="ann")]
    labels = labels_from_topic(Feedbacks(both), "feedback.labels", ["intent"], PREFIX)
    assert labels.of(PREFIX + "0-1", "") == {"intent": "fee"}
    assert labels.disagreeing == 1
    withdrawn = [*both, opinion(9, "0-1", None, by="bob", partition=1)]
    labels = labels_from_topic(Feedbacks(withdrawn), "feedback.labels", ["intent"], PREFIX)
    assert labels.of(PREFIX + "0-1", "") == {"intent": "refund"}


def test_labels_of_decisions_that_were_not_drawn_are_silent_and_a_file_holds_none() -> None:
    said = [
        opinion(1, "0-1", "refund"),
        opinion(2, "0-2", "refund", chosen="random"),
        opinion(3, "0-2", "fee", by="bob"),
    ]
    labels = labels_from_topic(Feedbacks(said), "feedback.labels", ["intent"], PREFIX)
    assert labels.silent == {PREFIX + "0-1": {"intent"}}
    assert labels.of(PREFIX + "0-1", "") and labels.report()["silent"] == 1


def test_labels_of_other_topics_strange_heads_and_broken_records_are_counted_apart() -> None:
    foreign = Record("feedback.labels", 0, 0, b"other@0a1b2c3d-0-1|intent|ann", b"{}", 0)
    broken = Record("feedback.labels", 0, 1, f"{PREFIX}0-9|intent|ann".encode(), b"{broken", 0)
    labels = labels_from_topic(
        Feedbacks([foreign, broken, opinion(2, "0-1", "high", head="mood")]), "feedback.labels", ["intent"], PREFIX
    )
    assert (labels.foreign, labels.unusable, labels.given) == (1, 2, 0)
