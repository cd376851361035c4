"""What a list is, and how lists did."""

from dataclasses import dataclass
from typing import Literal

Why = Literal["again", "together", "like", "popular", "exploration"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of the user's previous list. rank: place of the taken item in it, from 1; None: not in the
    list. is_new: the item was none of the user's recent ones."""

    item_id: str
    rank: int | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class ListedItem:
    """score: log-odds up to a constant. why: `again`, it is one of the user's recent items; `together`, users who
    touched `because` touched it as well; `like`, it reads like `because`; `popular`, others touch it now, most of all
    those of `segment`, where one stands there; `exploration`, it was drawn, with the probability `propensity`."""

    item_id: str
    score: float
    why: Why
    because: str | None = None
    propensity: float | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """items: best first, drawn ones last. feedback: set when this event is a click or a purchase by a user who had a
    list. is_asked: whether there was to be a list; where not, the event was learnt of alone."""

    items: tuple[ListedItem, ...]
    feedback: Feedback | None = None
    is_asked: bool = True


@dataclass(slots=True)
class Quality:
    """How the lists did so far, over every click and purchase that had a list before it; apart, of items that were new
    to the user."""

    feedbacks: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0
    new_feedbacks: int = 0
    new_hits: int = 0
    unknown_items: int = 0

    def add(self, feedback: Feedback) -> None:
        """Count one feedback."""
        self.feedbacks += 1
        self.new_feedbacks += feedback.is_new
        if feedback.rank is not None:
            self.hits += 1
            self.new_hits += feedback.is_new
            self.reciprocal_ranks += 1.0 / feedback.rank

    @property
    def hit_rate(self) -> float:
        """Share of feedbacks whose item stood in the list (hit@10)."""
        return self.hits / self.feedbacks if self.feedbacks else 0.0

    @property
    def discovery_rate(self) -> float:
        """The same of items that were new to the user."""
        return self.new_hits / self.new_feedbacks if self.new_feedbacks else 0.0

    @property
    def mean_reciprocal_rank(self) -> float:
        """Mean of 1/rank, 0 for an item not in the list (MRR@10)."""
        return self.reciprocal_ranks / self.feedbacks if self.feedbacks else 0.0
