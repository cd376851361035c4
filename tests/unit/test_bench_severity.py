"""bench drift, severity: what a shift costs, and what was said of it."""

from typing import cast

import numpy as np
import pytest

from bench.drift.playing import Played, Told, Watch
from bench.drift.releases import Shown
from bench.drift.restyling import STYLES
from bench.drift.rows.appearing import BEFORE
from bench.drift.rows.severity import Shift, words_told
from streams.wire.records import Alert


def told(event: int, severity: str, rule: str = "drift", state: str = "firing") -> Told:
    alert = Alert.model_validate(
        {"fingerprint": rule, "rule": rule, "severity": severity, "state": state, "summary": "", "at": ""}
    )
    return Told(event, alert)


def test_accuracy_falls_by_the_share_of_the_changed_texts_and_what_they_lose() -> None:
    labels, decided = ("a",) * 6, ("a", "a", "a", "b", "b", "b")
    shown = Shown((), labels, (), (), decided, np.zeros(6, np.float32), np.zeros((6, 1), np.float32))
    shift = Shift("made", cast(Watch, None), shown, np.arange(4), np.arange(4, 6), 0.5)
    assert shift.fall == pytest.approx(0.5 * 0.75)


def test_an_alert_weighs_more_than_a_note_before_or_after_it() -> None:
    played = Played([told(BEFORE + 9, "info"), told(BEFORE + 40, "warning"), told(BEFORE + 99, "info")])
    assert words_told(played) == {"heaviest": "alert", "last": "note", "delay": 41, "lost": None}


def test_what_was_told_before_the_shift_or_of_a_burst_says_nothing_of_it() -> None:
    played = Played([told(BEFORE - 1, "critical"), told(BEFORE + 5, "warning", rule="label_burst")])
    assert words_told(played) == {"heaviest": "nothing", "last": "nothing", "delay": None, "lost": None}


def test_the_end_of_an_alert_is_no_alert() -> None:
    assert words_told(Played([told(BEFORE + 5, "warning", state="resolved")]))["heaviest"] == "nothing"


@pytest.mark.parametrize("style", STYLES)
def test_a_text_in_another_style_is_another_text_and_never_empty(style: str) -> None:
    text, random = "why was my card declined at the shop, please?", np.random.default_rng(0)
    written = {STYLES[style](text, random) for _ in range(50)}
    assert all(one.strip() for one in written)
    assert len(written - {text}) >= 1
    assert all(STYLES[style]("hi", random) for _ in range(50))
