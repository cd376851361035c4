"""Sliding windows: what the last decisions of a topic, a symbol or the whole application were.

A window forgets by number and by age. Time is that of the source records, handed in as seconds; nothing here
has a clock.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class WindowEntry:
    """number: of the event in its application, growing. at_seconds: since 1970."""

    number: int
    label: str
    at_seconds: float
    id: str = ""


@dataclass(slots=True)
class LabelWindow:
    """The last `size` labels that are no older than `max_age_seconds` before now."""

    size: int
    max_age_seconds: float = DAY_SECONDS
    entries: deque[WindowEntry] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    now_seconds: float = float("-inf")

    def add(self, entry: WindowEntry, now_seconds: float | None = None) -> None:
        """Take an entry in and drop what is too many or too old; one that is too old itself is left out.

        now_seconds: event time of the whole stream; None: the newest entry's.
        """
        self.now_seconds = max(self.now_seconds, entry.at_seconds) if now_seconds is None else now_seconds
        oldest_seconds = self.now_seconds - self.max_age_seconds
        if entry.at_seconds >= oldest_seconds:
            self.entries.append(entry)
            self.counts[entry.label] += 1
        while self.entries and (len(self.entries) > self.size or self.entries[0].at_seconds < oldest_seconds):
            self._drop_oldest()

    @property
    def is_full(self) -> bool:
        """Whether as many labels are in as the window can hold."""
        return len(self.entries) >= self.size

    def is_silent(self, now_seconds: float) -> bool:
        """Whether nothing came for as long as the window remembers."""
        newest = max((entry.at_seconds for entry in self.entries), default=float("-inf"))
        return newest < now_seconds - self.max_age_seconds

    def share(self, label: str) -> float:
        """Share of `label`, in [0, 1]; 0 for an empty window."""
        return self.counts[label] / len(self.entries) if self.entries else 0.0

    def trend(self, label: str) -> float:
        """Share of `label` in the newer half less that in the older half, in [-1, 1]."""
        half = len(self.entries) // 2
        if half == 0:
            return 0.0
        hits = [entry.label == label for entry in self.entries]
        return sum(hits[-half:]) / half - sum(hits[:half]) / half

    def _drop_oldest(self) -> None:
        dropped = self.entries.popleft()
        self.counts[dropped.label] -= 1
        if not self.counts[dropped.label]:
            del self.counts[dropped.label]


@dataclass(slots=True)
class GroupedWindows:
    """A LabelWindow for each group (a topic, a symbol); the group not heard of for longest goes beyond
    `groups_max`."""

    size: int
    max_age_seconds: float = DAY_SECONDS
    groups_max: int = 1_000
    windows: OrderedDict[str, LabelWindow] = field(default_factory=OrderedDict)

    def add(self, group: str, entry: WindowEntry, now_seconds: float | None = None) -> LabelWindow:
        """Take an entry into its group's window and return that."""
        window = self.windows.get(group)
        if window is None:
            window = self.windows[group] = LabelWindow(self.size, self.max_age_seconds)
        window.add(entry, now_seconds)
        self.windows.move_to_end(group)
        while len(self.windows) > self.groups_max:
            self.windows.popitem(last=False)
        return window
