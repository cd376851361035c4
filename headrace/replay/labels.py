"""True labels for a replay, from a file or from `feedback.labels`, found again by a decision's id or by its text."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from connectors.ports import Record, TopicReader
from connectors.table_files import Reject
from headrace.label_files import LabelRow, open_label_file
from models.errors import ConfigError, MessageError, TrainingDataError
from models.label_sets import canonical
from retrain.file_columns import FileColumns
from streams.application import HeadSpec
from streams.wire.feedback import Opinions, drawn_at_random
from streams.wire.text import clean_text, cut_text

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclass(slots=True)
class TrueLabels:
    """Labels by decision id or by text, and then by head.

    given: labels that could be read. unusable: rows or records that hold none, with where and why (the first ten are
    kept). foreign: ids of another topic, or of one of the same name that was made again. disagreeing: labels that a
    later one for the same event and head replaced by another. matched: labels that an event took; `of` counts them.
    silent: by event, heads whose label compares no releases: somebody gave it because of what was decided.
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
    silent: dict[str, set[str]] = field(default_factory=dict)

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
            "silent": sum(len(self.silent.get(name, ())) for name in self.matched),
        } | ({"unusable_because": self.reasons} if self.reasons else {})


def is_file(source: str) -> bool:
    """Whether `--labels` names a file; else it is a topic."""
    return source == "-" or source.lower().removesuffix(".gz").endswith(TABLE_SUFFIXES) or Path(source).exists()


def labels_from_file(
    path: Path, heads: Sequence[HeadSpec], prefix: str, known: FileColumns | None = None
) -> TrueLabels:
    """What a file says, with `known` as in `label_files.open_label_file`. prefix: what ids of this topic begin with.
    Raises ConfigError for a file that is none of labels."""
    with open_label_file(path, heads, known) as file:
        true_labels = TrueLabels(file.name, file.matched_by)
        several = {head.name for head in heads if head.multi}
        for row in file.rows:
            if isinstance(row, Reject):
                true_labels.refuse(f"line {row.line}: {row.reason}")
            elif file.matched_by == "id" and not row.name.startswith(prefix):
                true_labels.foreign += 1
            else:
                name = cut_text(clean_text(row.name)) if file.matched_by == "text" else row.name
                for head, label in row.labels.items():
                    _add(true_labels, row, name, head, label, several)
    if not true_labels.given and not true_labels.unusable and not true_labels.foreign:
        raise ConfigError(f"{path.name} holds no labels")
    return true_labels


def _add(labels: TrueLabels, row: LabelRow, name: str, head: str, label: str, several: Collection[str]) -> None:
    """several: heads whose labels are sets, which have one text however they are written."""
    try:
        labels.add(name, head, canonical(label) if head in several else label)
    except TrainingDataError as error:
        labels.refuse(f"line {row.line}: {error}")


def labels_from_topic(reader: TopicReader, topic: str, heads: Sequence[str], prefix: str) -> TrueLabels:
    """The label that counts for each decision and head (streams.wire.feedback). Those of decisions that were not drawn
    at random are silent: of a decision that was corrected, the release that made it has lost by choice.

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
    drawn = drawn_at_random(opinions)
    for opinion in sorted(opinions, key=lambda opinion: opinion.rank):
        feedback = opinion.feedback
        if feedback.head in heads:
            if (feedback.decision_id, feedback.head) not in drawn:
                labels.silent.setdefault(feedback.decision_id, set()).add(feedback.head)
            labels.add(feedback.decision_id, feedback.head, feedback.label)
        else:
            labels.refuse(f"no head {feedback.head}; there are {', '.join(heads)}")
    return labels
