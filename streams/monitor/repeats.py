"""Which of its kind a text is: the how-many-eth of its cluster, its key, its run (streams/monitor/clusters.py) or of a
burst of its label (streams/monitor/drift/bursts.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from models.words.counts import WordCounts, words_of
from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText
from streams.monitor.drift.burst_texts import BurstTexts
from streams.monitor.drift.bursts import BurstChange, BurstEvent, BurstPolicy, LabelBurst, LabelBursts
from streams.monitor.drift.evidence import DETECTORS
from streams.monitor.drift.reference import Reference
from streams.monitor.drift.signal import MeasuredText
from streams.monitor.episodes.members import SeenText
from streams.monitor.episodes.naming import telling_words


class Counted(NamedTuple):
    """nth: which of its kind the text is. is_anew: keys begin or cease to count with it, so other texts do. lifted: of
    each burst that is told with it, how high its texts have lifted each sum of DETECTORS before it was known."""

    nth: int
    is_anew: bool
    lifted: Sequence[Sequence[float]]


class Repeats:
    """Of one release's stream. Not thread-safe. Memory: that of its parts."""

    def __init__(
        self,
        reference: Reference,
        clusters: ClusterPolicy,
        bursts: BurstPolicy,
        history_texts: int,
        false_alarm_every: float,
    ) -> None:
        """history_texts: that are remembered at the most. false_alarm_every: of bursts, in events."""
        self._clusters = Clusters(
            replace(
                clusters,
                recent_texts=min(clusters.recent_texts, history_texts),
                run_cosine=reference.run_cosine,
                cosine=max(clusters.cosine, reference.copy_cosine),  # templates are near by themselves
            )
        )
        self.bursts = LabelBursts(reference.labels, false_alarm_every, bursts)
        self._changes: list[BurstChange] = []
        self._burst_texts = BurstTexts(reference.run_cosine, len(DETECTORS), history_texts)
        self.newest = 1  # the how-many-eth of its cluster or key the last text is, whatever run or burst it is of

    @property
    def counts_keys(self) -> bool:
        """Whether messages of one key count less than the first."""
        return self._clusters.counts_keys

    def count(self, text: MeasuredText, hour: int | None) -> Counted:
        """Take a text in. hour: its own, since 1970; None where it counts in none."""
        signal, counted_keys = text.signal, self.counts_keys
        member = self._clusters.add(_cluster_text(text))
        surprisal = 0.0 if signal.fast else text.surprisal
        event = BurstEvent(signal.id, signal.at, signal.text, 1.0 / member.in_key, surprisal, hour)
        changes = self.bursts.observe(signal.label, event)
        self._changes += changes
        self.newest = max(member.in_cluster, member.in_key)
        near = [
            burst.texts
            for burst in self.bursts.firing
            if signal.label != burst.label and self._burst_texts.is_near(burst, text.embedding)
        ]
        # The first texts of a burst are known as such only once it is told: what they added is no drift.
        lifted = [
            self._burst_texts.take_back(change.burst.label, [False] * (change.burst.events - 1))
            for change in changes
            if change.state == "firing"
        ]
        nth = max(member.nth, self.bursts.texts_of(signal.label), *near)
        return Counted(nth, self.counts_keys is not counted_keys, lifted)

    def remember(self, text: MeasuredText, increments: Sequence[float]) -> None:
        """Note what a text that was counted has added to the sums; empty: nothing."""
        self._burst_texts.add(text.signal.label, text.embedding, increments[: len(DETECTORS)])

    def forget_added(self) -> None:
        """The sums begin anew: no burst's texts have lifted them."""
        self._burst_texts.forget_added()

    def seen_only_now(self, history: Sequence[SeenText], background: WordCounts | None) -> list[list[float]]:
        """How high texts have lifted each sum of DETECTORS that in hindsight are of a burst that goes on: for each
        burst, and told once. history: the texts remembered. background: words of the release's own texts."""
        return [
            self._burst_texts.take_back(burst.label, _speak_of(burst, list(history), background))
            for burst in self.bursts.firing
        ]

    def take_changes(self) -> list[BurstChange]:
        """Bursts of labels that began or ended since this was asked last."""
        changes, self._changes = self._changes, []
        return changes

    def state(self) -> dict[str, Any]:
        """What `restore` needs beside the texts themselves, for JSON."""
        return {
            "clusters": self._clusters.state(),
            "bursts": self.bursts.state(),
            "burst_texts": self._burst_texts.state(),
        }

    def restore(self, state: Mapping[str, Any], texts: Sequence[MeasuredText]) -> None:
        """Go on where `state` was taken. texts: those taken in before, in their order; where the first are lost, less
        is remembered. Raises ValueError, KeyError or TypeError where it does not fit."""
        of_clusters = [_cluster_text(text) for text in texts]
        if "clusters" in state:
            self._clusters.restore(state["clusters"], of_clusters)
        else:  # of an earlier version
            for one in of_clusters:
                self._clusters.add(one)
        if "bursts" in state:
            self.bursts.restore(state["bursts"])
        if "burst_texts" in state:  # earlier versions lack it
            self._burst_texts.restore(state["burst_texts"], [text.embedding for text in texts])


def _speak_of(burst: LabelBurst, history: Sequence[SeenText], background: WordCounts | None) -> list[bool]:
    """For each text since a burst's first one, as far as they are remembered, whether it holds a word that tells the
    texts of its label from the stream before."""
    before, since = history[: -burst.events], history[-burst.events :]
    own = [seen.text for seen in since if seen.text and seen.label == burst.label]
    words = telling_words(own, WordCounts.of(seen.text for seen in before if seen.text), background)
    told = {word.term for word in words if not word.is_pair}
    return [bool(seen.text) and not told.isdisjoint(words_of(seen.text or "")) for seen in since]


def _cluster_text(text: MeasuredText) -> ClusterText:
    return ClusterText(text.signal.text, text.signal.key, text.embedding)
