"""Why a text was answered as it was, or not at all: what the bank of answers has for it, and whether it was asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

import numpy as np

from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.slot_finders import slot_finder
from headrace.tools.answers.asking import AskedBank, found_in
from headrace.tools.answers.bank import Reply, Suggestion, group_of
from headrace.tools.answers.history import read_history
from headrace.tools.answers.publishing import stored_bank
from headrace.tools.conversations.desk import held_conversations
from headrace.wiring import Wiring
from models.answers.explaining import FoundBy, Standing, confidences, find_words
from models.classifier import Classifier
from models.decision import HeadDecision, LabelAnswer
from models.errors import ConnectorError
from models.explanation.occlusion import OutOfTime
from models.explanation.parts import Unit, split_parts
from models.label_sets import labels_of
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.routing.answers import NotAsked, answer_record, ready_answer, why_not_asked
from streams.routing.replies import ASK, Message, Replier
from streams.routing.wording import filled, known_values
from streams.wire.outcomes import head_record
from streams.wire.text import cut_text

SHOWN: Final = 5  # answers, the first one among them
_DIGITS: Final = 4

Because = Literal["given", "unsure", "empty", "no_value"] | NotAsked


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer that the bank has for the text. confidence: that the bank would have in its question, were those before
    it not there; of the first, what a decision goes by."""

    found: Suggestion
    confidence: float

    def as_json(self) -> dict[str, Any]:
        """One object."""
        entry = self.found.entry
        figures = {
            "score": self.found.score,
            "confidence": self.confidence,
            "question_cosine": self.found.question_cosine,
            "answer_cosine": self.found.answer_cosine,
            "bm25": self.found.words,
        }
        said = {"id": entry.id, "question": entry.question, "answer": entry.answer, "source": entry.source}
        return said | {name: _rounded(value) for name, value in figures.items()}


@dataclass(frozen=True, slots=True)
class AnswerExplanation:
    """because: `given` by the bank; `ready`: the label's ready answer is; any other reason: nothing is. words: the same
    in a sentence. least: the confidence from which on the bank answers. given: the decision's `answer`. explained: the
    entry whose question `found_by` is about; None where the bank finds nothing. notes: what else is to be known."""

    because: Because
    words: str
    least: float
    text: str
    given: Mapping[str, Any] | None
    candidates: tuple[Candidate, ...]
    explained: Suggestion | None
    found_by: FoundBy | None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One object, without times."""
        found = self.found_by
        return {
            "because": self.because,
            "words": self.words,
            "needed": self.least,
            "given": None if self.given is None else dict(self.given),
            "candidates": [one.as_json() for one in self.candidates],
            "explained": None if self.explained is None else self.explained.entry.id,
            "parts": [] if found is None else [self.part(number) for number in range(len(found.occlusion.parts))],
            "loss": None if found is None else self._loss(found),
            "asked": 0 if found is None else found.asked,
            "cut": found is not None and found.is_cut,
            "notes": list(self.notes),
        }

    def part(self, number: int) -> dict[str, Any]:
        """What is known of one part of the text."""
        assert self.found_by is not None
        occlusion = self.found_by.occlusion
        part, effect = occlusion.parts[number], float(occlusion.effects[number])
        left = self.found_by.without[number] if self.found_by.without else None
        return {
            "text": self.text[part.start : part.end],
            "start": part.start,
            "end": part.end,
            "words": part.words,
            "place": occlusion.order.index(number) + 1,
            "effect": None if np.isnan(effect) else _rounded(effect),
            "confidence_without": None if left is None else _rounded(left.confidence),
            "first_without": None if left is None else left.first,
        }

    def _loss(self, found: FoundBy) -> dict[str, Any] | None:
        if found.loss is None:
            return None
        left = found.loss.standing
        return {
            "without": list(found.loss.without),
            "words": [self.part(number)["text"] for number in sorted(found.loss.without)],
            "first": left.first,
            "confidence": _rounded(left.confidence),
        }


class AnswerExplainer:
    """Explains the answers of one application's decisions by the bank that they asked, where that is to be had, else by
    the one that the store holds now.

    bank: the store's; None: there is none. unit: what scripts without spaces are split into. people: says whether
    people have a decision's conversation. past: gives the bank of that name, or None.
    """

    def __init__(
        self,
        app: Application,
        classifier: Classifier,
        bank: AskedBank | None,
        unit: Unit = "words",
        people: Callable[[Mapping[str, Any]], str | None] = lambda decision: None,
        past: Callable[[str], AskedBank | None] = lambda name: None,
    ) -> None:
        self._app, self._classifier, self._bank, self._unit = app, classifier, bank, unit
        self._people, self._past = people, past
        self._replier = Replier(app, slot_finder(app))

    def explain(
        self, text: str, decision: Mapping[str, Any] | None = None, out_of_time: OutOfTime = lambda: False
    ) -> AnswerExplanation:
        """Of a text: as the release decides it now, standing alone; of a decision: as it was decided. Raises
        StoreMismatch, StoreUnavailable, ModelError."""
        table = self._app.answer_bank
        assert table is not None
        text = cut_text(text)
        decided = self._decided(text) if decision is None else decision
        primary, values = _acting(self._app, decided), known_values(decided)
        because: Because | None = self._why_not_asked(decided, primary, values)
        name = decided.get("bank")
        then = self._past(name) if isinstance(name, str) else None
        bank = self._bank if then is None else then
        reply = self._reply(bank, text)
        given = decided.get("answer")
        notes = list[str]()
        if decision is None:
            given, because = self._given_now(primary, because, reply, values)
        elif given is not None:
            because = "ready" if given.get("id") is None else "given"
        elif because in (None, "ready"):
            because = self._given_now(primary, None, reply, values)[1]
            because = "unsure" if because == "given" else because  # the bank or the file has changed since
        if because == "unsure" and not reply.suggestions:
            because = "empty"
        explained = _entry_of(reply, given)
        if then is None and given is not None and given.get("id") is not None and decision is not None:
            notes += _changed(given, reply)
        if then is None and name is not None and not notes:
            notes.append(
                f"the bank {name}, which was asked, is not to be had: what follows is the bank as it stands now"
            )
        if decision is not None and (held := self._people(decision)):
            notes.append(held)
        candidates = _candidates(reply, bank)
        words = _words(self._app, because, decided, primary, reply, given) + _said_to_choose(decided, because)
        found = None if explained is None else self._found_by(bank, text, explained, out_of_time)
        return AnswerExplanation(
            because, words, table.confidence, text, given, candidates, explained, found, tuple(notes)
        )

    def _why_not_asked(
        self, decided: Mapping[str, Any], primary: HeadDecision | None, values: Mapping[str, str]
    ) -> NotAsked | None:
        """Who is asked which of two matters it is was looked up in the bank before, unless one of them misses a value:
        then no bank is named."""
        reason = why_not_asked(
            self._app,
            primary,
            decided.get("priority"),
            values=values,
            asks=decided.get("action") == ASK and not _offered(decided),
            escalated=bool((decided.get("conversation") or {}).get("escalated")),
        )
        was_asked = not _offered(decided) or decided.get("bank") is not None
        return reason if was_asked or reason not in (None, "ready") else "asks"

    def _decided(self, text: str) -> dict[str, Any]:
        """As a worker decides a text that stands alone, without asking the bank."""
        (classification,) = self._classifier.classify_texts([text], fast=self._app.fast_path == "on")
        fields = self._replier.reply(classification, Message(text, {}, wall_clock_ms())).fields
        return {"labels": {name: head_record(head) for name, head in classification.heads.items()}} | fields

    def _reply(self, bank: AskedBank | None, text: str) -> Reply:
        return Reply((), 0.0, -1.0) if bank is None else bank.reply(text, self._classifier.encoder)

    def _given_now(
        self, primary: HeadDecision | None, because: Because | None, reply: Reply, values: Mapping[str, str]
    ) -> tuple[dict[str, Any] | None, Because]:
        assert self._app.answer_bank is not None
        if because == "ready" and primary is not None:
            return dict(ready_answer(self._app, primary, values) or {}), because
        if because is not None:
            return None, because
        found = found_in(reply)
        if found is None or found.confidence < self._app.answer_bank.confidence:
            return None, "unsure"
        words = filled(found.text, values, self._app.slots)
        return (None, "no_value") if words is None else (answer_record(found, words), "given")

    def _found_by(
        self, bank: AskedBank | None, text: str, explained: Suggestion, out_of_time: OutOfTime
    ) -> FoundBy | None:
        assert self._app.answer_bank is not None
        parts = split_parts(text, self._unit, self._classifier.vocabulary)
        if not parts:
            return None
        group = group_of(explained.entry)

        def standings(texts: Sequence[str]) -> list[Standing]:
            return [_standing(self._reply(bank, one), group) for one in texts]

        return find_words(standings, text, parts, self._app.answer_bank.confidence, out_of_time)


@contextmanager
def answer_explainer(
    wiring: Wiring, app: Application | None, classifier: Classifier, unit: Unit
) -> Iterator[AnswerExplainer | None]:
    """None where the application asks no bank, or is not known."""
    if app is None or app.answer_bank is None:
        yield None
        return
    with stored_bank(wiring, app) as bank:
        people, past = partial(_with_people, wiring, app), partial(_bank_of_then, wiring, app)
        yield AnswerExplainer(app, classifier, bank, unit, people, past)


def _bank_of_then(wiring: Wiring, app: Application, name: str) -> AskedBank | None:
    """None where its topic does not tell it any more, or no broker does."""
    try:
        history = read_history(wiring, app.answer_bank_topic, partial(default_encoder, with_encoder_of(app, wiring)))
    except ConnectorError:
        return None
    return history.bank(name) if name in history else None


def _with_people(wiring: Wiring, app: Application, decision: Mapping[str, Any]) -> str | None:
    """Whether people have the conversation that a decision belongs to, in words; None where they do not, or where no
    broker says."""
    said = (decision.get("conversation") or {}).get("id")
    if app.hand_over is None or said is None:
        return None
    try:
        held = held_conversations(wiring, app).get(said)
    except ConnectorError:
        return None
    if held is None or held.owner != "people":
        return None
    return (
        f"people have this conversation (queue {held.queue}, because it {held.reason}): nothing automated is sent to "
        f"it until they hand it back"
    )


def _acting(app: Application, decided: Mapping[str, Any]) -> HeadDecision | None:
    """The first head's word as it acts: in a conversation it may be what an earlier message was about."""
    said = (decided.get("labels") or {}).get(app.head_names[0])
    if said is None:
        return None
    each = said.get("labels")
    several = None if each is None else tuple(LabelAnswer(one["label"], one["probability"]) for one in each)
    rejected = bool(said.get("rejected"))
    primary = HeadDecision(said["label"], said["probability"], rejected=rejected, labels=several)
    conversation = decided.get("conversation")
    if not conversation:
        return primary
    intent = conversation.get("intent")
    if intent is None:
        return replace(primary, rejected=True)
    if intent == primary.label:
        return replace(primary, rejected=False)
    several = tuple(LabelAnswer(label, 1.0) for label in labels_of(intent)) if primary.labels is not None else None
    return HeadDecision(intent, 1.0, labels=several)


def _standing(reply: Reply, group: str) -> Standing:
    if not reply.suggestions:
        return Standing(0.0, "", 0.0)
    lowest = reply.suggestions[-1].score
    score = next((one.score for one in reply.suggestions if group_of(one.entry) == group), lowest)
    return Standing(score, reply.suggestions[0].entry.id, reply.confidence)


def _entry_of(reply: Reply, given: Mapping[str, Any] | None) -> Suggestion | None:
    """The entry that was given where the bank still finds it, else the first."""
    identity = None if given is None else given.get("id")
    first = reply.suggestions[0] if reply.suggestions else None
    return next((one for one in reply.suggestions if one.entry.id == identity), first)


def _changed(given: Mapping[str, Any], reply: Reply) -> list[str]:
    """What the bank would do otherwise today."""
    standing = next((one.entry for one in reply.suggestions if one.entry.id == given["id"]), None)
    if standing is None:
        return [f"the bank does not find the entry {given['id']} any more: what follows is the bank as it stands now"]
    if standing.answer != given["text"]:
        return [f"the entry {given['id']} says something else by now: what follows is the bank as it stands now"]
    if round(reply.confidence, _DIGITS) != given.get("confidence") or reply.suggestions[0].entry.id != given["id"]:
        return ["the bank has changed since: what follows is the bank as it stands now"]
    return []


def _candidates(reply: Reply, bank: AskedBank | None) -> tuple[Candidate, ...]:
    """The first entries, each with the confidence in its question."""
    of_group: dict[str, float] = {}
    for one in reply.suggestions:
        of_group.setdefault(group_of(one.entry), one.score)
    sure = confidences(list(of_group.values()), () if bank is None else bank.without_answer())
    by_group = dict(zip(of_group, sure, strict=True))
    return tuple(Candidate(one, by_group[group_of(one.entry)]) for one in reply.suggestions[:SHOWN])


def _words(
    app: Application,
    because: Because,
    decided: Mapping[str, Any],
    primary: HeadDecision | None,
    reply: Reply,
    given: Mapping[str, Any] | None,
) -> str:
    table, given = app.answer_bank, given or {}
    assert table is not None
    match because:
        case "given":
            source = f" (source: {given['source']})" if given.get("source") else ""
            sure = f"confidence {given.get('confidence') or 0.0:.3f}, and {table.confidence:g} is enough"
            return f"answered from the bank by {given['id']}{source}: {sure}"
        case "ready":
            sure = f"the label has probability {table.ready_from:g} or more, so the bank is not asked"
            return f"answered by the ready answer of {given.get('label')}: {sure}"
        case "empty":
            return "not answered: the bank holds nothing"
        case "unsure" if reply.confidence >= table.confidence:
            return f"not answered then; as the bank and the file stand now, its confidence is {reply.confidence:.3f}"
        case "unsure":
            sure = f"confidence {reply.confidence:.3f}, and {table.confidence:g} is needed"
            return f"not answered: the bank's first answer has {sure}"
        case "no_value":
            first = reply.suggestions[0].entry.id
            return f"not answered: {first} is sure enough, and it names a value that the text does not give"
        case "escalated":
            return f"not answered: a rule sends it to people ({(decided.get('conversation') or {}).get('escalated')})"
        case "asks" if _offered(decided):
            return "not answered yet"
        case "asks":
            return "not answered yet: the one who wrote is asked something first"
        case "urgent":
            return f"not answered: what has priority {decided.get('priority')} goes to people at once"
        case "no_label":
            return f"not answered: the release has no head {app.head_names[0]}"
        case "known":
            label = "" if primary is None else primary.label
            return f"not answered: the model takes it for {label}, and the bank is asked about unknown texts (`when`)"


def _offered(decided: Mapping[str, Any]) -> Sequence[str]:
    """The two matters between which the one who wrote was asked to choose, in words; none: nothing of the kind."""
    return (decided.get("ask") or {}).get("choices") or ()


def _said_to_choose(decided: Mapping[str, Any], because: Because) -> str:
    if not _offered(decided):
        return ""
    asked = f"asked which of two matters it is ({', or '.join(_offered(decided))})"
    return f": the one who wrote was first {asked}" if because == "asks" else f"; so the one who wrote was {asked}"


def _rounded(value: float) -> float:
    return round(value, _DIGITS) + 0.0  # no negative zero
