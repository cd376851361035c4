"""What people's labels say of decisions, as values of the signals `errors` and `agreement`. Pure.

Only labels of decisions drawn at random from the whole stream say how often decisions are right: those chosen because
the champion was unsure would make it look worse than it is. Each decision counts once, when its first label comes.
"""

from collections.abc import Mapping
from typing import Any, Final

from streams.wire.feedback import Opinion

REMEMBERED: Final = 2_000  # decisions that counted: people say the same again within days


class LabelValues:
    """Of one application's first head. Not thread-safe. Memory: what people say of each labelled decision, as
    `streams.wire.feedback.Opinions` has of each label; kept are the next offsets and the decisions counted last."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._said: dict[str, dict[str, str]] = {}  # decision to each person's label
        self._drawn: set[str] = set()  # decisions of which somebody's label is of the stream
        self._counted: dict[str, None] = {}  # signal and decision, the latest last
        self._offsets: dict[int, int] = {}

    def take(self, place: tuple[int, int], before: Opinion | None, after: Opinion | None) -> dict[str, float]:
        """One person's word on a decision was `before` and is `after` (see Opinions.take). Signal to value, of those
        that have one with this label. place: the record's partition and offset; one taken before gives none."""
        partition, offset = place
        is_new = offset >= self._offsets.get(partition, 0)
        self._offsets[partition] = max(offset + 1, self._offsets.get(partition, 0))
        values: dict[str, float] = {}
        if after is None:
            if before is not None and before.feedback.head == self._head:
                self._said.get(before.feedback.decision_id, {}).pop(before.feedback.by, None)
            return values
        label = after.feedback
        if label.head != self._head:
            return values
        people = self._said.setdefault(label.decision_id, {})
        others = {word for who, word in people.items() if who != label.by}
        is_first_word = label.by not in people
        people[label.by] = label.label
        is_first_drawn = label.is_of_the_stream and label.decision_id not in self._drawn
        if label.is_of_the_stream:
            self._drawn.add(label.decision_id)
        if not is_new or not is_first_word or label.decision_id not in self._drawn:
            return values
        if is_first_drawn and label.decided is not None and self._count("errors", label.decision_id):
            values["errors"] = float(label.label != label.decided)
        if others and self._count("agreement", label.decision_id):
            values["agreement"] = float(others == {label.label})
        return values

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        return {"offsets": [list(one) for one in self._offsets.items()], "counted": list(self._counted)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; all labels are then to be taken again, from the first one that stands. Raises
        ValueError, KeyError or TypeError."""
        self._offsets = {int(partition): int(offset) for partition, offset in state["offsets"]}
        self._counted = {str(one): None for one in state["counted"]}

    def _count(self, signal: str, decision: str) -> bool:
        """Whether it did not count before."""
        name = f"{signal} {decision}"
        if name in self._counted:
            return False
        self._counted[name] = None
        if len(self._counted) > REMEMBERED:
            del self._counted[next(iter(self._counted))]
        return True
