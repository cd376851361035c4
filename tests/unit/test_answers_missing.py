"""What was asked and not answered, by what was asked the same."""

import random
from typing import Any

from test_answer_bank import WordHashes

from headrace.tools.answers.missing import MOST_TEXTS, missing_answers


def decided(number: int, text: str, **fields: Any) -> dict[str, Any]:
    at = f"2026-11-29T{number // 60 % 24:02d}:{number % 60:02d}:00.000Z"
    return {"id": f"chats@e-0-{number}", "text": text, "at": at, "action": "queue:people"} | fields


TRAMS = ["does a tram stop near the shop", "near which shop does a tram stop", "does the tram stop near a shop today"]
_RANDOM = random.Random(1)
OTHERS = [" ".join("".join(_RANDOM.choices("bdfgklmnpr", k=7)) for _ in range(6)) for _ in range(40)]


def test_texts_that_ask_the_same_are_one_missing_answer_with_a_name_and_examples() -> None:
    decisions = [decided(number, text) for number, text in enumerate([*OTHERS, *TRAMS])]
    (only,) = missing_answers(decisions, WordHashes().embed)
    assert (only.texts, only.newest) == (3, "2026-11-29T00:42:00.000Z")
    assert (
        set(only.examples) <= set(TRAMS)
        and set(only.name.split(" / ")) <= {"near", "shop", "stop", "tram"}
        and only.name
    )


def test_who_was_answered_or_asked_misses_nothing() -> None:
    answered = [decided(number, text, answer={"text": "yes"}) for number, text in enumerate(TRAMS)]
    asked = [decided(10 + number, text, action="ask") for number, text in enumerate(TRAMS)]
    assert missing_answers([*answered, *asked], WordHashes().embed) == []


def test_the_largest_comes_first_and_small_ones_are_left_out() -> None:
    cable = ["how long is the cable"] * 5
    decisions = [decided(number, text) for number, text in enumerate([*TRAMS, *cable, *OTHERS])]
    assert [one.texts for one in missing_answers(decisions, WordHashes().embed)] == [5, 3]
    assert [one.texts for one in missing_answers(decisions, WordHashes().embed, 4)] == [5]


def test_only_the_newest_count_so_that_memory_is_bounded() -> None:
    asked = WordHashes()
    many = (decided(number, f"text {number}") for number in range(MOST_TEXTS + 50))
    missing_answers(many, asked.embed)
    assert asked.read == MOST_TEXTS
