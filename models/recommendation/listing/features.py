"""What speaks for each item: the features that the ranker weighs, of all items or of candidates alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.candidates.choosing import chosen, with_others
from models.recommendation.candidates.following import Following
from models.recommendation.candidates.neighbours import Neighbours, neighbours_of
from models.recommendation.catalogue import Catalogue
from models.recommendation.events import TASTE
from models.recommendation.live_covisitation import LiveCovisitation
from models.recommendation.policy import RecommendPolicy
from models.recommendation.popularity import Popularity
from models.recommendation.ranker import DENSE, Features
from models.recommendation.scoring import log_share
from models.recommendation.users import History

_TASTE: Final = np.array(TASTE, np.float32)
_NOTHING: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Known:
    """Of all users together, as it is now: what goes together, what came after what of late, what is popular."""

    together: LiveCovisitation
    following: Following
    popularity: Popularity


class ItemFeatures:
    """Of the items of one catalogue. Not thread-safe: one owner, the catalogue's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._neighbours: Neighbours | None = None  # once there are so many items

    def make_ready(self) -> None:
        """Have a large catalogue's index whole, which the next lists would do without."""
        if self._neighbours is not None:
            self._neighbours.make_ready()

    def of(
        self,
        history: History,
        known: Known,
        policy: RecommendPolicy,
        always: NDArray[np.int64] = _NOTHING,
        *,
        is_to_learn: bool = False,
    ) -> tuple[Features, NDArray[np.float32]]:
        """And unit vectors of the same items, (dimensions, items). always: places of items that are among them.
        is_to_learn: with some that are no candidates, so that weights are learnt of those as well."""
        allowed = self._allowed(history, policy)
        ages = np.arange(len(history.items) - 1, -1, -1)
        decays = np.power(policy.recency_decay, ages, dtype=np.float32)
        profile = self._profile(history, decays)
        together = follows = np.zeros(0, np.float32)
        if len(history.items):
            taste = np.power(policy.taste_decay, ages, dtype=np.float32) * _TASTE[history.actions]
            together = known.together.scores(history.items, taste)
            follows = known.following.scores(history.items, len(self._catalogue))
        some = self._chosen(history, profile, (together, follows), always, allowed, known, policy)
        stands_for = None
        if some is not None and is_to_learn:
            some, stands_for = with_others(some, allowed, policy.candidates)
        columns = self._catalogue.columns if some is None else self._catalogue.columns[:, some]
        dense = np.zeros((len(DENSE), columns.shape[1]), np.float32)
        dense[2] = known.popularity.overall(some)
        if len(history.segments):
            dense[4] = known.popularity.lift(history.segments, some).sum(axis=0)
        if len(history.items):
            dense[0], dense[1] = profile @ columns
            shares = log_share(together)
            dense[3] = shares if some is None else shares[some]
            dense[5] = np.log1p(follows if some is None else follows[some])
        allowed = allowed if some is None else allowed[some]
        features = Features(dense, history.items, history.actions, decays, allowed, some, stands_for)
        return replace(features, own=features.here(history.items)), columns

    def _profile(self, history: History, decays: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the user's recent items read like, and the last one, (2, dimensions); of nobody's: (0, dimensions)."""
        vectors = self._catalogue.columns[:, history.items]
        if not len(history.items):
            return vectors.T
        profile = vectors @ decays
        return np.stack([profile / max(float(np.linalg.norm(profile)), 1e-12), vectors[:, -1]])

    def _chosen(
        self,
        history: History,
        profile: NDArray[np.float32],
        sources: Sequence[NDArray[np.float32]],
        always: NDArray[np.int64],
        allowed: NDArray[np.bool_],
        known: Known,
        policy: RecommendPolicy,
    ) -> NDArray[np.int64] | None:
        """Places of the candidates; None: all items are scored. sources: further scores of all items."""
        each = policy.candidates
        if len(self._catalogue) <= policy.scored_max:
            return None
        self._neighbours = self._neighbours or neighbours_of(self._catalogue)
        if self._neighbours is None:  # to compare with each item takes as long as to score it
            return None
        near = [self._neighbours.nearest(vector, each // 2) for vector in profile]
        scores = [*sources, *known.popularity.touched(history.segments)]
        return chosen(near, scores, (history.items, always), allowed, each)

    def _allowed(self, history: History, policy: RecommendPolicy) -> NDArray[np.bool_]:
        allowed = self._catalogue.shown.copy()
        if policy.repeats != "always":
            allowed[history.bought] = False
        if policy.repeats == "never":
            allowed[history.items] = False
        return allowed
