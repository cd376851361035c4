"""The table `[recommend]`: which items a list may hold, and where the catalogue's changes stand."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

from streams.application.names import SHAPE, Topic

Action = Literal["view", "click", "cart", "purchase", "share", "comment", "other"]
ActionName = Annotated[str, StringConstraints(min_length=1, max_length=32)]


class Recommending(BaseModel):
    """How lists are made (`docs/recommendation.md`)."""

    model_config = SHAPE

    catalog_topic: Topic | None = None
    """A compacted topic of items, followed live beside the catalogue's file: `{item_id, title, description?, tags?}`,
    keyed by the item; a tombstone withdraws it, and so does `"withdrawn": true`."""
    repeats: Literal["always", "not_bought", "never"] = "not_bought"
    """Which of a user's own items may be shown again: all, all but what the user bought, or none. Remembered are the
    last 50 items of a user, and the last 1,000 purchases."""
    length: int = Field(default=10, ge=1, le=100)
    """Items of a list."""
    diversity: float = Field(default=0.0, ge=0, le=0.9)
    """How much an item's likeness to those above it counts against it, 0: not at all."""
    exploration: int = Field(default=0, ge=0, le=10)
    """Places at a list's end that are drawn among the next best items, each with the probability that it was drawn with
    (`propensity`): what is learnt of them can be judged later."""
    users_max: int = Field(default=1_000_000, ge=1)
    """Users that a worker remembers; beyond it, who was active least recently is forgotten."""
    actions: dict[ActionName, Action] = Field(default={}, max_length=100)
    """What the topic's own words for actions mean, such as `{order = "purchase", wishlist = "cart"}`, in any case. What
    neither this nor `[source] action` knows counts as `other`: it is no purchase."""

    lists_for: list[Action] | None = Field(default=None, min_length=1, max_length=100)
    """Actions whose events are answered with a list, such as `["view", "cart"]`, as they are called here (`actions`
    says what the topic's own words mean). Of all others the recommender only learns, and their decision has an empty
    list. Unset: every event has one."""

    @field_validator("actions")
    @classmethod
    def _in_small_letters(cls, given: dict[str, Action]) -> dict[str, Action]:
        known = {name.strip().lower(): action for name, action in given.items()}
        if "" in known:
            raise ValueError("a name of an action is empty; write the word that stands in the events")
        if len(known) < len(given):
            raise ValueError("two names of actions differ in case or blanks alone; leave one out")
        return known

    def action(self, written: str | None) -> str:
        """An event's action, as it is counted: in small letters, of those that are known where it is one."""
        name = (written or "").strip().lower()
        return self.actions.get(name, name) or "other"
