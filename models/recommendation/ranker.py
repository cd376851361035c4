"""A softmax regression over a few features of every item, corrected by what users take: one weight a feature.

Sources: multinomial logit for choice, McFadden (1974), "Conditional logit analysis of qualitative choice behavior";
step sizes by AdaGrad, Duchi, Hazan, Singer (2011), Journal of Machine Learning Research 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import ACTIONS

DENSE: Final = ("like_recent", "like_last", "popular", "together", "popular_in_segment")
# The weights to start from, so that the first lists are sensible; feedback moves them.
_DENSE_PRIOR: Final = (4.0, 2.0, 0.7, 1.0, 0.7)
_OWN_PRIOR: Final = (1.0, 1.0, 2.0, -1.0, 1.0, 0.0, 1.0)  # by last action: an item of the recent ones
_LAST_PRIOR: Final = (2.0, 0.0, 2.0, -1.0, 0.0, -1.0, 0.0)  # by last action: the very last item, on top


NAMES: Final = (*DENSE, *(f"own_{action}" for action in ACTIONS), *(f"last_{action}" for action in ACTIONS))
FIRST_NAMES: Final = tuple(name for name in NAMES if name != "popular_in_segment")  # of states that name none


@dataclass(frozen=True, slots=True)
class Features:
    """dense: float32 (DENSE, items). own: places of the recent items, oldest first, with their last actions and
    decays. allowed: what may be shown, (items,)."""

    dense: NDArray[np.float32]
    own: NDArray[np.int64]
    actions: NDArray[np.int64]
    decays: NDArray[np.float32]
    allowed: NDArray[np.bool_]


class Ranker:
    """Not thread-safe: one owner."""

    def __init__(self, learning_rate: float) -> None:
        """learning_rate: of AdaGrad."""
        self._rate = learning_rate
        self._dense = np.array(_DENSE_PRIOR)
        self._own = np.array(_OWN_PRIOR)
        self._last = np.array(_LAST_PRIOR)
        self._seen = np.full(len(self._dense) + 2 * len(ACTIONS), 1e-2)

    def logits(self, features: Features) -> NDArray[np.float32]:
        """Score of every item, float32 (items,), minus infinity for what may not be shown."""
        scores: NDArray[np.float32] = self._dense.astype(np.float32) @ features.dense
        if len(features.own):
            scores[features.own] += self._own[features.actions] * features.decays
            scores[features.own[-1]] += self._last[features.actions[-1]]
        scores[~features.allowed] = -np.inf
        return scores

    def learn(self, features: Features, taken: int) -> None:
        """One step up the likelihood of the taken item among all that may be shown; of one that may not, none."""
        if not features.allowed[taken]:
            return
        scores = self.logits(features)
        error = np.exp(scores - scores.max())
        error /= -error.sum()
        error[taken] += 1.0
        own, last = np.zeros(len(ACTIONS)), np.zeros(len(ACTIONS))
        if len(features.own):
            np.add.at(own, features.actions, features.decays * error[features.own])
            last[features.actions[-1]] = error[features.own[-1]]
        gradient = np.concatenate([features.dense @ error, own, last])
        self._seen += gradient**2
        step = self._rate * gradient / np.sqrt(self._seen)
        dense = len(self._dense)
        self._dense += step[:dense]
        self._own += step[dense : dense + len(ACTIONS)]
        self._last += step[dense + len(ACTIONS) :]

    def state(self) -> NDArray[np.float64]:
        """What `restore` needs, float64 (2, weights), in the order of `NAMES`."""
        return np.stack([np.concatenate([self._dense, self._own, self._last]), self._seen])

    def restore(self, state: NDArray[np.float64], names: Sequence[str] = NAMES) -> None:
        """Go on where `state` was taken. names: of the weights then; what is not among them is as at the beginning.
        Raises ValueError where it has none of that name."""
        dense = len(self._dense)
        if not set(names) <= set(NAMES) or len(set(names)) != len(names):
            raise ValueError("weights of other features")
        weights, seen = self.state()
        places = [NAMES.index(name) for name in names]
        weights[places], seen[places] = state
        self._dense, self._own, self._last = np.split(weights.copy(), [dense, dense + len(ACTIONS)])
        self._seen = seen.copy()

    def named(self) -> dict[str, float]:
        """Every weight by name."""
        return dict(zip(NAMES, self.state()[0].tolist(), strict=True))
