"""Which ten items to show a user next, learnt while the events pass.

Every item of the catalogue is scored by a few features: how much goes with the user's recent items, by who touched what
and by words (`live_covisitation.py`), how often it came after the last of them (`candidates/following.py`), how like
them it is (embeddings), how popular it is now, overall and in the user's segments (`popularity.py`), and, for the
user's own recent items, what they last did with it and how long ago (a viewed item is often clicked, a purchased one
seldom). `ranker.py` weighs them and learns from every click and purchase; `listing/` finds them, makes a list of the
scores and says why each item stands there. What a user bought and what is withdrawn is never shown.

Everything is a function of the events seen so far. State is bounded: the last items of the last users, counts of the
first items of the catalogue, the last touches, some twenty weights; `replay` of a stretch of the topic rebuilds it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.candidates.following import Following
from models.recommendation.catalogue import Catalogue
from models.recommendation.events import ACTION_INDEX, FEEDBACK_ACTIONS, OTHER, UserEvent
from models.recommendation.listing.features import ItemFeatures, Known
from models.recommendation.listing.lists import chances, diverse, explored
from models.recommendation.listing.reasons import explained, rounded
from models.recommendation.live_covisitation import LiveCovisitation
from models.recommendation.policy import RecommendPolicy
from models.recommendation.popularity import Popularity
from models.recommendation.ranker import NAMES, Features, Ranker
from models.recommendation.ranking import Feedback, ListedItem, Quality, Ranking
from models.recommendation.state import ItemsState, LearntState
from models.recommendation.user_rows import UserRows
from models.recommendation.users import EMPTY, History, Users

_TOLD_EVERY: Final = 500
_NOTHING: Final = np.empty(0, np.int64)
_LEARNT_FROM: Final = 5_000  # of the last events of a replay the weights are learnt; older ones move state alone


class Recommender:
    """Scores the whole catalogue for each event. Not thread-safe: one owner."""

    def __init__(
        self,
        item_ids: Sequence[str],
        embeddings: NDArray[np.float32],
        policy: RecommendPolicy | None = None,
        texts: Sequence[str] = (),
    ) -> None:
        """embeddings: (items, dimensions), float32, any length; rows stand for `item_ids`, as `texts` do.

        Raises ModelError when ids repeat, or rows and ids do not agree.
        """
        self.policy = policy or RecommendPolicy()
        self.catalogue = Catalogue(item_ids, embeddings, texts)
        self._together = LiveCovisitation(self.catalogue, self.policy.covisitation, self.policy.items_max)
        self._item_features = ItemFeatures(self.catalogue)
        self._is_frozen = False
        self.forget()

    def make_ready(self) -> None:
        """The first fit, and a large catalogue's index: what events would wait for, or begin without."""
        self.go_with(self.catalogue.ids[0])
        self._item_features.make_ready()

    def freeze(self) -> None:
        """Learn no more: what users did last still counts, what goes together, what is popular and the weights stay. To
        see what learning is worth."""
        self._is_frozen = True

    def adapt(self, item_map: ItemMap | None) -> None:
        """Compare the items' embeddings through this map from the next event on; None: as they are. Raises
        ModelError."""
        self.catalogue.adapt(item_map)

    def forget(self) -> None:
        """Begin anew, as before the first event; the catalogue stays."""
        policy = self.policy
        self.quality = Quality()
        self._popularity = Popularity(policy.popularity_half_life_events, policy.segments)
        self._users = Users(
            policy.recent_items, policy.length, policy.users_max, policy.purchases_max, len(policy.segments)
        )
        self._ranker = Ranker(policy.learning_rate)
        self._following = Following()
        self._together.forget()
        self._known = Known(self._together, self._following, self._popularity)

    def observe(self, event: UserEvent, home: int = 0) -> Ranking:
        """Take one event in and rank for its user. Same events, same lists. home: a number of what the event comes
        from, kept with its user.

        A click or purchase is first held against the user's previous list (feedback) and corrects the
        weights. An item that the catalogue lacks is counted and changes nothing else, but that who bought it is
        not shown it once it is there; a user without an id gets a list for this item alone. Where the action
        asks for no list (`RecommendPolicy.lists_for`) all is learnt as well, and the user's list stays the last
        one that was made.
        """
        is_asked = self.policy.asks(event.action)
        item = self.catalogue.place(event.item_id)
        self.quality.unknown_items += event.item_id is not None and item is None
        segments = self._segments(event)
        if event.user_id is None:
            return Ranking(self._passing(item, event.action, segments, is_asked=is_asked), is_asked=is_asked)
        slot = self._users.slot(event.user_id, home)
        self._users.belong(slot, segments)
        if item is None:
            self._bought_unknown(slot, event)
        feedback = None if item is None else self._taken_in(slot, item, event.action)
        if not is_asked:
            return Ranking((), feedback, is_asked=False)
        history = self._users.history(slot)
        places, items = self._listed(history, event.user_id)
        self._users.show(slot, places)
        return Ranking(items, feedback)

    def replay(
        self,
        events: Sequence[UserEvent],
        homes: Sequence[int] = (),
        *,
        is_whole: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Rebuild the state from a stretch of the topic. Of the last events all is learnt, and lists are known. Old
        ones move what is known of users and items; is_whole: all is learnt of them as well, as by who saw all that came
        before the first of them. homes: as of `observe`, one for each event. progress: told of events now and then."""
        old = max(len(events) - _LEARNT_FROM, 0)
        for number, event in enumerate(events):
            if number % _TOLD_EVERY == 0:
                progress(number, len(events))
            home = homes[number] if homes else 0
            if number >= old:
                self.observe(event, home)
            else:
                self._replay_old(event, home, is_whole)
        progress(len(events), len(events))

    def _replay_old(self, event: UserEvent, home: int, is_whole: bool) -> None:
        item = self.catalogue.place(event.item_id)
        segments = self._segments(event)
        if event.user_id is None:
            if is_whole and item is not None:
                self._touch_popularity(item, segments)
            return
        if not is_whole and item is None and event.action != "purchase":
            return
        slot = self._users.slot(event.user_id, home)
        self._users.belong(slot, segments)
        if item is None:
            self._bought_unknown(slot, event)
        if is_whole:
            if item is not None:
                self._taken_in(slot, item, event.action)
            if self.policy.asks(event.action):
                self._users.show_unknown(slot)
        elif item is not None:
            self._remember(slot, item, event.action, at_once=False)

    def rank(self, user_id: str | None) -> tuple[ListedItem, ...]:
        """The list for a user as things stand; changes nothing."""
        slot = self._users.known(user_id)
        return self._listed(EMPTY if slot is None else self._users.history(slot), user_id or "")[1]

    def chances(self, user_id: str | None) -> dict[str, float]:
        """What would be drawn for the first place kept for exploration, as things stand: item to probability. Changes
        nothing."""
        slot, policy = self._users.known(user_id), self.policy
        features, columns = self._features(EMPTY if slot is None else self._users.history(slot))
        logits = self._ranker.logits(features)
        exploration = min(policy.exploration, policy.length - 1)
        taken = diverse(logits, columns, policy.length - exploration, policy.diversity)
        pool, weights = chances(logits, taken, exploration)
        ids = self.catalogue.ids
        places = features.places(pool).tolist()
        return {ids[place]: weight for place, weight in zip(places, weights.tolist(), strict=True)}

    def knows(self, user_id: str | None) -> bool:
        """Whether anything is known of a user."""
        return self._users.known(user_id) is not None

    def go_with(self, item_id: str, length: int | None = None) -> tuple[ListedItem, ...]:
        """Items that go with one, best first; changes nothing. Empty where there is no such item."""
        item = self.catalogue.place(item_id)
        if item is None:
            return ()
        only = History(np.array([item]), np.array([ACTION_INDEX["click"]]), np.array([item]), None)
        return self._listed(only, item_id, length, only_others=True)[1]

    @property
    def users(self) -> int:
        """How many users are remembered."""
        return len(self._users)

    def begin_writing(self) -> tuple[ItemsState, Callable[[], LearntState]]:
        """From now on `next_rows` gives what is known of all users as of this moment, while events go on. Returns for
        what items their places stand, and what gives what was learnt of all of them, to be called in another thread."""
        self._users.begin_writing()
        counts, quality = self._together.state(), asdict(self.quality)
        popular, weights = self._popularity, self._ranker.state()
        touched, step, by_segment = popular.counts.copy(), popular.step, popular.by_segment.copy()
        items = ItemsState(tuple(self.catalogue.ids), self.catalogue.kept, popular.fields, popular.segments())
        follows = self._following.state()
        return items, lambda: LearntState(touched, step, weights, quality, counts(), NAMES, by_segment, follows)

    def next_rows(self, most: int) -> UserRows | None:
        """The next users, at most so many; None: that was all."""
        return self._users.next_rows(most)

    def take_up(
        self,
        tables: Sequence[ItemsState],
        learnt: LearntState | None,
        users: Iterable[tuple[int, UserRows]],
        apart: frozenset[int] = frozenset(),
    ) -> None:
        """Go on where `begin_writing` was called; after `forget`. tables: the items that places stand for, the first
        one those of `learnt` (None where only users are known). users: rows, and by which of the tables they are.
        apart: homes whose users were not learnt of with the others: what they touched last is counted again.

        Raises ValueError, zlib.error where it cannot be used."""
        for table in reversed(tables):  # the first one's order stays
            self.catalogue.arrange(table.ids, table.shown.tolist())
        places = [self.catalogue.places_of(table.ids) for table in tables]
        self._make_room()
        popular = self._popularity
        segments = [popular.adopt(table.segments) for table in tables]
        if learnt is not None:
            learnt.check(len(places[0]), len(tables[0].segments))
            self._take_up_learnt(learnt, places[0], [segments[0].get(number) for number, *_ in tables[0].segments])
        for number, rows in users:
            fields = tables[number].fields
            rows.check(len(places[number]), len(ACTION_INDEX), len(fields))
            columns = [popular.fields.index(field) if field in popular.fields else -1 for field in fields]
            moved = rows.in_segments(columns, len(popular.fields), segments[number])
            self._users.put(moved.moved(places[number]))
        self._users.settle()
        for items, own in self._users.recent(apart):
            self._together.count_again(items)
            popular.count(items, own)

    def _take_up_learnt(self, learnt: LearntState, places: NDArray[np.int32], segments: Sequence[int | None]) -> None:
        """segments: the number here of each of those that popularity was counted by, None: none."""
        kept = np.flatnonzero(places[: len(learnt.popularity)] >= 0)
        popular = self._popularity
        counts, by_segment = popular.counts, popular.by_segment
        counts[places[kept]] = learnt.popularity[kept]
        for row, number in zip(learnt.by_segment, segments, strict=True):
            if number is not None:
                by_segment[popular.row(number), places[kept]] = row[kept]
        popular.restore(counts, learnt.step, by_segment)
        self._ranker.restore(learnt.weights, learnt.names)
        self.quality = Quality(**learnt.quality)
        self._together.restore(learnt.counts, places)
        self._following.restore(learnt.follows, places)

    @property
    def weights(self) -> dict[str, float]:
        """What was learnt, by name."""
        return self._ranker.named()

    def _segments(self, event: UserEvent) -> NDArray[np.int32]:
        return self._popularity.numbers(event.segments, is_frozen=self._is_frozen)

    def _passing(
        self, item: int | None, action: str, segments: NDArray[np.int32], *, is_asked: bool
    ) -> tuple[ListedItem, ...]:
        """For somebody of whom nothing is kept."""
        if item is not None and not self._is_frozen:
            self._touch_popularity(item, segments)
        if not is_asked:
            return ()
        if item is None:
            return self._listed(replace(EMPTY, segments=segments), "")[1]
        bought = np.array([item] if action == "purchase" else [], np.int64)
        index = ACTION_INDEX.get(action, OTHER)
        return self._listed(History(np.array([item]), np.array([index]), bought, None, segments), "")[1]

    def _taken_in(self, slot: int, item: int, action: str) -> Feedback | None:
        feedback = self._learn(self._users.history(slot), item) if action in FEEDBACK_ACTIONS else None
        self._remember(slot, item, action)
        return feedback

    def _bought_unknown(self, slot: int, event: UserEvent) -> None:
        """Catalogues are written behind the events, or with a restart."""
        if event.action != "purchase" or event.item_id is None:
            return
        place = self.catalogue.reserve(event.item_id)
        if place is not None:
            self._users.buy(slot, place)

    def _learn(self, history: History, item: int) -> Feedback | None:
        if history.shown is None:
            return None
        if not self._is_frozen:
            features, _ = self._features(history, np.append(history.shown, item), is_to_learn=True)
            self._ranker.learn(features, int(features.here(np.array([item]))[0]), features.here(history.shown))
        if not len(history.shown):
            return None  # nobody knows whether it stood there
        places = np.flatnonzero(history.shown == item)
        rank = int(places[0]) + 1 if len(places) else None
        feedback = Feedback(self.catalogue.ids[item], rank, bool(item not in history.items))
        self.quality.add(feedback)
        return feedback

    def _remember(self, slot: int, item: int, action: str, *, at_once: bool = True) -> None:
        history = self._users.history(slot)
        others = history.items
        is_new = self._users.touch(slot, item, ACTION_INDEX.get(action, OTHER))
        if self._is_frozen:
            return
        self._following.touched(item, others)
        if is_new:
            self._together.touched(item, others, at_once=at_once)
        self._touch_popularity(item, history.segments)

    def _touch_popularity(self, item: int, segments: NDArray[np.int32]) -> None:
        self._make_room()
        self._popularity.touch(item, segments)

    def _make_room(self) -> None:
        self._popularity.make_room(len(self.catalogue))

    def _listed(
        self, history: History, user_id: str, length: int | None = None, *, only_others: bool = False
    ) -> tuple[NDArray[np.int64], tuple[ListedItem, ...]]:
        """Places and items of a list. only_others: none of the history's own items, nothing drawn."""
        policy, length = self.policy, length or self.policy.length
        features, columns = self._features(history)
        if only_others:
            features.allowed[features.own] = False
        logits = self._ranker.logits(features)
        exploration = 0 if only_others else min(policy.exploration, length - 1)
        best = diverse(logits, columns, length - exploration, policy.diversity)
        items = explained(features.places(best), logits[best], history, self.catalogue, self._known)
        if not exploration:
            return features.places(best), tuple(items)
        drawn, chances = explored(
            logits, best, exploration, crc32(user_id.encode("utf-8", "surrogatepass") + history.items.tobytes())
        )
        ids = self.catalogue.ids
        for here, place, chance in zip(drawn, features.places(drawn).tolist(), chances.tolist(), strict=True):
            items.append(ListedItem(ids[place], rounded(logits[here]), "exploration", None, round(chance, 6)))
        return features.places(np.concatenate([best, drawn])), tuple(items)

    def _features(
        self, history: History, always: NDArray[np.int64] = _NOTHING, *, is_to_learn: bool = False
    ) -> tuple[Features, NDArray[np.float32]]:
        self._make_room()
        return self._item_features.of(history, self._known, self.policy, always, is_to_learn=is_to_learn)
