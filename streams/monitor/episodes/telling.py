"""Tells the stories of episodes, each from its own texts: when one is found, when more of it was seen, and when it
turns out to be of two subjects."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.words.counts import WordCounts
from streams.monitor.drift.episode import Episode, describe_episode
from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.reference import Reference
from streams.monitor.episodes.members import SeenText
from streams.monitor.episodes.naming import have_other_words
from streams.monitor.episodes.open_episode import OpenEpisode, split_texts
from streams.monitor.episodes.open_episodes import Halves, OpenEpisodes


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingPolicy:
    """retold_after: events after which the story of an episode is told anew, as more of it was seen;
    audits_retold_after: and again, where audits, which are few, found it. settled_after: events after which it is known
    where an episode's texts lie, so that another one may open beside it. split_looks: events after which it is looked
    whether its texts are of two subjects."""

    retold_after: tuple[int, ...] = (50, 200)
    audits_retold_after: tuple[int, ...] = (500, 1_000)
    settled_after: int = 200
    split_looks: tuple[int, ...] = (400, 800, 1_600)


class EpisodeTelling:
    """Of one release's stream. Not thread-safe. Holds nothing of its own."""

    def __init__(
        self, reference: Reference, episodes: OpenEpisodes, history: deque[SeenText], policy: TellingPolicy
    ) -> None:
        """history: the texts that are remembered, in order of arrival; it grows while this is used."""
        self._reference, self._open, self._history, self._policy = reference, episodes, history, policy

    def candidate(self, detectors: tuple[str, ...], since: int) -> Episode:
        """What the sums have found: since so many texts ago, of those that belong to no open episode."""
        texts = self._own(None)
        return self._story(texts, min(since, len(texts)), detectors)

    def tried(self, event_number: int) -> Episode | None:
        """An episode beside open ones, where its trial ends so; it is open then."""
        candidate = self._open.tried(event_number, self._counted)
        if candidate is None:
            return None
        texts = self._own(None)
        episode = self._story(texts, _since(texts, candidate.onset_event), candidate.detectors)
        self._open.open(episode)
        return episode

    def follow(self, event_number: int) -> bool:
        """Tell the stories of open episodes anew, settle and split them, where that is due. Whether texts are told from
        others now that were not before: sums of before still hold them."""
        is_anew = False
        for one in list(self._open):
            if self._is_due(one.episode, event_number):
                story = self._own_story(one, one.episode.onset_event, one.episode)
                one.episode = replace(story, told_event=event_number)
            if not one.is_settled and event_number >= one.episode.detected_event + self._policy.settled_after:
                self._open.settle(one, self._counted())
                self._open.merge()
                is_anew |= one.absorbs
        if self._open.may_open:  # else an episode may hold texts of another one, or of what is on trial
            due = [one for one in self._open if one.is_due(event_number, self._policy.split_looks)]
            for one in due[:1]:  # one at a time, as an episode is named by the event
                one.looked = event_number
                is_anew |= self._split(one, event_number)
        return is_anew

    def _is_due(self, episode: Episode, event_number: int) -> bool:
        """Whether its story is to be told anew."""
        marks = self._policy.retold_after
        if FAST_AUDITS in episode.detectors:
            marks += self._policy.audits_retold_after
        return any(episode.told_event < episode.detected_event + mark <= event_number for mark in marks)

    def _split(self, one: OpenEpisode, event_number: int) -> bool:
        """Make two of an episode whose texts are clearly of two subjects: it goes on as the one with more texts, and
        the other is told for itself."""
        texts = self._own(one)
        halves = self._open.halves(one, texts, self._reference.place_of)
        if halves is None or not self._have_other_words(halves, split_texts(texts, one.episode.onset_event)[0]):
            return False
        self._open.split(one, halves)
        first, second = halves.first, halves.second
        onset = second.first_event(self._own(second), self._reference.spread)
        newest = self._history[-1]
        story = replace(
            self._own_story(second, onset),
            detected_id=newest.id,
            detected_event=event_number,
            detected_at=newest.at,
            split_from=one.episode.detected_id,
        )
        second.tell(story, event_number)
        first.tell(self._own_story(first, one.episode.onset_event, one.episode), event_number)
        return True

    def _have_other_words(self, halves: Halves, before: Sequence[SeenText]) -> bool:
        first, second = ([seen.text for seen in half if seen.text] for half in halves.texts)
        known = WordCounts.of(seen.text for seen in before if seen.text)
        return have_other_words(first, second, known, self._reference.background)

    def _own_story(self, one: OpenEpisode, onset_event: int, told: Episode | None = None) -> Episode:
        texts = self._own(one)
        return self._story(texts, _since(texts, onset_event), one.episode.detectors, told)

    def _story(
        self, texts: list[SeenText], since: int, detectors: tuple[str, ...], told: Episode | None = None
    ) -> Episode:
        reference = self._reference
        return describe_episode(
            texts, since, detectors, reference.spread, reference.background, told, reference.place_of
        )

    def _own(self, one: OpenEpisode | None) -> list[SeenText]:
        """Texts that are remembered, but those of other open episodes."""
        return self._open.others_texts(self._counted(), one)

    def _counted(self) -> list[SeenText]:
        return [seen for seen in self._history if seen.copies]


def _since(texts: Sequence[SeenText], event: int) -> int:
    return sum(seen.event_number >= event for seen in texts)
