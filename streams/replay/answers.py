"""What releases answered on the same events, in columns: some thirty bytes an event, whatever its text. Pure.

Labels are codes, shared by all releases and by the true labels of a head; -1 stands where there is none.
"""

import hashlib
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """One head's answer as a decision tells it. probability: in [0, 1]. rejected: out of the head's scope; None for a
    head without an out-of-scope score."""

    label: str
    probability: float
    rejected: bool | None = None


@dataclass(slots=True)
class _Column:
    codes: "array[int]" = field(default_factory=lambda: array("i"))
    probabilities: "array[float]" = field(default_factory=lambda: array("f"))
    rejected: "array[int]" = field(default_factory=lambda: array("b"))

    def add(self, code: int, probability: float, rejected: bool | None) -> None:
        self.codes.append(code)
        self.probabilities.append(probability)
        self.rejected.append(-1 if rejected is None else rejected)


@dataclass(frozen=True, slots=True)
class HeadAnswers:
    """One release's answers of one head, by event. codes: (events,), -1 where the release failed on the text.
    is_scored: whether the head has an out-of-scope score."""

    codes: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    rejected: NDArray[np.bool_]
    is_scored: bool


class Answers:
    """Grows by one row an event. heads: names, the primary one first. releases: names (`support@2`), one or two."""

    def __init__(self, heads: Sequence[str], releases: Sequence[str]) -> None:
        self.heads, self.releases = tuple(heads), tuple(releases)
        self._codes: dict[str, dict[str, int]] = {head: {} for head in heads}
        self._partitions, self._offsets, self._times = array("i"), array("q"), array("q")
        self._truth = {head: array("i") for head in heads}
        self._judges = {head: array("b") for head in heads}
        self._columns = {(release, head): _Column() for release in releases for head in heads}

    def __len__(self) -> int:
        return len(self._offsets)

    def add(
        self,
        partition: int,
        offset: int,
        time_ms: int,
        answers: Sequence[Mapping[str, Answer] | None],
        truth: Mapping[str, str] | None = None,
        silent: Collection[str] = (),
    ) -> None:
        """One event. answers: by release, None where it failed on the text. truth: by head, where it is known. silent:
        heads whose truth is known because of what was decided, so that it compares no releases."""
        self._partitions.append(partition)
        self._offsets.append(offset)
        self._times.append(time_ms)
        for head in self.heads:
            known = truth.get(head) if truth else None
            self._truth[head].append(NO_LABEL if known is None else self._code(head, known))
            self._judges[head].append(known is not None and head not in silent)
            for release, answered in zip(self.releases, answers, strict=True):
                answer = answered.get(head) if answered is not None else None
                if answer is None:
                    self._columns[release, head].add(NO_LABEL, 0.0, None)
                else:
                    self._columns[release, head].add(
                        self._code(head, answer.label), answer.probability, answer.rejected
                    )

    def labels(self, head: str) -> list[str]:
        """Names by code."""
        return list(self._codes[head])

    def truth(self, head: str) -> NDArray[np.int32]:
        """True codes, (events,), -1 where none is known."""
        return np.frombuffer(self._truth[head], dtype=np.int32) if len(self) else np.empty(0, np.int32)

    def judges(self, head: str) -> NDArray[np.bool_]:
        """(events,), whether the truth is known and may compare releases."""
        return np.frombuffer(self._judges[head], dtype=np.bool_) if len(self) else np.empty(0, np.bool_)

    def times(self) -> NDArray[np.int64]:
        """The records' times, milliseconds since 1970, (events,)."""
        return np.frombuffer(self._times, dtype=np.int64) if len(self) else np.empty(0, np.int64)

    def of(self, release: str, head: str) -> HeadAnswers:
        """A release's answers, in the order of `add`."""
        column = self._columns[release, head]
        if not len(self):
            return HeadAnswers(np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.bool_), False)
        rejected = np.frombuffer(column.rejected, dtype=np.int8)
        return HeadAnswers(
            np.frombuffer(column.codes, dtype=np.int32),
            np.frombuffer(column.probabilities, dtype=np.float32),
            rejected == 1,
            bool((rejected >= 0).any()),
        )

    def fingerprint(self, release: str) -> str:
        """sha256 over every event's place and labels, in order of partition and offset: equal for two replays of the
        same events exactly when every label is equal."""
        partitions, offsets = np.array(self._partitions, np.int32), np.array(self._offsets, np.int64)
        order = np.lexsort((offsets, partitions))
        digest = hashlib.sha256(partitions[order].tobytes() + offsets[order].tobytes())
        for head in self.heads:
            codes = self.of(release, head).codes
            used = {code: name for name, code in self._codes[head].items() if code in set(np.unique(codes).tolist())}
            names = sorted(used.values())
            ranks = np.full(len(self._codes[head]) + 1, -1, np.int32)  # its last place is what NO_LABEL points at
            for code, name in used.items():
                ranks[code] = names.index(name)
            digest.update("\0".join([head, *names, ""]).encode())
            digest.update(ranks[codes[order]].tobytes())
        return digest.hexdigest()

    def _code(self, head: str, label: str) -> int:
        codes = self._codes[head]
        code = codes.get(label)
        if code is None:
            code = codes[label] = len(codes)
        return code


@dataclass(frozen=True, slots=True)
class Change:
    """So many events went from one label to another; None: the release failed on the text."""

    before: str | None
    after: str | None
    events: int


def changes(before: NDArray[np.int32], after: NDArray[np.int32], labels: Sequence[str]) -> list[Change]:
    """What differs between two releases' codes, (events,) each, the most frequent change first."""
    differ = before != after
    width = len(labels) + 1
    pairs, counts = np.unique((before[differ].astype(np.int64) + 1) * width + after[differ] + 1, return_counts=True)
    names = [None, *labels]
    confusions = [
        Change(names[pair // width], names[pair % width], count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(confusions, key=lambda change: (-change.events, change.before or "", change.after or ""))
