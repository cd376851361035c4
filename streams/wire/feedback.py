"""Which label of a decision counts: the one rule, for the monitor, the retrainer and replay.

`feedback.labels` is compacted by `decision_id|head|by`. So the last record of a key is a person's opinion, and a
tombstone withdraws it. Of several people's opinions on the same decision and head the latest counts, by the time that
stands in them. No answer depends on the order in which partitions happen to be read.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Feedback, decode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person says of one decision and head. given_ms: the record's own time, when it was said or said again;
    milliseconds since 1970."""

    feedback: Feedback
    given_ms: int

    @property
    def first_ms(self) -> float:
        """Since when they say so, milliseconds since 1970."""
        said_ms = self.rank[0]
        first_at = self.feedback.first_at
        return said_ms if first_at is None else min(said_ms, _at_ms(first_at, self.given_ms))

    @property
    def rank(self) -> tuple[float, int, str, str]:
        """The largest of a decision and head is its label: the latest by `at`; then by the record's own time; at equal
        times by the names, so that everybody who reads the same records says the same."""
        return _at_ms(self.feedback.at, self.given_ms), self.given_ms, self.feedback.by, self.feedback.label


@dataclass(frozen=True, slots=True)
class _Said:
    """The last record of a key in a partition. opinion: None where it is a tombstone."""

    order: tuple[int, int]
    opinion: Opinion | None


@dataclass(slots=True)
class Opinions:
    """The compacted state of `feedback.labels`, record by record.

    wanted: whether a decision, by its id, is one whose labels count. on_refused: told of records that hold no label.
    """

    wanted: Callable[[str], bool] = lambda _: True
    on_refused: Callable[[Record, MessageError], None] = lambda record, error: log.warning(
        "a label is skipped: %s", error
    )
    _said: dict[bytes, dict[int, _Said]] = field(default_factory=dict)

    def take(self, record: Record) -> tuple[Opinion | None, Opinion | None]:
        """The opinion of this record's key before and after it; equal where it changes nothing.

        Within a partition the higher offset is the later; a key that stands in several (its writers share keys out
        differently) is settled by the records' own times.
        """
        key = record.key or b""
        before = self._of(key)
        opinion = self._opinion(record)
        if not self.wanted(opinion.feedback.decision_id if opinion is not None else key.decode("utf-8", "replace")):
            return before, before
        partitions = self._said.setdefault(key, {})
        last = partitions.get(record.partition)
        order = (record.timestamp_ms, record.offset)
        if last is None or last.order[1] <= record.offset:
            partitions[record.partition] = _Said(order, opinion)
        return before, self._of(key)

    def _opinion(self, record: Record) -> Opinion | None:
        """None for a tombstone, and for what is no label: it has taken the place of what stood there before."""
        if record.value is None:
            return None
        try:
            return Opinion(decode(Feedback, record.value), record.timestamp_ms)
        except MessageError as error:
            self.on_refused(record, error)
            return None

    def __iter__(self) -> Iterator[Opinion]:
        """Every opinion that stands: one for each decision, head and person."""
        for key in self._said:
            if (opinion := self._of(key)) is not None:
                yield opinion

    def labels(self, since_ms: float = 0.0) -> dict[tuple[str, str], Feedback]:
        """(decision id, head) to the label that counts, of those given at `since_ms` (milliseconds since 1970) or
        later."""
        latest: dict[tuple[str, str], Opinion] = {}
        for opinion in self:
            if opinion.rank[0] < since_ms:
                continue
            subject = opinion.feedback.decision_id, opinion.feedback.head
            if subject not in latest or latest[subject].rank < opinion.rank:
                latest[subject] = opinion
        return {subject: opinion.feedback for subject, opinion in latest.items()}

    def words(self, since_ms: float = 0.0) -> dict[tuple[str, str], list[Opinion]]:
        """(decision id, head) to what each person says of it, the newest last. since_ms: as for `labels`."""
        words: dict[tuple[str, str], list[Opinion]] = {}
        for opinion in self:
            if opinion.rank[0] >= since_ms:
                words.setdefault((opinion.feedback.decision_id, opinion.feedback.head), []).append(opinion)
        return {subject: sorted(opinions, key=lambda one: one.rank) for subject, opinions in words.items()}

    def _of(self, key: bytes) -> Opinion | None:
        partitions = self._said.get(key)
        if not partitions:
            return None
        return max(partitions.items(), key=lambda said: (said[1].order[0], said[0]))[1].opinion


def drawn_at_random(opinions: Iterable[Opinion]) -> set[tuple[str, str]]:
    """(decision id, head) that somebody labelled because the decision was drawn, whatever else was said of it: the draw
    asked about it in any case. Only these say how often decisions are right, and which of two releases is better."""
    said = (opinion.feedback for opinion in opinions)
    return {(label.decision_id, label.head) for label in said if label.chosen == "random"}


def of_topics(source_topics: Iterable[str]) -> Callable[[str], bool]:
    """Whether a decision's event came from one of these topics: all that an application reads, priority topics too."""
    topics = frozenset(source_topics)
    return lambda decision_id: decision_id.partition("@")[0] in topics


def _at_ms(at: str, given_ms: int) -> float:
    """An opinion's time; where it cannot be read, that of its record. Without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(at)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000
    except (ValueError, OverflowError):
        return float(given_ms)
