"""From user events to ranked lists: what the recommend agent does, without Kafka.

The state (users' recent items, popularity, learnt weights) lives in memory and is rebuilt from the topic at a start.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from connectors.ports import Record
from models.errors import MessageError
from models.recommender import Ranking, Recommender, UserEvent
from streams.application import Application
from streams.engine.delivery import Delivery, Outcome, OutRecord, Step
from streams.wire.outcomes import dead_letter, wall_clock_ms
from streams.wire.records import decision_id, format_time
from streams.wire.source_records import SourceReader, SourceText, clean_text, cut_text


def user_event(
    app: Application, reader: SourceReader, value: bytes | None, key: bytes | None, timestamp_ms: int
) -> tuple[UserEvent, SourceText]:
    """The event in a record and the record itself. Raises MessageError (not_json, no_user, no_item, ...)."""
    source = reader.parse_event(value, key, timestamp_ms)
    found = {name: source.fields.get(getattr(app.source, name).lstrip("/")) for name in ("user", "item", "action")}
    event = UserEvent.from_record({"user_id": found["user"], "item_id": found["item"], "action": found["action"]})
    if event.user_id is None:
        raise MessageError("no_user", f"no user at {app.source.user}")
    if event.item_id is None:
        raise MessageError("no_item", f"no item at {app.source.item}")
    return event, source


class RecommendHandler:
    """Ranks for batches of user events, in delivery order."""

    def __init__(
        self,
        app: Application,
        recommender: Recommender,
        version: str,
        epoch: str,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._app, self.recommender, self._version = app, recommender, version
        self._epoch, self._now_ms = epoch, now_ms
        self._reader = SourceReader(app.source)

    def replay(self, records: Iterable[Record]) -> int:
        """Rebuild the state from events that were decided before; returns how many counted."""
        events = []
        for record in records:
            try:
                events.append(user_event(self._app, self._reader, record.value, record.key, record.timestamp_ms)[0])
            except MessageError:
                continue  # it is in the dead letters already
        self.recommender.replay(events)
        return len(events)

    @property
    def steps(self) -> Sequence[Step]:
        """In this order, each for one batch at a time."""
        return (("prepare", self.prepare), ("decide", self.decide))

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """Parse. Records without user or item become dead letters."""
        for delivery in batch:
            try:
                delivery.result = user_event(
                    self._app, self._reader, delivery.value, delivery.key, delivery.timestamp_ms
                )
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Observe each event and rank for its user."""
        for delivery in batch:
            if not isinstance(delivery.result, Outcome):
                event, source = delivery.result
                delivery.result = self._outcome(delivery, event, source, self.recommender.observe(event))

    def _outcome(self, delivery: Delivery, event: UserEvent, source: Any, ranking: Ranking) -> Outcome:
        decided_ms = self._now_ms()
        decision: dict[str, Any] = {
            "id": decision_id(delivery.topic, self._epoch, delivery.partition, delivery.offset),
            "app": self._app.name,
            "model": self._app.name,
            "version": self._version,
            "path": "full",
            "at": format_time(source.at_ms),
            "decided_at": format_time(decided_ms),
            "latency_ms": max(decided_ms - delivery.timestamp_ms, 0),
            "labels": {},
            "items": [{"item_id": item, "score": round(score, 4)} for item, score in ranking.items],
            "action": "recommend",
            "text": cut_text(clean_text(source.text)),
            "key": event.user_id,
            "extra": self._reader.extra(source),
        }
        if ranking.feedback is not None:
            decision["extra"]["previous_list"] = {"taken": ranking.feedback.item_id, "rank": ranking.feedback.rank}
        key = (event.user_id or "").encode()
        return Outcome(
            [OutRecord(self._app.decisions_topic, key, orjson.dumps(decision))],
            latency_seconds=decision["latency_ms"] / 1000,
        )
