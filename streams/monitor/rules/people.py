"""Labels that contradict the decisions, or each other: of the latest ones, as they stand in `feedback.labels`."""

import heapq
from collections import defaultdict

from streams.monitor.rules.causes import Finding, Level
from streams.rule_specs import DisagreementRule
from streams.wire.feedback import Opinion, Opinions


def disagreement(rule: DisagreementRule, first_head: str, opinions: Opinions) -> Finding:
    """What the rule sees. opinions: of the application's decisions."""
    head = rule.head or first_head
    by_decision = defaultdict[str, list[Opinion]](list)
    for opinion in opinions:
        if opinion.feedback.head == head:
            by_decision[opinion.feedback.decision_id].append(opinion)
    judged = [_judged(rule, said) for said in by_decision.values()]
    latest = heapq.nlargest(rule.labels, (one for one in judged if one is not None), key=lambda one: one[0])
    if len(latest) < rule.labels:
        return Finding(Level.INSUFFICIENT)
    against = [opinion for _, opinion, is_against in latest if is_against]
    share = len(against) / len(latest)
    if rule.between == "people":
        words = f"people disagree on {share:.0%} of the last {len(latest)} decisions that several labelled"
    else:
        words = f"{share:.0%} of the last {len(latest)} labels drawn at random are other ones than was decided"
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


def _judged(rule: DisagreementRule, said: list[Opinion]) -> tuple[tuple[float, int, str, str], Opinion, bool] | None:
    """When it was said, by whom last, and whether it is against; None where it says nothing about it."""
    last = max(said, key=lambda opinion: opinion.rank)
    if rule.between == "people":
        return (last.rank, last, len({one.feedback.label for one in said}) > 1) if len(said) > 1 else None
    if not last.feedback.is_of_the_stream or last.feedback.decided is None:
        return None
    return last.rank, last, last.feedback.label != last.feedback.decided
