"""A partition's conversations: each decision and each change of a person in, what is to be written out.

What is written is all that is remembered: answers that were sent, conversations that people have (or had), and the
decisions of the window. So after a restart the same comes of the same records; a record that comes again is told by
where it stands and leads to nothing.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from models.errors import MessageError
from streams.application import Application
from streams.conversations.memory import source_place
from streams.dispatcher.holding import AHEAD, DAY_MS, HEADRACE, Holding, Situation, next_time, why_not, with_dropped
from streams.dispatcher.open_conversations import OpenConversations
from streams.dispatcher.telling import LeftToPeople, Told, told
from streams.dispatcher.window import About, Window
from streams.wire.records import (
    Alert,
    ConversationAnswer,
    ConversationChange,
    HeadAnswer,
    HeldConversation,
    SentAnswer,
    Utterance,
)
from streams.wire.source_times import read_time

UNANSWERED, RESPOND_SOON = "unanswered", "respond_soon"


@dataclass(slots=True)
class Output:
    """What is to be written: answers first, so that who dies in between sends none twice and forgets none; a
    conversation as it is by then, None: nothing is left to say of it. counts: by outcome, for the metrics."""

    answers: list[SentAnswer] = field(default_factory=list)
    held: list[tuple[str, HeldConversation | None]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class PartitionDispatcher:
    """Of one partition. sent: ids of answers about decisions and changes that may come again."""

    def __init__(
        self,
        app: Application,
        held: Mapping[str, HeldConversation] | None = None,
        sent: Iterable[str] = (),
        mask: Callable[[str], str] = lambda text: text,
    ) -> None:
        assert app.hand_over is not None and app.conversations is not None
        self._app, self._mask, self._holding = app, mask, Holding(app)
        self._window = Window(app.conversations.window_records)
        self._held = OpenConversations(held or {}, round(app.hand_over.quiet_days * DAY_MS))
        self._sent = set(sent)
        self._next_steps: list[tuple[int, str]] = []
        self._offset, self._is_swept = -1, False
        for one in (held or {}).values():
            self._plan(one)

    @property
    def with_people(self) -> int:
        """Conversations that people have."""
        return self._held.with_people

    def overdue(self, now_ms: int) -> int:
        """Those in which somebody waits longer than was promised."""
        return self._held.overdue(now_ms)

    def recall(self, place: str, offset: int, decision: Mapping[str, Any]) -> None:
        """A decision from before the group's position: it was dispatched, and nothing comes of it any more. place:
        where it stands."""
        self._window.move_to(offset)
        self._offset = offset
        said = _conversation(decision)
        if said is None or decision["id"] in self._window:
            return
        words = told(self._app, decision)
        answer = self._answer(decision, said, words) if isinstance(words, Told) else None
        was_sent = answer is not None and answer.id in self._sent
        self._remember(decision, said, self._said(decision, said.version, answer if was_sent else None), place)

    def take_decision(self, place: str, offset: int, decision: Mapping[str, Any]) -> Output:
        """place: where it stands. Raises MessageError for a decision that no worker wrote."""
        output = Output()
        self._offset = offset
        gone = self._window.move_to(offset)
        if not self._is_swept:  # what the window left behind while nobody looked
            gone += [identity for identity in self._held if not self._window.has(identity)]
            self._is_swept = True
        self._forget(gone, output)
        said = _conversation(decision)
        if said is None:
            output.counts["no_conversation"] += 1
            return output
        held = self._held.get(said.id)
        is_known = decision["id"] in self._window
        if is_known or (held is not None and _is_at_or_before(place, held.decided)):
            if not is_known:  # it comes again after a death, and may be decided again later
                self._remember(decision, said, self._said(decision, said.version), place)
            output.counts["repeated"] += 1
            return output
        version = said.version
        if held is not None:
            held, version = _counted(held, said)
            if version <= held.version:  # a person has seen more than what this was decided on
                output.counts["stale"] += 1
                self._remember(decision, said, self._said(decision, said.version), place)
                self._keep(output, held.model_copy(update={"decided": place}))
                return output
        words = told(self._app, decision)
        if held is not None and held.owner == "people":
            self._with_message(output, held, decision, words, version, place)
        elif isinstance(words, Told):
            self._tell(output, held, decision, words, version, place)
        else:
            self._hand_over(output, held, decision, words, version, place)
        return output

    def take_change(self, place: str, change: ConversationChange, now_ms: int) -> Output:
        """A person's. now_ms: when it was written."""
        output, held = Output(), self._held.get(change.conversation)
        if change.because:  # it is shown, and kept, as the reason
            change = change.model_copy(update={"because": self._mask(change.because)})
        if held is not None and (_is_at_or_before(place, held.changed) or change.id == held.change_id):
            output.counts["repeated"] += 1
            return output
        if held is None:
            self._take_over(output, change, place, now_ms)
            return output
        why = None if change.id in self._sent else why_not(held, change)
        if why is not None:
            output.counts["dropped"] += 1
            self._keep(output, with_dropped(held, change, why, place))
            return output
        said = []
        if change.kind == "answered":
            said = [self._send(output, self._answer_of_person(held, change, place))]
        output.counts[change.kind] += 1
        changed = self._holding.changed(held, change, place, now_ms, said)
        output.alerts += self._alerts_over(held, changed)
        self._keep(output, changed)
        if changed.owner == HEADRACE and not self._window.has(changed.id):
            self._forget([changed.id], output)
        return output

    def due(self, now_ms: int) -> Output:
        """The steps that are due by now, each once; and what nobody speaks in any more goes back."""
        output = Output()
        while self._next_steps and self._next_steps[0][0] <= now_ms:
            _, identity = heapq.heappop(self._next_steps)
            held = self._held.get(identity)
            if held is not None:
                self._take_step(output, held, now_ms)
        for identity in self._held.lapsing(now_ms):
            self._let_lapse(output, identity, now_ms)
        return output

    def _let_lapse(self, output: Output, identity: str, now_ms: int) -> None:
        held = self._held.get(identity)
        lapsed = None if held is None else self._holding.lapsed(held, now_ms)
        if held is None or lapsed is None:
            return
        output.counts["lapsed"] += 1
        output.alerts += self._alerts_over(held, lapsed)
        self._keep(output, lapsed)
        if not self._window.has(identity):
            self._forget([identity], output)

    def _take_step(self, output: Output, held: HeldConversation, now_ms: int) -> None:
        stepped = self._holding.stepped(held, now_ms)
        if stepped is not None:  # where nobody looked before, it is too late to remind of it
            if stepped.revision != held.revision:
                output.counts[stepped.step] += 1
            output.alerts += [self._alert(UNANSWERED, stepped, is_firing=True), *self._alerts_over(held, stepped)]
            self._keep(output, stepped)
            return
        reminded = self._holding.reminded(held, now_ms)
        if reminded is not None:
            output.counts["reminded"] += 1
            output.alerts.append(self._alert(RESPOND_SOON, reminded, is_firing=True))
            self._keep(output, reminded)

    def _with_message(
        self,
        output: Output,
        held: HeldConversation,
        decision: Mapping[str, Any],
        words: Told | LeftToPeople,
        version: int,
        place: str,
    ) -> None:
        """People have it: they see what was written, and nothing automated is sent. Unless it was, before a death that
        left nothing else of it."""
        output.counts["suppressed" if isinstance(words, Told) else "with_people"] += 1
        conversation, answer = ConversationAnswer.model_validate(decision["conversation"]), None
        if isinstance(words, Told) and decision["id"] in self._sent:
            answer = self._answer(decision, conversation, words, version, place)
        said = self._said(decision, version, answer)
        self._remember(decision, conversation, said, place)
        self._keep(output, self._holding.with_message(held, said, decision, self._situation(decision, words, place)))

    def _tell(
        self,
        output: Output,
        held: HeldConversation | None,
        decision: Mapping[str, Any],
        words: Told,
        version: int,
        place: str,
    ) -> None:
        conversation = ConversationAnswer.model_validate(decision["conversation"])
        answer = self._answer(decision, conversation, words, version, place)
        said = [*self._said(decision, version), self._send(output, answer)]
        self._remember(decision, conversation, said, place)
        if held is not None:
            self._keep(output, self._holding.with_automated(held, said, conversation, place))

    def _hand_over(
        self,
        output: Output,
        held: HeldConversation | None,
        decision: Mapping[str, Any],
        words: LeftToPeople,
        version: int,
        place: str,
    ) -> None:
        conversation = ConversationAnswer.model_validate(decision["conversation"])
        said = self._said(decision, version)
        assert self._app.hand_over is not None
        if words.ready or self._app.hand_over.says:
            sentence = Told(words.ready, "template") if words.ready else Told(self._app.hand_over.says, "hand_over")
            said.append(self._send(output, self._answer(decision, conversation, sentence, version, place)))
        before = held.said if held is not None else self._window.said(conversation.id, self._offset)
        self._remember(decision, conversation, said, place)
        output.counts["handed_over"] += 1
        situation = self._situation(decision, words, place)
        self._keep(output, self._holding.handed_over(held, [*before, *said], conversation, situation, version))

    def _take_over(self, output: Output, change: ConversationChange, place: str, now_ms: int) -> None:
        """Of a conversation that Headrace has."""
        said = self._window.said(change.conversation, self._offset)
        seen = max((one.version for one in said), default=0)
        if change.kind not in ("taken", "assigned") or change.revision != 0 or change.version > seen + AHEAD:
            output.counts["dropped"] += 1
            return
        output.counts[change.kind] += 1
        about = self._window.about(change.conversation) if said else None
        self._keep(output, self._holding.taken_from_headrace(change, said, about, place, now_ms))

    def _remember(
        self, decision: Mapping[str, Any], conversation: ConversationAnswer, said: Sequence[Utterance], place: str
    ) -> None:
        about = About(conversation, decision.get("priority"), place)
        self._window.add(self._offset, decision["id"], about, said)

    def _situation(self, decision: Mapping[str, Any], words: Told | LeftToPeople, place: str) -> Situation:
        reason, queue = ("", self._app.human_queue) if isinstance(words, Told) else (words.reason, words.queue)
        return Situation(
            reason=reason,
            queue=queue,
            asked_by=HEADRACE,
            at_ms=read_time(decision["decided_at"]) or 0,
            priority=decision.get("priority"),
            respond_by=decision.get("respond_by"),
            place=place,
        )

    def _said(self, decision: Mapping[str, Any], version: int, answer: SentAnswer | None = None) -> list[Utterance]:
        labels = {
            name: HeadAnswer.model_validate(
                {key: head[key] for key in ("label", "probability", "labels", "rejected") if key in head}
            )
            for name, head in decision["labels"].items()
        }
        message = Utterance(
            by="customer",
            text=self._mask(decision["text"]),
            at=decision["at"],
            version=version,
            id=decision["id"],
            labels=labels,
        )
        return [message] if answer is None else [message, self._utterance(answer)]

    def _answer(
        self,
        decision: Mapping[str, Any],
        conversation: ConversationAnswer,
        words: Told,
        version: int | None = None,
        place: str = "",
    ) -> SentAnswer:
        return SentAnswer(
            id=decision["id"],
            app=self._app.name,
            conversation=conversation.id,
            text=words.text,
            kind=words.kind,
            version=conversation.version if version is None else version,
            at=decision["decided_at"],
            choices=list(words.choices) or None,
            source=words.source,
            confidence=words.confidence,
            place=place,
        )

    def _answer_of_person(self, held: HeldConversation, change: ConversationChange, place: str) -> SentAnswer:
        return SentAnswer(
            id=change.id,
            app=self._app.name,
            conversation=held.id,
            text=change.text or "",
            kind="person",
            version=change.version,
            at=change.at,
            by=change.by,
            place=place,
        )

    def _send(self, output: Output, answer: SentAnswer) -> Utterance:
        """Once, whatever was forgotten since."""
        if answer.id not in self._sent:
            output.answers.append(answer)
            output.counts[f"sent_{answer.kind}"] += 1
        else:
            self._sent.discard(answer.id)
            output.counts["sent_before"] += 1
        return self._utterance(answer)

    def _utterance(self, answer: SentAnswer) -> Utterance:
        return Utterance(
            by="person" if answer.kind == "person" else "headrace",
            text=self._mask(answer.text),
            at=answer.at,
            version=answer.version,
            id=answer.id,
            kind=answer.kind,
            source=answer.source,
            person=answer.by,
        )

    def _keep(self, output: Output, held: HeldConversation) -> None:
        before = self._held.get(held.id)
        self._held.put(held)
        if before is None or next_time(before) != next_time(held):  # else each message would plan it once more
            self._plan(held)
        output.held.append((held.id, held))

    def _plan(self, held: HeldConversation) -> None:
        due_ms = next_time(held)
        if due_ms is not None:
            heapq.heappush(self._next_steps, (due_ms, held.id))

    def _forget(self, gone: Iterable[str], output: Output) -> None:
        """What Headrace has again and nobody has spoken in for a window: as if people never had it."""
        for identity in gone:
            held = self._held.get(identity)
            if held is not None and held.owner == HEADRACE:
                self._held.drop(identity)
                output.held.append((identity, None))

    def _alerts_over(self, before: HeldConversation, after: HeldConversation) -> list[Alert]:
        ended = ((UNANSWERED, before.alerted, after.alerted), (RESPOND_SOON, before.reminded, after.reminded))
        return [self._alert(rule, after, is_firing=False) for rule, was, is_now in ended if was and not is_now]

    def _alert(self, rule: str, held: HeldConversation, *, is_firing: bool) -> Alert:
        where = f"{held.id:.60} in the queue {held.queue}"
        if rule == UNANSWERED:
            said = f"nobody has answered {where}" if is_firing else f"nobody waits any more for {where}"
        elif is_firing:
            said = f"{held.assignee or 'somebody'} is to answer {where} by {held.respond_by}"
        else:
            said = f"there is no need to be reminded of {where} any more"
        values = {"app": held.app, "queue": held.queue, "step": held.step, "headline": f"{held.id:.60} {held.queue}"}
        return Alert(
            fingerprint=f"{rule}|{held.app}|{held.id}",
            rule=rule,
            severity="warning",
            state="firing" if is_firing else "resolved",
            summary=said,
            values=values,
            at=held.at,
        )


def _conversation(decision: Mapping[str, Any]) -> ConversationAnswer | None:
    """Raises MessageError."""
    if not isinstance(decision.get("conversation"), dict):
        return None
    try:
        return ConversationAnswer.model_validate(decision["conversation"])
    except ValidationError as error:
        raise MessageError("bad_record", f"no conversation: {str(error).splitlines()[0]}") from error


def _is_at_or_before(place: str, seen: str | None) -> bool:
    """Of one topic's one partition; of another topic of that name nothing was seen."""
    here, there = source_place(place), source_place(seen or "")
    if here is None or there is None or (here.partition, here.epoch) != (there.partition, there.epoch):
        return False
    return here.offset <= there.offset


def _counted(held: HeldConversation, said: ConversationAnswer) -> tuple[HeldConversation, int]:
    """The version that a decision gives it. A worker whose window has left a conversation behind counts from one."""
    if said.version == 1 and held.version > held.counted_from and held.decided is not None:
        held = held.model_copy(update={"counted_from": held.version})
    return held, held.counted_from + said.version


def sent_place(answer: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Topic, partition and offset of what an answer is about."""
    place = source_place(str(answer.get("place")))
    return None if place is None else (*place.partition, place.offset)
