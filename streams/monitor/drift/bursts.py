"""Bursts of known labels: many more texts of one label than it usually has (an outage, a fee that rose).

For each label a one-sided CUSUM of the log-likelihood ratio "several times its usual share" against "its usual share".
The ratio averages 1 while labels come independently at their usual shares, so all labels together climb to a height of
h + log(labels) less than once in exp(h) texts. The usual share is learnt from the stream: some texts late, so that a
burst is not learnt as usual while it begins, and slowly forgotten, so that a share which stays becomes usual.

Sources: Page (1954), Biometrika 41; the bound, Lorden (1971), Annals of Mathematical Statistics 42; CUSUM of
proportions, Reynolds and Stoumbos (1999), Journal of Quality Technology 31.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from streams.monitor.seasons.labels import LabelSeasons

_EXAMPLES: Final = 5
_OVER: Final = 0.5  # of the threshold, below which a burst that was told is over
_BEGINS: Final = 0.3  # of the threshold, from which on a burst may be beginning
_BEGINS_WITHIN: Final = 25  # texts of the stream, after which it is told or is none that is worth a wait
_MOSTLY: Final = 0.5  # of the stream: a label with more cannot come several times as often
_USUAL: Final = 0.7  # of the share that a burst has had: once that is usual, it is over
_KNOWN_SURPRISAL: Final = 2.0  # mean of a known label's texts at the most: 1 of all known texts
_KNOWN_SPREAD: Final = 2.0  # standard error of such a mean, of one text: a surprisal spreads as much as its mean
_RESCALE: Final = 1e6
_FOREIGN_LABELS: Final = 1_000  # remembered beside the release's own: who writes signals may call labels what they like


@dataclass(frozen=True, slots=True)
class BurstPolicy:
    """times: of its usual share that a burst has at least; least_share: of the stream. settle_texts: seen before any
    burst is told. lag_texts, memory_texts: how late and how slowly the usual share is learnt. prior_texts: that equal
    shares of all labels count for at first."""

    times: float = 4.0
    least_share: float = 0.1
    settle_texts: int = 300
    lag_texts: int = 200
    memory_texts: int = 5_000
    prior_texts: float = 50.0


class BurstEvent(NamedTuple):
    """A text of a label. at: its source's time. weight: what it counts for, in (0, 1]. surprisal: minus the logarithm
    of its tail probability, 1 on average. hour: of its stream, in which it counts (`StreamHours`)."""

    id: str
    at: str
    text: str | None
    weight: float = 1.0
    surprisal: float = 1.0
    hour: int | None = None


@dataclass(slots=True)
class LabelBurst:
    """Texts of one label in quick succession. share: its usual one, in (0, 1). texts: of the label since the first one;
    events: of the stream since then. height: of the CUSUM. is_told: whether it is a burst. surprisal: of its texts, in
    all."""

    label: str
    share: float
    first_id: str
    first_at: str
    last_at: str = ""
    texts: int = 0
    events: int = 0
    height: float = 0.0
    is_told: bool = False
    surprisal: float = 0.0
    examples: list[list[str]] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether its texts look like those that the release learnt; else something new comes under this label."""
        return self.surprisal <= _KNOWN_SURPRISAL * self.texts + _KNOWN_SPREAD * float(np.sqrt(self.texts))

    def is_usual(self, share: float) -> bool:
        """Whether it has lasted so long that it is no burst any more. share: the label's usual one by now."""
        return share > _USUAL * self.texts / self.events

    @property
    def times_usual(self) -> float:
        """How many times the texts that its usual share gives."""
        return self.texts / (self.share * max(self.events, 1))


@dataclass(frozen=True, slots=True)
class BurstChange:
    """A burst that is told, or that is over."""

    state: Literal["firing", "resolved"]
    burst: LabelBurst
    at: str


class LabelBursts:
    """Watches the labels of one stream. Not thread-safe. Memory: some numbers a label, of
    those that come most, and `lag_texts` labels."""

    def __init__(self, labels: int, false_alarm_every: float, policy: BurstPolicy | None = None) -> None:
        """labels: how many the release knows. false_alarm_every: texts of an unchanged stream, for all labels."""
        self.policy = policy or BurstPolicy()
        self.threshold = float(np.log(max(false_alarm_every, 2.0) * max(labels, 1)))
        self._labels = max(labels, 1)
        self._climbs: dict[str, LabelBurst] = {}
        self._usual: dict[str, float] = {}  # weight of each label's texts in the memory; a text's weight grows
        self._total, self._unit = 0.0, 1.0
        self._waiting: deque[str] = deque()
        self._seen = 0
        self._seasons = LabelSeasons()

    @property
    def firing(self) -> list[LabelBurst]:
        """Bursts that go on, the first one first."""
        return [burst for burst in self._climbs.values() if burst.is_told]

    @property
    def may_begin(self) -> bool:
        """Whether one label has come so often of late that a burst of it may be told with one of the next texts."""
        return any(
            not burst.is_told
            and burst.is_known
            and burst.height >= _BEGINS * self.threshold
            and burst.events <= _BEGINS_WITHIN
            for burst in self._climbs.values()
        )

    def texts_of(self, label: str) -> int:
        """Texts of this label in its burst, where one goes on; else 0."""
        burst = self._climbs.get(label)
        return burst.texts if burst is not None and burst.is_told else 0

    def usual_share(self, label: str) -> float:
        """A label's share of this stream as it usually is at this hour, in (0, 1), at the most: two standard errors
        above what was seen, as a share that a few texts show too small would make bursts of nothing."""
        texts = self._total / self._unit + self.policy.prior_texts
        share = (self._usual.get(label, 0.0) / self._unit + self.policy.prior_texts / self._labels) / texts
        whole = min(share + 2.0 * float(np.sqrt(share * (1.0 - min(share, 1.0)) / texts)), 1.0 - 1e-6)
        return self._seasons.usual_share(label, whole, self.policy.prior_texts)

    def observe(self, label: str, event: BurstEvent) -> list[BurstChange]:
        """Take a text in; the bursts that begin and end with it."""
        self._learn(label)
        if self._seasons.take(label, event.hour):
            for climb in self._climbs.values():  # that began in another hour
                climb.share = self._seasons.usual_share(climb.label, climb.share, self.policy.prior_texts)
        if self._seen < self.policy.settle_texts:
            return []
        changes = self._bring_others_down(label, event.at)
        burst, share = self._climbs.get(label), self.usual_share(label)
        if burst is None:
            if share > _MOSTLY:
                return changes
            burst = self._climbs[label] = LabelBurst(label, share, event.id, event.at)
        burst.texts, burst.events, burst.last_at = burst.texts + 1, burst.events + 1, event.at
        burst.surprisal += event.surprisal
        if event.text is not None and len(burst.examples) < _EXAMPLES:
            burst.examples.append([event.id, event.text])
        gain = event.weight * float(np.log(self._burst_share(burst.share) / burst.share))
        burst.height = min(burst.height + gain, self.threshold)
        if burst.height >= self.threshold and burst.is_known and not burst.is_told:
            burst.is_told = True
            changes.append(BurstChange("firing", burst, event.at))
        elif burst.is_told and burst.is_usual(share):
            del self._climbs[label]
            changes.append(BurstChange("resolved", burst, event.at))
        elif burst.is_told and not burst.is_known:  # watched on, as ten other texts of it would look known again
            burst.is_told = False
            changes.append(BurstChange("resolved", burst, event.at))
        return changes

    def state(self) -> dict[str, Any]:
        """What `restore` needs, for JSON."""
        return {
            "climbs": [asdict(burst) for burst in self._climbs.values()],
            "usual": dict(self._usual),
            "totals": [self._total, self._unit, self._seen],
            "waiting": list(self._waiting),
            "seasons": self._seasons.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        self._climbs = {climb["label"]: LabelBurst(**climb) for climb in state["climbs"]}
        self._usual = {str(label): float(weight) for label, weight in dict(state["usual"]).items()}
        total, unit, seen = state["totals"]
        self._total, self._unit, self._seen = float(total), float(unit), int(seen)
        self._waiting = deque(map(str, state["waiting"]))
        if "seasons" in state:  # states of earlier versions have none
            self._seasons.restore(state["seasons"])

    def _burst_share(self, share: float) -> float:
        return max(min(self.policy.times * share, (1.0 + share) / 2), self.policy.least_share)

    def _bring_others_down(self, label: str, at: str) -> list[BurstChange]:
        """A text of one label speaks against bursts of all others."""
        over = []
        for burst in self._climbs.values():
            if burst.label != label:
                burst.events += 1
                burst.height += float(np.log((1.0 - self._burst_share(burst.share)) / (1.0 - burst.share)))
                if burst.height <= (_OVER * self.threshold if burst.is_told else 0.0):
                    over.append(burst)
        for burst in over:
            del self._climbs[burst.label]
        return [BurstChange("resolved", burst, at) for burst in over if burst.is_told]

    def _learn(self, label: str) -> None:
        self._seen += 1
        self._waiting.append(label)
        if len(self._waiting) <= self.policy.lag_texts:
            return
        learnt = self._waiting.popleft()
        self._unit /= 1.0 - 1.0 / self.policy.memory_texts  # later texts weigh more, so earlier ones are forgotten
        self._usual[learnt] = self._usual.get(learnt, 0.0) + self._unit
        self._total += self._unit
        if len(self._usual) > self._labels + _FOREIGN_LABELS:
            heaviest = sorted(self._usual, key=lambda name: -self._usual[name])[: self._labels + _FOREIGN_LABELS // 2]
            self._usual = {name: self._usual[name] for name in heaviest}
        if self._unit > _RESCALE:
            self._usual = {name: weight / _RESCALE for name, weight in self._usual.items()}
            self._total, self._unit = self._total / _RESCALE, self._unit / _RESCALE
