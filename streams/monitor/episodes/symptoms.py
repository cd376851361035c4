"""Signals that changed: each is a symptom of an episode, or the beginning of one."""

from dataclasses import dataclass
from typing import Final, Protocol

from models.figures import in_few_digits, number_of

_BESIDE: Final = 200  # events after an episode was found, until which what begins is of the same cause


@dataclass(frozen=True, slots=True)
class Symptom:
    """A signal that changed. onset_event: from which on, as its detector says. event, id, at: at which that was
    certain, and its source's time. before, after: means of the values; None of kinds. labels: how many the two means
    stand on, where the signal is what people's labels say.
    signal: what that is, whatever it is called."""

    name: str
    detector: str
    onset_event: int
    event: int
    id: str
    at: str
    before: float | None = None
    after: float | None = None
    labels: tuple[int, int] | None = None
    signal: str = ""

    def __post_init__(self) -> None:
        if self.labels is not None:  # JSON knows no tuples
            object.__setattr__(self, "labels", (int(self.labels[0]), int(self.labels[1])))

    def in_words(self) -> str:
        """What changed, since when."""
        means = ""
        if self.before is not None and self.after is not None:
            means = f" from {in_few_digits(self.before)} to {in_few_digits(self.after)}"
            if self.labels is not None:
                means += f" (of {number_of(self.labels[0], 'label')} drawn at random, then of {self.labels[1]})"
        return f"{self.name}{means}, since about event {self.onset_event}"


class _Story(Protocol):
    @property
    def onset_event(self) -> int: ...

    @property
    def detected_event(self) -> int: ...


def is_of(symptom: Symptom, story: _Story, earliest: int | None = None) -> bool:
    """Whether a symptom's onset and an episode's lie together. earliest: event from which on the episode may have
    begun; None: its onset."""
    first = story.onset_event if earliest is None else earliest
    return symptom.onset_event <= story.detected_event + _BESIDE and symptom.event >= first
