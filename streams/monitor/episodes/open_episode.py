"""An open episode: its story, where its texts lie, and how often they come.

That it goes on is seen by how often texts at its places come, against how often they came before it (CUSUM of
proportions: Reynolds and Stoumbos (1999), Journal of Quality Technology 31).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from streams.monitor.drift.episode import Episode, episode_state, restored_episode
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.many_tests import chance_of_rise
from streams.monitor.episodes.members import SeenText, odds_there
from streams.monitor.episodes.splitting import step_row

_PLACES: Final = 8  # of one episode
_SAME: Final = 0.7  # cosine from which two directions are of one subject
_HEIGHT: Final = 10.0  # that the sum of an episode's own texts reaches at the most
_LEAST_RATE: Final = 0.005  # of known texts at a place
_UNKNOWN_RATE: Final = 0.02  # the same, where no text of before is remembered
_TELLS: Final = 1.5  # times as often as before, from which texts at a place say that the episode goes on
_FEW: Final = 50  # texts, of which no rate is taken
CERTAIN: Final = 1e-3  # chance that texts look as if they came more often, at each look
MORE_OFTEN: Final = 2.0  # times as often as before, at the least

DirectionOf = Callable[[str], Doubles | None]  # Reference.direction_of


@dataclass(slots=True)
class OpenEpisode:
    """places: where its texts lie, as `Reference.place_of` gives it, the first one of all its texts; directions: the
    same for this reference. rates: share of texts at its places before and since its onset, among those that the
    encoder saw; None until it is settled, and where they do not tell. height: CUSUM of the second against the first.
    quiet: texts in a row that say that it is over. looked: event at which it was looked last whether its texts are of
    two subjects. family: `detected_id` of the first of the episodes that were one once; "" of one that was never split.
    is_whole: another one turned out to be of it, so it is split no more."""

    episode: Episode
    places: list[str] = field(default_factory=list)
    directions: list[Doubles] = field(default_factory=list)
    rates: tuple[float, float] | None = None
    is_settled: bool = False
    height: float = _HEIGHT
    quiet: int = 0
    looked: int = 0
    family: str = ""
    is_whole: bool = False

    @property
    def absorbs(self) -> bool:
        """Whether its texts are told from others by their place."""
        return self.rates is not None

    def points_along(self, direction: Doubles) -> bool:
        """Whether a direction is that of one of its places."""
        return any(is_same(direction, one) for one in self.directions)

    def watch(self, *, is_here: bool) -> None:
        """Take in whether the next text lies at its places."""
        if self.rates is None:
            return
        before, since = self.rates
        gain = np.log(since / before) if is_here else np.log((1.0 - since) / (1.0 - before))
        self.height = float(min(max(self.height + gain, 0.0), _HEIGHT))

    @property
    def is_low(self) -> bool:
        """Whether its texts hardly come any more."""
        return self.height < _HEIGHT / 2

    def odds(self, vectors: Doubles, surprisals: Doubles, spread: float) -> Doubles:
        """How much texts are as its own are, as `odds_there` says, at the place that fits best. spread: of the
        reference."""
        odds = np.full(len(vectors), -np.inf)
        for direction in self.directions if self.absorbs else ():
            odds = np.maximum(odds, odds_there(vectors, surprisals, direction, spread))
        return odds

    def settle(self, direction: Doubles | None, texts: Sequence[SeenText], spread: float) -> None:
        """Take the place of its texts for known from now on. direction: of its story's centre, None where nobody knows.
        texts: those remembered."""
        self.is_settled = True
        if direction is not None:
            self.places[:1], self.directions[:1] = [self.episode.centre], [direction]
            self._measure(texts, spread)

    def add_part(self, part: Episode, direction: Doubles, texts: Sequence[SeenText], spread: float) -> None:
        """Take what was found beside it for a part of it. direction: of the part's centre. Of too many places the part
        with the fewest texts since that began goes: what is taken for a part must be expected from then on, else it is
        found again and again, and nothing else can be."""
        self.quiet = 0
        if len(self.places) >= _PLACES:
            gone = self._emptiest(split_texts(texts, part.onset_event)[1], spread)
            del self.places[gone], self.directions[gone]
        self.places.append(part.centre)
        self.directions.append(direction)
        centres = tuple(self.places[1:])
        self.episode = replace(self.episode, parts=len(centres), part_centres=centres, told_event=part.told_event)
        self._measure(texts, spread)

    def tell(self, story: Episode, event_number: int) -> None:
        """Its story, as its places say where its texts lie."""
        centres = tuple(self.places[1:])
        self.episode = replace(
            story, centre=self.places[0], parts=len(centres), part_centres=centres, told_event=event_number
        )

    def first_event(self, texts: Sequence[SeenText], spread: float) -> int:
        """The event from which on its texts come. texts: those remembered, but those of other episodes."""
        full = split_texts(texts, 0)[1]
        if self.rates is None or not full:
            return self.episode.onset_event
        is_own = np.isfinite(self.odds(*arrays_of(full), spread))
        return full[step_row(is_own, *self.rates)].event_number

    def is_due(self, event_number: int, looks: Sequence[int]) -> bool:
        """Whether to look if its texts are of two subjects. looks: events after it was found."""
        detected = self.episode.detected_event
        return self.is_settled and not self.is_whole and any(self.looked < detected + n <= event_number for n in looks)

    def has_risen(self, texts: Sequence[SeenText], spread: float) -> bool:
        """Whether its texts come more often since its onset than before, by more than chance."""
        counts = []
        for part in split_texts(texts, self.episode.onset_event):
            own = np.isfinite(self.odds(*arrays_of(part), spread)) if part else np.zeros(0)
            counts += [int(own.sum()), len(part)]
        usual, before, now, since = counts
        if not before or not since:
            return False
        return chance_of_rise(now, since, usual, before) <= CERTAIN and now * before >= MORE_OFTEN * usual * since

    def state(self) -> dict[str, Any]:
        """What `restored` needs, for JSON."""
        return {
            "story": episode_state(self.episode),
            "places": self.places,
            "rates": self.rates,
            "is_settled": self.is_settled,
            "height": self.height,
            "quiet": self.quiet,
            "looked": self.looked,
            "family": self.family,
            "is_whole": self.is_whole,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any], direction_of: DirectionOf) -> "OpenEpisode":
        """What `state` gave. Raises ValueError, KeyError or TypeError where it does not fit."""
        places = [str(place) for place in state["places"]]
        directions = [direction for place in places if (direction := direction_of(place)) is not None]
        if len(directions) != len(places):
            raise ValueError("a place of another encoder")
        rates = None if state["rates"] is None else (float(state["rates"][0]), float(state["rates"][1]))
        story, figures = restored_episode(state["story"]), (float(state["height"]), int(state["quiet"]))
        one = cls(story, places, directions, rates, bool(state["is_settled"]), *figures)
        one.looked, one.family = int(state.get("looked", 0)), str(state.get("family", ""))  # earlier versions lack them
        one.is_whole = bool(state.get("is_whole", False))
        return one

    def _emptiest(self, texts: Sequence[SeenText], spread: float) -> int:
        """Which of its parts' places has the fewest of these texts; the oldest one of several."""
        if not texts:
            return 1
        vectors, surprisals = arrays_of(texts)
        odds = np.stack([odds_there(vectors, surprisals, direction, spread) for direction in self.directions])
        fitting = np.isfinite(odds.max(axis=0))
        own = np.bincount(odds.argmax(axis=0)[fitting], minlength=len(odds))
        return 1 + int(own[1:].argmin())

    def _measure(self, texts: Sequence[SeenText], spread: float) -> None:
        """How often texts come at its places, before its onset and since."""
        self.rates = (0.0, 0.0)  # so that its places count
        before, since = split_texts(texts, self.episode.onset_event)
        usual, now = _UNKNOWN_RATE, 0.0
        if len(before) >= _FEW:
            usual = float(np.mean(np.isfinite(self.odds(*arrays_of(before), spread))))
        if len(since) >= _FEW:
            now = float(np.mean(np.isfinite(self.odds(*arrays_of(since), spread))))
        usual, now = min(max(usual, _LEAST_RATE), 0.5), min(now, 0.98)
        self.rates = (usual, now) if now > _TELLS * usual else None


def is_same(one: Doubles, other: Doubles) -> bool:
    """Whether two directions are of one subject."""
    return cosine(one, other) > _SAME


def cosine(one: Doubles, other: Doubles) -> float:
    """Of two directions."""
    return float(one @ other) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12)


def split_texts(texts: Sequence[SeenText], event: int) -> tuple[list[SeenText], list[SeenText]]:
    """Those before an event and those since, of the ones whose place is known and that are no copies."""
    full = [seen for seen in texts if seen.outside is not None and seen.copies == 1]
    return [one for one in full if one.event_number < event], [one for one in full if one.event_number >= event]


def arrays_of(texts: Sequence[SeenText]) -> tuple[Doubles, Doubles]:
    """Their parts outside the span, (texts, kept), and surprisals, (texts,)."""
    vectors = np.stack([seen.outside for seen in texts if seen.outside is not None]).astype(np.float64)
    return vectors, np.array([seen.surprisal for seen in texts])
