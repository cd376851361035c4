"""Which of people's labels count in a retraining."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.heads import Floats
from retrain.challenge import challenger_dataset
from retrain.data import Dataset, Row
from retrain.feedback.caps import over_the_cap
from retrain.feedback.opinions import TextLabel, text_labels
from retrain.feedback.policy import CONTESTED, COPY, OVER_THE_CAP, RELABELLING, UNLIKELY, FeedbackPolicy
from retrain.feedback.sifting import Sifted, sift
from retrain.feedback.team import Team, Vouched
from retrain.text_keys import is_held_out

SUBJECTS = {
    "delivery": ("parcel", "courier", "shipment", "doorstep", "van", "tracking"),
    "refund": ("money", "refund", "repay", "reimburse", "amount", "credit"),
    "login": ("password", "account", "username", "locked", "code", "reset"),
    "recall": ("recalled", "unsafe", "maker", "hazard", "notice", "defect"),  # the corpus has none of these
}
VERBS = ("asks", "wonders", "says", "writes", "complains", "reports", "hopes", "fears")
NAMES = ("ann", "bob", "cem", "dora")


def texts_about(subject: str, seed: int, count: int) -> list[str]:
    """Of words of the subject and some of none; none is held out."""
    random = np.random.default_rng(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        words = random.choice(SUBJECTS[subject], 3, replace=False).tolist()
        text = (
            f"somebody {random.choice(VERBS)} about {words[0]} then {words[1]} and {words[2]} in {random.choice(NAMES)}"
        )
        if not is_held_out(text):
            texts[text] = None
    return list(texts)


def embed(texts: Sequence[str]) -> Floats:
    """Texts of the same words lie near each other."""
    return np.stack([_mean([_direction(word) for word in text.split()]) for text in texts]).astype(np.float32)


@functools.cache
def _direction(word: str) -> Floats:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(32).astype(np.float32)


def _mean(vectors: Sequence[Floats]) -> Floats:
    total = np.sum(vectors, axis=0)
    return np.asarray(total / np.linalg.norm(total), dtype=np.float32)


OLD = ("delivery", "refund", "login")
CORPUS = Dataset(
    ("intent",),
    tuple(Row(text, {"intent": subject}) for subject in OLD for text in texts_about(subject, 1, 30))
    + tuple(Row(text, {"intent": subject}, "test") for subject in OLD for text in texts_about(subject, 2, 5)),
)


def items(texts: Sequence[str], label: str, by: str, **more: Any) -> Iterator[dict[str, Any]]:
    for text in texts:
        identity = hashlib.sha256(f"{text} {by}".encode()).hexdigest()[:8]
        yield {"id": identity, "text": text, "labels": {"intent": label}, "by": {"intent": by}} | more


def good(people: Sequence[str] = NAMES) -> list[dict[str, Any]]:
    """Right labels of a team."""
    return [item for n, by in enumerate(people) for item in items(texts_about(OLD[n % 3], 10 + n, 6), OLD[n % 3], by)]


def sifted(labelled: Sequence[dict[str, Any]], policy: FeedbackPolicy | None = None) -> Sifted:
    return sift(CORPUS, labelled, embed, policy)


def reasons(result: Sifted) -> dict[str, int]:
    return result.report.counts


def test_right_labels_of_a_team_count() -> None:
    result = sifted(good())
    assert reasons(result) == {} and result.report.taken == len(good())
    assert result.labelled == [item | {"people": {"intent": [item["by"]["intent"]]}} for item in good()]
    assert result.report.words("support") == ""


@pytest.mark.parametrize("seed", [20, 21, 22])
@pytest.mark.parametrize("count", [3, 4])
def test_the_first_texts_of_a_new_label_do_not_wait_because_they_are_few(count: int, seed: int) -> None:
    """Of a new subject's fifteen labels every eighth right text was set aside as unlike the others."""
    first = texts_about("recall", seed, count)
    new = [item for text, by in zip(first, NAMES, strict=False) for item in items([text], "recall", by)]
    assert reasons(sifted([*good(), *new])) == {}


def test_a_class_renamed_by_one_person_waits_and_a_new_one_beside_it_does_not() -> None:
    """M-3: it was released on the new one's gain, and the renamed class fell from 0.83 to 0.25."""
    new = list(items(texts_about("recall", 20, 20), "recall", "ann", introduces=["intent"]))
    renamed = list(items(texts_about("login", 21, 12), "delivery", "mallory"))
    result = sifted([*good(), *new, *renamed])
    assert reasons(result) == {RELABELLING: 12}
    (direction,) = result.report.directions
    assert (direction.before, direction.after, direction.people) == ("login", "delivery", ("mallory",))
    words = result.report.words("support")
    assert "login -> delivery is the word of mallory alone" in words and "`headrace labels next support`" in words
    trained = {row.text for row in challenger_dataset(CORPUS, result.labelled).dataset.rows}
    assert trained.isdisjoint(item["text"] for item in renamed) and trained >= {item["text"] for item in new}


def test_an_old_class_under_a_new_name_is_not_a_new_class() -> None:
    renamed = list(items(texts_about("login", 21, 20), "sign_in", "mallory", introduces=["intent"]))
    assert reasons(sifted([*good(), *renamed]))[RELABELLING] >= 18


def test_a_second_person_brings_back_what_was_set_aside() -> None:
    renamed = list(items(texts_about("login", 21, 12), "delivery", "mallory"))
    agreed = [
        item | {"said": {"intent": [{"by": by, "label": "delivery"} for by in ("mallory", "ann")]}}
        for item in renamed[:3]
    ]
    result = sifted([*good(), *agreed, *renamed[3:]])
    assert RELABELLING not in reasons(result)
    kept = {item["text"] for item in result.labelled}
    assert kept >= {item["text"] for item in agreed}, "two people said so"


def test_what_several_people_say_on_texts_of_their_own_is_no_ones_word() -> None:
    """Seen: four texts of three people waited for a second person."""
    texts = texts_about("login", 21, 12)
    shared = [item for n, text in enumerate(texts[:5]) for item in items([text], "delivery", NAMES[n % 3])]
    assert RELABELLING not in reasons(sifted([*good(), *shared]))
    hardly = [item for n, text in enumerate(texts) for item in items([text], "delivery", NAMES[0 if n > 1 else 1])]
    result = sifted([*good(), *hardly])
    assert reasons(result)[RELABELLING] == 12
    assert "login -> delivery is the word of ann nearly alone" in result.report.words("support")


def test_a_second_person_who_says_something_else_does_not() -> None:
    renamed = list(items(texts_about("login", 21, 12), "delivery", "mallory"))
    said = {"intent": [{"by": "mallory", "label": "delivery"}, {"by": "ann", "label": "login"}]}
    asked = [item | {"said": said, "labels": {"intent": "login"}, "by": {"intent": "ann"}} for item in renamed[:3]]
    result = sifted([*good(), *asked, *renamed[3:]])
    assert reasons(result) == {RELABELLING: 9, CONTESTED: 3}


def test_most_people_decide_and_the_last_word_does_not() -> None:
    text = texts_about("login", 30, 1)[0]
    said = [{"by": "ann", "label": "login"}, {"by": "bob", "label": "login"}, {"by": "mallory", "label": "refund"}]
    item = next(items([text], "refund", "mallory")) | {"said": {"intent": said}}
    result = sifted([*good(), item])
    assert reasons(result) == {}
    assert [one["labels"]["intent"] for one in result.labelled if one["text"] == text] == ["login"]


def test_a_person_who_changes_their_mind_contests_nothing() -> None:
    text = texts_about("login", 30, 1)[0]
    first, last = next(items([text], "refund", "ann")), next(items([text], "login", "ann")) | {"id": "later"}
    (label,) = text_labels([first, last])
    assert (label.label, label.people, label.is_contested) == ("login", ("ann",), False)
    assert set(label.decisions) == {first["id"], "later"}


def test_who_says_the_same_again_takes_nothing_back() -> None:
    """Not that they mean it, and not that they were first: as a label's time is that of its last saying, they were the
    second ones after each repetition."""

    def word(identity: str, *said: dict[str, Any], text: str = "one two three") -> dict[str, Any]:
        return {"id": identity, "text": text, "labels": {"intent": "refund"}, "said": {"intent": list(said)}}

    ann, eve = ({"by": by, "label": "refund"} for by in ("ann", "eve"))
    (label,) = text_labels([word("1", ann | {"confirms": True}), word("2", ann)])
    assert label.is_confirmed
    (label,) = text_labels([word("1", ann | {"confirms": True}), word("2", ann | {"label": "fee"}), word("3", ann)])
    assert not label.is_confirmed, "they changed their mind"
    (label,) = text_labels([word("1", ann, eve), word("2", ann)])
    assert label.people == ("ann", "eve")
    (label,) = text_labels([word("1", eve | {"first_ms": 2.0}, ann | {"first_ms": 1.0})])
    assert label.people == ("ann", "eve")


def test_a_wrong_label_among_right_ones_is_sent_to_a_second_person() -> None:
    wrong = next(items(texts_about("login", 30, 1), "refund", "ann"))
    result = sifted([*good(), wrong])
    assert reasons(result) == {UNLIKELY: 1}
    (doubt,) = result.report.doubts()
    assert doubt == {
        "decision_id": wrong["id"],
        "head": "intent",
        "label": "refund",
        "by": ["ann"],
        "reason": UNLIKELY,
        "instead": "login",
    }


def test_one_who_labels_alone_is_asked_again_and_believed() -> None:
    """Nobody else could say it."""
    renamed = list(items(texts_about("login", 21, 6), "delivery", "ann"))
    alone = [*good(["ann"]), *renamed]
    result = sifted(alone)
    assert reasons(result) == {RELABELLING: 6} and "you are asked again" in result.report.words("support")
    assert {doubt["again"] for doubt in result.report.doubts()} == {"ann"}
    again = {"intent": [{"by": "ann", "label": "delivery", "confirms": True}]}
    meant = [item | ({"said": again} if item in renamed else {}) for item in alone]
    assert reasons(sifted(meant)) == {}
    casual = [next(items(texts_about("login", 31, 1), "login", "bob"))]
    assert reasons(sifted([*meant, *casual])) == {}, "one casual word makes nobody a team"
    team = [*items(texts_about("login", 31, 12), "login", "bob")]
    result = sifted([*meant, *team])
    assert RELABELLING in reasons(result), "with a second person, that one's word is wanted"
    assert not any("again" in doubt for doubt in result.report.doubts())


def test_who_floods_does_not_become_the_only_one_who_labels() -> None:
    """Measured against all texts, four people with 24 labels were next to nobody beside a flood of 400: it confirmed
    itself, nothing of it was a relabelling, and the cap let 186 of it pass."""
    meant = {"intent": [{"by": "eve", "label": "delivery", "confirms": True}]}
    flooded = list(items(texts_about("login", 21, 400), "delivery", "eve", said=meant))
    result = sifted([*good(), *flooded])
    assert result.report.asked_again == ()
    assert sum(item["by"]["intent"] == "eve" for item in result.labelled) == 0


def test_how_much_of_a_team_somebody_has_beside_them_is_not_theirs_to_say() -> None:
    others, mine = flood(5, "ann", name="o"), flood(7, "eve", name="m")
    assert Team.of([*others, *mine]).beside("eve") == 0.5
    assert Team.of([*others, *mine, *flood(1_000, "eve", name="more ")]).beside("eve") == 0.5
    assert Team.of([*flood(5, "ann", "eve", name="o"), *mine]).beside("eve") == 0.5, "nor by repeating what they say"


def test_near_copies_do_not_vouch_for_each_other() -> None:
    """Out of fold each of them is known by the others, whatever their label."""
    text = texts_about("login", 30, 1)[0]
    copied = [f"{text} {word}" for word in ("please", "now", "thanks", "again", "today", "ok", "urgent", "sir")]
    copied = [text for text in copied if not is_held_out(text)]
    result = sifted([*good(), *items(copied, "refund", "mallory")])
    assert reasons(result) == {RELABELLING: len(copied)}


def test_of_one_persons_near_copies_some_count() -> None:
    text = texts_about("login", 30, 1)[0]
    copied = [
        text for text in (f"{text} x{letter}" for letter in "abcdefghijklmnopqrstuvwxyz") if not is_held_out(text)
    ]
    result = sifted([*good(), *items(copied, "login", "ann")])
    assert reasons(result) == {COPY: len(copied) - 10}


def flood(count: int, *people: str, label: str = "refund", name: str = "t") -> list[TextLabel]:
    people = people or ("mallory",)
    return [TextLabel("intent", f"{name}{n}", f"{name}{n}", label, people, {}, (str(n),)) for n in range(count)]


def capped(
    labels: Sequence[TextLabel], corpus: Mapping[str, int], label_share: float = 0.5, total_share: float = 0.9
) -> list[TextLabel]:
    """Beside a team that labels other things."""
    team = Team.of([*labels, *flood(40, "ann", label="login", name="of a team ")])
    return list(over_the_cap(labels, corpus, label_share, total_share, team, Vouched(labels)))


def test_one_persons_labels_are_at_most_a_share_of_a_labels_training_texts() -> None:
    corpus = {"refund": 30, "delivery": 30, "login": 30}
    gone = {one.key for one in capped(flood(100), corpus)}
    assert len(gone) == 70
    assert gone > {one.key for one in capped(flood(100)[:60], corpus)}, "the same stay as more come"
    agreed = flood(20, "ann", "bob", name="a")
    assert len(capped([*flood(100), *agreed], corpus)) == 50, "what others say makes room"


def test_and_at_most_a_share_of_all() -> None:
    assert len(capped(flood(100), {"refund": 90, "login": 30}, 0.9, 0.25)) == 60


def test_a_second_persons_words_take_by_degrees_from_the_first_and_never_most_at_once() -> None:
    """One word from a second person set 70 of 100 labels aside."""
    corpus, gone = {"refund": 30, "delivery": 30, "login": 30}, []
    for number in (0, 1, 2, 5, 9, 12, 30):
        labels = [*flood(100), *flood(number, "bob", label="login", name="casual ")]
        gone.append(len(list(over_the_cap(labels, corpus, 0.5, 0.9, Team.of(labels), Vouched(labels)))))
    assert gone == [0, 7, 14, 35, 63, 70, 70]


def test_an_expert_whose_labels_others_found_right_has_no_cap() -> None:
    """80 of 100 labels are one person's, in a team of three; the corpus is small."""
    corpus = {"refund": 10, "login": 10}
    labels = [*flood(80, "ann"), *flood(15, "bob", label="login", name="b"), *flood(5, "cem", label="login", name="c")]
    assert len(capped(labels, corpus, 0.5, 0.9)) == 70
    three = [*flood(3, "ann", "bob"), *labels[3:]]
    assert capped(three, corpus, 0.5, 0.9) == [], "three of that label were looked at"
    assert len(capped(three, corpus, 0.5, 1 / 3)) > 50, "three say little of all"
    assert capped([*flood(10, "ann", "bob"), *labels[10:]], corpus, 0.5, 1 / 3) == []


@pytest.mark.parametrize("wrong", [0, 3])
def test_who_only_agrees_with_others_or_is_found_wrong_is_not_vouched_for(wrong: int) -> None:
    corpus = {"refund": 30, "login": 30}
    looked_at = flood(10, "mallory", "ann", name="a") if wrong else flood(10, "ann", "mallory", name="a")
    found_wrong = [replace(one, others={"ann": "login"}) for one in flood(wrong, name="w")]
    assert len(capped([*flood(100), *looked_at, *found_wrong], corpus)) >= 60


def test_a_label_that_the_corpus_has_not_may_grow_to_the_size_of_a_usual_one() -> None:
    corpus = Counter({"delivery": 30, "login": 40})
    assert len(capped(flood(100), corpus)) == 65


def test_a_flood_beside_a_team_is_cut_and_comes_back() -> None:
    flooded = list(items(texts_about("refund", 40, 60), "refund", "mallory"))
    result = sifted([*good(), *flooded])
    assert reasons(result) == {OVER_THE_CAP: 60 - 30 - sum(item["labels"]["intent"] == "refund" for item in good())}
    two = {"intent": [{"by": "mallory", "label": "refund"}, {"by": "ann", "label": "refund"}]}
    looked_at = [item | {"said": two} for item in flooded[:10]]
    assert reasons(sifted([*good(), *looked_at, *flooded[10:]])) == {}, "a sample of them was found right"


def test_nobody_lifts_the_cap_on_their_own_labels() -> None:
    """They were asked again, which made nothing count."""
    flooded = list(items(texts_about("refund", 40, 80), "refund", "ann"))
    result = sifted([*flooded, *items(texts_about("login", 31, 8), "login", "bob")])
    assert set(reasons(result)) == {OVER_THE_CAP} and result.report.asked_again == ()
    assert not any("again" in doubt for doubt in result.report.doubts())
    assert "; a second person is asked by" in result.report.words("support")


def test_one_who_labels_alone_has_no_cap() -> None:
    assert reasons(sifted(list(items(texts_about("refund", 40, 60), "refund", "ann")))) == {}


def test_a_champion_that_learnt_a_bad_label_does_not_vouch_for_it() -> None:
    """Slowly, over retrainings: each is judged by the corpus and all that is said by now."""
    renamed = list(items(texts_about("login", 21, 12), "delivery", "mallory"))
    poisoned = challenger_dataset(CORPUS, renamed).dataset
    assert any(row.origin == "feedback" for row in poisoned.rows)
    assert reasons(sift(poisoned, [*good(), *renamed], embed)) == {RELABELLING: 12}


def test_held_out_texts_of_a_renamed_class_do_not_judge_either() -> None:
    texts = texts_about("login", 21, 6)
    held_out = [f"{text} {n}x" for n in "abcdefghijk" for text in texts if is_held_out(f"{text} {n}x")]
    result = sifted([*good(), *items([*texts, *held_out], "delivery", "mallory")])
    assert reasons(result) == {RELABELLING: len(texts) + len(held_out)}


def test_texts_out_of_scope_are_like_nothing_and_not_screened() -> None:
    wrong = next(items(texts_about("login", 30, 1), "oos", "ann"))
    assert reasons(sift(CORPUS, [*good(), wrong], embed, oos_label="oos")) == {}


@pytest.mark.parametrize("heads", [("intent",), ("intent", "urgency")])
def test_without_a_corpus_to_compare_with_everything_counts(heads: tuple[str, ...]) -> None:
    bare = Dataset(heads, tuple(row for row in CORPUS.rows if row.labels["intent"] == "login"))
    assert reasons(sift(bare, good(), embed)) == {}


def test_the_report_as_json() -> None:
    renamed = list(items(texts_about("login", 21, 12), "delivery", "mallory"))
    report = sifted([*good(), *renamed]).report.as_json()
    assert report["taken"] == len(good()) and report["set_aside"] == {RELABELLING: 12} and report["people"] == 5
    assert report["relabelled"] == [
        {"head": "intent", "from": "login", "to": "delivery", "texts": 12, "by": ["mallory"]}
    ]
    assert len(report["examples"]) == 5 and "text" not in report["examples"][0]
