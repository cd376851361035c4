"""The episodes that are open, each with the places where its texts lie.

Texts at such a place are expected: they move no sum of the drift monitor, so another new subject reaches its threshold
by itself and opens an episode of its own. Where they lie is known well only some events after an episode was found;
until all open ones are settled no other one opens. A broad subject leaves texts that lie elsewhere, and they add up. So
what is found beside an open episode is on trial: it opens one of its own where its texts come more often, in events
that it was not chosen by, than they have since the open one's onset; else it is a part of that one. Subjects
that began together are one episode at first, until its texts are clearly of two.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.episode import Episode, episode_state, restored_episode
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.many_tests import chance_of_rise
from streams.monitor.episodes.members import SeenText, odds_there
from streams.monitor.episodes.open_episode import (
    CERTAIN,
    MORE_OFTEN,
    DirectionOf,
    OpenEpisode,
    arrays_of,
    cosine,
    split_texts,
)
from streams.monitor.episodes.splitting import two_subjects
from streams.monitor.episodes.symptoms import Symptom, is_of

_MOST: Final = 5  # open at once: more are no news, and each costs time and memory
_TRIALS: Final = (50, 100, 200, 400)  # events after a candidate was found, at which it is judged
_FAR: Final = 3.0  # surprisal of texts by which an episode may be split: one in twenty known ones


class Ended(NamedTuple):
    """An episode that is over. merged_into: `detected_id` of the one that it is a part of, where that is why."""

    episode: Episode
    merged_into: str = ""


class Halves(NamedTuple):
    """Two subjects of one open episode, the one with more texts first. Both still tell the story of the whole. texts:
    by which each was found."""

    first: OpenEpisode
    second: OpenEpisode
    texts: tuple[list[SeenText], list[SeenText]]


class OpenEpisodes:
    """Of one release's stream. Not thread-safe. Memory: `_MOST` stories."""

    def __init__(self, spread: float, direction_of: DirectionOf) -> None:
        """spread, direction_of: of the release's reference."""
        self._spread, self._direction_of = spread, direction_of
        self._open: list[OpenEpisode] = []
        self._ended: list[Ended] = []
        self._candidate: Episode | None = None

    def __iter__(self) -> Iterator[OpenEpisode]:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The first one found comes first."""
        return tuple(one.episode for one in self._open)

    @property
    def may_open(self) -> bool:
        """Whether another one could be told from those that are open, and none is on trial."""
        is_known = all(one.is_settled and one.absorbs for one in self._open)
        return self._candidate is None and len(self._open) < _MOST and is_known

    def open(self, episode: Episode) -> None:
        """Begin one."""
        self._open.append(OpenEpisode(episode))

    def end(self, identity: str | None = None) -> None:
        """End the one that was found at this event's id; None: all."""
        self._ended += [Ended(one.episode) for one in self._open if identity in (None, one.episode.detected_id)]
        self._open = [one for one in self._open if identity not in (None, one.episode.detected_id)]
        self._candidate = self._candidate if self._open else None

    def take_ended(self) -> list[Ended]:
        """Those that ended since this was asked last."""
        ended, self._ended = self._ended, []
        return ended

    def owner(self, outside: Doubles, surprisal: float) -> OpenEpisode | None:
        """The episode at one of whose places a text lies; the one that it fits best. outside: (kept,)."""
        (number,) = self._owners(outside[None], np.array([surprisal])).tolist()
        return self._open[number] if number >= 0 else None

    def watch(self, owner: OpenEpisode | None, copies: int) -> None:
        """Take in whose text came, where it is the first of its copies."""
        for one in self._open if copies == 1 else ():
            one.watch(is_here=one is owner)

    def rest(self, quiet_sums: bool, quiet_events: int) -> bool:
        """Count a text towards the end of each episode; whether one ended. quiet_sums: the sums of all texts are low;
        says it of those whose texts are not told by their place."""
        over = []
        for one in self._open:
            is_quiet = one.is_low if one.absorbs else quiet_sums
            one.quiet = one.quiet + 1 if is_quiet else 0
            if one.quiet >= quiet_events:
                over.append(one.episode.detected_id)
        for identity in over:
            self.end(identity)
        return bool(over)

    def others_texts(self, texts: Sequence[SeenText], but: OpenEpisode | None = None) -> list[SeenText]:
        """Those that lie at no place of an open episode other than `but`."""
        rows = [row for row, seen in enumerate(texts) if seen.outside is not None]
        if not rows or not any(one.absorbs for one in self._open):
            return list(texts)
        owners = self._owners(*arrays_of([texts[row] for row in rows])).tolist()
        own = {-1} | {number for number, one in enumerate(self._open) if one is but}
        dropped = {row for row, owner in zip(rows, owners, strict=True) if owner not in own}
        return [seen for row, seen in enumerate(texts) if row not in dropped]

    def settle(self, one: OpenEpisode, texts: Sequence[SeenText]) -> None:
        """Take the place of an episode's texts for known from now on. texts: those remembered."""
        one.settle(self._direction(one.episode), texts, self._spread)

    def is_known(self, candidate: Episode) -> bool:
        """Whether it points where the texts of an open episode do, which then goes on."""
        direction = self._direction(candidate)
        known = [one for one in self._open if direction is not None and one.points_along(direction)]
        for one in known:
            one.quiet = 0
        return bool(known)

    def join(self, symptom: Symptom) -> Episode | None:
        """Take a signal that changed for a symptom of the open episode whose onset is nearest to its own, of those that
        began when it did. That episode; None: there is none."""
        fitting = [one for one in self._open if is_of(symptom, one.episode, _earliest(one.episode))]
        if not fitting:
            return None
        one = min(fitting, key=lambda one: abs(one.episode.onset_event - symptom.onset_event))
        others = [known for known in one.episode.symptoms if known.name != symptom.name]
        told_event = max(one.episode.told_event, symptom.event)
        one.episode = replace(one.episode, symptoms=(*others, symptom), told_event=told_event)
        return one.episode

    def try_out(self, candidate: Episode) -> None:
        """Have it judged by what comes now."""
        self._candidate = candidate

    def end_trial(self) -> None:
        """Nothing can be said of what is on trial: other texts count since."""
        self._candidate = None

    def tried(self, event_number: int, texts: Callable[[], Sequence[SeenText]]) -> Episode | None:
        """The candidate, where it proves to be an episode of its own. texts: those remembered."""
        candidate = self._candidate
        if candidate is None:
            return None
        looked, now = (event - candidate.detected_event for event in (candidate.told_event, event_number))
        if not any(looked < mark <= now for mark in _TRIALS):
            return None
        self._candidate = replace(candidate, told_event=event_number)
        direction = self._direction(candidate)
        remembered = self.others_texts(texts())
        if direction is not None and all(self._is_newer(candidate, direction, one, remembered) for one in self._open):
            self._candidate = None
            return candidate
        if now >= _TRIALS[-1]:
            self._candidate = None
            if direction is not None and self._open:
                self._open[-1].add_part(candidate, direction, texts(), self._spread)
        return None

    def merge(self) -> None:
        """End those that turn out to be of an earlier one; those that were split by their texts are not."""
        for later in list(self._open):
            direction = self._direction(later.episode)
            for earlier in self._open[: self._open.index(later)]:
                are_split = bool(later.family) and later.family == earlier.family
                if direction is not None and earlier.points_along(direction) and not are_split:
                    self._open.remove(later)
                    earlier.quiet, earlier.is_whole = 0, True
                    self._ended.append(Ended(later.episode, earlier.episode.detected_id))
                    break

    def halves(self, one: OpenEpisode, texts: Sequence[SeenText], place_of: Callable[[Doubles], str]) -> Halves | None:
        """Two subjects that an open episode is clearly of; None where it may be of one. texts: those remembered, but
        those of other episodes. place_of: `Reference.place_of`.

        Looked at are texts that lie far out, wherever they point: those that point along the episode's common direction
        have that in common.
        """
        own = [seen for seen in split_texts(texts, one.episode.onset_event)[1] if seen.surprisal > _FAR]
        if len(self._open) >= _MOST or not own:
            return None
        vectors, _ = arrays_of(own)
        sides = two_subjects(vectors)
        if sides is None:
            return None
        parts = [place_of(vectors[side].mean(axis=0)) for side in (~sides, sides)]
        first, second = self._shared(one, parts)
        for half in (first, second):
            half.settle(half.directions[0], texts, self._spread)
            if not half.absorbs or not half.has_risen(texts, self._spread):
                return None
        groups = [[seen for seen, is_here in zip(own, side, strict=True) if is_here] for side in (~sides, sides)]
        return Halves(first, second, (groups[0], groups[1]))

    def split(self, one: OpenEpisode, halves: Halves) -> None:
        """Make two of an open episode: it goes on as the first half, the second is another one from now on."""
        self._open[self._open.index(one)] = halves.first
        self._open.append(halves.second)
        self._candidate = None

    def state(self) -> dict[str, Any]:
        """What `restore` needs, for JSON."""
        candidate = None if self._candidate is None else episode_state(self._candidate)
        return {"open": [one.state() for one in self._open], "candidate": candidate}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        self._open = [OpenEpisode.restored(part, self._direction_of) for part in state["open"]]
        self._candidate = None if state["candidate"] is None else restored_episode(state["candidate"])

    def _shared(self, one: OpenEpisode, places: Sequence[str]) -> list[OpenEpisode]:
        """Two of one, at these places. Each part of it goes with the half that is nearer."""
        directions = [self._direction_of(place) for place in places]
        family = one.family or one.episode.detected_id
        halves = [
            OpenEpisode(replace(one.episode, centre=place), [place], [direction], looked=one.looked, family=family)
            for place, direction in zip(places, directions, strict=True)
            if direction is not None
        ]
        for place, direction in zip(one.places[1:], one.directions[1:], strict=True):
            nearer = max(halves, key=lambda half: cosine(half.directions[0], direction))
            if not nearer.points_along(direction):
                nearer.places.append(place)
                nearer.directions.append(direction)
        return halves

    def _is_newer(self, candidate: Episode, direction: Doubles, one: OpenEpisode, texts: Sequence[SeenText]) -> bool:
        """Whether texts that point along a direction come more often since a candidate was found than between the onset
        of an open episode and its own."""
        earlier, later = (
            split_texts(texts, candidate.onset_event)[0],
            split_texts(texts, candidate.detected_event + 1)[1],
        )
        between = split_texts(earlier, one.episode.onset_event)[1]
        if not between or not later:
            return False
        before, now = (
            int(np.isfinite(odds_there(*arrays_of(part), direction, self._spread)).sum()) for part in (between, later)
        )
        chance = chance_of_rise(now, len(later), before, len(between))
        return bool(chance <= CERTAIN and now * len(between) >= MORE_OFTEN * before * len(later))

    def _owners(self, vectors: Doubles, surprisals: Doubles) -> NDArray[np.int64]:
        """Which open episode each text belongs to; -1: none."""
        odds = np.stack([one.odds(vectors, surprisals, self._spread) for one in self._open])
        owners: NDArray[np.int64] = np.where(np.isfinite(odds).any(axis=0), odds.argmax(axis=0), -1)
        return owners

    def _direction(self, episode: Episode) -> Doubles | None:
        return self._direction_of(episode.centre) if episode.centre else None


def _earliest(episode: Episode) -> int:
    return min([episode.onset_event, *(place.event for place in episode.onset_between)])


def opened_before(state: Mapping[str, Any]) -> dict[str, Any]:
    """What earlier versions kept of their only episode, as `OpenEpisodes.restore` takes it."""
    story = state["episode"]
    parts = [] if story is None else [OpenEpisode(restored_episode(story), quiet=int(state["quiet"])).state()]
    return {"open": parts, "candidate": None}
