"""All rules of an application that count stories, and the stories they count: each text is given its story once.

Texts belong to a story as they belong to a cluster (`streams.monitor.clusters`), by a looser rule: tellers of one story
use words of their own; and what names another company by the same template is another story. With this least cosine
96 % of AG News's texts, which are of many stories, are stories.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from connectors.ports import Record
from streams.application.names import BY_ENTITIES, BY_SYMBOLS
from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText
from streams.monitor.rules.causes import Finding
from streams.monitor.rules.kept import match_states
from streams.monitor.rules.stories.counts import Group, Story
from streams.monitor.rules.stories.state import restore_surges, surges_state
from streams.monitor.rules.stories.surges import StorySurges
from streams.rule_specs import StoriesRule
from streams.wire.signals import MonitorSignal, read_signals

POLICY: Final = ClusterPolicy(cosine=0.7, by_subject=True)


class StoryRules:
    """Not thread-safe."""

    def __init__(self, rules: Sequence[StoriesRule], first_head: str = "") -> None:
        """first_head: of the application. Topics are its labels, or those of the first head that a rule counts by."""
        self._heads = [
            next((by for by in rule.by if by not in (BY_SYMBOLS, BY_ENTITIES)), first_head) for rule in rules
        ]
        self.rules = [StorySurges(rule, head) for rule, head in zip(rules, self._heads, strict=True)]
        self._clusters = Clusters(POLICY) if rules else None
        self._offsets: deque[int] = deque(maxlen=POLICY.recent_texts)  # of the texts that the clusters remember

    @property
    def insufficient(self) -> int:
        """Looks at groups of which too little was known."""
        return sum(rule.insufficient for rule in self.rules)

    def observe(
        self, signal: MonitorSignal, at_seconds: float, now_seconds: float, offset: int
    ) -> Iterator[tuple[StoriesRule, Iterator[tuple[str, Finding]]]]:
        """Take an event in: what each rule finds. at_seconds: its time; now_seconds: the stream's. offset: of its
        record."""
        if self._clusters is None:
            return
        number = self._clusters.add(_text(signal)).cluster
        self._offsets.append(offset)
        for surges, head in zip(self.rules, self._heads, strict=True):
            groups = tuple(
                (by, name)
                for by in surges.rule.by
                for name in signal.groups(by, surges.rule.relevance_min)
                if all(label in signal.each_in(by, name, asked) for asked, label in surges.rule.only.items())
            )
            stratum = signal.labels.get(head, ("",))[0]
            story = Story(number, signal.id, int(at_seconds // 60), groups, stratum)
            found = surges.observe(story, int(now_seconds // 60))
            yield surges.rule, ((written(group), finding) for group, finding in found)

    def firing(self, rule: StoriesRule) -> set[str]:
        """Groups in a surge of a rule, as alerts call them."""
        return {written(group) for surges in self.rules if surges.rule is rule for group in surges.surges}

    def state(self, groups: int | None = None) -> dict[str, Any]:
        """For JSON. groups: of each rule, see surges_state."""
        if self._clusters is None:
            return {"rules": []}
        return {
            "rules": [surges_state(surges, groups) for surges in self.rules],
            "clusters": self._clusters.state(),
            "offsets": [self._offsets[0], self._offsets[-1] + 1, len(self._offsets)] if self._offsets else [0, 0, 0],
        }

    def restore(self, state: Mapping[str, Any], read: Callable[[int, int], Iterable[Record]]) -> list[str]:
        """Go on where `state` was taken; rules that count something else now begin anew. read: records of signals from
        an offset to another (exclusive). Gives the titles of those that begin anew."""
        if self._clusters is None or state == {"rules": []}:  # there are none, or were none then
            return [surges.rule.title for surges in self.rules]
        anew = []
        for surges, of_rule in zip(
            self.rules, match_states([one.rule for one in self.rules], state["rules"]), strict=True
        ):
            if of_rule is not None:
                restore_surges(surges, of_rule)
            else:
                anew.append(surges.rule.title)
        first, end, texts = (int(number) for number in state["offsets"])
        recent = [
            (_text(signal), record.offset)
            for record in (read(first, end) if end > first else ())
            for signal in read_signals(record.value).signals
            if signal.failed is None
        ][-texts:]
        self._clusters.restore(state["clusters"], [text for text, _ in recent])
        self._offsets.extend(offset for _, offset in recent)
        return anew


def _text(signal: MonitorSignal) -> ClusterText:
    return ClusterText(signal.text, None, signal.embedding, signal.subjects)


def written(group: Group) -> str:
    """What an alert calls it."""
    by, name = group
    return f"{by} {name}"
