"""Asks the broker and the store from a thread of its own, at intervals, how they are: the event loop never waits for
them."""

import logging
import threading
from collections.abc import Callable, Sequence

from connectors.kafka.client import KafkaAdmin
from connectors.ports import DecisionStore
from streams.engine.watchdog import LogState, TopicLog

log = logging.getLogger(__name__)

TakeSnapshot = Callable[[], LogState]
STORE_PROBE_ID = "headrace-is-the-store-there"


class BrokerProbe:
    """Looks every `seconds`; `take` gives what was seen since the last call. Ends with `close`, or with the process.

    chores: work that must not wait on the event loop, called after each look in a thread of their own, one round at a
    time: a store that deletes for minutes must not make the broker look silent.
    """

    def __init__(
        self,
        look: TakeSnapshot,
        stores: Sequence[DecisionStore],
        seconds: float,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._look, self._stores, self._seconds, self._chores = look, stores, seconds, chores
        self._at_work: threading.Thread | None = None
        self._seen: list[LogState | Exception] = []
        self._closing = threading.Event()
        self.store_trouble: str | None = None

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="lookout", daemon=True).start()

    def take(self) -> list[LogState | Exception]:
        """What the broker said since the last call, oldest first; an exception where it did not answer."""
        seen, self._seen = self._seen, []
        return seen

    def close(self) -> None:
        """Look no more. A look in progress ends by itself."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                seen: LogState | Exception = self._look()
            except Exception as error:
                seen = error
            self._seen.append(seen)  # the list is looked up only now: `take` may have put another one there meanwhile
            self.store_trouble = self._ask_stores()
            self._do_chores()
            self._closing.wait(self._seconds)

    def _do_chores(self) -> None:
        if self._chores and (self._at_work is None or not self._at_work.is_alive()):
            self._at_work = threading.Thread(target=self._work, name="chores", daemon=True)
            self._at_work.start()

    def _work(self) -> None:
        for chore in self._chores:
            try:
                chore()
            except Exception:
                log.exception("%r failed", chore)

    def _ask_stores(self) -> str | None:
        for store in self._stores:
            try:
                store.get([STORE_PROBE_ID])
            except Exception as error:
                return str(error)
        return None


class ClusterProbe:
    """Makes a `TakeSnapshot` of an admin client, which is made anew after a failure: a client may not survive its
    broker."""

    def __init__(self, make_admin: Callable[[], KafkaAdmin], topics: Sequence[str], read: Sequence[str]) -> None:
        """topics: must stand. read: of these the offsets are asked as well."""
        self._make_admin, self._topics, self._read = make_admin, topics, read
        self._admin: KafkaAdmin | None = None

    def __call__(self) -> LogState:
        """Raises what the connector raises."""
        admin = self._admin = self._admin or self._make_admin()
        try:
            cluster_id = admin.cluster_id()
            standing = admin.describe(self._topics)
            bounds = {name: admin.readable_offsets(name) if name in standing else {} for name in self._read}
            ends = {name: admin.offsets(name) if name in standing else {} for name in self._read}
        except Exception:
            self._admin = None
            admin.close()
            raise
        topics = {
            name: TopicLog(
                state.epoch,
                bounds.get(name, {}),
                {partition: end for partition, (_, end) in ends.get(name, {}).items()},
            )
            for name, state in standing.items()
        }
        return LogState(cluster_id, topics)
