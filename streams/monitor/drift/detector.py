"""The drift monitor: watches what comes in against what the release learnt, and tells one episode per cause.

It is put together of the sums of what each text says (streams/monitor/drift/sums.py), of which of its kind a text is
(streams/monitor/repeats.py), and of the episodes that are open and told (streams/monitor/episodes/).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streams.monitor.clusters import ClusterPolicy
from streams.monitor.drift.bursts import BurstChange, BurstPolicy, LabelBursts
from streams.monitor.drift.episode import Episode, SeenText
from streams.monitor.drift.evidence import EvidencePolicy
from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.live_thresholds import LivePolicy
from streams.monitor.drift.reference import Doubles, Reference
from streams.monitor.drift.signal import MeasuredText, Signal
from streams.monitor.drift.sums import DetectorSums, expected_run_events
from streams.monitor.drift.thresholds import SimulationPolicy, simulate_thresholds
from streams.monitor.episodes.members import is_near
from streams.monitor.episodes.open_episode import is_same
from streams.monitor.episodes.open_episodes import Ended, OpenEpisodes, opened_before
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.episodes.telling import EpisodeTelling, TellingPolicy
from streams.monitor.repeats import Repeats
from streams.monitor.seasons.hours import StreamHours

__all__ = ["DriftMonitor", "DriftPolicy", "Episode", "Signal"]


@dataclass(frozen=True, slots=True)
class DriftPolicy(TellingPolicy):
    """history_texts: kept for the words, examples and the onset. clusters: the n-th text of a cluster or a key counts
    as one n-th of a text; of at most `history_texts` recent texts. quiet_events: with all sums below half of their
    thresholds, after which an episode is over without a new release. Other fields: see TellingPolicy."""

    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    simulation: SimulationPolicy = field(default_factory=SimulationPolicy)
    history_texts: int = 2_000
    clusters: ClusterPolicy = field(default_factory=ClusterPolicy)
    live: LivePolicy = field(default_factory=LivePolicy)
    bursts: BurstPolicy = field(default_factory=BurstPolicy)
    quiet_events: int = 1_000


class DriftMonitor:
    """Watches one application while one release serves. Not thread-safe.

    A new release brings its own reference: build a new monitor. Until then an episode goes on, unless its texts cease
    (`quiet_events`). Another new subject opens another episode.
    """

    def __init__(
        self, reference: Reference, thresholds: Doubles, policy: DriftPolicy, *, false_alarm_every: float = 100_000.0
    ) -> None:
        """thresholds: one per detector, in the order of DETECTORS. `from_reference` sets them. false_alarm_every: of
        bursts, in events; what the thresholds are for is in them."""
        self.policy = policy
        self._reference = reference
        self._hours = StreamHours()
        self._sums = DetectorSums(reference, thresholds, policy.evidence, policy.live, false_alarm_every)
        self._repeats = Repeats(reference, policy.clusters, policy.bursts, policy.history_texts, false_alarm_every)
        self._history: deque[SeenText] = deque(maxlen=policy.history_texts)
        self._open = OpenEpisodes(reference.spread, reference.direction_of)
        self._telling = EpisodeTelling(reference, self._open, self._history, policy)
        self._expected: dict[str, Doubles | None] = {}  # place to its direction, None where it is of another encoder

    @classmethod
    def from_reference(
        cls,
        reference: Mapping[str, NDArray[Any]],
        *,
        false_alarm_every: int,
        seed: int,
        fast_path: bool = True,
        policy: DriftPolicy | None = None,
        go_on: Callable[[], None] = lambda: None,
    ) -> Self:
        """Set the thresholds for one false alarm in `false_alarm_every` events; takes about a second, the
        same for a seed.

        reference: the release's arrays (Reference.from_arrays says which). fast_path: whether the application lets
        the release's fast path decide. go_on: called again and again meanwhile; may raise to end it. Raises
        ModelError when the arrays do not fit.
        """
        policy = policy or DriftPolicy()
        known = Reference.from_arrays(reference, fast_path=fast_path)
        expected_run = expected_run_events(false_alarm_every)
        thresholds = simulate_thresholds(
            known, policy.evidence, expected_run_events=expected_run, seed=seed, policy=policy.simulation, go_on=go_on
        )
        return cls(known, thresholds, policy, false_alarm_every=false_alarm_every)

    @property
    def dimensions(self) -> int:
        """Of the embeddings that the reference knows."""
        return int(self._reference.dimensions)

    @property
    def thresholds(self) -> dict[str, float]:
        """Height at which each detector fires."""
        return self._sums.thresholds

    @property
    def levels(self) -> dict[str, float]:
        """Each detector's sum as a share of its threshold: 0 nothing, 1 fires."""
        return self._sums.levels

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Those that go on, the first one found first."""
        return self._open.episodes

    @property
    def episode(self) -> Episode | None:
        """The one found last of those that go on."""
        return next(reversed(self._open.episodes), None)

    @property
    def bursts(self) -> LabelBursts:
        """How often each label comes."""
        return self._repeats.bursts

    @property
    def counts_keys(self) -> bool:
        """Whether messages of one key count less than the first. Where that changes, what is watched is another
        selection of the texts, which must not be compared with the one before."""
        return self._repeats.counts_keys

    @property
    def newest_repeats(self) -> int:
        """The how-many-eth of its cluster or key the last text is, whatever run or burst it is of."""
        return self._repeats.newest

    @property
    def newest(self) -> SeenText | None:
        """The last text taken in."""
        return self._history[-1] if self._history else None

    def expect(self, places: Iterable[str]) -> None:
        """From now on texts near these places (`Reference.place_of`) do not count, and an episode that lies there is
        none. Those of another encoder are passed over."""
        wanted = set(places)
        if wanted == self._expected.keys():
            return
        self._expected = {place: self._reference.direction_of(place) for place in sorted(wanted)}

    def end_episode(self, identity: str | None = None) -> None:
        """What it tells of is no drift any more; what comes next is looked at anew. identity: `detected_id`; None: of
        all."""
        self._open.end(identity)
        self._end_season_of_episodes(ceased=False)
        self._begin_anew()

    def decided_since(self, event_number: int) -> dict[str, str]:
        """Id to label of the texts since an event, as far as they are remembered."""
        return {seen.id: seen.label for seen in self._history if seen.event_number >= event_number}

    def update(self, signal: Signal) -> Episode | None:
        """Take one signal in. An Episode at the event at which drift is found, None at all others: `episodes` holds it,
        and is told anew where more of it was seen.

        A signal whose numbers are not finite is left out. Raises ValueError for an embedding of other
        dimensions than the reference has.
        """
        if not np.isfinite(signal.confidence):
            return None
        text = self._measured(signal)
        seen, increments = self._weigh(text)
        self._history.append(seen)
        self._repeats.remember(text, increments)
        if not seen.copies:
            return None
        self._sums.add(increments)
        if not self._open:
            self._sums.learn(increments)
        else:
            self._follow_open(signal.event_number)
        if self._sums.fired and self._open.may_open:
            for heights in self._repeats.seen_only_now(self._history, self._reference.background):
                self._sums.take_back(heights)
            if self._sums.fired and not self._repeats.bursts.may_begin:  # it may turn out to be the cause
                return self._found(self._sums.fired)
        return self._telling.tried(signal.event_number) if self._open else None

    def join(self, symptom: Symptom) -> Episode | None:
        """The open episode that takes a signal that changed for its symptom, and tells it; None: none does."""
        return self._open.join(symptom)

    def take_ended(self) -> list[Ended]:
        """Episodes that ended since this was asked last, and why."""
        return self._open.take_ended()

    def take_burst_changes(self) -> list[BurstChange]:
        """Bursts of labels that began or ended since this was asked last."""
        return self._repeats.take_changes()

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here, for JSON. Of the texts remembered it keeps only how often each was
        seen: they stand in the topic that they came from."""
        sums = self._sums
        return {
            "sums": sums.state(),
            FAST_AUDITS: None if sums.audits is None else sums.audits.state(),
            "hours": self._hours.state(),
            "evidence": sums.evidence.state(),
            **self._repeats.state(),
            "live": sums.live.state(),
            "episodes": self._open.state(),
            "history": [seen.copies for seen in self._history],
            "offsets": [self._history[0].offset, self._history[-1].offset + 1] if self._history else [0, 0],
        }

    def restore(self, state: Mapping[str, Any], signals: Sequence[Signal]) -> None:
        """Go on where `state` was taken. signals: those taken in before, from the records of state["offsets"] on, in
        their order; where retention has dropped the first of them, less is remembered.

        Raises ValueError, KeyError or TypeError where it does not fit; the monitor is then to be thrown away.
        """
        self._sums.restore(state)
        if "hours" in state:  # earlier versions lack it
            self._hours.restore(state["hours"])
        texts = [self._measured(signal) for signal in signals]
        self._repeats.restore(state, texts)
        self._open.restore(state["episodes"] if "episodes" in state else opened_before(state))
        copies = [int(count) for count in state["history"]]
        known = min(len(copies), len(texts))
        for text, count in zip(texts[len(texts) - known :], copies[len(copies) - known :], strict=True):
            self._history.append(text.seen(count))

    def _measured(self, signal: Signal) -> MeasuredText:
        return MeasuredText.of(signal, self._reference, self._sums.audits)

    def _weigh(self, text: MeasuredText) -> tuple[SeenText, list[float]]:
        """A text as it is remembered, and what it adds to the sums; nothing where it is expected or an open
        episode's."""
        hour = self._hours.take(text.signal.at)
        copies = self._count(text, hour)
        if self._is_near_expected(text):
            return text.seen(0), []
        owner = None
        if self._open and text.place is not None:
            owner = self._open.owner(*text.place)
            self._open.watch(owner, copies)
        evidence = self._sums.evidence
        evidence.enter(hour)
        if owner is not None:  # that its subject goes on says nothing of others
            if copies == 1:
                evidence.take_season(*text.among_all(), of_episode=True)
            return text.seen(copies), []
        return text.seen(copies), self._sums.increments(text, copies)

    def _count(self, text: MeasuredText, hour: int | None) -> int:
        """The how-many-eth text of its cluster, key, run or burst this is."""
        counted = self._repeats.count(text, hour)
        if counted.is_anew:
            self._sums.select_anew()
            self._repeats.forget_added()
            self._open.end_trial()
        for heights in counted.lifted:
            self._sums.take_back(heights)
        return counted.nth

    def _is_near_expected(self, text: MeasuredText) -> bool:
        if text.place is None or not self._expected:
            return False
        directions = [one for one in self._expected.values() if one is not None]
        return any(is_near(*text.place, one, self._reference.spread) for one in directions)

    def _is_expected(self, episode: Episode) -> bool:
        """Whether it is made of what the expected texts left: a few of their kind look like known ones, or are decided
        by n-grams, and add up in time."""
        direction = self._reference.direction_of(episode.centre) if self._expected else None
        known = [one for one in self._expected.values() if one is not None]
        return direction is not None and any(is_same(direction, one) for one in known)

    def _found(self, fired: list[str]) -> Episode | None:
        """What the sums have found, where it is news: neither expected nor of an open episode."""
        episode = self._telling.candidate(*self._sums.onset(fired))
        if self._is_expected(episode) or self._open.is_known(episode):
            self._begin_anew()
            return None
        if self._open:
            self._open.try_out(episode)
            self._begin_anew()
            return None
        self._open.open(episode)
        return episode

    def _begin_anew(self) -> None:
        self._sums.begin_anew()
        self._repeats.forget_added()

    def _follow_open(self, event_number: int) -> None:
        """Tell the stories of open episodes anew, where that is due, and end what is over."""
        if self._telling.follow(event_number):
            self._begin_anew()
        if self._open.rest(self._sums.are_low, self.policy.quiet_events):
            self._end_season_of_episodes(ceased=True)
            self._begin_anew()

    def _end_season_of_episodes(self, *, ceased: bool) -> None:
        if not self._open:
            self._sums.evidence.end_episodes(ceased=ceased)
