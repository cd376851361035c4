"""When a conversation goes to people."""

from collections.abc import Sequence

from streams.application.conversations import Escalation
from streams.conversations.state import Conversation, Turn


def escalation_of(conversation: Conversation, rules: Sequence[Escalation]) -> Escalation | None:
    """The rule by which people are to look at it: the one that holds already for this contact, else the first one, in
    the file's order, that its last messages satisfy."""
    if conversation.escalated:
        standing = next((rule for rule in rules if rule.reason == conversation.escalated), None)
        if standing is not None:
            return standing
    return next((rule for rule in rules if _holds(rule, conversation)), None)


def _holds(rule: Escalation, conversation: Conversation) -> bool:
    if rule.contacts is not None and conversation.contact < rule.contacts:
        return False
    if rule.turns is not None and conversation.turn < rule.turns:
        return False
    if not rule.counts_messages:
        return True
    return sum(_says_so(rule, turn) for turn in conversation.turns[-rule.within :]) >= rule.times


def _says_so(rule: Escalation, turn: Turn) -> bool:
    return turn.rejected if rule.rejected or rule.head is None else rule.label in turn.labels.get(rule.head, ())
