"""`headrace load`: rows of a file as records of a topic."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.wiring import Wiring
from streams.application import parse_application
from streams.wire.source_records import SourceReader

TICKETS = """
name = "tickets"
topic = "crm.tickets"
[source]
{source}
[[heads]]
name = "reason"
column = "label"
"""
NESTED = 'text = "/payload/body"\nkey = "/payload/customer/id"\nat = "/payload/created"'


class Broker:
    """Topics that there are, and what was sent to them."""

    def __init__(self, *topics: str) -> None:
        self.topics, self.sent = topics, []  # type: ignore[var-annotated]

    def describe(self, names: Iterable[str]) -> dict[str, None]:
        return {name: None for name in names if name in self.topics}

    def send(self, topic: str, value: bytes, key: bytes | None) -> None:
        self.sent.append((topic, key, value))

    def flush(self) -> list[tuple[str, int, int]]:
        confirmed = [(topic, 0, offset) for offset, (topic, _, _) in enumerate(self.sent[self.flushed :])]
        self.flushed = len(self.sent)
        return confirmed

    flushed = 0

    def close(self) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Broker:
    made = Broker("crm.tickets", "elsewhere")
    monkeypatch.setattr(Wiring, "admin", lambda self: made)
    monkeypatch.setattr(Wiring, "publisher", lambda self: made)
    monkeypatch.chdir(tmp_path)
    return made


def load(content: str, *options: str, code: int = 0, name: str = "rows.csv") -> tuple[dict[str, Any], str]:
    Path(name).write_text(content)
    done = CliRunner().invoke(cli, ["load", name, *options, "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return (json.loads(done.stdout) if done.stdout.startswith("{") else {}), f"{done.stderr}{done.exception or ''}"


def application(source: str) -> str:
    Path("tickets.toml").write_text(TICKETS.format(source=source))
    return "tickets.toml"


def as_read(source: str, value: bytes, key: bytes | None) -> tuple[str, str | None]:
    """What a worker makes of a record."""
    reader = SourceReader(parse_application(TICKETS.format(source=source), Path(), "t").source)
    read = reader.parse(value, key, 1_790_000_000_000)
    return read.text, read.key


@pytest.mark.parametrize(
    ("source", "columns"),
    [
        pytest.param(NESTED, "body,id,created", id="columns like the ends of the pointers"),
        pytest.param(NESTED, "text,key,at", id="columns like the roles"),
        pytest.param('text = "/0/text"\nkey = "/1"', "text,key,x", id="numbers in a pointer"),
        pytest.param('text = "/a~1b"\nkey = "/k"', "a/b,k,x", id="a slash in a name"),
        pytest.param('text = "/text/body"\nkey = "/k"', "text,k,x", id="a column where an object must stand"),
        pytest.param('text = ""', "text,key,x", id="the record itself"),
        pytest.param('format = "text"', "text,key,x", id="plain text"),
    ],
)
def test_records_have_the_shape_that_the_application_reads(source: str, columns: str, broker: Broker) -> None:
    """N-1: the quick start's application read /payload/body, `load` sent the CSV's columns, and each record became a
    dead letter while `load` said "0 rejected"."""
    report, _ = load(f"{columns}\nwhere is it?,k1,2026-11-24\n", "--app", application(source))
    assert (report["sent"], report["rejected"]) == (1, 0)
    ((topic, key, value),) = broker.sent
    assert topic == "crm.tickets" and key == b"k1"
    assert as_read(source, value, key) == ("where is it?", "k1")


def test_a_title_and_its_body_go_to_their_places_and_either_may_be_missing(broker: Broker) -> None:
    source = 'text = "/title"\nbody = "/content/body"'
    rows = 'title,body\nA headline,"What stands below it,\nline by line"\nAlone,\n,Below nothing\n,\n'
    report, _ = load(rows, "--app", application(source))
    assert (report["sent"], report["rejected"]) == (3, 0)  # a row of empty cells is none
    assert [as_read(source, value, None)[0] for _, _, value in broker.sent] == [
        "A headline\nWhat stands below it,\nline by line",
        "Alone",
        "Below nothing",
    ]


def test_the_time_goes_to_its_place_and_other_columns_go_along(broker: Broker) -> None:
    load("body,id,created,channel\nhello,7,2026-11-24T10:00:00Z,mail\n", "--app", application(NESTED))
    body = {"payload": {"body": "hello", "customer": {"id": "7"}, "created": "2026-11-24T10:00:00Z"}}
    assert json.loads(broker.sent[0][2]) == {"channel": "mail", **body}


def test_columns_of_other_names_are_given_by_hand_and_a_topic_too(broker: Broker) -> None:
    options = ("--text-column", "message", "--key-column", "who", "--topic", "elsewhere")
    load("message,who\nhello,7\n", "--app", application(NESTED), *options)
    topic, key, value = broker.sent[0]
    assert (topic, key) == ("elsewhere", b"7") and as_read(NESTED, value, key) == ("hello", "7")


def test_json_lines_that_have_the_shape_stay_as_they_are(broker: Broker) -> None:
    record = {"payload": {"body": "hello", "customer": {"id": 7}}, "text": "something else"}
    load(json.dumps(record) + "\n", "--app", application(NESTED), name="rows.jsonl")
    assert json.loads(broker.sent[0][2]) == record


def test_a_file_without_a_column_for_the_text_is_refused_with_the_way_out(broker: Broker) -> None:
    _, said = load("message,who\nhello,7\n", "--app", application(NESTED), code=1)
    assert "message, who" in said and "--text-column" in said and not broker.sent


def test_user_events_get_the_shape_of_a_recommending_application(broker: Broker) -> None:
    broker.topics = ("user.events",)
    load("user_id,item_id,action\nu1,i1,view\n", "--app", "recommend")
    topic, key, value = broker.sent[0]
    assert (topic, key) == ("user.events", b"u1")
    assert json.loads(value) == {"user_id": "u1", "item_id": "i1", "action": "view"}


def test_a_file_of_which_nothing_could_be_sent_is_a_failure(broker: Broker) -> None:
    """F-58: all rows were rejected, with exit 0."""
    report, said = load("text,label\nx,a,\ny,b,\n", "--topic", "crm.tickets", code=1)
    assert report == {
        "sent": 0,
        "rejected": 2,
        "seconds": report["seconds"],
        "rejected_rows": [
            {"line": 2, "reason": "3 fields where the header has 2"},
            {"line": 3, "reason": "3 fields where the header has 2"},
        ],
    }
    assert "line 2: 3 fields where the header has 2" in said


def test_a_row_that_is_too_large_is_listed_and_the_rest_is_sent(broker: Broker) -> None:
    """F-60."""
    report, said = load(f"text\nx\n{'y' * 1_100_000}\nz\n", "--topic", "crm.tickets")
    assert (report["sent"], report["rejected"]) == (2, 1) and "line 3" in said


def test_a_limit_ends_the_reading(broker: Broker) -> None:
    report, _ = load("text\n" + "x\n" * 50, "--topic", "crm.tickets", "--limit", "3")
    assert report["sent"] == 3


def test_standard_input_is_a_file(broker: Broker) -> None:
    """F-61: `load -` was "there is no file -"."""
    done = CliRunner().invoke(cli, ["load", "-", "--topic", "crm.tickets"], input="text\nhello\n")
    assert done.exit_code == 0 and json.loads(broker.sent[0][2]) == {"text": "hello"}


def test_neither_topic_nor_application_is_wrong_usage(broker: Broker) -> None:
    Path("rows.csv").write_text("text\nx\n")
    assert CliRunner().invoke(cli, ["load", "rows.csv"]).exit_code == 2


def test_two_columns_of_texts_are_refused(broker: Broker) -> None:
    _, said = load("text,text\nx,y\n", "--topic", "crm.tickets", code=1)
    assert "two columns 'text'" in said


def test_a_key_and_a_time_in_columns_of_other_names_are_missed_and_can_be_named(broker: Broker) -> None:
    """A sheet's numbers and days went along as other fields: each text was alone, and of the moment of loading."""
    sheet, app = "body,Nr.,Fecha\nhola,Q-1,2026-11-24 10:30\n", application(NESTED)
    _, said = load(sheet, "--app", app)
    assert "no column for key (/payload/customer/id; --key-column) and time (/payload/created; --time-column)" in said
    assert "records belong to nobody and have the time of loading" in said
    _, said = load(sheet, "--app", app, "--key-column", "Nr.", "--time-column", "Fecha")
    _, key, value = broker.sent[-1]
    body = {"body": "hola", "customer": {"id": "Q-1"}, "created": "2026-11-24 10:30"}
    assert (key, json.loads(value), said) == (b"Q-1", {"payload": body}, "")
    _, said = load(sheet, "--app", app, "--key-column", "Nr.", "--time-column", "Datum", code=1)
    assert "no column 'Datum'" in said and len(broker.sent) == 2


def test_what_an_application_does_not_read_is_not_missed(broker: Broker) -> None:
    _, said = load("body,id,created\nhola,1,2026-11-24\n", "--app", application(NESTED))
    assert said == ""
    record = {"payload": {"body": "hola", "customer": {"id": 7}}}
    _, said = load(json.dumps(record) + "\n", "--app", application(NESTED), name="rows.jsonl")
    assert said == ""
    assert CliRunner().invoke(cli, ["load", "rows.csv", "--topic", "crm.tickets", "--time-column", "x"]).exit_code == 2


def test_times_that_no_worker_reads_are_told_with_the_first(broker: Broker) -> None:
    """A sheet's days as its country writes them were sent, and each was set aside later."""
    rows = "body,id,created\nhola,1,2026-11-24\nhola,2,24.11.2026 10:30\nhola,3,gestern\nhola,4,\n"
    report, said = load(rows, "--app", application(NESTED))
    assert report["sent"] == 4
    assert "times that are not read: 2, the first '24.11.2026 10:30' in line 3; such records have the time" in said
