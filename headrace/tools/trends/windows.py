"""From stored decisions to windows: for stretches that were not counted as they came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.tools.digest.stories import Groups
from streams.monitor.trends.windows import LENGTHS, SCORES, Group, Window, groups_of, is_future, window_start


@dataclass(slots=True)
class Trends:
    """windows: by start and group. weights: of sources, by their names; others weigh 1. future: items dated well after
    they were decided, which are in no window."""

    length: str
    weights: Mapping[str, float] = field(default_factory=dict)
    windows: dict[tuple[datetime, Group], Window] = field(default_factory=dict)
    future: int = 0
    at: dict[str, str] = field(default_factory=dict)

    def add(self, decision: Mapping[str, Any], story_id: str, groups: Groups) -> None:
        """Count a decision of the stretch. story_id: see streams.monitor.trends.stories."""
        at, decided = (datetime.fromisoformat(decision[name]) for name in ("at", "decided_at"))
        if is_future(at, decided):
            self.future += 1
            return
        self.at[decision["id"]] = decision["at"]
        start, item = window_start(at, LENGTHS[self.length]), (at.timestamp(), decision["id"])
        weight = self.weights.get(decision.get("key") or "", 1.0)
        for group, mood in groups_of(groups.of(decision)):
            window = self.windows.setdefault((start, group), Window(start, group))
            window.add(story_id, item, decision["text"], None if mood is None else SCORES.get(mood), weight)
            window.late += decided >= start + LENGTHS[self.length]

    def of(self, wanted: Group) -> list[Window]:
        """Windows of this group, or of all groups where it names nothing; by time, the most stories first."""
        chosen = [one for one in self.windows.values() if one.group == wanted or wanted == Group()]
        return sorted(chosen, key=lambda one: (one.start, -one.stories, str(one.group)))

    def stories(self, wanted: Group) -> list[dict[str, Any]]:
        """Of a group in all windows, by first item: `story_id`, `at` and `text` of that, and how many `items`."""
        told: dict[str, dict[str, Any]] = {}
        for window in self.of(wanted):
            for story_id, part in sorted(window.told.items(), key=lambda one: one[1].first):
                story = {"story_id": story_id, "at": self.at[part.first[1]], "text": part.text, "items": 0}
                told.setdefault(story_id, story)["items"] += part.items
        return list(told.values())
