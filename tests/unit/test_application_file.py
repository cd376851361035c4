"""An application's file is checked against itself, and a mistake is one line with the way out."""

from pathlib import Path

import pytest

from headrace.applications import SHIPPED, application_name, load_application, load_applications
from models.errors import ConfigError
from streams.application import Application, labels_without_use, parse_application, refusals, unknown_labels

FILE = """
name = "tickets"
{top}
topic = "{topic}"
[source]
{source}
[[heads]]
name = "reason"
column = "label"
[[heads]]
name = "urgency"
column = "urgency"
{end}
"""


def parsed(topic: str = "crm.tickets", top: str = "", source: str = 'text = "/body"', end: str = "") -> Application:
    return parse_application(FILE.format(topic=topic, top=top, source=source, end=end), Path(), "tickets.toml")


def refused(**parts: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        parsed(**parts)
    line = str(refusal.value)
    assert line.startswith("tickets.toml: ") and "\n" not in line and "Value error" not in line
    return line


OWN = ["decisions.tickets", "signals.tickets", "trials.tickets", "deadletters", "deadletters.resent", "feedback.labels"]


@pytest.mark.parametrize("topic", [*OWN, "alerts", "model.releases", "retrain.requests"])
def test_an_application_does_not_read_what_headrace_writes(topic: str) -> None:
    """F-18: an application that read its own decisions turned one record into 486 of them in 5 seconds, endlessly."""
    assert topic in refused(topic=topic)
    assert topic in refused(top=f'priority_topics = ["{topic}"]')


@pytest.mark.parametrize("priority", ['["crm.tickets"]', '["crm.urgent", "crm.urgent"]'])
def test_a_topic_is_not_read_twice(priority: str) -> None:
    """F-19: priority_topics that held the topic decided and sent each record twice."""
    assert "stands twice" in refused(top=f"priority_topics = {priority}")


@pytest.mark.parametrize("topic", [".", "..", "", "crm/tickets", "crm.*", "tïckets"])
def test_a_name_that_kafka_takes_for_no_topic_is_refused_in_one_line(topic: str) -> None:
    """F-21: topic "." ended in 600 characters of CreateTopicsRequest."""
    assert "topic: " in refused(topic=topic)


@pytest.mark.parametrize("topic", ["crm.t4", "CRM_Tickets.V2", "a..b", "-"])
def test_odd_names_that_kafka_takes_are_taken(topic: str) -> None:
    """F-20."""
    assert parsed(topic=topic).topic == topic


@pytest.mark.parametrize(
    ("pointer", "written"),
    [
        ("payload.body", "'/payload/body'"),
        ("$.payload.body", "'/payload/body'"),
        ("body", "'/body'"),
        ("payload/body", "'/payload/body'"),
        ("/a~b", "'/a~0b'"),
        ("/a~", "'/a~0'"),
    ],
)
def test_a_pointer_that_is_none_is_explained(pointer: str, written: str) -> None:
    """F-77: "String should match pattern". F-38: "/a~b" was a traceback of the pointers' library at the start."""
    assert f"write {written}" in refused(source=f'text = "{pointer}"')
    assert f"write {written}" in refused(source=f'key = "{pointer}"')


@pytest.mark.parametrize("pointer", ["", "/body", "/a/0/b", "/a~0b~1c", "/", "/ä"])
def test_pointers_are_taken(pointer: str) -> None:
    assert parsed(source=f'text = "{pointer}"').source.text == pointer


SURGE = '[[surges]]\nlabel = "angry"\nshare = 0.5\nhead = "{}"\n{}'


def test_a_surge_names_a_head_that_there_is() -> None:
    """F-76: a misspelt head was taken, and the alert never fired."""
    assert "did you mean 'urgency'" in refused(end=SURGE.format("urgencyy", ""))
    assert "surges.0.by" in refused(end=SURGE.format("urgency", 'by = "reasons"'))
    assert "[source]" in refused(end=SURGE.format("urgency", 'by = "symbols"'))
    assert parsed(end=SURGE.format("urgency", 'by = "reason"')).surges[0].by == "reason"


def test_unknown_fields_are_named_with_the_near_one() -> None:
    assert "deadline_second: there is no such field; did you mean 'deadline_seconds'?" in refused(
        top="deadline_second = 5"
    )
    assert "source.txt: there is no such field; did you mean 'text'?" in refused(source='txt = "/a"')


def test_two_heads_have_two_names_and_each_a_column() -> None:
    assert "two [[heads]]" in refused(end='[[heads]]\nname = "reason"\ncolumn = "x"')
    assert "heads.2.column" in refused(end='[[heads]]\nname = "third"\ncolumn = ""')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"\xef\xbb\xbf" + FILE.format(topic="t", top="", source="", end="").encode(), None, id="mark"),
        pytest.param(FILE.format(topic="t", top="", source="", end="").replace("\n", "\r\n").encode(), None, id="CRLF"),
        pytest.param(FILE.format(topic="t", top="", source="", end="").encode("utf-16"), "is UTF-16", id="UTF-16"),
        pytest.param(b'name = "caf\xe9"', "not UTF-8 .line 1", id="Latin-1"),
        pytest.param(b"", "name: this field is missing", id="empty"),
        pytest.param(b'{"name": "x"}', "no valid TOML", id="JSON"),
        pytest.param("name = “tickets”".encode(), "no valid TOML", id="smart quotes"),
        pytest.param(b'name = "t"\ntopic = "a"\ntopic = "b"', "no valid TOML", id="a field twice"),
        pytest.param(
            b'name = "t"\ntopic = ["a", "b"]\n', "topic: must be a text in quotation marks, not a list", id="a list"
        ),
        pytest.param(b'name = "my tickets"\ntopic = "t"\n', "it begins with a small letter", id="a name with a blank"),
    ],
)
def test_files_are_read_as_editors_write_them_or_refused_in_one_line(
    content: bytes, says: str | None, tmp_path: Path
) -> None:
    """F-75: a byte order mark made a file "Invalid statement (at line 1, column 1)". F-78."""
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    if says is None:
        assert load_application(str(file)).name == "tickets"
        return
    with pytest.raises(ConfigError, match=says) as refusal:
        load_application(str(file))
    assert "mine.toml" in str(refusal.value) and "\n" not in str(refusal.value)


def test_applications_started_together_do_not_read_each_others_output(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(FILE.format(topic="decisions.support", top="", source="", end=""))
    with pytest.raises(ConfigError, match=r"reads decisions\.support, which support writes"):
        load_applications([str(tmp_path / "a.toml"), "support"])


def test_an_application_knows_how_commands_take_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FILE.format(topic="t", top="", source="", end=""))
    assert load_application(str(tmp_path / "mine.toml")).given_as == str(tmp_path / "mine.toml")
    assert load_application("support").given_as == "support"


def test_labels_that_the_model_never_gives_are_named() -> None:
    """N-7: a misspelt label in [queues] passed `doctor`, and its queue got nothing."""
    app = parsed(end=SURGE.format("urgency", "") + '\n[queues]\nrefnd = "money"\nparcel = "goods"\n[answers]\nx = "y"')
    said = list(labels_without_use(app, {"reason": ["refund", "parcel"], "urgency": ["high", "low"]}))
    assert len(said) == 3
    assert said[0] == "[queues] names 'refnd', which the model never decides; did you mean 'refund'?"
    assert (
        "[answers] names 'x', which the model does not decide yet" in said[1]
        and "watches urgency for 'angry'" in said[2]
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_applications_are_read(name: str) -> None:
    assert load_application(name).name == name


def test_doctor_names_a_queue_of_a_label_that_the_model_never_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-7: a misspelt label in [queues] passed `doctor`. N-8: it said that a first model comes from the corpus where
    there was none."""
    from small_release import small_release

    from headrace.settings import load_settings
    from headrace.tools.doctor.places import examine_registry
    from headrace.wiring import Wiring

    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    file = tmp_path / "mine.toml"
    head = '[[heads]]\nname = "intent"\ncolumn = "intent"\n'
    file.write_text(f'name = "support"\ntopic = "t"\n{head}[queues]\nrefnd = "money"\n')
    wiring, app = Wiring(load_settings()), load_application(str(file))
    (finding,) = examine_registry(wiring, [app])
    assert f"`headrace train {file} --data FILE --register`" in finding.detail
    release = small_release()
    wiring.registry().publish("support", release.manifest, release.blobs)
    wiring.registry().promote("support", "1")
    model, labels = examine_registry(wiring, [app])
    assert model.ok and not labels.ok
    assert "'refnd', which the model never decides; did you mean 'refund'?" in labels.detail


PLAIN = 'name = "t"\ntopic = "a"\n[[heads]]\nname = "r"\ncolumn = "r"\n'
SLIPS = {
    "one bracket": (PLAIN.replace("[[heads]]", "[heads]"), "heads: write [[heads]], in two brackets"),
    "two brackets": (PLAIN + '[[queues]]\nlate = "a"\n', "queues: write [queues], in one bracket"),
    "no table": ('source = "/x"\n' + PLAIN, "source: is a table: write [source]"),
    "no list": ('priority_topics = "x"\n' + PLAIN, "priority_topics: must be a list"),
    "number": (PLAIN + "[queues]\nlate = 3\n", "queues.late: must be a text in quotation marks, not a number"),
    "queue without a name": (PLAIN + '[queues]\nlate = " "\n', "queues.late: a queue needs a name"),
    "holiday in quotation marks": (
        PLAIN + '[opening.office]\nmonday = ["09:00-12:00"]\nholidays = ["25.12.2026"]\n',
        "opening.office.holidays.0: must be a day, without quotation marks: 2026-12-25, not 25.12.2026",
    ),
    "holiday as a number": (PLAIN + "[opening.office]\nholidays = [20261225]\n", "must be a day"),
    "holiday with a time": (PLAIN + "[opening.office]\nholidays = [2026-12-25T09:00:00]\n", "must be a day"),
    "below a table": (PLAIN + 'human_queue = "x"\n', "it belongs to the top of the file"),
    "rejection": (PLAIN + "[rejection]\ntarget = 0.1\n", "did you mean 'target_error'?"),
    "label in Chinese": (PLAIN + '[queues]\n退款 = "a"\n', 'stands in quotation marks: "退款" = ...'),
    "label with a blank": (PLAIN + '[queues]\nlate parcel = "a"\n', 'stands in quotation marks: "late parcel" = ...'),
    "bare word": (PLAIN + "[queues]\nlate = desk\n", 'a text stands in quotation marks: late = "desk"'),
    "a path of Windows": (
        f'corpus = "C:\\Users\\anna\\my texts.csv"\n{PLAIN}',
        "write / in a path, or single quotation marks",
    ),
    "smart quotes": (PLAIN.replace('"a"', "“a”"), "topic = “a”; use straight quotation marks"),
    "label twice": (PLAIN + '[queues]\nlate = "a"\nlate = "b"\n', "this name stands in the table twice"),
}


@pytest.mark.parametrize(("text", "says"), SLIPS.values(), ids=SLIPS)
def test_a_slip_of_somebody_who_does_not_program_is_told_with_what_to_write(text: str, says: str) -> None:
    """They were told in Python's words: "heads: Input should be a valid tuple", "Invalid statement (at line 7)"."""
    with pytest.raises(ConfigError) as refusal:
        parse_application(text, Path(), "tickets.toml")
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_all_that_is_wrong_is_told_at_once_where_that_is_asked_for() -> None:
    text = PLAIN + "[rejection]\ntarget = 0.05\n[queues]\nlate = 3\n[soruce]\ntext = '/x'\n"
    assert [refusal.where for refusal in refusals(text)] == ["queues.late", "rejection.target", "soruce"]
    surge = '[[surges]]\nhead = "mood"\nlabel = "bad"\nshare = 0.5\n'
    assert [refusal.where for refusal in refusals(PLAIN + surge)] == ["surges.0.head"]
    assert refusals(PLAIN) == ()


def test_labels_that_no_example_has_are_told_with_their_place() -> None:
    surge = '[[surges]]\nhead = "r"\nlabel = "los"\nshare = 0.5\n'
    app = parse_application(PLAIN + '[queues]\nlate = "a"\nlots = "b"\n' + surge, Path(), "tickets.toml")
    assert [str(wrong) for wrong in unknown_labels(app, {"r": ["late", "lost"]})] == [
        "queues.lots: no example has this label; did you mean 'lost'?",
        "surges.0: no example has the label 'los' for r; did you mean 'lost'?",
    ]


def test_a_name_whose_file_lies_here_is_answered_with_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickets.toml").write_text(FILE.format(topic="t", top="", source="", end=""), "utf-8")
    with pytest.raises(ConfigError, match=r"did you mean tickets.toml\?"):
        load_application("tickets")
    assert application_name("tickets.toml") == application_name("tickets") == "tickets"
    assert application_name("support") == "support" and application_name("gone") == "gone"
