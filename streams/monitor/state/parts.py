"""The parts of a monitor's state: each is taken, taken up again and, where that cannot be done, lost on its own.

What is lost begins anew; `adopt` gives it what another monitor made of the signals before. What fits lives on.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from connectors.ports import Record
from models.errors import HeadraceError
from streams.monitor.core import MonitorCore
from streams.monitor.event_rate import EventRate
from streams.monitor.monitored_release import MonitoredRelease
from streams.monitor.rules.book import RuleBook
from streams.monitor.signals.labelled import LabelValues
from streams.monitor.surges.rules import AlertRules
from streams.monitor.surges.state import restore_rules, rules_state
from streams.release_watch.labelled import LabelledAnswers
from streams.release_watch.measures import ReleaseMeasures

log = logging.getLogger(__name__)

GROUPED: Final = ("surges", "thresholds", "stories")  # parts that grow with their groups
State = Mapping[str, Any]
Read = Callable[[int, int], Iterable[Record]]  # signals from an offset to another (exclusive), of partition 0


def state_of(core: MonitorCore) -> dict[str, Any]:
    """What `restore` needs, for JSON. A part that cannot be taken is lost on its own: as None, or as a release of which
    nothing is known."""
    return {
        "offsets": {str(partition): offset for partition, offset in core.next_offsets.items()},
        "releases": [_release_state(core, release) for release in core.releases.values() if release.events],
        "watch": _taken(core, "watch", core.release_measures.state),
        "labelled": _taken(core, "labelled", core.labelled.state),
        "label_values": _taken(core, "label_values", core.label_values.state),
        "rate": _taken(core, "rate", core.rate.state),
        "book": _taken(core, "book", core.book.causes_state),
        **{name: grouped_state(core, name, None) for name in GROUPED},
        "events": core.totals.events,
        "alerts": core.totals.alerts,
    }


def grouped_state(core: MonitorCore, name: str, groups: int | None) -> Any:
    """One part of `state_of` that grows with its groups. groups: of each rule, those kept, the ones heard of last;
    None: all."""
    take: Mapping[str, Callable[[], Any]] = {
        "surges": lambda: rules_state(core.rules, groups),
        "thresholds": lambda: core.book.thresholds_state(groups),
        "stories": lambda: core.book.stories_state(groups),
    }
    return _taken(core, name, take[name])


def restore(core: MonitorCore, state: State, read: Read) -> list[str]:
    """Have a fresh core go on where `state_of` was taken. Names the parts that were lost, for `adopt`.

    Raises ValueError, KeyError, TypeError or AttributeError where nothing says up to where it goes, and a retriable
    error of the registry or the broker.
    """
    core.next_offsets = {int(partition): int(offset) for partition, offset in state["offsets"].items()}
    if not core.next_offsets:
        raise ValueError("its offsets name no partition")
    lost = []
    for name, take_up in _TAKE_UP.items():
        if not _is_whole(core, name, lambda take_up=take_up: take_up(core, state, read)):  # type: ignore[misc]
            lost.append(name)
    releases = state.get("releases")
    for number, of_release in enumerate(releases if isinstance(releases, list) else [None]):
        version = str(of_release["version"]) if isinstance(of_release, dict) and "version" in of_release else ""
        name = f"release {version or number}"
        if not _is_whole(core, name, lambda part=of_release: _take_up_release(core, part, read)):  # type: ignore[misc]
            lost.append(name)
            core.releases |= {version: MonitoredRelease(version)} if version else {}
    core.book.end_forgotten()
    return lost


def adopt(core: MonitorCore, other: MonitorCore, lost: Collection[str]) -> None:
    """Give the parts that were lost what another core of the same application has, which took the last signals before
    in. lost: names, as `restore` gave them."""
    if "surges" in lost:
        core.rules = other.rules
    if "watch" in lost:
        core.release_measures = other.release_measures
    if "labelled" in lost:
        core.labelled = other.labelled
    if "rate" in lost:
        core.rate = other.rate
    mine, theirs = core.book, other.book
    if "book" in lost:
        core.book = theirs
    core.book.thresholds = (theirs if "thresholds" in lost else mine).thresholds
    core.book.stories = (theirs if "stories" in lost else mine).stories
    core.book.end_forgotten()
    known = [version for version, release in core.releases.items() if release.events]
    for version, release in other.releases.items():
        if version not in known and release.events:
            core.releases[version] = release


def _release_state(core: MonitorCore, release: MonitoredRelease) -> dict[str, Any]:
    name = f"release {release.version}"
    state = _taken(core, name, release.state)
    if state is None:
        return {"version": release.version}
    return {**state, "signals": _taken(core, f"signals of {name}", release.signals_state)}


def _taken(core: MonitorCore, name: str, take: Callable[[], Any]) -> Any:
    try:
        return take()
    except Exception as error:  # else the same record would end each process that reads it
        core.lose(name, f"cannot be taken and is not kept: {type(error).__name__}: {error}")
        return None


def _is_whole(core: MonitorCore, name: str, take_up: Callable[[], None]) -> bool:
    try:
        take_up()
    except Exception as error:  # whatever is wrong with it, the signals stand in their topic
        if isinstance(error, HeadraceError) and error.retriable:
            raise
        core.lose(name, f"cannot be used and begins anew: {type(error).__name__}: {error}")
        return False
    return True


def _take_up_totals(core: MonitorCore, state: State, read: Read) -> None:
    core.totals.events, core.totals.alerts = int(state["events"]), int(state["alerts"])


def _take_up_surges(core: MonitorCore, state: State, read: Read) -> None:
    rules = AlertRules(core.app.surges)
    restore_rules(rules, state["surges"])
    core.rules = rules


def _take_up_watch(core: MonitorCore, state: State, read: Read) -> None:
    measures = ReleaseMeasures(core.app.release)
    measures.restore(state["watch"])
    core.release_measures = measures


def _take_up_labelled(core: MonitorCore, state: State, read: Read) -> None:
    head = core.app.head_names[0] if core.app.head_names else ""
    core.labelled = LabelledAnswers(head).restore(state["labelled"])


def _take_up_label_values(core: MonitorCore, state: State, read: Read) -> None:
    if "label_values" in state:  # states of earlier versions have none: labels since the release count anew
        values = LabelValues(core.app.head_names[0] if core.app.head_names else "")
        values.restore(state["label_values"])
        core.label_values = values


def _take_up_rate(core: MonitorCore, state: State, read: Read) -> None:
    if "rate" in state:  # states of earlier versions have none: the rate is known again within hours
        rate = EventRate()
        rate.restore(state["rate"])
        core.rate = rate


def _take_up_book(core: MonitorCore, state: State, read: Read) -> None:
    book = RuleBook(core.app)
    book.restore_causes(state["book"])
    core.book = book


def _take_up_thresholds(core: MonitorCore, state: State, read: Read) -> None:
    core.book.restore_thresholds(_counted(state, "thresholds"))


def _take_up_stories(core: MonitorCore, state: State, read: Read) -> None:
    core.book.restore_stories(_counted(state, "stories"), read)


def _take_up_release(core: MonitorCore, state: Any, read: Read) -> None:
    release = MonitoredRelease.of(state)
    if state["drift"] is not None:
        core.watch(release)
        release.restore_drift(state["drift"], core.app.head_names[0], read)
        _take_up_signals(core, release, state.get("signals"))
    core.releases[release.version] = release


def _take_up_signals(core: MonitorCore, release: MonitoredRelease, state: Any) -> None:
    """By themselves: drift goes on where these do not fit. States of earlier versions have none."""
    watch = release.signals
    if watch is None or state is None:
        return
    if not _is_whole(core, f"signals of release {release.version}", lambda: watch.restore(state)):
        release.watch_signals(core.app)


def _counted(state: State, name: str) -> Any:
    """What rules counted; states of earlier versions have it within the book."""
    return state[name] if name in state else state["book"][name]


_TAKE_UP: Final[Mapping[str, Callable[[MonitorCore, State, Read], None]]] = {
    "totals": _take_up_totals,
    "surges": _take_up_surges,
    "watch": _take_up_watch,
    "labelled": _take_up_labelled,
    "label_values": _take_up_label_values,
    "rate": _take_up_rate,
    "book": _take_up_book,
    "thresholds": _take_up_thresholds,
    "stories": _take_up_stories,
}
