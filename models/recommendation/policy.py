"""How a recommender goes about it: fixed choices."""

from dataclasses import dataclass
from typing import Final, Literal

from models.recommendation.covisitation import CovisitationPolicy
from models.recommendation.events import ACTION_INDEX, ACTIONS, OTHER

Repeats = Literal["always", "not_bought", "never"]
_COVISITATION: Final = CovisitationPolicy(ridge=200.0, words=100.0)


@dataclass(frozen=True, slots=True)
class RecommendPolicy:
    """Fixed choices. recent_items: kept per user. users_max: the least recently active beyond it is
    forgotten. popularity_half_life_events: after so many events of all users an event counts half.
    recency_decay: per newer item of the same user, of what the user did with an item and what is like it;
    taste_decay: the same of what goes with it. learning_rate: of the weights (AdaGrad). repeats: whether items are
    shown again that the user touched, or bought. diversity: 0 to 1, see `lists.diverse`. exploration: places of a list
    that are drawn. items_max: of them is counted who touches them together; purchases_max: remembered of a user.
    segments: fields of events by whose values popularity is counted apart. scored_max: up to so many items all are
    scored; of more, candidates: the best `candidates` of each source, of neighbours half of it. lists_for: actions
    whose events are answered with a list, None: all are."""

    length: int = 10
    recent_items: int = 50
    users_max: int = 1_000_000
    popularity_half_life_events: float = 2_000.0
    recency_decay: float = 0.8
    taste_decay: float = 0.97
    learning_rate: float = 0.1
    repeats: Repeats = "not_bought"
    diversity: float = 0.0
    exploration: int = 0
    items_max: int = 5_000
    purchases_max: int = 1_000
    segments: tuple[str, ...] = ()
    scored_max: int = 50_000
    candidates: int = 200
    covisitation: CovisitationPolicy = _COVISITATION
    lists_for: frozenset[str] | None = None

    def asks(self, action: str) -> bool:
        """Whether an event of this action is answered with a list."""
        return self.lists_for is None or ACTIONS[ACTION_INDEX.get(action, OTHER)] in self.lists_for
