"""The sums of one stream: what each text adds to them, and when one has reached its threshold.

Four one-sided CUSUMs add up what each text says (streams/monitor/drift/evidence.py): embeddings, confidence, both
together, and both for a small share. Together they give nine of ten false alarms of the stated rate, each a quarter of
these (streams/monitor/drift/thresholds.py). Beside a fast path a fifth one gives the tenth: it adds up what its audited
texts say (streams/monitor/drift/fast_audits.py).

Source: the last zero of a CUSUM as the estimate of the onset, Hinkley (1971), Biometrika 58.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from streams.monitor.drift.cusum import Cusum
from streams.monitor.drift.evidence import DETECTORS, Evidence, EvidencePolicy
from streams.monitor.drift.fast_audits import ALARM_SHARE, FAST_AUDITS, FastAudits
from streams.monitor.drift.live_thresholds import LivePolicy, LiveThresholds
from streams.monitor.drift.reference import Doubles, Reference
from streams.monitor.drift.signal import MeasuredText
from streams.monitor.seasons.texts import TextSeasons


class DetectorSums:
    """Of one release's stream. Not thread-safe. Memory: that of its parts."""

    def __init__(
        self,
        reference: Reference,
        thresholds: Doubles,
        evidence: EvidencePolicy,
        live: LivePolicy,
        false_alarm_every: float,
    ) -> None:
        """thresholds: simulated, one per detector, in the order of DETECTORS. false_alarm_every: of all, in events."""
        self._reference, self._policy = reference, evidence
        self.evidence = _evidence(reference, evidence)
        self.live = LiveThresholds(thresholds, expected_run_events(false_alarm_every), live)
        self._cusums = {name: Cusum(float(height)) for name, height in zip(DETECTORS, thresholds, strict=True)}
        self._set_heights()
        self.audits = FastAudits.of(reference, evidence, false_alarm_every)
        if self.audits is not None:
            self._cusums[FAST_AUDITS] = self.audits.cusum

    @property
    def thresholds(self) -> dict[str, float]:
        """Height at which each detector fires."""
        return {name: cusum.threshold for name, cusum in self._cusums.items()}

    @property
    def levels(self) -> dict[str, float]:
        """Each detector's sum as a share of its threshold: 0 nothing, 1 fires."""
        return {name: cusum.share for name, cusum in self._cusums.items()}

    @property
    def fired(self) -> list[str]:
        """Detectors whose sum has reached its threshold."""
        return [name for name, cusum in self._cusums.items() if cusum.drift_detected]

    @property
    def are_low(self) -> bool:
        """Whether all are below half of their thresholds."""
        return all(share < 0.5 for share in self.levels.values())

    def increments(self, text: MeasuredText, copies: int) -> list[float]:
        """What a text adds to each sum, in their order. copies: the how-many-eth of what counts as one."""
        surprisals, outside, full = text.among_all()
        if copies == 1:
            increments = self.evidence.add(surprisals, outside, ~full)
        else:
            has_embedding = outside is not None
            is_fast = text.signal.fast
            increments = self.evidence.repeated(surprisals, copies, is_fast=is_fast, has_embedding=has_embedding)
        audits = [] if self.audits is None else [self.audits.increment(text.audited, copies)]
        return [*increments[0].tolist(), *audits]

    def add(self, increments: Sequence[float]) -> None:
        """Add what `increments` gave; empty: nothing."""
        for cusum, increment in zip(self._cusums.values(), increments, strict=bool(increments)):
            cusum.update(increment)

    def learn(self, increments: Sequence[float]) -> None:
        """Have the thresholds follow a stream in which no episode is open."""
        self.live.add(increments[: len(DETECTORS)])
        self._set_heights()

    def take_back(self, heights: Sequence[float]) -> None:
        """Texts turn out to say nothing: how much they have lifted each sum of DETECTORS. Hardly any of them is
        audited: the sum of audits stays."""
        for cusum, height in zip(self._cusums.values(), heights, strict=False):
            cusum.value = max(cusum.value - height, 0.0)

    def onset(self, fired: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """The detectors that speak for a drift, those that fired first, and how many texts ago it began.

        Others that are more than half up speak for it too; of all of them the one that climbed fastest, whose share is
        nearest, says where it began.
        """
        supporting = [name for name, cusum in self._cusums.items() if name not in fired and cusum.share > 0.5]
        detectors = (*fired, *supporting)
        sums = [self._cusums[name] for name in detectors]
        leader = max(sums, key=lambda cusum: cusum.share / max(cusum.texts_since_zero, 1))
        return detectors, leader.texts_since_zero

    def begin_anew(self) -> None:
        """All back to zero."""
        for cusum in self._cusums.values():
            cusum.begin_anew()

    def select_anew(self) -> None:
        """Other texts count from now on: the sums, what is learnt of the stream, and its thresholds begin anew."""
        self.evidence = _evidence(self._reference, self._policy)
        self.live = self.live.anew()
        self._set_heights()
        if self.audits is not None:
            self.audits = self.audits.anew()
            self._cusums[FAST_AUDITS] = self.audits.cusum
        self.begin_anew()

    def state(self) -> dict[str, list[float]]:
        """The sums of DETECTORS, for JSON; `evidence`, `live` and `audits` have states of their own."""
        return {name: [self._cusums[name].value, self._cusums[name].texts_since_zero] for name in DETECTORS}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where all of these states were taken, each by its name. Raises ValueError, KeyError or TypeError where
        one does not fit."""
        if "live" in state:
            self.live.restore(state["live"])
            self._set_heights()
        for name, (value, texts_since_zero) in state["sums"].items():  # earlier versions lack one
            self._cusums[name].value = max(float(value), 0.0)  # a threshold may have fallen below it since
            self._cusums[name].texts_since_zero = int(texts_since_zero)
        self.evidence.restore(state["evidence"])
        if self.audits is not None and state.get(FAST_AUDITS) is not None:
            self.audits.restore(state[FAST_AUDITS])

    def _set_heights(self) -> None:
        for cusum, height in zip(self._cusums.values(), self.live.heights().tolist(), strict=False):
            cusum.threshold = height


def expected_run_events(false_alarm_every: float) -> float:
    """Of one detector, in events."""
    return float(false_alarm_every) * len(DETECTORS) / (1.0 - ALARM_SHARE)


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
