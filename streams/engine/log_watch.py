"""When a process must stop because the logs that it works on are others than they were, or no broker answers: pure
rules over what the broker says at each look (see the table in streams.engine.watchdog)."""

from collections.abc import Collection
from dataclasses import dataclass, field

from streams.engine.watchdog import MISSING_LOOKS, RESET_ADVICE, BrokerGone, LogChanged, LogState


@dataclass(slots=True)
class LogWatch:
    """Watches the logs that a process works on, by what the broker says at each look. The first look is what must last.

    read: topics whose positions count, so that another topic of the same name is noticed.
    """

    read: Collection[str]
    stuck_seconds: float
    first: LogState | None = None
    latest: LogState | None = None
    _missing: dict[str, int] = field(default_factory=dict)
    _answered_at: float | None = None
    _silence: str = ""

    def looked(self, now: float, log: LogState) -> None:
        """The broker answered. Raises LogChanged."""
        self._answered_at = now
        if self.first is None:
            self.first = log
        self._compare(self.first, log)
        self.latest = log

    def unanswered(self, now: float, reason: str) -> None:
        """The broker did not answer, or not usefully."""
        if self._answered_at is None:
            self._answered_at = now
        self._silence = reason

    def check(self, now: float) -> None:
        """Raises BrokerGone where no look was answered for too long (also where the looks themselves hang)."""
        if self._answered_at is None:
            self._answered_at = now
        silent = now - self._answered_at
        if silent > self.stuck_seconds:
            raise BrokerGone(
                f"the broker has not answered for {silent:.0f} s ({self._silence or 'no answer'}); positions are "
                f"kept: start "
                f"again when it is back"
            )

    def _compare(self, first: LogState, log: LogState) -> None:
        if first.cluster_id and log.cluster_id and first.cluster_id != log.cluster_id:
            raise LogChanged(
                f"another Kafka cluster answers now ({log.cluster_id}, was {first.cluster_id}): its topics and "
                f"positions are "
                f"not ours; check HEADRACE_BROKER, then start again"
            )
        for name, topic in first.topics.items():
            latest = log.topics.get(name)
            self._missing[name] = self._missing.get(name, 0) + 1 if latest is None else 0
            if self._missing[name] >= MISSING_LOOKS:
                raise LogChanged(
                    f"topic {name} is gone; make it again, or start again: a start creates what is missing, a source "
                    f"topic only with --create-topics"
                )
            if latest is not None and latest.epoch != topic.epoch and name in self.read:
                raise LogChanged(
                    f"topic {name} was made again (epoch {latest.epoch}, was {topic.epoch}): its offsets start "
                    f"afresh; {RESET_ADVICE}"
                )
