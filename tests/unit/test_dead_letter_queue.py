"""Dead letters as the commands list, show and send them again, on a broker of tests."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import pytest
from typer.testing import CliRunner

from connectors.deadletters import build_dead_letter
from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.cli import app
from headrace.wiring import Wiring
from streams.topics import DEAD_LETTERS_TOPIC, RESENT_TOPIC

AT_MS = 1_790_000_000_000
OWN_TIME_MS = AT_MS - 40 * 24 * 3_600_000


class Topics:
    """Reader and publisher of topics in memory."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {DEAD_LETTERS_TOPIC: [], RESENT_TOPIC: []}
        self.read_last = 0
        self.epoch = "aaaaaaaa"

    def read(
        self,
        topic: str,
        start: Mapping[int, int] | None = None,
        end: Mapping[int, int] | None = None,
        partitions: Collection[int] | None = None,
    ) -> Iterator[Record]:
        if topic not in self.records:
            raise TopicMismatch(topic)
        self.read_last = 0
        for record in list(self.records[topic]):
            first, after = (start or {}).get(record.partition, 0), (end or {}).get(record.partition, 1 << 60)
            if (partitions is None or record.partition in partitions) and first <= record.offset < after:
                self.read_last += 1
                yield record

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        log = self.records.setdefault(topic, [])
        log.append(
            Record(topic, 0, len(log), key, value, AT_MS if timestamp_ms is None else timestamp_ms, tuple(headers))
        )

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        return []

    def close(self) -> None:
        pass

    def letter(self, topic: str = "support.chats", error: str = "no JSON", **changes: object) -> None:
        """Put one into `deadletters`."""
        arguments: dict[str, object] = {
            "topic": topic,
            "partition": 1,
            "offset": 345,
            "key": b"k",
            "value": b'{"text": ',
            "reason": "not_json",
            "error": error,
            "max_bytes": 100_000,
            "headers": [("trace", b"t1")],
        }
        built = build_dead_letter(**{**arguments, **changes})  # type: ignore[arg-type]  # a test's shorthand
        self.send(DEAD_LETTERS_TOPIC, built.value, built.key, built.headers)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    made = Topics()
    monkeypatch.setattr(Wiring, "reader", lambda self: made)
    monkeypatch.setattr(Wiring, "publisher", lambda self: made)
    monkeypatch.setattr(Wiring, "epoch", lambda self, topic: made.epoch)
    return made


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["deadletters", *arguments], env={"COLUMNS": "80"})
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else str(done.exception)


def test_a_named_letter_is_read_at_its_place(topics: Topics) -> None:
    """S-A17 o, D-B11: `deadletters show 0-7` read the whole topic, though the name is the place."""
    for _ in range(10):
        topics.letter()
    assert "offset" in run("show", "0-7")
    assert topics.read_last == 1
    for nowhere in ("0-99", "3-7", "seven"):
        assert f"no dead letter {nowhere};" in run("show", nowhere, code=1)


def test_a_list_is_readable_at_80_columns(topics: Topics) -> None:
    """F-90, N-9: at 80 columns names, reasons and places were broken into pieces."""
    topics.letter(topic="crm.customer-tickets.v2", error="the record is no JSON: Expecting value: line 1 column 10")
    shown = run("list")
    for part in ("0-0", "not_json", "crm.customer-tickets.v2[1]", "offset 345", "9 bytes", "1 not_json"):
        assert any(part in line for line in shown.splitlines()), shown
    assert max(map(len, shown.splitlines())) <= 80


def test_markup_and_control_characters_of_a_letter_are_text(topics: Topics) -> None:
    """D-A5: `list` ended in a MarkupError; `show` wrote the error, the reason and the topic to the terminal raw."""
    topics.letter(error="see [/b] \x1b]52;c;x\x07 for\nreason     all_well", reason="no\x9bt", topic="a\x1bb")
    for shown in (run("list"), run("show", "0-0")):
        assert not any(character in shown for character in "\x1b\x07\x9b")
        assert "[/b]" in shown and not any(line.startswith("reason     all_well") for line in shown.splitlines())


def test_a_letter_that_names_a_topic_of_no_application_is_refused(topics: Topics) -> None:
    """D-A4: whoever may write `deadletters` had the operator's rights lent for any topic, model.releases among them."""
    topics.letter()
    topics.letter(topic="model.releases", value=b'{"revision": 99}')
    refused = run("resend", "--all", code=1)
    assert "'model.releases'" in refused and "--app" in refused
    assert set(topics.records) == {DEAD_LETTERS_TOPIC, RESENT_TOPIC} and not topics.records[RESENT_TOPIC]
    assert "1 sent again" in run("resend", "--topic", "support.chats")


def test_topics_of_an_application_that_is_named_are_written(
    topics: Topics, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("app") / "tickets.toml"
    file.write_text('name = "tickets"\ntopic = "crm.tickets"\n[[heads]]\nname = "reason"\ncolumn = "label"\n')
    topics.letter(topic="crm.tickets")
    topics.letter(topic="decisions.tickets")
    assert "crm.tickets" in run("resend", "--all", code=1)
    assert "2 sent again" in run("resend", "--all", "--app", str(file))


def test_a_record_keeps_its_own_time_key_and_headers(topics: Topics) -> None:
    """D-A4: a record that was sent again came with the time of the resend, and so changed its month."""
    topics.letter(timestamp_ms=OWN_TIME_MS)
    run("resend", "0-0")
    (record,) = topics.records["support.chats"]
    assert (record.timestamp_ms, record.key, record.value) == (OWN_TIME_MS, b"k", b'{"text": ')
    assert record.headers == (("trace", b"t1"), ("headrace-resent", b"0-0"))


def test_a_time_that_no_broker_takes_is_left_out(topics: Topics) -> None:
    topics.letter(timestamp_ms=1_790_000_000_000_000)
    run("resend", "0-0")
    assert topics.records["support.chats"][0].timestamp_ms == AT_MS


def test_what_was_sent_again_is_not_sent_twice(topics: Topics) -> None:
    topics.letter()
    assert "1 sent again" in run("resend", "--all")
    assert "0 sent again, 1 left out" in run("resend", "--all")
    assert "1 sent again" in run("resend", "--all", "--again")


def test_a_list_holds_no_more_than_it_shows(topics: Topics) -> None:
    """D-B11: every letter was held in memory with its value."""
    from headrace.settings import load_settings
    from headrace.tools.dead_letters import DeadLetterFilter, DeadLetterQueue, listing

    for number in range(30):
        topics.letter(error=f"error {number}")
    letters = DeadLetterQueue(Wiring(load_settings())).letters(DeadLetterFilter())
    newest = listing(letters, 3)
    assert (newest.total, newest.by_reason) == (30, {"not_json": 30})
    assert [entry["error"] for entry in newest.newest] == ["error 27", "error 28", "error 29"]
    assert all("value" not in entry for entry in newest.newest)


def test_a_value_cut_within_a_character_is_still_text() -> None:
    from headrace.tools.dead_letters import shown_value

    assert shown_value("é".encode() * 3_000).startswith("éé")
    assert shown_value(b"\xff\x00") == "ff 00"


def test_a_letter_of_a_topic_that_was_made_again_was_not_sent_again(topics: Topics) -> None:
    """S-A11: letters were remembered by partition and offset alone: after `deadletters` was made again, new letters
    counted as sent."""
    topics.letter()
    assert "1 sent again" in run("resend", "0-0")
    assert "sent again" in run("list")
    topics.records[DEAD_LETTERS_TOPIC].clear()
    topics.epoch = "bbbbbbbb"
    topics.letter()
    assert "sent again" not in run("list")


@pytest.mark.parametrize(("at", "counts"), [("2026-09-21T15:00:00.000Z", True), ("2026-09-21T11:00:00.000Z", False)])
def test_a_mark_of_an_older_headrace_counts_for_letters_that_are_older_than_it(
    at: str, counts: bool, topics: Topics
) -> None:
    topics.letter()
    topics.send(RESENT_TOPIC, b'{"at": "' + at.encode() + b'"}', b"0-0")
    assert ("sent again" in run("list")) is counts
