"""Which kept state is whose, where the application's rules were edited since: the one that counts the same goes on.

A rule's limits, words and receivers may change without a change of what it counts; a state of something else counted is
of no use, and its rule begins anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streams.rule_specs import RuleSpec

State = Mapping[str, Any]


def match_states(rules: Sequence[RuleSpec], states: Iterable[State]) -> list[State | None]:
    """For each rule the state that counted the same, of several that of the rule with the same name; None where there
    is none. states: each with its `rule`, as it stood then."""
    kept = list(states)
    return [_state_of(rule, kept) for rule in rules]


def counted(rule: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """What a rule counts, to be compared. rule: as JSON; what an earlier version did not know is None."""
    return {name: rule.get(name) for name in fields}


def _state_of(rule: RuleSpec, states: Sequence[State]) -> State | None:
    wanted = counted(rule.model_dump(mode="json"), rule.COUNTED)
    same = [state for state in states if counted(state["rule"], rule.COUNTED) == wanted]
    return next((state for state in same if state["rule"].get("name") == rule.name), same[0] if same else None)
