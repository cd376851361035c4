"""Decisions of a stretch of time from the store, for what is told of many of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.ports import DecisionStore, SearchQuery
from headrace.applications import text_mask
from models.errors import ConfigError
from streams.application import Application
from streams.application.names import meant_instead
from streams.monitor.trends.windows import written
from streams.wire.records import decision_fault

PAGE: Final = 10_000  # of the store's answers


def decisions_between(
    store: DecisionStore, app: Application, since: datetime, until: datetime
) -> Iterator[dict[str, Any]]:
    """The newest first, each once, `until` left out, personal data masked where the application says so. A store
    answers so many at a time. Raises ConfigError where more stand at one moment than it answers."""
    mask, seen, ends = text_mask(app), set[str](), written(until)
    while True:
        found = store.search(SearchQuery("", app.name, None, written(since), ends, PAGE)).documents
        new = [one for one in found if one["id"] not in seen]
        seen.update(one["id"] for one in new)
        yield from (one | {"text": mask(one["text"])} for one in new if decision_fault(one) is None)
        if len(found) < PAGE:
            return
        if not new:
            raise ConfigError(f"more than {PAGE} decisions of {app.name} stand at {found[-1]['at']}: it cannot be read")
        # others may stand at that moment
        ends = written(datetime.fromisoformat(found[-1]["at"]) + timedelta(milliseconds=1))


def mood_of(app: Application, asked: str | None) -> str | None:
    """The head whose labels say how something is spoken of: the second one, None where there is none. Raises
    ConfigError for one that the application does not have."""
    if asked is not None and asked not in app.head_names:
        raise ConfigError(f"{app.name} has no head {asked!r}{meant_instead(asked, app.head_names)}")
    return asked or (app.head_names[1] if len(app.head_names) > 1 else None)
