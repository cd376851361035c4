"""Which ten items to show a user next, learnt while the events pass.

Every item of the catalogue is scored by a few features: how like the user's recent items it is (embeddings),
how popular it is now, and, for the user's own recent items, what they last did with it and how long ago (a
viewed item is often clicked, a purchased one seldom). The features' weights are one softmax regression,
corrected after every click and purchase: the item that was taken against all that could have been.

Everything is a function of the events seen so far. State is bounded: the last items of the last users, one
popularity per item, twenty weights; `replay` of a stretch of the topic rebuilds it.

Sources: multinomial logit for choice, McFadden (1974), "Conditional logit analysis of qualitative choice
behavior"; step sizes by AdaGrad, Duchi, Hazan, Singer (2011), Journal of Machine Learning Research 12.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

ACTIONS: Final = ("view", "click", "cart", "purchase", "share", "comment", "other")
FEEDBACK_ACTIONS: Final = frozenset({"click", "purchase"})
_ACTION_INDEX: Final = {action: index for index, action in enumerate(ACTIONS)}
_OTHER: Final = _ACTION_INDEX["other"]

# The weights to start from, so that the first lists are sensible; feedback moves them.
_DENSE_PRIOR: Final = (4.0, 2.0, 0.7)  # like the recent items, like the last item, popular
_OWN_PRIOR: Final = (1.0, 1.0, 2.0, -1.0, 1.0, 0.0, 1.0)  # by last action: an item of the recent ones
_LAST_PRIOR: Final = (2.0, 0.0, 2.0, -1.0, 0.0, -1.0, 0.0)  # by last action: the very last item, on top


@dataclass(frozen=True, slots=True)
class UserEvent:
    """What a user did with an item. user_id None: not signed in, nothing is kept. Unknown actions count as
    "other"."""

    user_id: str | None
    item_id: str | None
    action: str

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "UserEvent":
        """From a record of `user.events`; missing and empty fields become None, never an error."""
        user, item = (
            str(record[name]) if record.get(name) not in (None, "") else None for name in ("user_id", "item_id")
        )
        return cls(user, item, str(record.get("action") or "other").lower())


@dataclass(frozen=True, slots=True)
class RecommendPolicy:
    """Fixed choices. recent_items: kept per user. users_max: the least recently active beyond it is
    forgotten. popularity_half_life_events: after so many events of all users an event counts half.
    recency_decay: per newer item of the same user. learning_rate: of the weights (AdaGrad)."""

    length: int = 10
    recent_items: int = 20
    users_max: int = 20_000
    popularity_half_life_events: float = 2_000.0
    recency_decay: float = 0.8
    learning_rate: float = 0.1


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of the user's previous list. rank: place of the taken item in it, from 1; None: not in the
    list."""

    item_id: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """items: (item_id, score), best first, scores are log-odds up to a constant. feedback: set when this
    event is a click or a purchase by a user who had a list."""

    items: tuple[tuple[str, float], ...]
    feedback: Feedback | None = None


@dataclass(slots=True)
class Quality:
    """How the lists did so far, over every click and purchase that had a list before it."""

    feedbacks: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0
    unknown_items: int = 0

    def add(self, rank: int | None) -> None:
        """Count one feedback."""
        self.feedbacks += 1
        if rank is not None:
            self.hits += 1
            self.reciprocal_ranks += 1.0 / rank

    @property
    def hit_rate(self) -> float:
        """Share of feedbacks whose item stood in the list (hit@10)."""
        return self.hits / self.feedbacks if self.feedbacks else 0.0

    @property
    def mean_reciprocal_rank(self) -> float:
        """Mean of 1/rank, 0 for an item not in the list (MRR@10)."""
        return self.reciprocal_ranks / self.feedbacks if self.feedbacks else 0.0


@dataclass(slots=True)
class _User:
    """recent: item index to its last action's index, most recently touched last. shown: the last list's item
    indices."""

    recent: OrderedDict[int, int]
    shown: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class _Features:
    """dense: (3, items). own: item indices of the recent items, oldest first, with their last actions and
    decays."""

    dense: NDArray[np.float32]
    own: NDArray[np.int64]
    actions: NDArray[np.int64]
    decays: NDArray[np.float32]


class Recommender:
    """Scores the whole catalogue for each event. Not thread-safe: one owner."""

    def __init__(
        self, item_ids: Sequence[str], embeddings: NDArray[np.float32], policy: RecommendPolicy | None = None
    ) -> None:
        """embeddings: (items, dimensions), float32, any length; rows stand for `item_ids`.

        Raises ModelError when ids repeat, or rows and ids do not agree.
        """
        if embeddings.ndim != 2 or len(embeddings) != len(item_ids) or not len(item_ids):
            raise ModelError(
                f"{len(item_ids)} item ids for embeddings of shape {embeddings.shape}; give one row per item"
            )
        if len(set(item_ids)) != len(item_ids):
            raise ModelError(
                f"{len(item_ids) - len(set(item_ids))} item ids occur twice; make them unique in the catalogue"
            )
        self.policy = policy or RecommendPolicy()
        self._ids = tuple(item_ids)
        self._index = {item_id: index for index, item_id in enumerate(self._ids)}
        # Dimensions first: a catalogue of 10,000 items is scored three times as fast.
        self._columns = np.ascontiguousarray(_centred(embeddings).T)
        self.forget()

    def forget(self) -> None:
        """Begin anew, as before the first event."""
        self.quality = Quality()
        self._popularity = np.zeros(len(self._ids))
        self._popularity_step = 1.0
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._weights = _Weights(self.policy.learning_rate)

    def observe(self, event: UserEvent) -> Ranking:
        """Take one event in and rank for its user. Same events, same lists.

        A click or purchase is first held against the user's previous list (feedback) and corrects the
        weights. An item that the catalogue lacks is counted and changes nothing else; a user without an id
        gets a list for this item alone.
        """
        item = self._index.get(event.item_id) if event.item_id is not None else None
        self.quality.unknown_items += event.item_id is not None and item is None
        user = self._user(event.user_id)
        feedback = None
        if item is not None:
            feedback = self._learn(user, item) if event.action in FEEDBACK_ACTIONS else None
            self._remember(user, item, _ACTION_INDEX.get(event.action, _OTHER))
        return Ranking(self._rank(user), feedback)

    def replay(self, events: Iterable[UserEvent]) -> None:
        """Rebuild the state from a stretch of the topic."""
        for event in events:
            self.observe(event)

    def rank(self, user_id: str | None) -> tuple[tuple[str, float], ...]:
        """The list for a user as things stand; changes nothing."""
        known = self._users.get(user_id) if user_id is not None else None
        logits = self._weights.logits(self._features(known or _User(OrderedDict())))
        return self._named(_best(logits, self.policy.length), logits)

    @property
    def users(self) -> int:
        """How many users are remembered."""
        return len(self._users)

    @property
    def weights(self) -> dict[str, float]:
        """What was learnt, by name."""
        return self._weights.named()

    def _user(self, user_id: str | None) -> _User:
        if user_id is None:
            return _User(OrderedDict())
        user = self._users.setdefault(user_id, _User(OrderedDict()))
        self._users.move_to_end(user_id)
        while len(self._users) > self.policy.users_max:
            self._users.popitem(last=False)
        return user

    def _learn(self, user: _User, item: int) -> Feedback | None:
        if user.shown is None:
            return None
        self._weights.learn(self._features(user), item)
        places = np.flatnonzero(user.shown == item)
        rank = int(places[0]) + 1 if len(places) else None
        self.quality.add(rank)
        return Feedback(self._ids[item], rank)

    def _remember(self, user: _User, item: int, action: int) -> None:
        user.recent[item] = action
        user.recent.move_to_end(item)
        while len(user.recent) > self.policy.recent_items:
            user.recent.popitem(last=False)
        # Instead of ageing every item, a new event weighs more; rescaled before it overflows.
        self._popularity_step *= 2.0 ** (1.0 / self.policy.popularity_half_life_events)
        self._popularity[item] += self._popularity_step
        if self._popularity_step > 1e9:
            self._popularity /= self._popularity_step
            self._popularity_step = 1.0

    def _rank(self, user: _User) -> tuple[tuple[str, float], ...]:
        logits = self._weights.logits(self._features(user))
        user.shown = _best(logits, self.policy.length)
        return self._named(user.shown, logits)

    def _named(self, items: NDArray[np.int64], logits: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
        return tuple((self._ids[item], round(float(logits[item]), 4)) for item in items.tolist())

    def _features(self, user: _User) -> _Features:
        dense = np.zeros((3, len(self._ids)), np.float32)
        dense[2] = np.log1p(self._popularity / self._popularity_step)
        count = len(user.recent)
        own = np.fromiter(user.recent.keys(), np.int64, count)
        decays = np.power(self.policy.recency_decay, np.arange(count - 1, -1, -1), dtype=np.float32)
        if count:
            vectors = self._columns[:, own]
            profile = vectors @ decays
            dense[0] = profile @ self._columns / max(float(np.linalg.norm(profile)), 1e-12)
            dense[1] = vectors[:, -1] @ self._columns
        return _Features(dense, own, np.fromiter(user.recent.values(), np.int64, count), decays)


class _Weights:
    """The softmax regression: one weight per feature, AdaGrad steps."""

    def __init__(self, learning_rate: float) -> None:
        self._rate = learning_rate
        self._dense = np.array(_DENSE_PRIOR)
        self._own = np.array(_OWN_PRIOR)
        self._last = np.array(_LAST_PRIOR)
        self._seen = np.full(len(self._dense) + 2 * len(ACTIONS), 1e-2)

    def logits(self, features: _Features) -> NDArray[np.float32]:
        """Score of every item, float32 (items,)."""
        scores: NDArray[np.float32] = self._dense.astype(np.float32) @ features.dense
        if len(features.own):
            scores[features.own] += self._own[features.actions] * features.decays
            scores[features.own[-1]] += self._last[features.actions[-1]]
        return scores

    def learn(self, features: _Features, taken: int) -> None:
        """One step up the likelihood of the taken item among all."""
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

    def named(self) -> dict[str, float]:
        """Every weight by name."""
        named = dict(zip(("like_recent", "like_last", "popular"), self._dense.tolist(), strict=True))
        named |= {f"own_{action}": weight for action, weight in zip(ACTIONS, self._own.tolist(), strict=True)}
        return named | {f"last_{action}": weight for action, weight in zip(ACTIONS, self._last.tolist(), strict=True)}


def _centred(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors around the catalogue's mean: what all items share says nothing about taste."""
    vectors = np.nan_to_num(np.asarray(embeddings, np.float32))
    vectors = vectors - vectors.mean(axis=0) if len(vectors) > 1 else vectors
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    centred: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return centred


def _best(logits: NDArray[np.float32], length: int) -> NDArray[np.int64]:
    """Indices of the largest scores, best first; equal ones in catalogue order."""
    if len(logits) > 4 * length:
        threshold = np.partition(logits, len(logits) - length)[len(logits) - length]
        candidates = np.flatnonzero(logits >= threshold)
    else:
        candidates = np.arange(len(logits))
    return candidates[np.argsort(-logits[candidates], kind="stable")[:length]]
