"""Whose a conversation is: what customers are told once, what people have, and what a restart does not change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from desk import APP, FILE, MINUTE_MS, NOON_MS, REMINDING, Desk, ask, decision
from hypothesis import example, given, settings
from hypothesis import strategies as st
from repeats import repeats

from models.errors import ConfigError, MessageError
from streams.application import parse_application
from streams.dispatcher.telling import LeftToPeople, Told, told
from streams.wire.records import ConversationChange, HeldConversation, format_time


@pytest.fixture
def desk() -> Desk:
    return Desk()


def words(decided: Mapping[str, Any]) -> Told | LeftToPeople:
    return told(APP, decided)


def test_a_decision_tells_the_customer_or_leaves_it_to_people() -> None:
    assert words(ask(1)) == Told("Which order is it?", "question")
    choice = decision(1, "ask", ask={"text": "This or that?", "choices": ["this", "that"]})
    assert words(choice) == Told("This or that?", "question", ("this", "that"))
    found = decision(1, "answer", answer={"id": "a1", "text": "We open at nine.", "source": "faq", "confidence": 0.8})
    assert words(found) == Told("We open at nine.", "retrieved", source="faq", confidence=0.8)
    found = decision(1, "answer", answer={"text": "Write {id} on it, {order} goes out today."})
    assert words(found) == LeftToPeople("there is nothing to tell about it by machine", "people")
    found["conversation"]["slots"] = [{"name": "order", "value": "MB-7", "version": 1}]
    assert words(found) == Told("Write {id} on it, MB-7 goes out today.", "retrieved")  # {id} is no value of a slot
    assert words(decision(1)) == LeftToPeople("goes to billing", "billing")
    rejected = decision(1, "queue:people", labels={"intent": {"label": "refund", "probability": 0.4, "rejected": True}})
    assert words(rejected) == LeftToPeople("the model does not know what it is about", "people")
    angry = decision(1, "queue:duty", conversation={"escalated": "angry twice"})
    assert words(angry) == LeftToPeople("angry twice", "duty")
    wordless = decision(1, "queue:people", labels={}, text=" ")
    assert words(wordless) == LeftToPeople("the message has no words", "people")
    for silent in (decision(1, "none"), decision(1, "ask"), decision(1, "answer", answer={"text": ""})):
        assert words(silent) == LeftToPeople("there is nothing to tell about it by machine", "people")


def test_a_ready_answer_settles_its_label_once_its_values_are_known() -> None:
    order = [{"name": "order", "value": "MB-7", "version": 1}]
    sure = decision(1, "queue:logistics", intent="delivery", slots=order)
    assert words(sure) == Told("Your parcel MB-7 is on its way.", "template")
    assert isinstance(words(decision(1, "queue:logistics", intent="delivery")), LeftToPeople)
    masked = [{"name": "order", "value": "[card]", "version": 1}]
    assert isinstance(words(decision(1, "queue:logistics", intent="delivery", slots=masked)), LeftToPeople)
    urgent = decision(1, "queue:duty", intent="delivery", slots=order)
    assert isinstance(words(urgent), LeftToPeople)  # its priority has a queue of its own
    angry = decision(1, "queue:logistics", intent="delivery", slots=order, conversation={"escalated": "angry"})
    assert isinstance(words(angry), LeftToPeople)


def test_a_ready_answer_beside_a_queue_is_told_and_people_go_on(desk: Desk) -> None:
    desk.decide(decision(1, answer={"text": "Refunds take {order} five days.", "label": "refund"}))
    assert desk.answers[0].kind == "hand_over"  # the value is not known
    order = [{"name": "order", "value": "MB-7", "version": 1}]
    desk.decide(decision(2, key="c2", version=1, slots=order, answer={"text": "{order} takes five days."}))
    assert (desk.answers[1].text, desk.answers[1].kind) == ("MB-7 takes five days.", "template")
    assert desk.held["c2"].queue == "billing"
    desk.decide(decision(3, key="c3", version=1, slots=order, answer={"text": "{mailbox} gets {order}."}))
    assert (desk.answers[2].text, desk.answers[2].kind) == ("A colleague will answer you.", "hand_over")


def test_people_are_shown_what_was_said_and_what_was_tried(desk: Desk) -> None:
    desk.decide(ask(1), decision(2, priority="P2", slots=[{"name": "order", "value": "MB-7", "version": 2}]))
    assert desk.said() == [("chats@e0-0-1", "question"), ("chats@e0-0-2", "hand_over")]
    held = desk.held["c1"]
    assert (held.owner, held.step, held.reason, held.asked_by) == (
        "people",
        "handed_over",
        "goes to billing",
        "headrace",
    )
    assert (held.queue, held.priority, held.version, held.revision) == ("billing", "P2", 2, 1)
    assert held.respond_by == format_time(NOON_MS + 20 * MINUTE_MS)
    said = [(one.by, one.text, one.kind) for one in held.said]
    assert said == [
        ("customer", "message 1, card [card]", None),
        ("headrace", "Which order is it?", "question"),
        ("customer", "message 2, card [card]", None),
        ("headrace", "A colleague will answer you.", "hand_over"),
    ]
    assert [(one.label, one.probability) for one in held.intents] == [("refund", 0.9), ("refund", 0.9)]
    assert held.courses == {"tone": ["angry", "calm"]} and held.slots[0].value == "MB-7"


def test_people_are_told_what_the_customer_chose_and_not_what_the_words_of_the_choice_look_like(desk: Desk) -> None:
    desk.decide(ask(1), decision(2, intent="refund", conversation={"intent": "delivery"}))
    assert (desk.held["c1"].intent, desk.held["c1"].intents[-1].label) == ("delivery", "refund")
    desk.decide(decision(3, intent="refund"))  # of which the model does not know what it is about
    assert desk.held["c1"].intent == "delivery"
    desk.decide(decision(4, conversation={"intent": "cancel"}))
    assert desk.held["c1"].intent == "cancel"


def test_nothing_automated_is_sent_from_the_hand_over_until_it_is_handed_back(desk: Desk) -> None:
    desk.decide(decision(1))
    desk.decide(ask(2))  # while nobody has it yet
    desk.change("taken")
    desk.decide(ask(3))
    desk.change("answered", text="Here you are.")
    desk.decide(ask(4))
    assert desk.said() == [("chats@e0-0-1", "hand_over"), ("change-1", "person")]
    assert desk.counts["suppressed"] == 3
    assert (desk.answers[1].text, desk.answers[1].by, desk.answers[1].version) == ("Here you are.", "ann", 3)
    desk.change("handed_back")
    desk.decide(ask(5))
    assert desk.said()[2:] == [("chats@e0-0-5", "question")]
    desk.decide(decision(6))
    assert desk.held["c1"].owner == "people" and desk.held["c1"].revision == 5


def test_a_person_may_take_what_headrace_has(desk: Desk) -> None:
    desk.decide(ask(1))
    desk.change("taken", because="I know her", version=1)
    desk.decide(ask(2))
    assert desk.said() == [("chats@e0-0-1", "question")]
    held = desk.held["c1"]
    assert (held.reason, held.asked_by, held.assignee) == ("I know her", "ann", "ann")
    assert [one.by for one in held.said] == ["customer", "headrace", "customer"]


@pytest.mark.parametrize("dies", [False, True])
def test_who_takes_a_conversation_in_the_middle_sees_what_is_known_of_it_at_once(desk: Desk, dies: bool) -> None:
    """Until the customer wrote again its record had no intent, no values, no language and no priority."""
    slots = [{"name": "order", "value": "MB-7", "version": 1}]
    known = {"intent": "refund", "language": "de"}
    desk.decide(ask(1, conversation={"intent": "delivery"}), ask(2, slots=slots, conversation=known, priority="P1"))
    desk.decide(ask(3, key="c2", version=1))
    if dies:
        desk.commit()
        desk.die()
    desk.change("taken", version=2)
    held = desk.held["c1"]
    assert (held.intent, held.language, held.priority) == ("refund", "de", "P1")
    assert [(slot.name, slot.value) for slot in held.slots] == [("order", "MB-7")]
    desk.change("taken", version=0, conversation="nobody wrote in it")
    assert desk.held["nobody wrote in it"].intent is None


def test_a_conversation_that_was_handed_back_keeps_the_language_of_its_last_message(desk: Desk) -> None:
    desk.decide(decision(1, conversation={"language": "de"}))
    desk.change("taken")
    desk.change("handed_back")
    desk.decide(ask(2, conversation={"language": "fr"}))
    assert desk.held["c1"].language == "fr"


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        ("taken", {"by": "bob", "revision": 1}, "it has changed since"),
        ("answered", {"by": "bob", "text": "no"}, "ann has it"),
        ("answered", {"text": "no", "version": 1}, "the customer has written meanwhile"),
        ("handed_back", {"version": 1}, "the customer has written meanwhile"),
        ("handed_back", {"by": "bob"}, "ann has it"),
        ("answered", {"text": " "}, "an answer needs words"),
        ("taken", {"by": "bob", "version": 10_000}, "cannot be"),
    ],
)
def test_a_change_that_is_stale_or_another_ones_is_dropped_and_says_why(
    desk: Desk, kind: str, fields: dict[str, Any], why: str
) -> None:
    desk.decide(decision(1))
    desk.change("taken")
    desk.decide(decision(2))
    before = desk.held["c1"]
    change = desk.change(kind, **fields)
    after = desk.held["c1"]
    assert after.dropped is not None and after.dropped.id == change.id and why in after.dropped.why
    assert (after.assignee, after.revision, after.owner) == (before.assignee, before.revision, before.owner)
    assert desk.counts["dropped"] == 1 and len(desk.answers) == 1
    desk.change("answered", text="yes")  # and who has it goes on
    assert desk.held["c1"].dropped is None and desk.answers[-1].text == "yes"


def test_a_decision_older_than_what_a_person_saw_is_dropped(desk: Desk) -> None:
    desk.decide(decision(1))
    desk.change("taken", version=3)  # two are still on their way
    desk.change("handed_back", version=3)
    desk.decide(ask(2), ask(3), ask(4))
    assert desk.counts["stale"] == 2
    assert desk.said() == [("chats@e0-0-1", "hand_over"), ("chats@e0-0-4", "question")]


def test_a_worker_that_counts_anew_is_not_taken_for_an_old_one(desk: Desk) -> None:
    for number in range(1, 5):
        desk.decide(ask(number))
    desk.decide(decision(5))
    desk.change("taken")
    desk.change("handed_back")
    desk.decide(ask(6, version=1), ask(7, version=2))  # its window has left the conversation behind
    assert desk.said()[-2:] == [("chats@e0-0-6", "question"), ("chats@e0-0-7", "question")]
    assert desk.held["c1"].version == 7 and "stale" not in desk.counts


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("seen", ["decided", "on_their_way"])
def test_who_writes_after_a_long_silence_to_a_person_who_took_the_conversation_is_heard(
    desk: Desk, seen: str, dies: bool
) -> None:
    """The worker counts from one again, and each message was dropped as one that the person had seen."""
    first = [ask(1), ask(2)]
    if seen == "decided":
        desk.decide(*first)
    if dies:
        desk.commit()
        desk.die()
    desk.change("taken", version=2)
    if seen == "on_their_way":
        desk.decide(*first)
    desk.decide(*desk.decisions[:1])  # it stands there twice, as a worker died
    desk.change("answered", text="It is on its way.")
    desk.decide(*(ask(number, key=f"other-{number}", version=1) for number in range(3, 110)))
    if dies:
        desk.commit()
        desk.die()
    desk.decide(decision(200, version=1))
    held = desk.held["c1"]
    assert (held.owner, held.version, held.said[-1].text) == ("people", 3, "message 200, card [card]")
    assert held.respond_by is not None
    assert desk.counts.get("stale", 0) == (2 if seen == "on_their_way" else 0)


def test_why_somebody_took_a_conversation_is_masked_as_all_that_people_are_shown(desk: Desk) -> None:
    desk.decide(ask(1))
    desk.change("taken", because="she called about 4111")
    assert desk.held["c1"].reason == "she called about [card]"
    desk.change("handed_back")
    desk.change("assigned", assignee="bob", because="4111 again")
    assert desk.held["c1"].reason == "[card] again"


def test_an_unknown_conversation_is_nobodys_to_answer(desk: Desk) -> None:
    desk.change("answered", text="hello?")
    desk.change("taken", revision=3)
    assert desk.counts["dropped"] == 2 and not desk.held and not desk.answers


def test_who_waits_too_long_goes_up_the_chain_each_step_once(desk: Desk) -> None:
    desk.decide(decision(1))
    desk.change("taken", now_ms=NOON_MS + MINUTE_MS)
    desk.tick(NOON_MS + 19 * MINUTE_MS)
    assert desk.held["c1"].assignee == "ann"
    late = NOON_MS + 61 * MINUTE_MS
    for minutes in (0, 0, 29, 30, 31, 60, 61, 90, 91, 600):
        desk.die()  # the steps stand in what was written
        desk.tick(late + minutes * MINUTE_MS)
    steps = [(one.step, one.queue, one.assignee) for one in desk.history if one.step in ("returned", "escalated")]
    assert [*dict.fromkeys(steps)] == [
        ("returned", "billing", None),
        ("escalated", "team lead", None),
        ("escalated", "duty", None),
    ]
    assert (desk.counts["returned"], desk.counts["escalated"]) == (1, 2)
    assert desk.dispatcher.overdue(late) == 1
    desk.change("taken", "lea", now_ms=late)
    desk.change("answered", "lea", text="Sorry.", now_ms=late)
    assert desk.alerts[-1] == "resolved" and desk.held["c1"].respond_by is None
    assert not desk.tick(late + 10_000 * MINUTE_MS).held


def test_the_clock_begins_anew_with_the_next_message(desk: Desk) -> None:
    desk.decide(decision(1))
    desk.change("taken")
    desk.change("answered", text="Which one?")
    later = NOON_MS + 100 * MINUTE_MS
    desk.decide(decision(2, at_ms=later))
    assert desk.held["c1"].respond_by == format_time(later + 20 * MINUTE_MS)
    desk.tick(later + 21 * MINUTE_MS)
    assert (desk.held["c1"].step, desk.held["c1"].assignee) == ("returned", None)


def test_an_escalation_sends_on_what_nobody_has_looked_at(desk: Desk) -> None:
    desk.decide(decision(1))
    angry = {"conversation": {"escalated": "angry twice"}}
    desk.decide(decision(2, "queue:duty", priority="P1", **angry))
    held = desk.held["c1"]
    assert (held.queue, held.priority, held.reason) == ("duty", "P1", "angry twice")
    desk.change("assigned", assignee="ann", queue="billing")
    desk.decide(decision(3, "queue:duty", priority="P1", conversation={"escalated": "angry thrice"}))
    held = desk.held["c1"]
    assert (held.queue, held.assignee, held.reason) == ("billing", "ann", "angry twice")  # a person's word stands


def test_what_headrace_has_again_is_forgotten_with_the_window(desk: Desk) -> None:
    desk.decide(decision(1))
    desk.change("taken")
    desk.change("handed_back")
    assert desk.held["c1"].owner == "headrace"
    desk.decide(*(ask(number, key=f"k{number}", version=1) for number in range(2, 102)))
    assert not desk.held and len(desk.answers) == 101


def test_a_stranger_in_the_topic_is_a_dead_letter(desk: Desk) -> None:
    with pytest.raises(MessageError):
        desk.dispatcher.take_decision("decisions.desk@d0-0-0", 0, decision(1) | {"conversation": {"id": 7}})
    output = desk.dispatcher.take_decision("decisions.desk@d0-0-0", 0, decision(1) | {"conversation": None})
    assert output.counts == {"no_conversation": 1}


def test_the_file_says_what_does_not_fit() -> None:
    for wrong, why in (
        (FILE.replace('answers_alone = ["delivery"]', 'answers_alone = ["refund"]'), "answers_alone"),
        (FILE.replace('["team lead", "duty"]', '["duty", "duty"]'), "stands twice"),
        (
            FILE.replace("[conversations]\nwindow_records = 100\n", "").replace("next_response_minutes = 20\n", ""),
            "conv",
        ),
        (
            FILE[: FILE.index("[service_levels")] + "[answers]" + FILE.split("[answers]")[1] + "remind_minutes = 5\n",
            "remind_minutes: nothing is promised",
        ),
        (FILE.replace("{order} is on", "{ordr} is on"), r"answers\.delivery: .*\{ordr\}.*did you mean 'order'"),
        (FILE.replace('says = "A', 'says = "{order}: a'), r"hand_over\.says: \{order\} would be shown as it stands"),
        (
            FILE.replace("[service", "asked_by = {intent = ['refund']}\nask = 'Which {order}?'\n[service"),
            r"slots\.order\.ask: \{order\} would be shown",
        ),
        (
            FILE.replace(
                "[service",
                "[choices]\nask = '{first}, {second}, {third}?'\n[choices.titles]\na = 'A'\nb = 'B'\n[service",
            ),
            r"choices\.ask: \{third\} would be shown",
        ),
    ):
        with pytest.raises(ConfigError, match=why):
            parse_application(wrong, Path(), "desk.toml")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ("ask", "ask", "hand", "again", "taken", "assigned", "answered", "handed_back", "tick", "stale")
        ),
        st.sampled_from(("c1", "c2", "c3")),
        st.sampled_from(("ann", "bob")),
    ),
    max_size=40,
)
DEATHS = st.lists(st.sampled_from((None, None, None, 0.0, 0.5, 1.0)), min_size=40, max_size=40)


def run(events: list[tuple[str, str, str]], deaths: list[float | None] | None = None) -> Desk:
    """deaths: after which event it dies, with how much of its last output written; None: it lives."""
    desk = Desk(REMINDING)
    versions: dict[str, int] = {}
    for step, (what, key, by) in enumerate(events):
        number = len(desk.decisions) + 1
        written = None if deaths is None else deaths[step]
        if written == 0.0:  # it dies before it reads
            desk.die()
        if what in ("ask", "hand"):
            versions[key] = versions.get(key, 0) + 1
            made = ask if what == "ask" else decision
            desk.decisions.append(made(number, key=key, version=versions[key]))
        elif what == "again":
            desk.decisions += orjson.loads(orjson.dumps(desk.decisions[-1:]))
        elif what == "tick":
            desk.tick(NOON_MS + step * 25 * MINUTE_MS)
        elif what == "stale":
            desk.changes += desk.changes[-1:]
        else:
            held = desk.held.get(key)
            change = ConversationChange(
                id=f"change-{step}",
                conversation=key,
                kind=what,  # type: ignore[arg-type]  # pydantic looks at it
                by=by,
                at=format_time(NOON_MS),
                version=versions.get(key, 0),
                revision=held.revision if held else 0,
                text="words" if what == "answered" else None,
                assignee=by if what == "assigned" else None,
            )
            desk.changes.append((change, NOON_MS + step * 25 * MINUTE_MS))
        if written is not None and written > 0.0 and what != "tick":
            desk.dispatch(written)
            desk.die()
        desk.dispatch()
        if written != 0.5:
            desk.commit()
    return desk


@settings(max_examples=repeats(40, 150), deadline=None)
@example([("ask", "c1", "ann"), ("hand", "c2", "ann"), ("again", "c1", "ann")], [None, 1.0, None, *[None] * 37])
@example(
    [("ask", "c1", "ann"), ("ask", "c1", "ann"), ("answered", "c1", "ann"), ("hand", "c1", "ann")],
    [None, None, 0.5, 0.0, *[None] * 36],
)
@given(EVENTS, DEATHS)
def test_deaths_and_repeats_change_nothing(events: list[tuple[str, str, str]], deaths: list[float | None]) -> None:
    undisturbed, killed = run(events), run(events, deaths)
    assert killed.said() == undisturbed.said()
    assert killed.answers == undisturbed.answers
    assert without_notes(killed.held) == without_notes(undisturbed.held)


def without_notes(held: dict[str, HeldConversation]) -> dict[str, HeldConversation]:
    """Conversations without the note of a change that was dropped, and where it stood. One that holds in neither order
    is read again after a decision that it came before: decisions and changes are two topics, which have no order
    together. Then there is a record to carry the note."""
    return {key: one.model_copy(update={"dropped": None, "changed": None}) for key, one in held.items()}


@settings(max_examples=repeats(40, 150), deadline=None)
@given(EVENTS, DEATHS)
def test_nothing_is_sent_twice_or_while_a_person_has_it_and_nobody_is_left_alone(
    events: list[tuple[str, str, str]], deaths: list[float | None]
) -> None:
    desk = run(events, deaths)
    identities = [answer.id for answer in desk.answers]
    assert len(identities) == len(set(identities))
    spoken = {one["id"]: one["conversation"]["id"] for one in desk.decisions}
    for identity, key in spoken.items():
        held = desk.held.get(key)
        was_shown = any(utterance.id == identity for one in desk.history if one.id == key for utterance in one.said)
        assert identity in identities or was_shown or held is not None  # answered, or somebody's to answer
    for before, after in zip(desk.history, desk.history[1:], strict=False):
        if before.id == after.id and before.owner == "people" and after.owner == "people":
            new = [one for one in after.said if one not in before.said]
            assert all(one.by != "headrace" for one in new)


def test_what_is_planned_of_a_conversation_does_not_grow_with_its_messages() -> None:
    desk = Desk()
    desk.decide(*(decision(number) for number in range(1, 90)))
    assert len(desk.dispatcher._next_steps) == 1
    desk.tick(NOON_MS + 61 * MINUTE_MS)
    assert desk.held["c1"].step == "escalated"


@pytest.mark.parametrize("letter", ["a", "\x01", "語"])
def test_a_conversation_of_long_texts_stays_a_record_that_kafka_takes(letter: str) -> None:
    desk = Desk(parse_application(FILE.replace("turns = 6", "turns = 50"), Path(), "desk.toml"))
    longest = letter * (8_000 // len(letter.encode()))  # as decisions cut them
    desk.decide(*(decision(number, text=longest) for number in range(1, 80)))
    desk.change("taken")
    desk.change("answered", text=letter * 8_000)
    assert desk.held["c1"].step == "answered" and len(desk.held["c1"].said) > 10
    assert all(len(one.encode()) < 1_000_000 for one in desk.history)
