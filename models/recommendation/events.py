"""What users do with items, and how much of it counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ACTIONS: Final = ("view", "click", "cart", "purchase", "share", "comment", "other")
FEEDBACK_ACTIONS: Final = frozenset({"click", "purchase"})
ACTION_INDEX: Final = {action: index for index, action in enumerate(ACTIONS)}
OTHER: Final = ACTION_INDEX["other"]
# How much a touch says about a taste, by action: a look is half of a decision.
TASTE: Final = (0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5)


@dataclass(frozen=True, slots=True)
class UserEvent:
    """What a user did with an item. user_id None: not signed in, nothing is kept. Unknown actions count as
    "other". segments: value by field (a country, a device) of who did it."""

    user_id: str | None
    item_id: str | None
    action: str
    segments: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "UserEvent":
        """From a record of `user.events`; missing and empty fields become None, never an error."""
        user, item = (
            str(record[name]) if record.get(name) not in (None, "") else None for name in ("user_id", "item_id")
        )
        return cls(user, item, str(record.get("action") or "other").lower())
