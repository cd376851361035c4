"""The drift monitor: watches what comes in against what the release learnt, and tells one episode per cause.

Four one-sided CUSUMs add up what each text says (streams/monitor/drift/evidence.py): embeddings, confidence, both
together, and both for a small share. Each has a threshold that a stationary stream reaches once in four times
`false_alarm_every` events, with a margin (streams/monitor/drift/thresholds.py), so that together they give one false
alarm in `false_alarm_every`. Beside a fast path a fifth one takes a small part of the margin: it adds up what its
audited texts say (streams/monitor/drift/fast_audits.py).

Source: the last zero of a CUSUM as the estimate of the onset, Hinkley (1971), Biometrika 58.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from models.words.counts import WordCounts
from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText
from streams.monitor.drift.burst_texts import BurstTexts
from streams.monitor.drift.bursts import BurstChange, BurstEvent, BurstPolicy, LabelBurst, LabelBursts
from streams.monitor.drift.cusum import Cusum
from streams.monitor.drift.episode import Episode, SeenText, describe_episode
from streams.monitor.drift.evidence import BOTH, CONFIDENCE, DETECTORS, EMBEDDINGS, TAILS, Evidence, EvidencePolicy
from streams.monitor.drift.fast_audits import FAST_AUDITS, FastAudits
from streams.monitor.drift.live_thresholds import LivePolicy, LiveThresholds
from streams.monitor.drift.reference import Doubles, Floats, Reference
from streams.monitor.drift.signal import Signal
from streams.monitor.drift.thresholds import SimulationPolicy, simulate_thresholds
from streams.monitor.episodes.members import is_near
from streams.monitor.episodes.naming import have_other_words
from streams.monitor.episodes.open_episode import OpenEpisode, is_same, split_texts
from streams.monitor.episodes.open_episodes import Ended, OpenEpisodes, opened_before
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.seasons.hours import StreamHours
from streams.monitor.seasons.texts import TextSeasons

__all__ = ["Cusum", "DriftMonitor", "DriftPolicy", "Episode", "Signal"]

_MARGIN: Final = 2.0  # times the expected run: a stream is never quite the reference (docs/drift.md)


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """history_texts: kept for the words, examples and the onset. clusters: the n-th text of a cluster or a key counts
    as one n-th of a text; of at most `history_texts` recent texts. quiet_events: with all sums below half of their
    thresholds, after which an episode is over without a new release. retold_after: events after which the story of an
    episode is told anew, as more of it was seen; audits_retold_after: and again, where audits, which are few, found it.
    settled_after: events after which it is known where an episode's texts lie, so that another one may open beside it.
    split_looks: events after which it is looked whether its texts are of two subjects."""

    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    simulation: SimulationPolicy = field(default_factory=SimulationPolicy)
    history_texts: int = 2_000
    clusters: ClusterPolicy = field(default_factory=ClusterPolicy)
    live: LivePolicy = field(default_factory=LivePolicy)
    bursts: BurstPolicy = field(default_factory=BurstPolicy)
    quiet_events: int = 1_000
    retold_after: tuple[int, ...] = (50, 200)
    audits_retold_after: tuple[int, ...] = (500, 1_000)
    settled_after: int = 200
    split_looks: tuple[int, ...] = (400, 800, 1_600)


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
        self._open = OpenEpisodes(reference.spread, reference.direction_of)
        self._hours = StreamHours()
        self._evidence = _evidence(reference, policy.evidence)
        self._live = LiveThresholds(thresholds, _expected_run(false_alarm_every), policy.live)
        self._cusums = {name: Cusum(float(height)) for name, height in zip(DETECTORS, thresholds, strict=True)}
        self._set_heights()
        self._audits = FastAudits.of(reference, policy.evidence, false_alarm_every)
        if self._audits is not None:
            self._cusums[FAST_AUDITS] = self._audits.cusum
        self._history: deque[SeenText] = deque(maxlen=policy.history_texts)
        self._clusters = Clusters(
            replace(
                policy.clusters,
                recent_texts=min(policy.clusters.recent_texts, policy.history_texts),
                run_cosine=reference.run_cosine,
                cosine=max(policy.clusters.cosine, reference.copy_cosine),  # templates are near by themselves
            )
        )
        self.bursts = LabelBursts(reference.labels, false_alarm_every, policy.bursts)
        self._burst_changes: list[BurstChange] = []
        self._burst_texts = BurstTexts(reference.run_cosine, len(DETECTORS), policy.history_texts)
        self.newest_repeats = 1  # the how-many-eth of its cluster or key, whatever run or burst it is of
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
    ) -> Self:
        """Set the thresholds for one false alarm in `false_alarm_every` events; takes about a second, the
        same for a seed.

        reference: the release's arrays (Reference.from_arrays says which). fast_path: whether the application lets
        the release's fast path decide. Raises ModelError when the arrays do not fit.
        """
        policy = policy or DriftPolicy()
        known = Reference.from_arrays(reference, fast_path=fast_path)
        expected_run = _expected_run(false_alarm_every)
        thresholds = simulate_thresholds(
            known, policy.evidence, expected_run_events=expected_run, seed=seed, policy=policy.simulation
        )
        return cls(known, thresholds, policy, false_alarm_every=false_alarm_every)

    @property
    def dimensions(self) -> int:
        """Of the embeddings that the reference knows."""
        return int(self._reference.dimensions)

    @property
    def thresholds(self) -> dict[str, float]:
        """Height at which each detector fires."""
        return {name: cusum.threshold for name, cusum in self._cusums.items()}

    @property
    def levels(self) -> dict[str, float]:
        """Each detector's sum as a share of its threshold: 0 nothing, 1 fires."""
        return {name: cusum.share for name, cusum in self._cusums.items()}

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Those that go on, the first one found first."""
        return self._open.episodes

    @property
    def episode(self) -> Episode | None:
        """The one found last of those that go on."""
        return next(reversed(self._open.episodes), None)

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

    @property
    def counts_keys(self) -> bool:
        """Whether messages of one key count less than the first. Where that changes, what is watched is another
        selection of the texts, which must not be compared with the one before."""
        return self._clusters.counts_keys

    def _begin_anew(self) -> None:
        for cusum in self._cusums.values():
            cusum.begin_anew()

    def decided_since(self, event_number: int) -> dict[str, str]:
        """Id to label of the texts since an event, as far as they are remembered."""
        return {seen.id: seen.label for seen in self._history if seen.event_number >= event_number}

    def update(self, signal: Signal) -> Episode | None:
        """Take one signal in. An Episode at the event at which drift is found, None at all others: `episodes` holds it,
        and is told anew where more of it was seen.

        A signal whose numbers are not finite is left out. Raises ValueError for an embedding of other
        dimensions than the reference has.
        """
        seen, increments = self._weigh(signal)
        if seen is None:
            return None
        self._history.append(seen)
        self._burst_texts.add(signal.label, self._embedding(signal), increments[: len(DETECTORS)])
        if not seen.copies:
            return None
        for cusum, increment in zip(self._cusums.values(), increments, strict=bool(increments)):
            cusum.update(increment)
        if not self._open:
            self._live.add(increments[: len(DETECTORS)])
            self._set_heights()
        else:
            self._follow_open(signal.event_number)
        fired = [name for name, cusum in self._cusums.items() if cusum.drift_detected]
        if fired and self._open.may_open:
            return self._found(fired)
        return self._tried(signal.event_number) if self._open else None

    def join(self, symptom: Symptom) -> Episode | None:
        """The open episode that takes a signal that changed for its symptom, and tells it; None: none does."""
        return self._open.join(symptom)

    @property
    def newest(self) -> SeenText | None:
        """The last text taken in."""
        return self._history[-1] if self._history else None

    def take_ended(self) -> list[Ended]:
        """Episodes that ended since this was asked last, and why."""
        return self._open.take_ended()

    def take_burst_changes(self) -> list[BurstChange]:
        """Bursts of labels that began or ended since this was asked last."""
        changes, self._burst_changes = self._burst_changes, []
        return changes

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here, for JSON. Of the texts remembered it keeps only how often each was
        seen: they stand in the topic that they came from."""
        return {
            "sums": {name: [self._cusums[name].value, self._cusums[name].texts_since_zero] for name in DETECTORS},
            FAST_AUDITS: None if self._audits is None else self._audits.state(),
            "hours": self._hours.state(),
            "evidence": self._evidence.state(),
            "clusters": self._clusters.state(),
            "bursts": self.bursts.state(),
            "burst_texts": self._burst_texts.state(),
            "live": self._live.state(),
            "episodes": self._open.state(),
            "history": [seen.copies for seen in self._history],
            "offsets": [self._history[0].offset, self._history[-1].offset + 1] if self._history else [0, 0],
        }

    def restore(self, state: Mapping[str, Any], signals: Sequence[Signal]) -> None:
        """Go on where `state` was taken. signals: those taken in before, from the records of state["offsets"] on, in
        their order; where retention has dropped the first of them, less is remembered.

        Raises ValueError, KeyError or TypeError where it does not fit; the monitor is then to be thrown away.
        """
        if "live" in state:
            self._live.restore(state["live"])
            self._set_heights()
        for name, (value, texts_since_zero) in state["sums"].items():  # earlier versions lack one
            self._cusums[name].value = max(float(value), 0.0)  # a threshold may have fallen below it since
            self._cusums[name].texts_since_zero = int(texts_since_zero)
        if "hours" in state:
            self._hours.restore(state["hours"])
        self._evidence.restore(state["evidence"])
        if self._audits is not None and state.get(FAST_AUDITS) is not None:
            self._audits.restore(state[FAST_AUDITS])
        texts = [_cluster_text(signal, self._embedding(signal)) for signal in signals]
        if "clusters" in state:
            self._clusters.restore(state["clusters"], texts)
        else:  # of an earlier version
            for text in texts:
                self._clusters.add(text)
        if "bursts" in state:
            self.bursts.restore(state["bursts"])
        if "burst_texts" in state:  # earlier versions lack it
            self._burst_texts.restore(state["burst_texts"], [text.embedding for text in texts])
        self._open.restore(state["episodes"] if "episodes" in state else opened_before(state))
        copies = [int(count) for count in state["history"]]
        known = min(len(copies), len(signals))
        for signal, count in zip(signals[len(signals) - known :], copies[len(copies) - known :], strict=True):
            self._history.append(self._seen(signal, *self._look(signal), count))

    def _weigh(self, signal: Signal) -> tuple[SeenText | None, list[float]]:
        if not np.isfinite(signal.confidence):
            return None, []
        surprisals, outside = self._look(signal)
        hour = self._hours.take(signal.at)
        copies = self._count(signal, hour, 0.0 if signal.fast else _surprisal(surprisals, outside))
        if self._is_near_expected(surprisals, outside):
            return self._seen(signal, surprisals, outside, 0), []
        owner = None
        if self._open and outside is not None:
            owner = self._open.owner(outside[0].astype(np.float64), float(surprisals[0, BOTH]))
            self._open.watch(owner, copies)
        self._evidence.enter(hour)
        if owner is not None:  # that its subject goes on says nothing of others
            if copies == 1:
                self._evidence.take_season(*_among_all(signal, surprisals, outside), of_episode=True)
            return self._seen(signal, surprisals, outside, copies), []
        return self._seen(signal, surprisals, outside, copies), self._increments(signal, surprisals, outside, copies)

    def _increments(self, signal: Signal, surprisals: Doubles, outside: Floats | None, copies: int) -> list[float]:
        """What a text adds to each sum, in their order."""
        audited = float(surprisals[0, BOTH]) if signal.fast and outside is not None else None
        surprisals, outside, full = _among_all(signal, surprisals, outside)
        if copies == 1:
            increments = self._evidence.add(surprisals, outside, ~full)
        else:
            has_embedding = outside is not None
            increments = self._evidence.repeated(surprisals, copies, is_fast=signal.fast, has_embedding=has_embedding)
        audits = [] if self._audits is None else [self._audits.increment(audited, copies)]
        return [*increments[0].tolist(), *audits]

    def _is_near_expected(self, surprisals: Doubles, outside: Floats | None) -> bool:
        if outside is None or not self._expected:
            return False
        vector, surprisal = outside[0].astype(np.float64), float(surprisals[0, BOTH])
        directions = [one for one in self._expected.values() if one is not None]
        return any(is_near(vector, surprisal, one, self._reference.spread) for one in directions)

    def _is_expected(self, episode: Episode) -> bool:
        """Whether it is made of what the expected texts left: a few of their kind look like known ones, or are decided
        by n-grams, and add up in time."""
        direction = self._reference.direction_of(episode.centre) if self._expected else None
        known = [one for one in self._expected.values() if one is not None]
        return direction is not None and any(is_same(direction, one) for one in known)

    def _count(self, signal: Signal, hour: int | None, surprisal: float) -> int:
        """The how-many-eth text of its cluster, key, run or burst this is."""
        counted_keys = self.counts_keys
        member = self._clusters.add(_cluster_text(signal, self._embedding(signal)))
        if self.counts_keys is not counted_keys:
            self._select_anew()
        event = BurstEvent(signal.id, signal.at, signal.text, 1.0 / member.in_key, surprisal, hour)
        changes = self.bursts.observe(signal.label, event)
        for change in changes:
            if change.state == "firing":
                self._take_back(change.burst)
        self._burst_changes += changes
        self.newest_repeats = max(member.in_cluster, member.in_key)
        near = [burst.texts for burst in self.bursts.firing if self._is_near(burst, signal)]
        return max(member.nth, self.bursts.texts_of(signal.label), *near)

    def _is_near(self, burst: LabelBurst, signal: Signal) -> bool:
        return signal.label != burst.label and self._burst_texts.is_near(burst, self._embedding(signal))

    def _take_back(self, burst: LabelBurst) -> None:
        """The first texts of a burst are known as such only once it is told: what they added is no drift. Hardly any of
        them is audited: the sum of audits stays."""
        for cusum, height in zip(self._cusums.values(), self._burst_texts.lifted(burst), strict=False):
            cusum.value = max(cusum.value - height, 0.0)

    def _select_anew(self) -> None:
        """Other texts count from now on: the sums, what is learnt of the stream, and its thresholds begin anew."""
        self._evidence = _evidence(self._reference, self.policy.evidence)
        self._live = self._live.anew()
        self._set_heights()
        if self._audits is not None:
            self._audits = self._audits.anew()
            self._cusums[FAST_AUDITS] = self._audits.cusum
        self._open.end_trial()
        self._begin_anew()

    def _look(self, signal: Signal) -> tuple[Doubles, Floats | None]:
        """A text's surprisals, (1, 3), and its part outside the span, (1, kept), where its embedding counts. Of a fast
        text: among fast ones where it was audited, else 0."""
        embedding = self._embedding(signal)
        rows = embedding[None] if embedding is not None and not (signal.fast and self._audits is None) else None
        distances = self._reference.distances(rows) if rows is not None else np.zeros(1, np.float32)
        if signal.fast:
            audited = 0.0 if self._audits is None or rows is None else self._audits.surprisal(float(distances[0]))
            surprisals = np.full((1, len(TAILS)), audited)
        else:
            surprisals = self._reference.surprisals(distances.astype(np.float64), np.array([-signal.confidence]))
        return surprisals, rows @ self._reference.basis if rows is not None else None

    def _seen(self, signal: Signal, surprisals: Doubles, outside: Floats | None, copies: int) -> SeenText:
        return SeenText(
            signal.id,
            signal.event_number,
            signal.text,
            signal.label,
            _surprisal(surprisals, outside),
            copies,
            outside[0].astype(np.float16) if outside is not None else None,
            signal.at,
            signal.offset,
            fields=signal.fields,
            confidence=signal.confidence,
            distance=float(surprisals[0, EMBEDDINGS]) if outside is not None and not signal.fast else None,
            is_fast=signal.fast,
        )

    def _embedding(self, signal: Signal) -> Floats | None:
        if signal.embedding is None:
            return None
        if signal.embedding.shape != (self._reference.dimensions,):
            raise ValueError(
                f"embedding of shape {signal.embedding.shape} for a reference of {self._reference.dimensions} "
                f"dimensions"
            )
        length = float(np.linalg.norm(signal.embedding))
        if not np.isfinite(length) or length == 0.0:
            return None
        return (signal.embedding / length).astype(np.float32)

    def _found(self, fired: list[str]) -> Episode | None:
        """What the sums have found, where it is news: neither expected nor of an open episode."""
        episode = self._describe(fired)
        if self._is_expected(episode) or self._open.is_known(episode):
            self._begin_anew()
            return None
        if self._open:
            self._open.try_out(episode)
            self._begin_anew()
            return None
        self._open.open(episode)
        return episode

    def _tried(self, event_number: int) -> Episode | None:
        """An episode beside open ones, where its trial ends so."""
        candidate = self._open.tried(event_number, self._counted)
        if candidate is None:
            return None
        texts = self._open.others_texts(self._counted())
        since = sum(seen.event_number >= candidate.onset_event for seen in texts)
        episode = self._story(texts, since, candidate.detectors)
        self._open.open(episode)
        return episode

    def _describe(self, fired: list[str]) -> Episode:
        """Others that are more than half up speak for it too; of all of them the one that climbed fastest, whose share
        is nearest, says where it began."""
        texts = self._open.others_texts(self._counted())
        supporting = [name for name, cusum in self._cusums.items() if name not in fired and cusum.share > 0.5]
        sums = [self._cusums[name] for name in fired + supporting]
        leader = max(sums, key=lambda cusum: cusum.share / max(cusum.texts_since_zero, 1))
        since = min(leader.texts_since_zero, len(texts))
        return self._story(texts, since, tuple(fired + supporting))

    def _follow_open(self, event_number: int) -> None:
        """Tell the stories of open episodes anew, where that is due, and end what is over."""
        for one in list(self._open):
            detected, told = one.episode.detected_event, one.episode.told_event
            marks = self.policy.retold_after
            if FAST_AUDITS in one.episode.detectors:
                marks += self.policy.audits_retold_after
            if any(told < detected + mark <= event_number for mark in marks):
                texts = self._open.others_texts(self._counted(), one)
                since = sum(seen.event_number >= one.episode.onset_event for seen in texts)
                story = self._story(texts, since, one.episode.detectors, one.episode)
                one.episode = replace(story, told_event=event_number)
            if not one.is_settled and event_number >= detected + self.policy.settled_after:
                self._settle(one)
        if self._open.may_open:  # else an episode may hold texts of another one, or of what is on trial
            due = [one for one in self._open if one.is_due(event_number, self.policy.split_looks)]
            for one in due[:1]:  # one at a time, as an episode is named by the event
                one.looked = event_number
                self._split(one, event_number)
        is_quiet = all(share < 0.5 for share in self.levels.values())
        if self._open.rest(is_quiet, self.policy.quiet_events):
            self._end_season_of_episodes(ceased=True)
            self._begin_anew()

    def _end_season_of_episodes(self, *, ceased: bool) -> None:
        if not self._open:
            self._evidence.end_episodes(ceased=ceased)

    def _settle(self, one: OpenEpisode) -> None:
        """Its texts are told from others from now on; sums of before hold them still."""
        self._open.settle(one, self._counted())
        self._open.merge()
        if one.absorbs:
            self._begin_anew()

    def _split(self, one: OpenEpisode, event_number: int) -> None:
        """Make two of an episode whose texts are clearly of two subjects: it goes on as the one with more texts, and
        the other is told for itself."""
        reference, texts = self._reference, self._open.others_texts(self._counted(), one)
        halves = self._open.halves(one, texts, reference.place_of)
        if halves is None:
            return
        before = WordCounts.of(seen.text for seen in split_texts(texts, one.episode.onset_event)[0] if seen.text)
        words = [[seen.text for seen in half if seen.text] for half in halves.texts]
        if not have_other_words(words[0], words[1], before, reference.background):
            return
        self._open.split(one, halves)
        first, second = halves.first, halves.second
        own = self._open.others_texts(self._counted(), second)
        onset = second.first_event(own, reference.spread)
        since = sum(seen.event_number >= onset for seen in own)
        newest = self._history[-1]
        story = replace(
            self._story(own, since, one.episode.detectors),
            detected_id=newest.id,
            detected_event=event_number,
            detected_at=newest.at,
            split_from=one.episode.detected_id,
        )
        second.tell(story, event_number)
        own = self._open.others_texts(self._counted(), first)
        since = sum(seen.event_number >= one.episode.onset_event for seen in own)
        first.tell(self._story(own, since, one.episode.detectors, one.episode), event_number)
        self._begin_anew()

    def _story(
        self, texts: list[SeenText], since: int, detectors: tuple[str, ...], told: Episode | None = None
    ) -> Episode:
        reference = self._reference
        return describe_episode(
            texts, since, detectors, reference.spread, reference.background, told, reference.place_of
        )

    def _counted(self) -> list[SeenText]:
        return [seen for seen in self._history if seen.copies]

    def _set_heights(self) -> None:
        for cusum, height in zip(self._cusums.values(), self._live.heights().tolist(), strict=False):
            cusum.threshold = height


def _expected_run(false_alarm_every: float) -> float:
    """Of one detector, in events."""
    return float(false_alarm_every) * len(DETECTORS) * _MARGIN


def _evidence(reference: Reference, policy: EvidencePolicy) -> Evidence:
    """Of a stream of which nothing is known yet."""
    return Evidence(
        policy,
        1,
        reference.basis.shape[1],
        reference.spread,
        place=reference.place,
        place_texts=reference.place_texts,
        full_share=reference.full_share,
        seasons=TextSeasons(reference.basis.shape[1], reference.spread),
    )


def _among_all(
    signal: Signal, surprisals: Doubles, outside: Floats | None
) -> tuple[Doubles, Floats | None, NDArray[np.bool_]]:
    """What a text is among all, and whether the encoder decided it: a fast one is the least suspicious, audited or
    not."""
    full = np.array([not signal.fast])
    return (np.zeros_like(surprisals), None, full) if signal.fast else (surprisals, outside, full)


def _surprisal(surprisals: Doubles, outside: Floats | None) -> float:
    """All that is known of a text."""
    return float(surprisals[0, BOTH if outside is not None else CONFIDENCE])


def _cluster_text(signal: Signal, embedding: Floats | None) -> ClusterText:
    return ClusterText(signal.text, signal.key, embedding)
