"""From decisions to stories, as the monitor told them; else copies and near copies of one text count once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.application import Application
from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText
from streams.monitor.trends.live import NO_WEIGHTS
from streams.monitor.trends.windows import BY_ENTITY, BY_SYMBOL
from streams.wire.source_json import compile_pointer

NamesOf = Callable[[Mapping[str, Any]], tuple[str, ...]]

_POLICY: Final = ClusterPolicy(by_subject=True)


@dataclass(slots=True)
class Story:
    """What tells one thing. first: the decision of the earliest one. texts: how many there are; weight: what their
    sources count, together."""

    first: Mapping[str, Any]
    texts: int = 1
    sources: set[str] = field(default_factory=set)
    weight: float = 0.0


def stories_of(
    decisions: Iterable[Mapping[str, Any]],
    weights: Mapping[str, float] = NO_WEIGHTS,
    names_of: NamesOf = lambda decision: (),
) -> list[Story]:
    """By first text. decisions: in the order of their time. weights: of sources; others weigh 1. names_of: known names
    of whom a decision is about. A decision with a `story_id` belongs to that story; others are told apart by copies,
    where those of other days are not known, and one that names somebody else is none."""
    clusters, named, stories = Clusters(_POLICY), dict[int, str](), dict[str, Story]()
    all_decisions = list(decisions)
    all_told = all("story_id" in decision for decision in all_decisions)
    for decision in all_decisions:
        name = str(decision.get("story_id", ""))
        if not all_told:
            cluster = clusters.add(ClusterText(decision["text"], names=names_of(decision))).cluster
            name = name or named.get(cluster, decision["id"])
            named.setdefault(cluster, name)
        story = stories.setdefault(name, Story(decision, 0))
        story.texts += 1
        story.weight += weights.get(decision.get("key") or "", 1.0)
        if decision.get("key"):
            story.sources.add(decision["key"])
    return list(stories.values())


class Groups:
    """What a story may count for: labels of the first head, symbols, entities; and what is said of each."""

    def __init__(self, app: Application, mood: str | None) -> None:
        """mood: the head whose labels are told for each label and symbol; None: none."""
        self._head, self._mood = app.head_names[0], mood
        self._relevance_min = 0.0 if app.entities is None else app.entities.relevance_min
        self._symbols = None if app.source.symbols is None else compile_pointer(app.source.symbols)

    def of(self, decision: Mapping[str, Any]) -> dict[tuple[str, str], str | None]:
        """(kind, name) to the mood that is told of it."""
        mood = self._label(decision, self._mood)
        named = {(self._head, label): mood for label in [self._label(decision, self._head)] if label is not None}
        named |= {(BY_SYMBOL, symbol): mood for symbol in self._symbols_of(decision)}
        return named | {(BY_ENTITY, one["name"]): one["sentiment"] for one in self._entities_of(decision)}

    def names_of(self, decision: Mapping[str, Any]) -> tuple[str, ...]:
        """Of whom it is about: entities, else symbols."""
        return tuple(one["name"] for one in self._entities_of(decision)) or tuple(self._symbols_of(decision))

    def _entities_of(self, decision: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """As workers show them to the monitor; one of before relevance was told counts."""
        named = decision.get("entities") or ()
        return [one for one in named if one.get("found") is None and one.get("relevance", 1.0) >= self._relevance_min]

    def _label(self, decision: Mapping[str, Any], head: str | None) -> str | None:
        answer = decision["labels"].get(head)
        return None if answer is None or answer.get("rejected") else answer["label"]

    def _symbols_of(self, decision: Mapping[str, Any]) -> list[str]:
        value = None if self._symbols is None else self._symbols(decision.get("extra") or {})
        listed = value.split() if isinstance(value, str) else value
        return [one for one in listed if isinstance(one, str) and one] if isinstance(listed, list) else []
