"""What people see of conversations, and what they do with them: read from `conversations.<app>`, written to
`changes.<app>`."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import TopicMismatch
from headrace.terminal import some_of
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError
from models.figures import minute, moment, readable
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.wire.records import ConversationChange, HeldConversation, decode, format_time
from streams.wire.source_times import read_time
from streams.wire.text import clean_text

WAIT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.3


def held_conversations(wiring: Wiring, app: Application) -> dict[str, HeldConversation]:
    """Those that people have or had, by id. Raises BrokerUnavailable, and ConfigError for an application without
    hand-over."""
    if app.hand_over is None:
        raise ConfigError(f"{app.name} hands nothing over: its file has no table [hand_over] (docs/hand_over.md)")
    held: dict[str, HeldConversation] = {}
    for record in all_records(wiring, app.conversations_topic):
        if record.value is None:
            held.pop((record.key or b"").decode("utf-8", "replace"), None)
            continue
        try:
            one = decode(HeldConversation, record.value)
        except MessageError:
            continue  # a stranger's
        held[one.id] = one
    return held


def waiting_first(held: dict[str, HeldConversation], queue: str | None = None) -> list[HeldConversation]:
    """Those that people have, whoever waits longest for an answer first. queue: only this one's."""
    people = [one for one in held.values() if one.owner == "people" and queue in (None, one.queue)]
    return sorted(people, key=lambda one: (one.respond_by is None, one.respond_by or one.at, one.id))


def look(wiring: Wiring, app: Application, identity: str) -> HeldConversation:
    """One that people have or had. Raises BrokerUnavailable, and ConfigError with who has it, or what there is."""
    held = held_conversations(wiring, app)
    if identity not in held and _version_decided(wiring, app, identity) is not None:
        raise ConfigError(
            f"Headrace has {identity!r}: `headrace conversations take {app.given_as} {identity}` makes it yours, and "
            f"shows it"
        )
    return find(held, identity)


def find(held: dict[str, HeldConversation], identity: str) -> HeldConversation:
    """Raises ConfigError with what there is."""
    if identity in held:
        return held[identity]
    known = some_of([one.id for one in waiting_first(held)])
    there = f"; they have {known} (`headrace conversations list`)" if known else ""
    raise ConfigError(f"people have no conversation {identity!r}{there}")


def nobody_waits(held: dict[str, HeldConversation], queue: str | None) -> str:
    """What a list says that would be empty. queue: only this one was asked for; None: all were."""
    queues = Counter(one.queue for one in waiting_first(held))
    if queue is None or not queues:
        return "people have no conversation"
    there = some_of([f"{name} {count}" for name, count in sorted(queues.items())], most=12)
    return f"people have no conversation in the queue {queue!r}; in others they have: {there}"


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does. seen: the version that the person saw; None: what stands now."""

    kind: str
    by: str
    text: str | None = None
    because: str | None = None
    seen: int | None = None


def do(wiring: Wiring, app: Application, identity: str, deed: Deed) -> HeldConversation | None:
    """Write it, and wait for what the dispatcher makes of it: the conversation as it is then, None where Headrace has
    it again and nothing is left to say of it.

    Raises ConfigError where the change was dropped, with why, or nobody looked at it within WAIT_SECONDS."""
    held = held_conversations(wiring, app).get(identity)
    version = _version_decided(wiring, app, identity) if held is None else held.version
    if version is None:
        raise ConfigError(f"nobody has written in a conversation {identity!r}: `headrace conversations list` shows ids")
    if held is None and deed.kind != "taken":
        raise ConfigError(f"Headrace has {identity!r}: `headrace conversations take {app.given_as} {identity}` first")
    version = version if deed.seen is None else deed.seen
    change = ConversationChange.model_validate(
        {
            "id": uuid.uuid4().hex,
            "conversation": identity,
            "kind": deed.kind,
            "by": " ".join(clean_text(deed.by).split()),
            "at": format_time(wall_clock_ms()),
            "version": version,
            "revision": 0 if held is None else held.revision,
            "text": None if deed.text is None else clean_text(deed.text),
            "because": deed.because or None,
        }
    )
    _publish(wiring, app, change)
    return _outcome(wiring, app, change)


def _version_decided(wiring: Wiring, app: Application, identity: str) -> int | None:
    """How many messages of a conversation were decided; None: none that is known."""
    versions = [
        decision["conversation"]["version"]
        for decision in decisions_of(all_records(wiring, app.decisions_topic))
        if isinstance(decision.get("conversation"), dict) and decision["conversation"].get("id") == identity
    ]
    return int(versions[-1]) if versions else None


def _publish(wiring: Wiring, app: Application, change: ConversationChange) -> None:
    publisher = wiring.publisher()
    try:
        publisher.send(app.changes_topic, change.encode(), change.conversation.encode())
        publisher.flush()
    except TopicMismatch as error:
        raise ConfigError(f"there is no topic {app.changes_topic}: `headrace up` makes it") from error
    finally:
        publisher.close()


def _outcome(wiring: Wiring, app: Application, change: ConversationChange) -> HeldConversation | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        held = held_conversations(wiring, app).get(change.conversation)
        if held is None and change.kind == "handed_back":
            return None
        if held is not None and held.change_id == change.id:
            return held
        if held is not None and held.dropped is not None and held.dropped.id == change.id:
            raise ConfigError(f"not done: {held.dropped.why}; look again: `headrace conversations show`")
        time.sleep(LOOK_SECONDS)
    raise ConfigError(
        f"no dispatcher has looked at it within {WAIT_SECONDS:.0f} s: it stands in {app.changes_topic}, and holds once "
        f"one runs and nothing has changed"
    )


def screen(held: HeldConversation, now_ms: int = 0) -> list[tuple[str, str]]:
    """What a person reads in five seconds: whose it is and why, what it is about, then what was said. now_ms: by which
    an answer may be late."""
    who = held.assignee or f"nobody yet, queue {held.queue}"
    step = f"{readable(held.step)} {moment(held.at)}"
    if held.owner == "people":
        lines = [("who", who), ("why", f"{held.reason} (by {held.asked_by}, {step})")]
    else:  # why people had it is over
        lines = [("who", f"Headrace, {step}")]
    if held.respond_by is not None:
        late = ", late" if _is_late(held, now_ms) else ""
        priority = f", {held.priority}" if held.priority else ""
        lines.append(("answer by", f"{moment(held.respond_by)}{late}{priority}"))
    about = _about(held)
    if about:
        lines.append(("about", about))
    lines += [(slot.name, slot.value) for slot in held.slots]
    lines += [(readable(name), " → ".join(map(readable, labels))) for name, labels in held.courses.items() if labels]
    names = {"customer": "customer", "headrace": "Headrace"}
    for one in held.said:
        lines.append((names.get(one.by, one.person or "person"), one.text.strip() or "(no words)"))
    lines.append(("seen", f"version {held.version}, revision {held.revision}"))
    return lines


def _about(held: HeldConversation) -> str:
    """The conversation's matter. Where its last message is about that, how probable it is."""
    last = held.intents[-1] if held.intents else None
    if last is None or (held.intent is not None and held.intent != last.label):
        return readable(held.intent or "")
    about, sure = readable(last.label), f"{last.probability:.0%} sure"
    if not last.rejected:
        return f"{about}, {sure} by the last message"
    before = next((one.label for one in reversed(held.intents) if not one.rejected), None)
    return (
        f"perhaps {about}, only {sure}" if before is None else f"{readable(before)}; the last message is not understood"
    )


def _is_late(held: HeldConversation, now_ms: int) -> bool:
    due_ms = None if held.respond_by is None else read_time(held.respond_by)
    return due_ms is not None and due_ms < now_ms


def row(held: HeldConversation, now_ms: int = 0) -> tuple[str, ...]:
    """Of a list: what tells people which one to take. Where its queue is all that there is to say of why, what it is
    about. now_ms: see `screen`."""
    until = "" if held.respond_by is None else minute(held.respond_by) or held.respond_by
    until += " late" if _is_late(held, now_ms) else ""
    says_queue = held.reason == f"goes to {held.queue}"
    why = (_about(held) or held.reason) if says_queue else held.reason
    return held.id, held.queue, held.assignee or "", held.priority or "", until, why


def as_json(held: HeldConversation | None, identity: str) -> dict[str, Any]:
    """For programs."""
    return {"id": identity, "owner": "headrace"} if held is None else held.model_dump(exclude_none=True)
