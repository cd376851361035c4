"""`headrace apps check` for applications that rank items: catalogue, events, and a list for ten of their users."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from connectors.table_files import Reject, read_rows
from headrace.output import print_json
from headrace.process.recommender import recommender_of
from headrace.terminal import field, say, show_table, some_of
from headrace.tools.apps.problems import Problem
from headrace.wiring import Wiring
from models.errors import ConfigError, HeadraceError, MessageError
from models.figures import number_of
from models.recommendation.events import ACTIONS, UserEvent
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.recommend.handler import Progress, as_json, user_event
from streams.wire.source_records import PassedOver, SourceReader

MOST_USERS: Final = 10
MOST_EVENTS: Final = 100_000
_SHOWN: Final = 5  # names that a problem lists
_FIELDS: Final = {"no_user": "source.user", "no_item": "source.item"}


@dataclass(frozen=True, slots=True)
class ShopProof:
    """items: of the catalogue. events: that were read. records: ten users, each with a list. notes: what may be meant,
    and looks like a slip."""

    application: str
    problems: list[Problem]
    items: int = 0
    events: int = 0
    records: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()

    @property
    def is_in_order(self) -> bool:
        """Whether there is nothing to mend, and somebody got a list."""
        return not self.problems and bool(self.records)


def check_shop(
    wiring: Wiring, app: Application, data: Path | None, progress: Progress = lambda stage, done, total: None
) -> ShopProof:
    """Read the catalogue and the events, rank. data: events; None: the application's own. Nothing of it stays."""
    progress("catalogue", 0, 1)
    try:
        recommender, _, _ = recommender_of(wiring, app)
    except HeadraceError as error:
        return ShopProof(app.name, [Problem("catalog", str(error))])
    items = len(recommender.catalogue)
    file = data or app.corpus
    if file is None:
        says = 'no events are named: write corpus = "EVENTS.csv" above the first [table], or give --data FILE'
        return ShopProof(app.name, [Problem("corpus", says)], items)
    failed, words = Counter[str](), Counter[str]()
    try:
        progress("catalogue", 1, 1)
        events = list(islice(_told(_events(app, file, failed, words), progress), MOST_EVENTS))
    except ConfigError as error:
        return ShopProof(app.name, [Problem("corpus", str(error))], items)
    problems = [*_unread(failed, len(events)), *_unknown(recommender, events), *_without_list(app, events)]
    recommender.replay(events, progress=partial(progress, "learning from events"))
    users = list(dict.fromkeys(event.user_id for event in reversed(events)))[:MOST_USERS]
    records = [{"user": user, "items": [as_json(item) for item in recommender.rank(user)]} for user in users]
    return ShopProof(app.name, problems, items, len(events), records, list(_unused_names(app, events, words)))


def tell_shop(proof: ShopProof, *, json: bool) -> None:
    """As `telling.tell` does of texts."""
    if json:
        return print_json(
            {
                "application": proof.application,
                "in_order": proof.is_in_order,
                "problems": [{"field": problem.field, "says": problem.says} for problem in proof.problems],
                "items": proof.items,
                "events": proof.events,
                "records": list(proof.records),
                "notes": list(proof.notes),
            }
        )
    rows = [
        (field(str(record["user"])), ", ".join(field(item["item_id"]) for item in record["items"][:_SHOWN]))
        for record in proof.records
    ]
    if rows:
        show_table(("user", f"the first {_SHOWN} of the list"), rows)
    say(f"{number_of(proof.items, 'item')}, {number_of(proof.events, 'event')}")
    for problem in proof.problems:
        say(f"{field(problem.field)}: {field(problem.says)}")
    for note in proof.notes:
        say(f"note: {field(note)}")
    count = len(proof.problems)
    state = "is in order" if proof.is_in_order else f"has {count or 'no event that can be read, so nothing'} to mend"
    return say(f"{field(proof.application)} {state}")


def _events(app: Application, file: Path, failed: Counter[str], words: Counter[str]) -> Iterator[UserEvent]:
    """Each row as a worker reads a record of the topic; failed: counts why others cannot be read; words: what the
    topic calls the actions of those that are given."""
    reader = SourceReader.of(app)
    for row in read_rows(file):
        if isinstance(row, Reject):
            failed["corpus"] += 1
            continue
        try:
            event = reader.parse_event(orjson.dumps(row.fields), None, 0)
            if not isinstance(event, PassedOver):
                known = user_event(event, app)
                words[(event.action or "").strip().lower()] += 1
                yield known
        except MessageError as error:
            failed[_FIELDS.get(error.reason, "source")] += 1


def _told(events: Iterator[UserEvent], progress: Progress) -> Iterator[UserEvent]:
    for number, event in enumerate(events):
        if number % 1_000 == 0:
            progress("reading events", number, number)
        yield event


def _unread(failed: Mapping[str, int], read: int) -> Iterator[Problem]:
    for name, count in failed.items():
        what = "rows cannot be read" if name == "corpus" else "events have nothing there"
        yield Problem(name, f"{count} of {count + read} {what}")


def _unknown(recommender: Recommender, events: Sequence[UserEvent]) -> Iterator[Problem]:
    catalogue = recommender.catalogue
    missing = Counter(event.item_id for event in events if catalogue.place(event.item_id) is None)
    if missing:
        names = some_of([name for name, _ in missing.most_common()], _SHOWN)
        yield Problem("catalog", f"{missing.total()} of {len(events)} events name items that it lacks: {names}")
    others = Counter(event.action for event in events if event.action not in ACTIONS)
    if others:
        names = some_of([name for name, _ in others.most_common()], _SHOWN)
        means = f'say what they mean: [recommend] actions = {{{others.most_common(1)[0][0]} = "purchase"}}'
        yield Problem("source.action", f"counted as `other`: {names}; known are {', '.join(ACTIONS[:-1])}; {means}")


def _without_list(app: Application, events: Sequence[UserEvent]) -> Iterator[Problem]:
    """Where nobody would ever get one."""
    asked = app.recommend.lists_for
    there = Counter(_counted_as(event) for event in events)
    if asked is not None and events and not there.keys() & set(asked):
        names = ", ".join(f"{name} {count:,}" for name, count in there.most_common())
        says = f"no event asks for a list: named are {', '.join(asked)}, and the events are {names}"
        yield Problem("recommend.lists_for", says)


def _unused_names(app: Application, events: Sequence[UserEvent], words: Mapping[str, int]) -> Iterator[str]:
    """Names of actions in the application's file that no event has: few events need not have all."""
    there = {_counted_as(event) for event in events}
    asked = app.recommend.lists_for or ()
    if events and there & set(asked) and (none := [name for name in asked if name not in there]):
        yield f"recommend.lists_for: of {len(events):,} events none is {some_of(none, _SHOWN)}"
    if events and (strange := [word for word in app.recommend.actions if word not in words]):
        yield f"recommend.actions: of {len(events):,} events none is called {some_of(strange, _SHOWN)}"


def _counted_as(event: UserEvent) -> str:
    return event.action if event.action in ACTIONS else ACTIONS[-1]
