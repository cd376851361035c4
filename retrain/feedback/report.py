"""What of people's labels counted, what was set aside, and why: for the verdict, the log and the queue."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.figures import number_of
from retrain.feedback.opinions import TextLabel
from retrain.feedback.policy import REASONS, SECOND_OPINIONS
from retrain.feedback.relabelling import Direction

EXAMPLES: Final = 5  # of each reason
DOUBTS: Final = 500  # of a head a second person is asked about; what is more comes up when those are answered
ALL_DOUBTS: Final = 1_000  # of all heads, which share them evenly: they travel in one record


@dataclass(frozen=True, slots=True)
class SetAside:
    """label: what does not count. reason: one of `policy.REASONS`. instead: what the other texts say it is. again: its
    only person, where saying it once more makes it count; None: another person must."""

    label: TextLabel
    reason: str
    instead: str | None = None
    again: str | None = None

    def as_json(self) -> dict[str, Any]:
        """One JSON object; without the text, which may be personal."""
        more = {"instead": self.instead, "again": self.again}
        return {
            "decision_id": self.label.decisions[-1],
            "head": self.label.head,
            "label": self.label.label,
            "by": list(self.label.people),
            "reason": self.reason,
        } | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """taken: texts whose labels count (train, or test). directions: relabellings that wait for a second person. people:
    how many gave labels at all."""

    taken: int
    people: int
    set_aside: Sequence[SetAside] = ()
    directions: Sequence[Direction] = ()

    @property
    def asked_again(self) -> Sequence[str]:
        """Who label (nearly) alone, and are asked themselves whether they mean what was set aside."""
        return tuple(sorted({one.again for one in self.set_aside if one.again is not None}))

    @property
    def counts(self) -> dict[str, int]:
        """Reason to how many."""
        return dict(Counter(one.reason for one in self.set_aside).most_common())

    def as_json(self, *, examples: bool = True) -> dict[str, Any]:
        """One JSON object. examples: some of each reason, which name decisions and people."""
        described: dict[str, Any] = {
            "taken": self.taken,
            "people": self.people,
            "set_aside": self.counts,
            "relabelled": [
                {"head": one.texts[0].head, "from": one.before, "to": one.after, "texts": len(one.texts)}
                | {"by": list(one.people)}
                for one in self.directions
            ],
        }
        return described | ({"examples": [one.as_json() for one in self._examples()]} if examples else {})

    def doubts(self) -> list[dict[str, Any]]:
        """What a second person should look at, the most telling first; see `SetAside.as_json`."""
        rank = {reason: place for place, reason in enumerate(SECOND_OPINIONS)}
        asked = sorted((one for one in self.set_aside if one.reason in rank), key=lambda one: rank[one.reason])
        heads = Counter(one.label.head for one in asked)
        places = Counter(dict.fromkeys(heads, min(DOUBTS, ALL_DOUBTS // max(1, len(heads)))))
        kept = list[SetAside]()
        for one in asked:
            if places[one.label.head] > 0:
                places[one.label.head] -= 1
                kept.append(one)
        return [one.as_json() for one in kept]

    def words(self, app: str) -> str:
        """For a person; empty where nothing was set aside. app: as commands are given it."""
        if not self.set_aside:
            return ""
        counts = "; ".join(f"{count} ({REASONS[reason]})" for reason, count in self.counts.items())
        words = (
            f"of {number_of(self.taken + len(self.set_aside), 'labelled text')} "
            f"{len(self.set_aside):,} do not count yet: {counts}"
        )
        if self.directions:
            first = self.directions[0]
            alone = "alone" if len(first.people) == 1 else "nearly alone"
            words += f"; {first.before} -> {first.after} is the word of {first.people[0] or 'somebody'} {alone}"
        return f"{words}; {self._who_is_asked()} by `headrace labels next {app}`"

    def _who_is_asked(self) -> str:
        if not self.asked_again:
            return "a second person is asked"
        if self.people == 1:
            return "you are asked again"
        return f"a second person is asked, or {', '.join(self.asked_again)} again"

    def _examples(self) -> Iterator[SetAside]:
        shown: Counter[str] = Counter()
        for one in self.set_aside:
            if shown[one.reason] < EXAMPLES:
                shown[one.reason] += 1
                yield one
