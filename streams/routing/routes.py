"""Where a decision goes, how urgent it is, and by when somebody is to answer: a function of the application's file, the
decision's labels, its record and its time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from models.decision import Classification
from streams.application import Application, Escalation, ServiceLevel
from streams.routing.opening_hours import OpeningHours
from streams.wire.records import format_time
from streams.wire.source_json import compile_pointer
from streams.wire.text import clean_text

DEFAULT_LEVEL: Final = "default"

Says = Callable[[Classification, Mapping[str, Any]], tuple[str, ...]]
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Route:
    """action: the word in a decision's `action`. priority: None where there is none. respond_by_ms: milliseconds since
    1970; None where nobody was promised an answer."""

    action: str
    priority: str | None = None
    respond_by_ms: int | None = None

    def record(self) -> dict[str, str]:
        """As it stands in a decision: what there is none of is left out."""
        fields = {"action": self.action}
        if self.priority is not None:
            fields["priority"] = self.priority
        if self.respond_by_ms is not None:
            fields["respond_by"] = format_time(self.respond_by_ms)
        return fields


class Router:
    """Routes the decisions of one application."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._opening: dict[str, OpeningHours] = {name: table.hours() for name, table in app.opening.items()}
        said_by = {} if app.priority is None else app.priority.said_by
        self._said_by = {field: _saying(source) for field, source in said_by.items()}

    def route(
        self,
        classification: Classification,
        fields: Mapping[str, Any],
        at_ms: int,
        *,
        is_first: bool = True,
        escalation: Escalation | None = None,
    ) -> Route:
        """Of one decision. fields: of its record, where pointers look. at_ms: the event's own time. is_first: of its
        conversation. escalation: the rule by which it goes to people; None: none does."""
        priority = self._priority(classification, fields)
        if escalation is not None:
            priority = escalation.priority or priority
            action = f"queue:{escalation.queue or self._app.human_queue}"
        else:
            action = self._action(classification, priority)
        return Route(action, priority, self._respond_by_ms(action, priority, at_ms, is_first=is_first))

    def _priority(self, classification: Classification, fields: Mapping[str, Any]) -> str | None:
        table = self._app.priority
        if table is None:
            return None
        said = {field: says(classification, fields) for field, says in self._said_by.items()}
        row = first_entry(table.table, said["criticality"]) or {}
        found = first_entry(row, said["impact"])
        return (table.otherwise if found is None else found) or None

    def _action(self, classification: Classification, priority: str | None) -> str:
        """`queue:<name>` where the application routes, `human` for a text the model does not know, `none` where nothing
        follows."""
        app = self._app
        primary = classification.heads.get(app.head_names[0])
        if primary is None and classification.heads:
            return "none"
        by_priority = None if app.priority is None or priority is None else app.priority.queues.get(priority)
        if primary is None or primary.rejected:  # of a message without words nothing is decided
            return f"queue:{app.human_queue}" if app.queues or by_priority else "human"
        if by_priority:
            return f"queue:{by_priority}"
        return f"queue:{first_entry(app.queues, primary.each) or app.human_queue}" if app.queues else "none"

    def _respond_by_ms(self, action: str, priority: str | None, at_ms: int, *, is_first: bool) -> int | None:
        if action == "none":
            return None
        queue = self._app.human_queue if action == "human" else action.removeprefix("queue:")
        return self.respond_by_ms(queue, priority, at_ms, is_first=is_first)

    def respond_by_ms(self, queue: str, priority: str | None, at_ms: int, *, is_first: bool) -> int | None:
        """By when a queue is to answer a message of this time, milliseconds since 1970; None: it has no service
        level."""
        level = self._level(queue)
        return None if level is None else self.after_ms(queue, at_ms, level.minutes(priority or "", is_first=is_first))

    def after_ms(self, queue: str, at_ms: int, minutes: float) -> int:
        """When so many minutes have passed in which the queue is open."""
        level, length = self._level(queue), timedelta(minutes=minutes)
        at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
        opening = None if level is None or level.opening is None else self._opening[level.opening]
        due = at + length if opening is None else opening.after(at, length)
        return round((due - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))

    def _level(self, queue: str) -> ServiceLevel | None:
        return self._app.service_levels.get(queue) or self._app.service_levels.get(DEFAULT_LEVEL)


def first_entry(table: Mapping[str, Entry], words: Sequence[str]) -> Entry | None:
    """The table's entry for the one word; of several words (a text's labels) its first entry, in the file's order, that
    is for one of them."""
    if len(words) == 1:
        return table.get(words[0])
    return next((entry for word, entry in table.items() if word in words), None)


def _saying(source: str) -> Says:
    """What a head says, unless it rejects the text; or what stands in the record where a pointer points. One word, an
    empty one for nothing, but of a head of several labels each."""
    if not source.startswith("/"):
        return lambda classification, fields: _labels(classification, source)
    find = compile_pointer(source)
    return lambda classification, fields: (_word(find(fields)) or "",)


def _labels(classification: Classification, head: str) -> tuple[str, ...]:
    answer = classification.heads.get(head)
    return ("",) if answer is None or answer.rejected else answer.each


def _word(value: Any) -> str | None:
    """As the application's file would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean_text(str(value)) if isinstance(value, str | int | float) else None
