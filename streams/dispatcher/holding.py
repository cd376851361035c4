"""A conversation that people have: a value, and how a message, a person's change or the clock changes it. Each returns
the next value; none knows of topics or of the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.application import Application
from streams.dispatcher.window import About
from streams.routing.routes import Router
from streams.wire.records import (
    ConversationAnswer,
    ConversationChange,
    DroppedChange,
    HeadAnswer,
    HeldConversation,
    Utterance,
    format_time,
)
from streams.wire.source_times import read_time

HEADRACE = "headrace"
DAY_MS = 24 * 3_600_000
SAID_BYTES = 150_000  # of all that is shown: escaped as JSON at its worst it stays below what Kafka takes by default
AHEAD = 50  # messages that a person may have seen whose decisions are still on their way here


@dataclass(frozen=True, slots=True)
class Situation:
    """What a hand-over knows beside its reason. queue, reason: see LeftToPeople. respond_by: of the decision, or None.
    at_ms: when it was decided."""

    reason: str
    queue: str
    asked_by: str
    at_ms: int
    priority: str | None = None
    respond_by: str | None = None
    place: str | None = None


class Holding:
    """The transitions, for one application."""

    def __init__(self, app: Application) -> None:
        assert app.hand_over is not None
        self._app, self._table, self._router = app, app.hand_over, Router(app)

    def handed_over(
        self,
        before: HeldConversation | None,
        said: Sequence[Utterance],
        conversation: ConversationAnswer,
        situation: Situation,
        version: int,
    ) -> HeldConversation:
        """From Headrace to people. before: where they had it once. said: with the message that it is about."""
        respond_by = situation.respond_by or self._promise(
            situation.queue, situation.priority, situation.at_ms, is_first=conversation.turn == 1
        )
        held = HeldConversation(
            id=conversation.id,
            app=self._app.name,
            owner="people",
            step="handed_over",
            reason=situation.reason,
            asked_by=situation.asked_by,
            at=format_time(situation.at_ms),
            revision=1 if before is None else before.revision + 1,
            version=version,
            heard_ms=situation.at_ms,
            queue=situation.queue,
            priority=situation.priority,
            **self._promised(respond_by, situation.at_ms),
            language=conversation.language,
            intent=conversation.intent,
            slots=list(conversation.slots),
            counted_from=0 if before is None else before.counted_from,
            decided=situation.place,
            changed=None if before is None else before.changed,
            change_id=None if before is None else before.change_id,
        )
        return self._with_said(held, said)

    def with_message(
        self, held: HeldConversation, said: Sequence[Utterance], decision: Mapping[str, Any], situation: Situation
    ) -> HeldConversation:
        """One that people have, with a message more. What a person changed stays; where nobody looked at it yet, a rule
        of `[[escalations]]` may send it on."""
        conversation = ConversationAnswer.model_validate(decision["conversation"])
        update: dict[str, Any] = {
            "version": said[0].version,
            "decided": situation.place,
            "heard_ms": situation.at_ms,
            "slots": list(conversation.slots),
            "language": conversation.language or held.language,
            "intent": conversation.intent or held.intent,
        }
        nobody_looked = held.assignee is None and held.asked_by == HEADRACE and held.step == "handed_over"
        is_sent_on = bool(conversation.escalated) and conversation.escalated != held.reason
        if nobody_looked and is_sent_on:
            update |= {"reason": situation.reason, "queue": situation.queue, "priority": situation.priority}
        if held.respond_by is None or (nobody_looked and is_sent_on):
            queue, priority = update.get("queue", held.queue), update.get("priority", held.priority)
            promise = self._promise(queue, priority, situation.at_ms, is_first=False)
            times = [time for time in (held.respond_by, promise) if time is not None]
            soonest = min(times) if times else None
            if soonest != held.respond_by:
                update |= self._promised(soonest, situation.at_ms)
        return self._with_said(held.model_copy(update=update), [*held.said, *said])

    def with_automated(
        self, held: HeldConversation, said: Sequence[Utterance], conversation: ConversationAnswer, place: str
    ) -> HeldConversation:
        """One that was handed back and is answered by Headrace again."""
        update = {
            "version": said[0].version,
            "decided": place,
            "language": conversation.language or held.language,
            "intent": conversation.intent or held.intent,
            "slots": list(conversation.slots),
        }
        return self._with_said(held.model_copy(update=update), [*held.said, *said])

    def taken_from_headrace(
        self, change: ConversationChange, said: Sequence[Utterance], about: About | None, place: str, now_ms: int
    ) -> HeldConversation:
        """By a person, in the middle of it. about: what the last decision says of it; None: none is known."""
        priority = None if about is None else about.priority
        respond_by = self._promise(change.queue or self._app.human_queue, priority, now_ms, is_first=False)
        held = HeldConversation(
            id=change.conversation,
            app=self._app.name,
            owner="people",
            step="taken",
            reason=change.because or f"{change.kind} by {change.by}",
            asked_by=change.by,
            at=format_time(now_ms),
            revision=1,
            version=max([change.version, *(one.version for one in said)]),
            queue=change.queue or self._app.human_queue,
            assignee=change.by if change.kind == "taken" else change.assignee,
            priority=priority,
            heard_ms=now_ms,
            **self._promised(respond_by, now_ms),
            decided=None if about is None else about.place,
            changed=place,
            change_id=change.id,
        )
        if about is not None:
            known = about.conversation
            update = {"language": known.language, "intent": known.intent, "slots": list(known.slots)}
            held = held.model_copy(update=update)
        return self._with_said(held, said)

    def changed(
        self,
        held: HeldConversation,
        change: ConversationChange,
        place: str,
        now_ms: int,
        said: Sequence[Utterance] = (),
    ) -> HeldConversation:
        """By a person whose change holds (`why_not` says so). said: the person's answer."""
        update: dict[str, Any] = {
            "step": change.kind,
            "at": format_time(now_ms),
            "heard_ms": now_ms,
            "revision": held.revision + 1,
            "version": max(held.version, change.version),
            "changed": place,
            "change_id": change.id,
            "dropped": None,
        }
        settled = self._settled(now_ms)
        match change.kind:
            case "answered":
                update |= settled
            case "handed_back":
                update |= settled | {"owner": HEADRACE, "assignee": None}
            case "taken" | "assigned":
                queue = change.queue or held.queue
                update |= {
                    "owner": "people",
                    "queue": queue,
                    "assignee": change.by if change.kind == "taken" else change.assignee,
                    "next_step_ms": self._time_to_answer(held, queue, now_ms),
                }
                if held.owner == HEADRACE:
                    update |= {"asked_by": change.by, "reason": change.because or f"{change.kind} by {change.by}"}
                    respond_by = self._promise(queue, held.priority, now_ms, is_first=False)
                    update |= self._promised(respond_by, now_ms)
        return self._with_said(held.model_copy(update=update), [*held.said, *said])

    def stepped(self, held: HeldConversation, now_ms: int) -> HeldConversation | None:
        """The step that is due: back to the queue from an assignee who was silent, else up the chain; None: no step is
        due, or none is left."""
        if held.owner != "people" or held.next_step_ms is None or held.next_step_ms > now_ms:
            return None
        told = {"alerted": True, "remind_ms": None, "reminded": False}  # what one could be reminded of is past
        update: dict[str, Any] = {"at": format_time(now_ms), "revision": held.revision + 1} | told
        queue = held.queue
        if held.assignee is not None:
            update |= {"step": "returned", "assignee": None}
        elif held.steps_taken < len(self._table.chain):
            queue = self._table.chain[held.steps_taken]
            update |= {"step": "escalated", "queue": queue, "steps_taken": held.steps_taken + 1}
        else:
            return held.model_copy(update=told | {"next_step_ms": None})
        update["next_step_ms"] = self._router.after_ms(queue, now_ms, self._table.step_minutes)
        return held.model_copy(update=update)

    def reminded(self, held: HeldConversation, now_ms: int) -> HeldConversation | None:
        """The reminder that is due; None: none is. It is no step: what a person does meanwhile holds."""
        if held.owner != "people" or held.remind_ms is None or held.remind_ms > now_ms:
            return None
        return held.model_copy(update={"remind_ms": None, "reminded": True})

    def lapsed(self, held: HeldConversation, now_ms: int) -> HeldConversation | None:
        """Headrace's again, as nobody has said anything in it for so long; None: it is not so, or something is due."""
        if held.owner != "people" or next_time(held) is not None:
            return None
        if heard_ms(held) + self._table.quiet_days * DAY_MS > now_ms:
            return None
        step = {"step": "handed_back", "at": format_time(now_ms), "revision": held.revision + 1}
        return held.model_copy(update=self._settled(now_ms) | step | {"owner": HEADRACE, "assignee": None})

    def _settled(self, now_ms: int) -> dict[str, Any]:
        """Nobody waits any more."""
        return self._promised(None, now_ms) | {"steps_taken": 0, "alerted": False, "reminded": False}

    def _promised(self, respond_by: str | None, at_ms: int) -> dict[str, Any]:
        """What follows from a promise of this time."""
        due = read_time(respond_by) if respond_by else None
        ahead, remind = self._table.remind_minutes, None
        if due is not None and ahead is not None:
            remind = max(due - round(ahead * 60_000), (at_ms + due) // 2)
        return {"respond_by": respond_by, "next_step_ms": due, "remind_ms": remind}

    def _time_to_answer(self, held: HeldConversation, queue: str, now_ms: int) -> int | None:
        """Who takes over late has the time of a step all the same."""
        if held.respond_by is None:
            return None
        return max(held.next_step_ms or 0, self._router.after_ms(queue, now_ms, self._table.step_minutes))

    def _promise(self, queue: str, priority: str | None, at_ms: int, *, is_first: bool) -> str | None:
        due = self._router.respond_by_ms(queue, priority, at_ms, is_first=is_first)
        return None if due is None else format_time(due)

    def _with_said(self, held: HeldConversation, said: Sequence[Utterance]) -> HeldConversation:
        """The last of what was said, and what that comes to."""
        said = _last_of(said, self._table.turns)
        first, *further = self._app.head_names
        heads = [one.labels for one in said if one.labels]
        intents: list[HeadAnswer] = [labels[first] for labels in heads if first in labels]
        courses = {name: [labels[name].label for labels in heads if name in labels] for name in further}
        return held.model_copy(update={"said": said, "intents": intents, "courses": courses})


def _last_of(said: Sequence[Utterance], turns: int) -> list[Utterance]:
    """The last ones, as many as one record holds: what Kafka refuses would be forgotten with a restart."""
    kept: list[Utterance] = []
    left = SAID_BYTES
    for one in reversed(said[-turns:]):
        left -= len(one.text.encode())
        if left < 0 and kept:
            break
        kept.insert(0, one)
    return kept


def next_time(held: HeldConversation) -> int | None:
    """When something is due by the clock, milliseconds since 1970; None: nothing is."""
    times = [time for time in (held.remind_ms, held.next_step_ms) if time is not None]
    return min(times) if held.owner == "people" and times else None


def heard_ms(held: HeldConversation) -> int:
    """When the customer or a person last said or did something, milliseconds since 1970."""
    return held.heard_ms if held.heard_ms is not None else read_time(held.at) or 0


def why_not(held: HeldConversation, change: ConversationChange) -> str | None:
    """Why a person's change does not hold, in words; None: it does."""
    if change.revision != held.revision:
        return f"it has changed since: it is at revision {held.revision}, not {change.revision}"
    if change.version > held.version + AHEAD:  # it would make every later decision a stale one
        return f"it is at version {held.version}, {change.version} cannot be"
    if change.kind in ("answered", "handed_back"):
        if held.owner != "people":
            return "Headrace has it: take it first"
        if held.assignee != change.by:
            return f"{held.assignee} has it" if held.assignee else "nobody has it: take it first"
        if change.version < held.version:  # what was written meanwhile would stay without an answer
            return f"the customer has written meanwhile: it is at version {held.version}, not {change.version}"
    if change.kind == "answered" and not (change.text or "").strip():
        return "an answer needs words"
    return None


def with_dropped(held: HeldConversation, change: ConversationChange, why: str, place: str) -> HeldConversation:
    """What was not taken is told to whoever wanted it."""
    return held.model_copy(update={"dropped": DroppedChange(id=change.id, by=change.by, why=why), "changed": place})
