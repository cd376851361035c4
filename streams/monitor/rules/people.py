"""Labels that contradict the decisions, or each other: of the latest ones, as they stand in `feedback.labels`."""

from bisect import bisect_left, insort
from collections.abc import Collection, Sequence

from models.figures import number_of
from streams.monitor.rules.causes import Finding, Level
from streams.rule_specs import DisagreementRule
from streams.wire.feedback import Opinion

_Judged = tuple[
    tuple[float, int, str, str], str, Opinion, bool
]  # when, decision, who spoke last, whether it is against


class Disagreement:
    """Of one rule: follows what people say, label by label. Not thread-safe. Memory: an entry a decision that is
    labelled, as `streams.wire.feedback.Opinions` has of each label."""

    def __init__(self, rule: DisagreementRule, first_head: str) -> None:
        self.rule = rule
        self._head = rule.head or first_head
        self._said: dict[str, dict[str, Opinion]] = {}  # decision to what each person says of it
        self._judged: dict[str, _Judged] = {}
        self._in_order: list[_Judged] = []  # the latest last; no two are of one decision, so opinions are not compared
        self._finding: Finding | None = None

    def take(self, before: Opinion | None, after: Opinion | None) -> None:
        """One person's word on a decision was `before` and is `after`; None: none, or withdrawn."""
        if before is not None and before.feedback.head == self._head:
            self._said.get(before.feedback.decision_id, {}).pop(before.feedback.by, None)
        if after is not None and after.feedback.head == self._head:
            self._said.setdefault(after.feedback.decision_id, {})[after.feedback.by] = after
        for decision in {one.feedback.decision_id for one in (before, after) if one is not None}:
            self._judge(decision)

    def finding(self) -> Finding:
        """What the rule sees now, whether or not anything has changed."""
        if self._finding is None:
            self._finding = _finding(self.rule, self._head, self._in_order[-self.rule.labels :])
        return self._finding

    def _judge(self, decision: str) -> None:
        self._finding = None
        judged = self._judged.pop(decision, None)
        if judged is not None:
            del self._in_order[bisect_left(self._in_order, judged[:2], key=lambda one: one[:2])]
        said = self._said.get(decision)
        if not said:
            self._said.pop(decision, None)
            return
        judged = _judged(self.rule, decision, said.values())
        if judged is not None:
            self._judged[decision] = judged
            insort(self._in_order, judged, key=lambda one: one[:2])


def _finding(rule: DisagreementRule, head: str, latest: Sequence[_Judged]) -> Finding:
    if len(latest) < rule.labels:
        return Finding(Level.INSUFFICIENT)
    against = [opinion for _, _, opinion, is_against in reversed(latest) if is_against]
    share = len(against) / len(latest)
    if rule.between == "people":
        words = f"people disagree on {share:.0%} of the last {number_of(len(latest), 'decision')} that several labelled"
    else:
        words = (
            f"{share:.0%} of the last {number_of(len(latest), 'label')} drawn at random are other ones than was decided"
        )
    level = Level.OVER if share >= rule.share else Level.CALM if share < rule.over_at * rule.share else Level.BETWEEN
    evidence = [
        {
            "id": one.feedback.decision_id,
            "label": one.feedback.label,
            "decided": one.feedback.decided,
            "by": one.feedback.by,
        }
        for one in against
    ]
    values = {"head": head, "between": rule.between, "share": round(share, 4), "labels": len(latest)}
    return Finding(level, f"{words}; the limit is {rule.share:.0%}", values, evidence)


def _judged(rule: DisagreementRule, decision: str, said: Collection[Opinion]) -> _Judged | None:
    """None where it says nothing about what the rule asks."""
    last = max(said, key=lambda opinion: opinion.rank)
    if rule.between == "people":
        is_against = len({one.feedback.label for one in said}) > 1
        return (last.rank, decision, last, is_against) if len(said) > 1 else None
    if not last.feedback.is_of_the_stream or last.feedback.decided is None:
        return None
    return last.rank, decision, last, last.feedback.label != last.feedback.decided
