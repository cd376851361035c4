"""Ten records became dead letters in a reader's first hour, and nothing said so (N-1)."""

import pytest

from models.errors import MessageError
from streams.engine.delivery import Delivery, Outcome
from streams.wire.first_dead_letters import FirstDeadLetters
from streams.wire.outcomes import dead_letter


def letter(offset: int, reason: str) -> Outcome:
    return dead_letter(Delivery("crm.tickets", 2, offset, None, b"{}", 0), MessageError(reason, "no text at /body"))


def test_the_first_dead_letter_of_each_reason_is_logged_with_its_place_and_the_way_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = FirstDeadLetters("tickets")
    first.observe([letter(17, "no_text"), Outcome([]), letter(18, "no_text"), letter(19, "not_json")])
    first.observe([letter(20, "no_text")])
    lines = caplog.messages
    assert len(lines) == 2
    assert "tickets: the record at crm.tickets 2-17" in lines[0] and "no text at /body" in lines[0]
    assert "headrace deadletters list --reason no_text" in lines[0]
    assert "2-19" in lines[1] and "not_json" in lines[1]
