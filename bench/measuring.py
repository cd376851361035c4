"""From what stands in an output topic to figures: rates, losses, accuracy. Values in, values out.

Times are the broker's (LogAppendTime, milliseconds), so that all peers are measured with one clock. The texts of a run
have the numbers 0, 1, 2, ...; number n stands in partition n mod partitions at offset n div partitions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision as it was read from the output topic. number: of the text. appended_ms: when the broker took it."""

    number: int
    appended_ms: int
    label: str
    rejected: bool
    path: str


@dataclass(frozen=True, slots=True)
class Rate:
    """texts in `seconds`."""

    texts: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Texts a second."""
        return self.texts / self.seconds


@dataclass(frozen=True, slots=True)
class Equality:
    """Whether the work was done. lost: texts whose position is committed and that have no answer. repeated: answers
    beyond the first of a text. uncommitted: answered texts whose position was not committed when the peer had
    left."""

    lost: int
    repeated: int
    uncommitted: int


def steady_rate(appended_ms: Sequence[int], *, warm_up_ms: int, until_ms: int | None = None) -> Rate:
    """Answers after the warm-up over the time they took.

    Counted from the last answer within `warm_up_ms` of the first to the last one until `until_ms`; the answers that
    carry the first of these two times are not counted, their work fell before it. Raises ValueError where less than two
    different times are left.
    """
    stamps = np.sort(np.asarray(appended_ms, dtype=np.int64))
    if until_ms is not None:
        stamps = stamps[stamps <= until_ms]
    if not len(stamps):
        raise ValueError("no answers to measure")
    start = stamps[np.searchsorted(stamps, stamps[0] + warm_up_ms, side="right") - 1]
    counted = stamps[stamps > start]
    if not len(counted):
        raise ValueError(f"no answers after the warm-up of {warm_up_ms} ms")
    return Rate(len(counted), float(counted[-1] - start) / 1000)


def equality(numbers: Sequence[int], committed: Mapping[int, int], partitions: int) -> Equality:
    """numbers: of all answers, in any order. committed: partition to the next offset to read."""
    answered = Counter(numbers)
    due = {p + partitions * offset for p, end in committed.items() for offset in range(end)}
    return Equality(
        lost=len(due - answered.keys()),
        repeated=sum(answered.values()) - len(answered),
        uncommitted=len(answered.keys() - due),
    )


def accuracy(
    answers: Sequence[Answer], labels: Sequence[str | None], oos_label: str | None
) -> dict[str, float | int | None]:
    """Against the labels, by the texts' numbers; a text that was answered twice counts once, with its first answer.

    in_scope_accuracy: share of in-scope texts with the right label, rejected or not. oos_recall: share of out-of-scope
    texts that were rejected. rejected_in_scope, fast_share: shares.
    """
    first: dict[int, Answer] = {}
    for answer in answers:
        first.setdefault(answer.number, answer)
    labelled = [answer for answer in first.values() if labels[answer.number] is not None]
    inside = [answer for answer in labelled if labels[answer.number] != oos_label]
    outside = [answer for answer in labelled if labels[answer.number] == oos_label]
    return {
        "texts": len(labelled),
        "in_scope_accuracy": _share(answer.label == labels[answer.number] for answer in inside),
        "rejected_in_scope": _share(answer.rejected for answer in inside),
        "oos_texts": len(outside),
        "oos_recall": _share(answer.rejected for answer in outside),
        "fast_share": _share(answer.path == "fast" for answer in labelled),
        "fast_share_oos": _share(answer.path == "fast" for answer in outside),
    }


def _share(true: Iterable[bool]) -> float | None:
    values = list(true)
    return round(sum(values) / len(values), 5) if values else None
