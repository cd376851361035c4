"""Who touches what, counted as events pass; which items go together is fitted anew now and then.

When a fit begins and when it is taken depends on the number of touches alone, so the same events give the same lists,
however long a fit takes: it is computed beside the events meanwhile, and waited for where it is not ready. Items that
appear between two fits get their weights from their words by one product with the fitted inverse.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.recommendation.catalogue import Catalogue
from models.recommendation.covisitation import Covisitation, CovisitationPolicy, fit_counts
from models.recommendation.state import CountsState, packed_counts, unpacked_counts
from models.recommendation.titles import TitleVectors

_GROWTH: Final = 1.2  # a fit begins after so many times the touches of the last one, and after so many touches more
_LEAST: Final = 500
_WAIT: Final = 1.02  # it is taken after so many times the touches of its beginning, and after so many more:
_LEAST_WAIT: Final = 100
_PAIRS_AN_EVENT: Final = 10_000  # pairs of items that a fit gets through while an event is decided, at the least
_RIDGES: Final = 20  # times that the ridge is doubled at most
_NEW_MAX: Final = 500  # items that appeared since the last fit and count by their words; of more, there is a new fit
_NEW_AT_ONCE: Final = 32  # of them, that a list waits for: each product reads the whole fit


class LiveCovisitation:
    """Counts for the first `items_max` items of a catalogue; the others have no score here. Not thread-safe."""

    def __init__(self, catalogue: Catalogue, policy: CovisitationPolicy, items_max: int) -> None:
        self._catalogue, self._policy, self._max = catalogue, policy, items_max
        self._executor: ThreadPoolExecutor | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew, as before the first event: by words alone."""
        self._keep(np.zeros((self._known, self._known), np.float32))
        self._touches, self._next, self._due = 0, _LEAST, 0
        self._pending: Callable[[], _Fitted] | None = None
        self._fitted: Callable[[], _Fitted] = self._fit_later()
        self._is_asked = False  # whether the fit in use was

    @property
    def _known(self) -> int:
        return min(len(self._catalogue), self._max)

    def touched(self, item: int, others: NDArray[np.int64], *, at_once: bool = True) -> None:
        """A user touched an item beside these of his. at_once: a fit that begins is computed from now on, else when
        it is needed (a rebuild needs the last one only)."""
        if item >= self._max:
            return
        self._make_room()
        others = others[others < self._max]
        self._counts[item, others] += 1.0
        self._counts[others, item] += 1.0
        self._counts[item, item] += 1.0
        self._touches += 1
        if self._pending is not None and self._touches >= self._due:
            self._fitted, self._pending = self._pending, None
        if self._pending is None and self._touches >= self._next:
            self._begin(at_once=at_once)

    def _begin(self, *, at_once: bool) -> None:
        """A fit of what is counted now."""
        self._next = max(int(self._touches * _GROWTH), self._touches + _LEAST)
        wait = max(_LEAST_WAIT, len(self._counts) ** 2 // _PAIRS_AN_EVENT)
        self._due = max(int(self._touches * _WAIT), self._touches + wait)
        self._pending = self._fit_at_once() if at_once else self._fit_later()

    def scores(self, items: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much goes with these items, float32 (all items of the catalogue,), 0 where nothing is known."""
        found = np.zeros(len(self._catalogue), np.float32)
        fitted = self._up_to_date()
        known = items < fitted.model.items
        if known.any():
            found[: fitted.model.items] = fitted.model.of_one(items[known], weights[known])
            if fitted.new.shape[1]:
                found[fitted.model.items :][: fitted.new.shape[1]] = weights[known] @ fitted.new[items[known]]
        return found

    def go_with(self, items: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much having touched each of the others speaks for each item, float32 (items, others), 0 where nothing is
        known."""
        fitted = self._up_to_date()
        count = fitted.model.items
        if max(items.max(initial=0), others.max(initial=0)) < count:
            return fitted.model.weights(items, others)
        found = np.zeros((len(items), len(others)), np.float32)
        known, new = others < count, (items >= count) & (items < count + fitted.new.shape[1])
        found[np.ix_(items < count, known)] = fitted.model.weights(items[items < count], others[known])
        found[np.ix_(new, known)] = fitted.new[np.ix_(others[known], items[new] - count)].T
        return found

    def touched_together(self, item: int, other: int) -> bool:
        """Whether some user touched both."""
        return item < len(self._counts) and other < len(self._counts) and bool(self._counts[item, other] > 0)

    def state(self) -> Callable[[], CountsState]:
        """What `restore` needs, as of now; what is returned is to be called in another thread, as packing takes a
        while."""
        counts, fitted, pending = self._counts.copy(), self._fitted, self._pending
        numbers = self._touches, self._next, self._due

        def packed() -> CountsState:
            used, waits = fitted(), None if pending is None else pending()
            items = used.model.items, -1 if waits is None else waits.model.items, len(counts)
            now = packed_counts(counts)
            return CountsState(numbers + items, used.counted, b"" if waits is None else waits.counted, now)

        return packed

    def restore(self, state: CountsState, places: NDArray[np.int32]) -> None:
        """Go on where `state` was taken. places: where the items stand now that were counted there, below zero:
        nowhere. Raises ValueError, zlib.error."""
        touches, following, due, fitted, pending, items = state.numbers
        self._keep(self._moved(state.counts, items, places))
        self._is_asked = False
        self._touches, self._next, self._due = touches, following, due
        self._fitted = self._fit_later(self._moved(state.fitted, fitted, places))
        self._pending = None if pending < 0 else self._fit_later(self._moved(state.pending, pending, places))

    def count_again(self, items: NDArray[np.int64]) -> None:
        """Count what a user touched whose touches were counted elsewhere; no fit begins."""
        self._make_room()
        items = items[items < self._max]
        self._counts[np.ix_(items, items)] += 1.0
        self._touches += len(items)

    def _moved(self, packed: bytes, items: int, places: NDArray[np.int32]) -> NDArray[np.float32]:
        counts = unpacked_counts(packed, items)
        if items > len(places):
            raise ValueError(f"counts of {items} items where there are {len(places)}")
        if (places[:items] == np.arange(items)).all():
            return counts
        kept = np.flatnonzero((places[:items] >= 0) & (places[:items] < self._max))
        moved = np.zeros((self._known, self._known), np.float32)
        moved[np.ix_(places[kept], places[kept])] = counts[np.ix_(kept, kept)]
        return moved

    def _up_to_date(self) -> "_Fitted":
        """The fit in use. Of a bulk of new items the first count by their words, until a fit that begins now, and is
        computed beside the events, knows all: no list waits for it. Where none was made yet there is nothing to wait
        with."""
        fitted = self._fitted()
        behind = self._known - fitted.model.items
        if behind > _NEW_MAX and not self._is_asked:
            self._make_room()
            self._fitted = self._fit_later()
            fitted, behind = self._fitted(), 0
        elif behind > _NEW_MAX and self._pending is None:
            self._make_room()
            self._begin(at_once=True)
        there, new = fitted.new.shape[1], min(behind, _NEW_MAX)
        if self._is_asked:
            new = min(new, there + _NEW_AT_ONCE)  # else all that one who never stopped has by now
        self._is_asked = True
        if there < new:
            texts = self._catalogue.texts[fitted.model.items :]
            fitted.take_new(texts[there:new], self._policy)
        return fitted

    def _keep(self, counts: NDArray[np.float32]) -> None:
        """In a corner of what all that are counted at most would take: memory is taken once it is written to, and
        nothing is moved where items appear."""
        most = max(self._max, len(counts))
        self._room = np.zeros((most, most), np.float32)
        self._counts = self._room[: len(counts), : len(counts)]
        self._counts[:] = counts

    def _make_room(self) -> None:
        if self._known > len(self._counts):
            self._counts = self._room[: self._known, : self._known]

    def _fit_later(self, counts: NDArray[np.float32] | None = None) -> Callable[[], "_Fitted"]:
        fit = self._fit(counts)
        kept: list[_Fitted] = []
        lock = Lock()  # whoever writes the state down needs it as well, in another thread

        def fitted() -> _Fitted:
            with lock:
                if not kept:
                    kept.append(fit())
            return kept[0]

        return fitted

    def _fit_at_once(self) -> Callable[[], "_Fitted"]:
        self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="covisitation")
        computing: Future[_Fitted] = self._executor.submit(self._fit())
        return computing.result

    def _fit(self, counts: NDArray[np.float32] | None = None) -> Callable[[], "_Fitted"]:
        """Of what is counted now, or was counted once."""
        counts = self._counts.copy() if counts is None else counts
        texts, policy = self._catalogue.texts[: len(counts)], self._policy
        return lambda: _Fitted(counts, texts, policy)


class _Fitted:
    """A fit, and the weights of items that appeared after it."""

    def __init__(self, counts: NDArray[np.float32], texts: list[str], policy: CovisitationPolicy) -> None:
        self._words = TitleVectors(texts)
        self._titles = self._words.of(texts)
        self.counted = packed_counts(counts)  # which the fit overwrites
        self.model = self._solved(counts, policy)
        self.new = np.zeros((len(texts), 0), np.float32)

    def _solved(self, counts: NDArray[np.float32], policy: CovisitationPolicy) -> Covisitation:
        """Users who touch more items than are remembered of them, again and again, have counts that are no sum of
        squares; the ridge then is doubled until there is a solution. Raises ModelError where none is found."""
        for _ in range(_RIDGES):
            try:
                return fit_counts(counts, self._titles, policy)
            except ModelError:
                counts = unpacked_counts(self.counted, len(counts))  # as the fit overwrote them
                policy = replace(policy, ridge=2 * policy.ridge)
        return fit_counts(counts, self._titles, policy)

    def take_new(self, texts: list[str], policy: CovisitationPolicy) -> None:
        """Of further items, that nobody has touched, the ridge regression on all that were there."""
        like = np.asarray((self._titles @ self._words.of(texts).T).todense(), np.float32)
        self.new = np.hstack([self.new, self.model.solve(policy.words * like)])
