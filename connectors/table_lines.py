"""Lines of a table file, and what becomes of them: rows, and rejects with the reason."""

import io
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

# All that a spreadsheet of another encoding saves; said wherever such a row is refused, so that all say the way out.
NOT_UTF8: Final = "bytes that are not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"
REASONS: Final = 3  # that a summary tells


@dataclass(frozen=True, slots=True)
class Row:
    """line: where the row begins, the first line is 1."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be read, and why."""

    line: int
    reason: str


class Lines:
    """A text's lines with a look ahead. A line ends at a newline, a carriage return or both; str.splitlines would end
    one at form feeds, U+2028 and the like as well."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._ahead: deque[str] = deque()
        self.number = 1  # of the next line

    def ahead(self, limit: int) -> Iterator[str]:
        """The next lines, left where they are."""
        for position in range(limit):
            if position == len(self._ahead):
                line = self._text.readline()
                if not line:
                    return
                self._ahead.append(line)
            yield self._ahead[position]

    def next(self) -> str | None:
        """The next line as it stands, None at the end."""
        return next(self.ahead(1), None)

    def drop(self, count: int) -> None:
        """Go on behind so many lines."""
        for _ in range(min(count, len(self._ahead))):
            self._ahead.popleft()
        self.number += count


def summary(rejected: Sequence[Reject]) -> str:
    """Why rows were refused, on one line: each reason with its count and its first line, the commonest first."""
    first = {reject.reason: reject.line for reject in reversed(rejected)}
    counts = Counter(reject.reason for reject in rejected).most_common()
    told = [f"{number} x {reason} (line {first[reason]})" for reason, number in counts[:REASONS]]
    if left := sum(number for _, number in counts[REASONS:]):
        told.append(f"{left} for other reasons")
    return "; ".join(told)


def is_undecodable(text: str) -> bool:
    """Whether bytes stand in it that are no UTF-8 (they were read as lone surrogates)."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)
