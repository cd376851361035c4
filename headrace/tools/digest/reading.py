"""Decisions of a stretch of time from the store, for what is told of many of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.ports import DecisionStore, SearchQuery
from headrace.applications import text_mask
from headrace.training.entities.names import read_gazetteer
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


def entity_meant(app: Application, asked: str | None) -> str | None:
    """The usual name of what is asked for by its id, an alias or in other letters, as the application's list has it;
    what the list does not hold stays as it is: stored decisions may know it. Raises ConfigError where the application
    looks for none, or its list cannot be read."""
    if asked is None:
        return None
    if app.entities is None:
        raise ConfigError(f"{app.name} looks for no entities: its file has no table [entities]")
    entities = read_gazetteer(app.entities.names).entities
    if any(asked == one.name for one in entities):
        return asked
    wanted = asked.strip().casefold()
    known = {name.casefold(): one.name for one in reversed(entities) for name in (*one.tickers, *one.names, one.id)}
    return known.get(wanted, asked)


def near_entity(app: Application, name: str) -> str:
    """What may have been meant, for who found nothing of a name."""
    entities = () if app.entities is None else read_gazetteer(app.entities.names).entities
    listed = [one.name for one in entities]
    return "" if name in listed else f"; the list of names does not hold it{meant_instead(name, listed)}"


def mood_of(app: Application, asked: str | None) -> str | None:
    """The head whose labels say how something is spoken of: the second one, None where there is none. Raises
    ConfigError for one that the application does not have."""
    if asked is not None and asked not in app.head_names:
        raise ConfigError(f"{app.name} has no head {asked!r}{meant_instead(asked, app.head_names)}")
    return asked or (app.head_names[1] if len(app.head_names) > 1 else None)
