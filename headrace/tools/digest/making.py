"""`headrace digest`: reads the store, tells, and writes the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from connectors.ports import DecisionStore
from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.pages.digest import render_digest
from headrace.pages.files import write_page
from headrace.settings import load_settings
from headrace.terminal import field, say, say_left_out, show_table
from headrace.tools.digest.figures import Moved, moved
from headrace.tools.digest.reading import decisions_between, mood_of
from headrace.tools.digest.stories import Groups, Story, stories_of
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import number_of
from retrain.progress import Progress, no_progress
from streams.application import Application
from streams.monitor.trends.windows import is_future

SHOWN: Final = 15  # groups that the terminal shows


@dataclass(frozen=True, slots=True)
class DigestOrder:
    """day: UTC; None: today. days: so many before it are what is usual. mood: a head; None: the second one."""

    application: str
    day: date | None = None
    days: int = 7
    mood: str | None = None
    page: Path | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """What came of a day. compared: how many of the days before have decisions. late: texts that were decided after
    the day's end; future: texts that are dated well after they were decided."""

    app: str
    day: date
    mood: str | None
    texts: int
    stories: list[Story]
    compared: int
    groups: list[Moved]
    late: int
    future: int

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "application": self.app,
            "day": self.day.isoformat(),
            "mood": self.mood,
            "texts": self.texts,
            "late": self.late,
            "future": self.future,
            "stories": len(self.stories),
            "days_compared": self.compared,
            "groups": [group.as_json() for group in self.groups],
        }


def run_digest(order: DigestOrder, *, json: bool) -> None:
    """Make it and tell it. Raises ConfigError where the day has no decision."""
    app = load_classifying_application(order.application)
    store = Wiring(load_settings()).store()
    try:
        with stage_bars() as progress:
            digest = make(store, app, order, progress)
    finally:
        store.close()
    if order.page is not None:
        write_page(order.page, render_digest(digest.as_json()), "--page")
    if json:
        return print_json(digest.as_json())
    show_table(
        ("what", "stories", "usual", "said", "largest story"),
        [_row(group) for group in digest.groups[:SHOWN]],
        title=f"{digest.app}, {digest.day}: {number_of(digest.texts, 'text')}, "
        f"{number_of(len(digest.stories), 'story', 'stories')}",
    )
    say_left_out(len(digest.groups) - SHOWN, "groups (--json and --page have all)")
    if digest.late or digest.future:
        say(f"of the texts {digest.late} were decided after the day's end, {digest.future} are dated after they came")
    if order.page is not None:
        say(f"the whole day: {field(str(order.page))}")
    return None


def make(
    store: DecisionStore,
    app: Application,
    order: DigestOrder,
    progress: Progress = no_progress,
    now: datetime | None = None,
) -> Digest:
    """Of one day, UTC. A day that is not over is compared with as much of the days before. now: None: the clock's.
    Raises ConfigError."""
    now = now or datetime.now(UTC)
    day = order.day or now.date()
    mood = mood_of(app, order.mood)
    until = now.time() if day == now.date() else None
    by_day = []
    for number in range(order.days + 1):
        progress("reading the store", number, order.days + 1)
        by_day.append(sorted(_decisions(store, app, day - timedelta(days=number), until), key=lambda one: one["at"]))
    progress("reading the store", order.days + 1, order.days + 1)
    if not by_day[0]:
        raise ConfigError(f"the store holds no decision of {app.name} of {day}: name another day with --day YYYY-MM-DD")
    weights = {} if app.stories is None else app.stories.sources
    groups_of = Groups(app, mood)
    stories = [stories_of(decisions, weights, groups_of.names_of) for decisions in by_day if decisions]
    groups = moved(groups_of, stories[0], stories[1:])
    late, future = _late_and_future(by_day[0], day)
    return Digest(app.name, day, mood, len(by_day[0]), stories[0], len(stories) - 1, groups, late, future)


def _late_and_future(decisions: Sequence[Mapping[str, Any]], day: date) -> tuple[int, int]:
    """How many were decided after the day's end, and how many are dated well after they were decided."""
    ends = datetime.combine(day, time.min, UTC) + timedelta(days=1)
    times = [(datetime.fromisoformat(one["at"]), datetime.fromisoformat(one["decided_at"])) for one in decisions]
    return sum(decided >= ends for _, decided in times), sum(is_future(at, decided) for at, decided in times)


def _decisions(store: DecisionStore, app: Application, day: date, over: time | None) -> Iterator[dict[str, Any]]:
    """Of a day, up to a time or all of it."""
    begins = datetime.combine(day, time.min, UTC)
    ends = datetime.combine(day, over, UTC) if over else begins + timedelta(days=1)
    return decisions_between(store, app, begins, ends)


def _row(group: Moved) -> tuple[object, ...]:
    usual = "-" if group.usual is None else f"{group.usual:.1f}"
    said = tuple(f"{mood} {100 * share:.0f} %" for mood, (share, *_) in group.moods.items()) or ("too few to say",)
    top = group.top[0] if group.top else None
    return (
        (f"{field(group.name)}", f"  {field(group.kind)}"),
        group.stories,
        usual,
        said,
        "" if top is None else field(top["text"], 80),
    )
