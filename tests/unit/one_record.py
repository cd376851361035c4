"""What the classify agent makes of one record, whatever stands in it."""

from typing import Any

import orjson
from small_release import small_release

from streams.application import Application, HeadSpec, Source
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving, Trial
from streams.engine.delivery import Delivery, Outcome

NOW_MS = 1_789_999_000_123  # 2026-09-21T13:56:40.123Z
APP = "support"


def outcome_of(
    value: bytes | None,
    key: bytes | None = None,
    timestamp_ms: int = NOW_MS,
    source: Source | None = None,
    trials: tuple[Trial, ...] = (),
    **fields: Any,
) -> Outcome:
    """The outcome, all steps done. fields: of the application."""
    app = Application(
        name=APP, topic="events", heads=(HeadSpec(name="intent", column="intent"),), source=source or Source(), **fields
    )
    serving = Serving(small_release().classifier)
    serving.set_trials(trials)
    handler = ClassifyHandler(app, serving, {"events": "e0"}, now_ms=lambda: NOW_MS)
    batch = [Delivery("events", 0, 0, key, value, timestamp_ms)]
    for _, step in handler.steps:
        step(batch)
    outcome: Outcome = batch[0].result
    return outcome


def decision_of(value: object, **record: Any) -> dict[str, Any]:
    """The decision on a record of JSON (bytes are taken as they are), which must have one."""
    outcome = outcome_of(value if isinstance(value, bytes) else orjson.dumps(value), **record)
    assert outcome.rejected_because is None, outcome
    decision: dict[str, Any] = orjson.loads(outcome.records[0].value or b"")
    return decision
