"""True labels for a replay, from a file or from `feedback.labels`, found again by a decision's id or by its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from connectors.ports import Record, TopicReader
from connectors.table_files import Reject, Row, Table, open_table
from models.errors import ConfigError, MessageError
from streams.application import HeadSpec
from streams.wire.feedback import Opinions
from streams.wire.text import clean_text, cut_text

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(slots=True)
class TrueLabels:
    """Labels by decision id or by text, and then by head.

    given: labels that could be read. unusable: rows or records that hold none, with where and why (the first ten are
    kept). foreign: ids of another topic, or of one of the same name that was made again. disagreeing: labels that a
    later one for the same event and head replaced by another. matched: labels that an event took; `of` counts them.
    """

    source: str
    matched_by: Literal["id", "text"]
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    given: int = 0
    foreign: int = 0
    disagreeing: int = 0
    unusable: int = 0
    reasons: list[str] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    events: int = 0

    def add(self, name: str, head: str, label: str) -> None:
        """Keep a label; the last one of an event and head counts."""
        known = self.labels.setdefault(name, {})
        self.given += 1
        self.disagreeing += head in known and known[head] != label
        known[head] = label

    def refuse(self, reason: str) -> None:
        """Count what holds no label."""
        self.unusable += 1
        if len(self.reasons) < 10:
            self.reasons.append(reason)

    def of(self, identity: str, text: str) -> Mapping[str, str] | None:
        """An event's labels by head, None where there are none. text: as it stands in the decision."""
        name = identity if self.matched_by == "id" else text
        known = self.labels.get(name)
        if known is not None:
            self.matched.add(name)
            self.events += 1
        return known

    def report(self) -> dict[str, Any]:
        """What was matched, for the JSON."""
        used = sum(len(self.labels[name]) for name in self.matched)
        return {
            "source": self.source,
            "matched_by": self.matched_by,
            "given": self.given,
            "matched": used,
            "events": self.events,
            "foreign": self.foreign,
            "disagreeing": self.disagreeing,
            "unusable": self.unusable,
        } | ({"unusable_because": self.reasons} if self.reasons else {})


def is_file(source: str) -> bool:
    """Whether `--labels` names a file; else it is a topic."""
    return source == "-" or source.lower().removesuffix(".gz").endswith(TABLE_SUFFIXES) or Path(source).exists()


def labels_from_file(path: Path, heads: Sequence[HeadSpec], prefix: str) -> TrueLabels:
    """Columns `id` or `text`; `label`, with `head` where it is not of the primary one, or the heads' own columns.

    prefix: what ids of this topic begin with. Raises ConfigError for a file without those columns.
    """
    with open_table(path) as table:
        true_labels = _start(table, heads)
        names = {head.name for head in heads}
        for row in table.rows:
            if isinstance(row, Reject):
                true_labels.refuse(f"line {row.line}: {row.reason}")
                continue
            name = _text(row, true_labels.matched_by)
            labels = _labels(row, heads)
            if not name or not labels or not names.issuperset(labels):
                true_labels.refuse(f"line {row.line}: {_reason(name, labels, true_labels.matched_by, heads)}")
            elif true_labels.matched_by == "id" and not name.startswith(prefix):
                true_labels.foreign += 1
            else:
                for head, label in labels.items():
                    true_labels.add(
                        cut_text(clean_text(name)) if true_labels.matched_by == "text" else name, head, label
                    )
    if not true_labels.given and not true_labels.unusable and not true_labels.foreign:
        raise ConfigError(f"{path.name} holds no labels")
    return true_labels


def _start(table: Table, heads: Sequence[HeadSpec]) -> TrueLabels:
    matched_by = next((name for name in ("id", "text") if name in table.columns), None)
    if matched_by is None or not {"label", *(head.column for head in heads)} & set(table.columns):
        raise ConfigError(
            f"{table.name} must have the columns id,head,label or text,label (or a head's own column: "
            f"{', '.join(head.column for head in heads)}); it has: {', '.join(table.columns)}"
        )
    return TrueLabels(table.name, "id" if matched_by == "id" else "text")


def _labels(row: Row, heads: Sequence[HeadSpec]) -> dict[str, str]:
    if label := _text(row, "label"):
        return {_text(row, "head") or heads[0].name: label}
    return {head.name: label for head in heads if (label := _text(row, head.column))}


def _text(row: Row, column: str) -> str:
    value = row.fields.get(column)
    if value is None:
        return ""
    return (value if column == "text" else value.strip()) if isinstance(value, str) else str(value)


def _reason(name: str, labels: Mapping[str, str], matched_by: str, heads: Sequence[HeadSpec]) -> str:
    if not name:
        return f"no {matched_by}"
    if not labels:
        return "no label"
    return f"no head {', '.join(labels)}; there are {', '.join(head.name for head in heads)}"


def labels_from_topic(reader: TopicReader, topic: str, heads: Sequence[str], prefix: str) -> TrueLabels:
    """The label that counts for each decision and head (streams.wire.feedback).

    prefix: what ids of the replayed topic begin with. Raises BrokerUnavailable, TopicMismatch.
    """
    labels = TrueLabels(topic, "id")

    def refuse(record: Record, error: MessageError) -> None:
        labels.refuse(f"{record.topic}[{record.partition}] offset {record.offset}: {error}")

    opinions = Opinions(lambda decision_id: decision_id.startswith(prefix), refuse)
    for record in reader.read(topic):
        if (record.key or b"").startswith(prefix.encode()):
            opinions.take(record)
        else:
            labels.foreign += record.value is not None
    for opinion in sorted(opinions, key=lambda opinion: opinion.rank):
        feedback = opinion.feedback
        if feedback.head in heads:
            labels.add(feedback.decision_id, feedback.head, feedback.label)
        else:
            labels.refuse(f"no head {feedback.head}; there are {', '.join(heads)}")
    return labels
