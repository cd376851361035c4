"""What a run in which roles are killed is convicted of."""

from dataclasses import replace

import pytest

from bench.kills.judging import Outcome, Told, violations
from streams.wire.records import Alert, Release, RetrainRequest

AT = "2026-11-27T10:00:00.000Z"


def alert(state: str, name: str = "episode", **values: int) -> Alert:
    kind = "firing" if state == "firing" else "resolved"
    return Alert(fingerprint=name, rule="drift", severity="warning", state=kind, summary="", values=values, at=AT)


def note(state: str, name: str = "episode", **values: int) -> Alert:
    return alert(state, name, **values).model_copy(update={"severity": "info"})


def request(name: str = "support@1-40") -> RetrainRequest:
    return RetrainRequest(id=name, app="support", reason="drift", at=AT)


def release(champion: str, request: str | None = None) -> Release:
    hashes = {champion: "0" * 64}
    return Release(
        model="support", champion=champion, revision=1, manifest_sha256=hashes, by="x", at=AT, request=request
    )


GOOD = Outcome(
    alerts=[alert("firing"), alert("resolved")],
    requests=[request()],
    releases=[release("1"), release("2", "support@1-40")],
    versions={"1": "", "2": "support@1-40"},
    champion="2",
    served="2",
    stored=["a", "b"],
    sent=["a", "b"],
    told=[Told("k1", "episode", "firing"), Told("k2", "episode", "resolved")],
    notifier_kills=0,
)


def test_a_run_that_came_to_what_it_must_is_not_convicted() -> None:
    assert violations(GOOD) == []
    again = replace(GOOD, told=[GOOD.told[0], *GOOD.told], notifier_kills=1)
    assert violations(again) == [], "told again by one kill, with the same key"
    grown = replace(GOOD, alerts=[alert("firing", told_event=500), alert("firing", told_event=550), alert("resolved")])
    assert violations(grown) == [], "its story has grown"
    lighter = [alert("firing"), note("firing", told_event=550), note("resolved")]
    assert violations(replace(GOOD, alerts=lighter)) == [], "a note by its end, which who heard of it hears"
    unheard = [alert("firing"), note("firing", told_event=550)]
    assert violations(replace(GOOD, alerts=unheard, told=[])) == [], "a note before anybody could be told"
    only_a_note = [*GOOD.alerts, note("firing", name="other")]
    assert violations(replace(GOOD, alerts=only_a_note)) == [], "nobody is told of a note"
    never_told = replace(GOOD, told=[])
    assert violations(never_told) == [], "over before anybody could be told"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"alerts": [], "told": []}, "no drift was told of"),
        (
            {"requests": [], "releases": [release("1")], "versions": {"1": ""}, "champion": "1", "served": "1"},
            "asked for",
        ),
        ({"alerts": [alert("firing"), alert("firing"), alert("resolved")]}, "firing twice in a row"),
        ({"alerts": [*GOOD.alerts, *GOOD.alerts]}, "episode was told 2 times"),
        ({"alerts": [alert("resolved")], "told": []}, "is over and never began"),
        ({"requests": [request(), request()]}, "was made 2 times"),
        ({"versions": GOOD.versions | {"3": "support@1-40"}}, "was trained for 2 times"),
        ({"requests": []}, "nobody asked"),
        ({"releases": [release("1")]}, "announced is 1, the registry names 2"),
        ({"served": "1"}, "1 serves"),
        ({"releases": [release("1")], "champion": "1", "served": "1"}, "passed the gate and was never announced"),
        ({"stored": ["a"]}, "1 of 2 events are not in the store, such as b"),
        ({"stored": ["a", "a", "b"]}, "more than once, such as a"),
        ({"told": [GOOD.told[0], *GOOD.told]}, "told 1 times again, by 0 kills"),
        ({"told": GOOD.told[:1]}, "nobody was told that episode is over"),
        ({"alerts": [alert("firing")], "told": []}, "nobody was told that episode fires"),
        (
            {"alerts": [alert("firing"), note("resolved")], "told": GOOD.told[:1]},
            "nobody was told that episode is over",
        ),
    ],
)
def test_what_must_not_be_is_named(bad: dict[str, object], words: str) -> None:
    assert any(words in wrong for wrong in violations(replace(GOOD, **bad)))  # type: ignore[arg-type]  # its fields
