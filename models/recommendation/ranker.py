"""A softmax regression over a few features of every item, corrected by what users take: one weight a feature.

What stands first is taken more often because it stands there. So where a user was shown a list, two more features say
of each item whether it stood there and how far down; they count when weights are learnt, not when items are scored.
With them the other weights are those of a choice at equal places, as long as how often a place is looked at falls with
a power of its number: the position-based model of Craswell, Zoeter, Taylor, Ramsey (2008), "An experimental comparison
of click position-bias models", whose power is learnt beside (Wang, Golbandi, Bendersky, Metzler, Najork, 2018,
"Position bias estimation for unbiased learning to rank in personal search", estimate it apart).

Sources: multinomial logit for choice, McFadden (1974), "Conditional logit analysis of qualitative choice behavior";
step sizes by AdaGrad, Duchi, Hazan, Singer (2011), Journal of Machine Learning Research 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import ACTIONS

DENSE: Final = ("like_recent", "like_last", "popular", "together", "popular_in_segment", "follows")
_NOTHING: Final = np.empty(0, np.int64)
_LOOKED_AT: Final = np.array([1.0, -1.0])  # signs that the weights of `PLACED` can have
_PLACED_RATE: Final = 4.0  # times the rate of the others: what lies in the place is not to be learnt of the item first
# The weights to start from, so that the first lists are sensible; feedback moves them.
_DENSE_PRIOR: Final = (4.0, 2.0, 0.7, 1.0, 0.7, 3.0)
_OWN_PRIOR: Final = (1.0, 1.0, 2.0, -1.0, 1.0, 0.0, 1.0)  # by last action: an item of the recent ones
_LAST_PRIOR: Final = (2.0, 0.0, 2.0, -1.0, 0.0, -1.0, 0.0)  # by last action: the very last item, on top


PLACED: Final = ("listed", "further_down")
NAMES: Final = (
    *DENSE,
    *(f"own_{action}" for action in ACTIONS),
    *(f"last_{action}" for action in ACTIONS),
    *PLACED,
)
FIRST_NAMES: Final = tuple(
    name for name in NAMES if name not in ("popular_in_segment", "follows", *PLACED)
)  # of states without


@dataclass(frozen=True, slots=True)
class Features:
    """dense: float32 (DENSE, items). own: places of the recent items, oldest first, with their last actions and decays.
    allowed: what may be shown, (items,). chosen: where in the catalogue the items stand, in that order, if these are
    not all of it; all other places are by these. stands_for: the logarithm of how many items each is learnt of for,
    where some are drawn."""

    dense: NDArray[np.float32]
    own: NDArray[np.int64]
    actions: NDArray[np.int64]
    decays: NDArray[np.float32]
    allowed: NDArray[np.bool_]
    chosen: NDArray[np.int64] | None = None
    stands_for: NDArray[np.float32] | None = None

    def here(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where items of the catalogue stand among these; all of them are."""
        return places if self.chosen is None else np.searchsorted(self.chosen, places)

    def places(self, here: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where some of these stand in the catalogue."""
        return here if self.chosen is None else self.chosen[here]


class Ranker:
    """Not thread-safe: one owner."""

    def __init__(self, learning_rate: float) -> None:
        """learning_rate: of AdaGrad."""
        self._rate = learning_rate
        self._dense = np.array(_DENSE_PRIOR)
        self._own = np.array(_OWN_PRIOR)
        self._last = np.array(_LAST_PRIOR)
        self._placed = np.zeros(len(PLACED))
        self._seen = np.full(len(NAMES), 1e-2)

    def logits(self, features: Features) -> NDArray[np.float32]:
        """Score of every item, float32 (items,), minus infinity for what may not be shown."""
        scores: NDArray[np.float32] = self._dense.astype(np.float32) @ features.dense
        if len(features.own):
            scores[features.own] += self._own[features.actions] * features.decays
            scores[features.own[-1]] += self._last[features.actions[-1]]
        scores[~features.allowed] = -np.inf
        return scores

    def learn(self, features: Features, taken: int, shown: NDArray[np.int64] = _NOTHING) -> None:
        """One step up the likelihood of the taken item among all that may be shown; of one that may not, none. shown:
        the list that its user had, from its first place on."""
        if not features.allowed[taken]:
            return
        places = np.stack([np.ones(len(shown)), np.log(np.arange(1.0, len(shown) + 1.0))])
        scores = self.logits(features)
        scores[shown] += (self._placed @ places).astype(np.float32)
        if features.stands_for is not None:
            scores = scores + features.stands_for
        error = np.exp(scores - scores.max())
        error /= -error.sum()
        error[taken] += 1.0
        own, last = np.zeros(len(ACTIONS)), np.zeros(len(ACTIONS))
        if len(features.own):
            np.add.at(own, features.actions, features.decays * error[features.own])
            last[features.actions[-1]] = error[features.own[-1]]
        gradient = np.concatenate([features.dense @ error, own, last, places @ error[shown]])
        self._seen += gradient**2
        step = self._rate * gradient / np.sqrt(self._seen)
        dense = len(self._dense)
        self._dense += step[:dense]
        self._own += step[dense : dense + len(ACTIONS)]
        self._last += step[dense + len(ACTIONS) : -len(PLACED)]
        # Nothing is looked at more often because it was not listed, or further down: else a weight would take in what
        # is wrong with the others, most of all on events of people who never saw the lists.
        placed = self._placed + _PLACED_RATE * step[-len(PLACED) :]
        self._placed = _LOOKED_AT * np.maximum(_LOOKED_AT * placed, 0.0)

    def state(self) -> NDArray[np.float64]:
        """What `restore` needs, float64 (2, weights), in the order of `NAMES`."""
        return np.stack([np.concatenate([self._dense, self._own, self._last, self._placed]), self._seen])

    def restore(self, state: NDArray[np.float64], names: Sequence[str] = NAMES) -> None:
        """Go on where `state` was taken. names: of the weights then; what is not among them is as at the beginning.
        Raises ValueError where it has none of that name."""
        dense = len(self._dense)
        if not set(names) <= set(NAMES) or len(set(names)) != len(names):
            raise ValueError("weights of other features")
        weights, seen = self.state()
        places = [NAMES.index(name) for name in names]
        weights[places], seen[places] = state
        ends = np.cumsum([dense, len(ACTIONS), len(ACTIONS)])
        self._dense, self._own, self._last, self._placed = np.split(weights.copy(), ends)
        self._seen = seen.copy()

    def named(self) -> dict[str, float]:
        """Every weight by name."""
        return dict(zip(NAMES, self.state()[0].tolist(), strict=True))
