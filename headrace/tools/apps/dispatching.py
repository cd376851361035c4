"""What `[hand_over]` makes of sample records: each runs through the dispatcher's own core, the clock going on until
nothing is due any more."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.tools.apps.problems import Problem
from headrace.tools.apps.records import Sample
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.dispatcher.dispatching import RESPOND_SOON, Output, PartitionDispatcher
from streams.dispatcher.holding import next_time
from streams.wire.records import ConversationChange, HeldConversation, format_time

SILENT: Final = "somebody"  # who takes it in the trial, and says nothing


def dispatched(
    app: Application, decision: Mapping[str, Any], sample: Sample, mask: Callable[[str], str]
) -> dict[str, Any]:
    """What a customer who writes this first of all is told, and where nothing settles it: the queue, why, by when an
    answer is promised, when somebody is reminded, when it returns from one who has it and is silent, and the chain it
    goes up where nobody takes it: pairs of time and queue. Times are RFC 3339, UTC."""
    at_ms = wall_clock_ms() if sample.at_ms is None else sample.at_ms
    record = _record(app, decision, sample, at_ms)
    untouched = PartitionDispatcher(app, mask=mask)
    first = untouched.take_decision(f"{app.decisions_topic}@0-0-0", 0, record)
    made: dict[str, Any] = {"told": first.answers[0].text if first.answers else None}
    held = first.held[0][1] if first.held else None
    if held is None:
        return made
    escalated, reminded = _passing(untouched, held), None
    for at, output in escalated:
        reminded = reminded or (at if any(alert.rule == RESPOND_SOON for alert in output.alerts) else None)
    steps = [(at, one) for at, output in escalated for _, one in output.held if one and output.counts[one.step]]
    return made | {
        "handed_over": {"queue": held.queue, "reason": held.reason},
        "respond_by": held.respond_by,
        "reminded": reminded,
        "returned": _returned(app, record, held, at_ms),
        "escalated": [[at, one.queue] for at, one in steps if one.step == "escalated"],
    }


def hand_over_problems(app: Application, records: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """A chain that nothing goes up, as nothing is promised. records: as `dispatched` makes them."""
    handed = [made["dispatch"] for made in records if made.get("dispatch", {}).get("handed_over")]
    silent = sorted({made["handed_over"]["queue"] for made in handed if made["respond_by"] is None})
    if app.hand_over is None or not app.hand_over.chain or not silent:
        return []
    says = (
        f"nothing goes up the chain from {', '.join(silent)}, which nobody promises an answer for: write "
        f"[service_levels.default] with response_minutes, or take the chain out"
    )
    return [Problem("hand_over.chain", says)]


def _record(app: Application, decision: Mapping[str, Any], sample: Sample, at_ms: int) -> dict[str, Any]:
    """As a worker writes it, of a conversation that begins."""
    at, identity = format_time(at_ms), f"record {sample.number}"
    slots = [{"name": slot["name"], "value": slot["value"], "version": 1} for slot in decision.get("slots") or ()]
    conversation = {"id": identity, "version": 1, "contact": 1, "turn": 1, "first_at": at, "last_at": at}
    return dict(decision) | {
        "id": f"{app.topic}@0-0-{sample.number}",
        "at": at,
        "decided_at": at,
        "conversation": conversation | {"slots": slots},
    }


def _passing(dispatcher: PartitionDispatcher, held: HeldConversation | None) -> list[tuple[str, Output]]:
    """All that the clock does with it from here on, each with its time."""
    done = []
    while held is not None and (due_ms := next_time(held)) is not None:
        output = dispatcher.due(due_ms)
        done.append((format_time(due_ms), output))
        held = output.held[-1][1] if output.held else None
    return done


def _returned(app: Application, record: Mapping[str, Any], held: HeldConversation, at_ms: int) -> str | None:
    """When it returns to its queue, had somebody taken it at once."""
    dispatcher = PartitionDispatcher(app)
    dispatcher.take_decision(f"{app.decisions_topic}@0-0-0", 0, record)
    change = ConversationChange(
        id="taken", conversation=held.id, kind="taken", by=SILENT, at=format_time(at_ms), version=1, revision=1
    )
    taken = dispatcher.take_change(f"{app.changes_topic}@0-0-0", change, at_ms)
    passing = _passing(dispatcher, taken.held[-1][1])
    return next((at for at, output in passing if output.counts["returned"]), None)
