"""Puts the watchdog together: roles, broker, stores and event loop are looked at twice a second, and what is found
goes to health, to metrics, and as an error to whoever runs the roles."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from headrace.process.broker_probe import BrokerProbe
from headrace.process.health import Health, HealthState
from models.errors import HeadraceError
from streams.engine.log_watch import LogWatch
from streams.engine.offset_tracker import Partition
from streams.engine.open_transactions import OpenTransaction, TransactionWatch, open_transactions
from streams.engine.watchdog import (
    RESET_ADVICE,
    LogState,
    RoleState,
    RoleWatch,
    Stopped,
    cut_partitions,
    cut_words,
    lags,
)
from streams.metrics import Metrics

log = logging.getLogger(__name__)

STEP_MAX_SECONDS = 5.0
LOOK_SHARE, LOOK_MIN_SECONDS, LOOK_MAX_SECONDS = 0.1, 1.0, 10.0  # of stuck_seconds: how often the broker is asked


class WatchedRole(Protocol):
    """A role as the watch needs it."""

    name: str

    def state(self) -> RoleState:
        """What it says of itself."""

    def trouble(self) -> BaseException | None:
        """Why it can no longer work, if so."""


def look_seconds(stuck_seconds: float) -> float:
    """Between two looks at the broker."""
    return min(max(stuck_seconds * LOOK_SHARE, LOOK_MIN_SECONDS), LOOK_MAX_SECONDS)


class Watch:
    """One for a process. Without a lookout it knows nothing of the log: only of roles that hang or have failed.

    A start that has no model raises before there is a watch, so from here on every worker has its champion; serves says
    which.
    """

    def __init__(
        self,
        stuck_seconds: float,
        *,
        lookout: BrokerProbe | None = None,
        read: Sequence[str] = (),
        metrics: Metrics | None = None,
        health: Health | None = None,
        serves: Callable[[], dict[str, str]] = dict,
        not_ready: Callable[[], list[str]] = list,
    ) -> None:
        """not_ready: further reasons not to be counted on, asked at every check."""
        self.stuck_seconds = stuck_seconds
        self.health = health or Health()
        self._metrics, self._lookout, self._serves = metrics or Metrics(), lookout, serves
        self._further_reasons = not_ready
        self._log = LogWatch(read, stuck_seconds)
        self._roles: dict[str, RoleWatch] = {}
        self._transactions = TransactionWatch()
        self._warned = ""
        self._held: dict[str, frozenset[Partition]] = {}
        self._clock = self._answered_at = 0.0
        self._checked_at = time.monotonic()

    def start(self) -> None:
        """Begin to look at the broker."""
        if self._lookout is not None:
            self._lookout.start()

    def close(self) -> None:
        """Look no more; not ready any more."""
        if self._lookout is not None:
            self._lookout.close()
        self.health.update(HealthState(not_ready=["stopping"]))

    def check(self, now: float, roles: Sequence[WatchedRole], loop_delay_seconds: float) -> None:
        """Raises the first reason to stop: Stopped, or what a role failed of."""
        now = self._advance(now)
        states = [role.state() for role in roles]
        try:
            self._take_looks(now)
            for role, state in zip(roles, states, strict=True):
                if (trouble := role.trouble()) is not None:
                    raise _known(role.name, trouble)
                watch = self._roles.setdefault(role.name, RoleWatch(self.stuck_seconds))
                if (warning := watch.check(now, state, self._log.latest)) is not None:
                    log.warning("%s", warning)
        except BaseException as error:
            self.health.update(HealthState(not_live=[str(error)]))
            raise
        self._tell(now, states, loop_delay_seconds)

    def _advance(self, now: float) -> float:
        """A clock that leaves out the time in which this process did not run (a paused machine): nobody was stuck
        then."""
        self._clock += min(max(now - self._checked_at, 0.0), STEP_MAX_SECONDS)
        self._checked_at = now
        return self._clock

    def _take_looks(self, now: float) -> None:
        if self._lookout is None:
            return
        for seen in self._lookout.take():
            if isinstance(seen, LogState):
                self._log.looked(now, seen)
                self._answered_at = now
            else:
                words = str(seen) if isinstance(seen, HeadraceError) else repr(seen)
                self._log.unanswered(now, words)
                self._warn(f"the broker does not answer: {words}")
        self._log.check(now)

    def _warn(self, words: str) -> None:
        if words != self._warned:
            log.warning("%s", words)
            self._warned = words

    def _tell(self, now: float, states: Sequence[RoleState], loop_delay_seconds: float) -> None:
        not_ready = [f"{state.name}: no place in its consumer group yet" for state in states if state.positions is None]
        not_ready += self._further_reasons()
        silence = now - self._answered_at if self._lookout is not None else 0.0
        if self._lookout is not None:
            if (trouble := self._lookout.store_trouble) is not None:
                not_ready.append(f"store: {trouble}")
            if silence > 2 * LOOK_MAX_SECONDS:
                not_ready.append(f"the broker has not answered for {silence:.0f} s")
        for state in states:
            not_ready += self._held_reasons(state)
        transactions = open_transactions(self._log.latest) if self._log.latest is not None else []
        for warning in self._transactions.check(now, transactions):
            log.warning("%s", warning)
        self._metrics.transactions(transactions)
        roles = {state.name: self._tell_role(state, transactions) for state in states}
        self.health.update(HealthState(not_ready=not_ready, roles=roles, serves=self._serves()))
        self._metrics.process(
            loop_delay_seconds=loop_delay_seconds, broker_silence_seconds=silence, ready=not not_ready
        )

    def _held_reasons(self, state: RoleState) -> list[str]:
        """Says each partition once, loudly; its reason stays in the health for as long as it is held."""
        cut = cut_partitions(state, self._log.latest)
        self._metrics.cut(state.name, len(cut))
        known = self._held.get(state.name, frozenset())
        self._held[state.name] = frozenset(cut)
        if not cut:
            return []
        reason = f"{state.name}: {cut_words(cut)}; the other partitions go on; to read on there, {RESET_ADVICE}"
        if cut.keys() - known:
            log.error("%s", reason)
        return [reason]

    def _tell_role(self, state: RoleState, transactions: Sequence[OpenTransaction]) -> dict[str, Any]:
        positions = state.positions or {}
        kept_back = {transaction.partition: transaction.kept_back for transaction in transactions}
        behind = lags(positions, self._log.latest) if self._log.latest is not None else {}
        paused = sum(position.paused for position in positions.values())
        self._metrics.consumers(
            state.name, partitions=len(positions), paused=paused, in_flight=state.in_flight, lags=behind
        )
        partitions = {
            f"{topic}[{partition}]": {
                "committed": position.committed,
                "read": position.read,
                "lag": behind.get((topic, partition)),
                "paused": position.paused,
                "behind_open_transaction": kept_back.get((topic, partition), 0),
            }
            for (topic, partition), position in sorted(positions.items())
        }
        described: dict[str, Any] = {"finished": state.finished, "in_flight": state.in_flight, "partitions": partitions}
        # ready, and takes over when the one who has the partitions goes
        return described | ({"standby": True} if state.positions is not None and not partitions else {})


def _known(role: str, trouble: BaseException) -> BaseException:
    """A client's error as one line; our own as they are; the rest is a fault of ours and keeps its stack."""
    if isinstance(trouble, HeadraceError):
        return trouble
    if type(trouble).__module__.split(".")[0] in ("aiokafka", "faust", "mode"):
        return Stopped(f"{role}: the Kafka client gave up: {type(trouble).__name__}: {trouble}; start it again")
    return trouble
