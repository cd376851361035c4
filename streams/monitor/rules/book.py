"""All `[[rules]]` of an application: fed with what its topics say, and the time; gives the alerts that follow. Pure.

Rules about events go by the events' own time, which no single record moves (`streams.monitor.event_clock`); those
about silence, labels, dead letters and releases are looked at once in a while, by the wall clock that is handed in.
What the latter say follows from topics alone, so what fires of them is taken from `alerts` after a restart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from connectors.ports import Record
from streams.application import Application
from streams.monitor.event_clock import EventClock
from streams.monitor.rules.causes import Causes, Finding
from streams.monitor.rules.kept import match_states
from streams.monitor.rules.outside import Outside, dead_letters, release_step
from streams.monitor.rules.people import Disagreement
from streams.monitor.rules.quiet import Quiet
from streams.monitor.rules.stories.rules import StoryRules
from streams.monitor.rules.thresholds import Threshold
from streams.rule_specs import (
    DeadLettersRule,
    DisagreementRule,
    ReleaseRule,
    RuleSpec,
    SilenceRule,
    StoriesRule,
    ThresholdRule,
)
from streams.wire.feedback import Opinion
from streams.wire.records import Alert, format_time
from streams.wire.signals import ALL, MonitorSignal

RULE_GONE: Final = "its rule is gone from the application's file"
BY_THE_CLOCK: Final = ("silence", "disagreement", "dead_letters", "release")  # kinds that are looked at in `look`


class RuleBook:
    """Not thread-safe."""

    def __init__(self, app: Application) -> None:
        self._app, self.causes = app, Causes(app.name)
        self._clock, self._now = EventClock(), float("-inf")
        self.thresholds = [Threshold(rule) for rule in app.rules if isinstance(rule, ThresholdRule)]
        self._quiet = [Quiet(rule) for rule in app.rules if isinstance(rule, SilenceRule)]
        first_head = app.head_names[0] if app.head_names else ""
        self._disagreements = [
            Disagreement(rule, first_head) for rule in app.rules if isinstance(rule, DisagreementRule)
        ]
        self._dead_letters = [rule for rule in app.rules if isinstance(rule, DeadLettersRule)]
        self._releases = [rule for rule in app.rules if isinstance(rule, ReleaseRule)]
        self._first_head = app.head_names[0] if app.head_names else ""
        self.stories = StoryRules([rule for rule in app.rules if isinstance(rule, StoriesRule)], self._first_head)
        self._begun_anew = set[str]()  # titles of rules for which no kept state was of use
        self._last_ms = 0
        self._began_ms = 0  # since when this one looks: where no event is known of, silence counts from there

    @property
    def dead_letter_minutes(self) -> list[float]:
        """How long a time of dead letters is to be read, for `look`; empty: none."""
        return [rule.minutes for rule in self._dead_letters]

    @property
    def wants_outside(self) -> bool:
        """Whether `look` is to be given what stands in other topics."""
        return bool(self._releases or self._dead_letters)

    @property
    def insufficient(self) -> int:
        """How often stories were counted of which too little was known to say what is usual."""
        return self.stories.insufficient

    def alerts(self) -> list[Alert]:
        """All that fire."""
        return self.causes.alerts

    def why_over(self, alert: Alert) -> str:
        """Why an alert of one of the kinds of rules fires no more, though nothing that came said so."""
        rules = [rule for rule in self._app.rules if rule.title == alert.rule]
        if not rules:
            return RULE_GONE
        is_followed = str(rules[0].kind) in BY_THE_CLOCK or alert.rule not in self._begun_anew
        return "it no longer holds" if is_followed else "its rule counts something else now"

    def adopt(self, standing: Iterable[Alert]) -> None:
        """Take what fires in the topic of the rules that go by the wall clock. standing: of the application."""
        mine = {self.causes.name(rule, ALL) for rule in self._app.rules if str(rule.kind) in BY_THE_CLOCK}
        self.causes.adopt(mine, standing)

    def hear(self, arrival_ms: int) -> None:
        """An event came, whatever became of it. arrival_ms: when the broker took its signal, milliseconds since
        1970."""
        self._last_ms = max(self._last_ms, arrival_ms)

    def observe(self, signal: MonitorSignal, arrival_ms: int, offset: int = 0) -> list[Alert]:
        """Take an event in that was decided. arrival_ms: as for `hear`. offset: of its record."""
        self.hear(arrival_ms)
        if not self.thresholds and not self.stories.rules:
            return []
        at_seconds = self._clock.observe(signal.at, arrival_ms)
        self._now = max(self._now, self._clock.now_seconds)
        alerts: list[Alert] = []
        for threshold in self.thresholds:
            findings = threshold.observe(signal, at_seconds, self._now)
            alerts += self._judged(threshold.rule, findings)
        for rule, findings in self.stories.observe(signal, at_seconds, self._now, offset):
            alerts += self._judged(rule, findings)
        return alerts

    def take_opinion(self, before: Opinion | None, after: Opinion | None) -> None:
        """Take in what one person says of a decision: see `Disagreement.take`."""
        for disagreement in self._disagreements:
            disagreement.take(before, after)

    def look(self, now_ms: int, seen: Outside | None = None, *, knows_labels: bool = False) -> list[Alert]:
        """What follows from the time. seen: what stands in other topics; None: nobody has looked now. knows_labels:
        whether all that stand were taken in."""
        self._began_ms = self._began_ms or now_ms
        last_ms = self._last_ms = min(self._last_ms, now_ms)  # a signal from the future hides no silence
        findings: list[tuple[RuleSpec, Finding]] = [
            (quiet.rule, quiet.look(last_ms, now_ms, self._began_ms)) for quiet in self._quiet
        ]
        if knows_labels:
            findings += [(disagreement.rule, disagreement.finding()) for disagreement in self._disagreements]
        if seen is not None:
            findings += [(rule, release_step(rule, seen.steps, now_ms)) for rule in self._releases]
            findings += [(rule, dead_letters(rule, seen.undecided[rule.minutes])) for rule in self._dead_letters]
        at, seconds = format_time(now_ms), now_ms / 1_000
        judged = [self.causes.judge(rule, ALL, finding, seconds, at) for rule, finding in findings]
        return [alert for alert in judged if alert is not None]

    def pass_time(self, now_ms: int) -> list[Alert]:
        """As `look`, for each minute since the last event: for a stretch of a topic that is looked at again."""
        if not self._quiet or not self._last_ms:
            return []
        minutes = range(self._last_ms + 60_000, now_ms, 60_000)
        return [alert for minute in minutes for alert in self.look(minute)] + self.look(now_ms)

    def state(self, groups: int | None = None) -> dict[str, Any]:
        """All of it, for JSON. groups: of each rule, those kept, the ones heard of last; None: all."""
        return {
            **self.causes_state(),
            "thresholds": self.thresholds_state(groups),
            "stories": self.stories_state(groups),
        }

    def restore(
        self, state: Mapping[str, Any], read: Callable[[int, int], Iterable[Record]] = lambda first, end: ()
    ) -> None:
        """Go on where `state` was taken. Rules that are new, or count something else than then, begin anew. read:
        records of signals from an offset to another (exclusive). Raises ValueError, KeyError or TypeError where the
        state is broken."""
        self.restore_causes(state)
        self.restore_thresholds(state["thresholds"])
        self.restore_stories(state["stories"], read)
        self.end_forgotten()

    def causes_state(self) -> dict[str, Any]:
        """Of `state`: what fires, cool-downs and times."""
        return {
            "causes": self.causes.state(),
            "clock": self._clock.state(),
            "now": None if self._now == float("-inf") else self._now,
            "last_ms": self._last_ms,
        }

    def thresholds_state(self, groups: int | None = None) -> list[dict[str, Any]]:
        """Of `state`: what rules about labels counted."""
        return [threshold.state(groups) for threshold in self.thresholds]

    def stories_state(self, groups: int | None = None) -> dict[str, Any]:
        """Of `state`: what rules about stories counted."""
        return self.stories.state(groups)

    def restore_causes(self, state: Mapping[str, Any]) -> None:
        """Go on where `causes_state` was taken."""
        self.causes.restore(state["causes"])
        self._clock.restore([float(time) for time in state["clock"]])
        self._now = float("-inf") if state["now"] is None else float(state["now"])
        self._last_ms = int(state["last_ms"])

    def restore_thresholds(self, state: Sequence[Mapping[str, Any]]) -> None:
        """The same for `thresholds_state`: all of it, or nothing has changed."""
        thresholds = [Threshold(threshold.rule) for threshold in self.thresholds]
        anew = set()
        for threshold, kept in zip(thresholds, match_states([one.rule for one in thresholds], state), strict=True):
            if kept is not None:
                threshold.restore(kept)
            else:
                anew.add(threshold.rule.title)
        self.thresholds = thresholds
        self._begun_anew |= anew

    def restore_stories(self, state: Mapping[str, Any], read: Callable[[int, int], Iterable[Record]]) -> None:
        """The same for `stories_state`: all of it, or nothing has changed."""
        stories = StoryRules([surges.rule for surges in self.stories.rules], self._first_head)
        anew = stories.restore(state, read)
        self.stories = stories
        self._begun_anew.update(anew)

    def end_forgotten(self) -> None:
        """Nothing fires that nobody judges any more, as its rule is gone or begins anew: it would never end."""
        self.causes.keep(self._is_followed)

    def _is_followed(self, alert: Alert) -> bool:
        """Whether something goes on to judge what it is about: nothing else would end it."""
        group = str(alert.values.get("group", ALL))
        by_title = {threshold.rule.title: threshold for threshold in self.thresholds}
        if (threshold := by_title.get(alert.rule)) is not None:
            return threshold.is_over(group)
        stories = next((one.rule for one in self.stories.rules if one.rule.title == alert.rule), None)
        if stories is not None:
            return group in self.stories.firing(stories)
        return any(rule.title == alert.rule for rule in self._app.rules)

    def _judged(self, rule: RuleSpec, findings: Iterator[tuple[str, Finding]]) -> list[Alert]:
        at = format_time(max(round(self._now * 1_000), 0))
        judged = [self.causes.judge(rule, group, finding, self._now, at) for group, finding in findings]
        return [alert for alert in judged if alert is not None]
