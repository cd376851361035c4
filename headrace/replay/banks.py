"""The bank of answers as a replay asks it: as it was when each event was decided live, or as it is now."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.errors import TopicMismatch
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.replay.live_decisions import LiveDecisions
from headrace.tools.answers.history import BankHistory, read_history
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from streams.application import Application
from streams.conversations.memory import source_place
from streams.replay.stretch import Stretch
from streams.routing.answers import FoundInBank, Occasion, Reader

log = logging.getLogger(__name__)

THEN: Final = "then"
NOW: Final = "now"
UNKNOWN: Final = "unknown"  # in place of a bank's name: what a decision without one asked


class ReplayBank:
    """Of one release that is replayed; see streams.routing.answers.Bank. live: what was decided then; None: the bank as
    it stands now is asked. gone: events whose bank the topic does not tell any more, by its name; about these nothing
    is asked."""

    def __init__(self, history: BankHistory, live: LiveDecisions | None) -> None:
        self._history, self._live = history, live
        self.gone: Counter[str] = Counter()

    def rebuild(self) -> None:
        """See the port: it was read before."""

    def best(
        self,
        text: str,
        reader: Reader | None,
        embedding: NDArray[np.float32] | None,
        occasion: Occasion | None = None,
    ) -> FoundInBank | None:
        """See the port."""
        name = self._history.newest if self._live is None else self._asked_then(self._live, occasion)
        return None if name is None else self._history.best(name, text, reader, embedding)

    def _asked_then(self, live: LiveDecisions, occasion: Occasion | None) -> str | None:
        if occasion is None:
            return None
        place = source_place(occasion.decision)
        decided = None if place is None else live.of(place.partition[1], place.offset)
        # what nobody decided asks the bank of its own time
        name = self._history.standing_at(occasion.at_ms) if decided is None else decided.bank
        if name is None and (decided is None or not decided.says_bank):
            return None  # there was none
        if name is None or name not in self._history:
            self.gone[name or UNKNOWN] += 1
            return None
        return name


def live_decisions(
    wiring: Wiring,
    app: Application,
    stretch: Stretch,
    prefix: str,
    release: str,
    history: BankHistory | None,
    progress: Callable[[int, int, int], None],
) -> LiveDecisions:
    """Reads `decisions.<app>` to its end. prefix: what ids of the replayed topic begin with. release: NAME@VERSION.
    progress: told events, offsets done, offsets in all. Raises BrokerUnavailable."""
    window = 0 if app.conversations is None else app.conversations.window_records
    standing_at = (lambda at_ms: None) if history is None else history.standing_at
    live = LiveDecisions(stretch.starts, stretch.ends, prefix, release, standing_at, window)
    live.fill(decisions_of(_counted(wiring, app.decisions_topic, progress)))
    return live


def bank_history(wiring: Wiring, app: Application) -> BankHistory | None:
    """None for an application that asks no bank. Raises BrokerUnavailable."""
    if app.answer_bank is None:
        return None
    return read_history(wiring, app.answer_bank_topic, partial(default_encoder, with_encoder_of(app, wiring)))


def _counted(wiring: Wiring, topic: str, progress: Callable[[int, int, int], None]) -> Iterator[Any]:
    admin = wiring.admin()
    try:
        bounds = admin.readable_offsets(topic)
    except TopicMismatch:
        return
    finally:
        admin.close()
    total = sum(last - first for first, last in bounds.values())
    for number, record in enumerate(all_records(wiring, topic)):
        if number % 1_000 == 0:
            progress(0, min(number, total), total)
        yield record
