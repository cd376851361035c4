"""A label that comes too often: counted over the last minutes, by the events' own times."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.figures import number_of, readable
from streams.application.names import BY_ENTITIES
from streams.monitor.rules.causes import EVIDENCE, Finding, Level
from streams.rule_specs import ThresholdRule
from streams.wire.signals import ALL, MonitorSignal

GROUPS: Final = 1_000  # the one not heard of for longest goes
_BINS: Final = 60  # of a window


@dataclass(slots=True)
class _Counts:
    """Of a group. bins: number of the bin to events and hits in it. hits: the last ones."""

    bins: dict[int, list[int]] = field(default_factory=dict)
    hits: list[dict[str, str]] = field(default_factory=list)


class Threshold:
    """Of one rule."""

    def __init__(self, rule: ThresholdRule) -> None:
        self.rule = rule
        self._bin_seconds = 60.0 * rule.minutes / _BINS
        self._groups: OrderedDict[str, _Counts] = OrderedDict()
        self._high: set[str] = set()  # groups that were over, and are not calm since
        self._looked: int | None = None  # the bin in which all of those were judged last

    def observe(self, signal: MonitorSignal, at_seconds: float, now_seconds: float) -> Iterator[tuple[str, Finding]]:
        """Take an event in: what is to be judged now. at_seconds: its time; now_seconds: the stream's."""
        now, bin_ = int(now_seconds // self._bin_seconds), int(at_seconds // self._bin_seconds)
        touched = self._count(signal, min(bin_, now), now)
        others = self._high.difference(touched)
        if now == self._looked:  # of the others nothing has changed, but that some may have been pushed out
            others = {group for group in others if group not in self._groups}
        self._looked = now
        for group in [*touched, *sorted(others)]:
            finding = self._finding(group, now)
            (self._high.discard if finding.level is Level.CALM else self._high.add)(group) if (
                finding.level in (Level.CALM, Level.OVER)
            ) else None
            yield group, finding

    def _count(self, signal: MonitorSignal, bin_: int, now: int) -> list[str]:
        decided = signal.labels.get(self.rule.head)
        if decided is None or bin_ <= now - _BINS:
            return []
        groups = signal.groups(self.rule.by, self.rule.relevance_min)
        for group in groups:
            is_hit = self.rule.label in signal.each_in(self.rule.by, group, self.rule.head)
            counts = self._groups.setdefault(group, _Counts())
            self._groups.move_to_end(group)
            of_bin = counts.bins.setdefault(bin_, [0, 0])
            of_bin[0] += 1
            of_bin[1] += is_hit
            if is_hit:
                counts.hits = [*counts.hits[-EVIDENCE + 1 :], {"id": signal.id, "text": signal.text or ""}]
        while len(self._groups) > GROUPS:
            self._groups.popitem(last=False)  # where it was high, it is judged as one without events, and calm
        return groups

    def _finding(self, group: str, now: int) -> Finding:
        rule, counts = self.rule, self._groups.get(group) or _Counts()
        counts.bins = {bin_: of_bin for bin_, of_bin in counts.bins.items() if now - _BINS < bin_ <= now}
        events, hits = (sum(of_bin[one] for of_bin in counts.bins.values()) for one in (0, 1))
        about = "about" if rule.by == BY_ENTITIES else "in"
        where = "" if group == ALL else f" {about} {group}"
        share = hits / events if events else 0.0
        values = {"by": rule.by, "events": events, "hits": hits, "share": round(share, 4), "minutes": rule.minutes}
        if rule.count is not None:
            level = _level(hits, rule.count, rule.over_at)
            words = (
                f"{number_of(hits, 'text')}{where} {'was' if hits == 1 else 'were'} {readable(rule.label)} in "
                f"{rule.minutes:g} minutes; the limit is {rule.count}"
            )
            return Finding(level, words, values, counts.hits)
        assert rule.share is not None
        words = (
            f"{share:.0%} of the {number_of(events, 'text')}{where} of {rule.minutes:g} "
            f"minutes are {readable(rule.label)}; the limit is "
        )
        level = _level(share, rule.share, rule.over_at) if events >= rule.least else Level.INSUFFICIENT
        if not events:
            level, words = Level.CALM, f"no text{where} came for {rule.minutes:g} minutes; the limit is "
        return Finding(level, f"{words}{rule.share:.0%}", values, counts.hits)

    def is_over(self, group: str) -> bool:
        """Whether the group was over its limit and is not calm since: then it will be judged again."""
        return group in self._high

    def state(self, groups: int | None = None) -> dict[str, Any]:
        """For JSON. groups: those kept, the ones heard of last, beside those that are over; None: all."""
        heard = list(self._groups.items())
        last = set(self._groups) if groups is None else {name for name, _ in heard[max(len(heard) - groups, 0) :]}
        kept = [(name, counts) for name, counts in heard if name in last or name in self._high]
        return {
            "rule": self.rule.model_dump(mode="json"),
            "groups": [[name, [[bin_, *of] for bin_, of in one.bins.items()], one.hits] for name, one in kept],
            "high": sorted(self._high),
            "looked": self._looked,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, of a rule that counted the same. Raises ValueError, KeyError or TypeError."""
        for name, bins, hits in state["groups"]:
            self._groups[str(name)] = _Counts({int(b): [int(events), int(n)] for b, events, n in bins}, list(hits))
        self._high = {str(name) for name in state["high"]}
        self._looked = state.get("looked")  # which states of earlier versions lack


def _level(value: float, limit: float, over_at: float) -> Level:
    if value >= limit:
        return Level.OVER
    return Level.CALM if value < over_at * limit else Level.BETWEEN
