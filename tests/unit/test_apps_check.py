"""`headrace apps check` proves an application's file, says each thing that does not fit, and leaves nothing behind."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_release import small_encoder
from typer.testing import CliRunner

import headrace.tools.apps.problems as problems
import headrace.training.from_file as from_file
from headrace.cli import app as cli
from headrace.releases.encoders import standing_encoder
from headrace.tools.apps.new import Starter, write_starter
from models.errors import ConfigError

RECORDS = [
    {"id": "a", "text": "the lift is stuck", "at": "2026-11-01T10:00:00Z"},
    {"id": "b", "text": "when do you open"},
]


@pytest.fixture(autouse=True)
def a_small_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(from_file, "default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr(from_file, "source_of_encoder", lambda wiring: {"name": "small", "weights_sha256": "0" * 64})
    monkeypatch.setattr(problems, "standing_encoder", lambda wiring: object())
    write_starter(Starter("desk", tmp_path, ("intent", "urgency")))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["apps", "check", *arguments])


def checked(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    proof: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if proof["in_order"] else 1)
    return proof


def said(*arguments: str) -> dict[str, str]:
    return {problem["field"]: problem["says"] for problem in checked(*arguments)["problems"]}


def mend(old: str, new: str, file: str = "desk.toml") -> None:
    path = Path(file)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def records(*lines: object) -> tuple[str, str]:
    Path("some.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return "--records", "some.jsonl"


def test_what_apps_new_writes_is_in_order() -> None:
    proof = checked("desk.toml")
    assert proof["in_order"] and not proof["problems"] and proof["heads"] == ["intent", "urgency"]
    assert proof["trained"]["rows"] == 24 and proof["trained"]["tested"] == len(proof["records"]) == 6
    first = proof["records"][0]
    assert set(first["labels"]) == set(first["expected"]) == {"intent", "urgency"}
    assert first["action"].startswith("queue:") and first["rejected"] is first["labels"]["intent"]["rejected"]
    lines = Path("desk.csv").read_text("utf-8").splitlines()
    assert first["text"] in lines[first["record"] - 1]


def test_nothing_is_left_behind() -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    checked("desk.toml", *records(*RECORDS))
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert after == before | {Path("some.jsonl"): Path("some.jsonl").read_bytes()}
    assert not list(Path("scratch").iterdir())


def test_people_see_a_table_and_the_verdict() -> None:
    done = run("desk.toml")
    assert done.exit_code == 0 and done.stdout.rstrip().endswith("desk.toml is in order")
    assert "leads to" in done.stdout and "intent: " in done.stdout and "did not train: intent" in done.stdout


def test_the_first_ten_records_of_a_topic_are_decided() -> None:
    proof = checked("desk.toml", *records(*(RECORDS * 6)))
    assert proof["in_order"] and [record["record"] for record in proof["records"]] == list(range(1, 11))
    assert proof["records"][0]["text"] == "the lift is stuck" and "expected" not in proof["records"][0]


def test_personal_data_is_masked_where_the_file_says_so() -> None:
    mend('human_queue = "people"', 'human_queue = "people"\nmask_personal_data = true')
    proof = checked("desk.toml", *records({"id": "a", "at": 1_790_000_000, "text": "write to jo@example.com please"}))
    assert "jo@example.com" not in json.dumps(proof)


def test_all_that_keeps_the_file_from_being_an_application_is_told() -> None:
    mend('topic = "desk.texts"', 'topic = "a/b"\ncolour = "red"')
    told = said("desk.toml")
    assert set(told) == {"topic", "colour"} and "cannot be a topic's name" in told["topic"]
    mend('topic = "a/b"', "topic = a")
    assert "stands in quotation marks" in said("desk.toml")["desk.toml"]


SLIPS = {
    "column": ('column = "urgency"', 'column = "urgncy"', "heads.1.column", "did you mean 'urgency'?"),
    "queue": ('question = "desk"', 'questoin = "desk"', "queues.questoin", "did you mean 'question'?"),
    "no queue": ('praise = "desk"\n', "", "queues", "no queue for 'praise': such texts go to 'people'"),
    "answer": ('question = "Thank', 'hello = "Thank', "answers.hello", "no example has this label"),
    "corpus": ('corpus = "desk.csv"', 'corpus = "dsk.csv"', "corpus", "there is no file dsk.csv"),
    "no corpus": ('corpus = "desk.csv"', "", "corpus", "no examples are named"),
    "surge": (
        "# All that",
        '[[surges]]\nhead = "intent"\nlabel = "prais"\nshare = 0.5\n# All that',
        "surges.0",
        "did you mean 'praise'?",
    ),
}


@pytest.mark.parametrize(("old", "new", "field", "says"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_with_its_field_and_the_way_out(old: str, new: str, field: str, says: str) -> None:
    mend(old, new)
    told = said("desk.toml")
    assert says in told[field] and "\n" not in told[field]


def test_examples_of_no_use_and_labels_of_few_texts_are_told() -> None:
    with Path("desk.csv").open("a") as file:
        file.write("one of its kind,rare,normal\n,question,normal\n")
    told = said("desk.toml")
    assert "empty text (line 33)" in told["corpus"] and "'rare' 1" in told["heads.0"] and "'rare'" in told["queues"]


def test_a_target_that_the_examples_cannot_keep_is_told() -> None:
    mend("# [rejection]\n# target_error = 0.05", "[rejection]\ntarget_error = 0.0001")
    assert "no threshold keeps the target error" in said("desk.toml")["corpus"]


def test_fields_that_no_record_has_are_told_with_what_was_meant() -> None:
    moved = {"message": {"text": "the lift is stuck"}, "ids": 7, "created": "2026-11-01"}
    told = said("desk.toml", *records(moved, RECORDS[1] | {"id": None}))
    assert told["source.text"] == "no text stands at '/text' in record 1; did you mean '/message/text'?"
    assert "did you mean '/ids'?" in told["source.key"] and "/created" in told["source.at"]


def test_records_without_a_conversation_are_told() -> None:
    text = Path("desk.toml").read_text("utf-8")
    Path("desk.toml").write_text(f"{text}\n[conversations]\n[hand_over]\n", "utf-8")
    mend('key = "/id"', 'key = "/chat"')
    belong = [{"text": "the lift is stuck", "chat": "c1"}, {"text": "when do you open", "chat": "c2"}]
    assert "source.key" not in said("desk.toml", *records(*belong))
    told = said("desk.toml", *records(*belong, {"text": "hello"}, {"text": "hello", "chat": ""}))["source.key"]
    assert told.startswith("nothing stands at '/chat' in records 3, 4") and "nobody is handed it" in told
    assert "any of 1 record" in said("desk.toml", *records({"text": "hello"}))["source.key"]


def test_fields_that_only_the_defaults_name_need_not_be_there() -> None:
    mend('key = "/id"', "")
    mend('at = "/at"', "")
    assert checked("desk.toml", *records({"text": "the lift is stuck"}))["in_order"]


def test_a_sample_may_be_of_any_age() -> None:
    assert checked("desk.toml", *records(RECORDS[0] | {"at": "2009-05-01"}, RECORDS[1] | {"at": 1_100_000_000}))[
        "in_order"
    ]


def test_records_in_a_list_are_told_to_stand_on_lines() -> None:
    told = said("desk.toml", *records(RECORDS))
    assert list(told) == ["source.text"] and "not a list, and stands on a line of its own" in told["source.text"]


def test_examples_in_another_encoding_are_told_to_be_saved_as_utf_8() -> None:
    """What a spreadsheet in China saves without being asked."""
    write_starter(Starter("wenti", Path(), language="zh"))
    text = Path("wenti.csv").read_text("utf-8-sig")
    Path("wenti.csv").write_text(text, "gb18030")
    assert "save the file as UTF-8 (in a spreadsheet: CSV UTF-8)" in said("wenti.toml")["corpus"]
    write_starter(Starter("frage", Path()))
    with Path("frage.csv").open("ab") as file:
        file.writelines("Lüfter läuft,problem\n".encode("cp1252") for _ in range(3))
    Path("frage.csv").write_bytes(Path("frage.csv").read_bytes().replace(b",praise\n", b",praise \xe4\n"))
    assert list(said("frage.toml")) == ["corpus"], "what the rows that are left lack is no news"


def test_records_in_another_encoding_are_told_to_be_saved_as_utf_8() -> None:
    Path("some.jsonl").write_bytes('{"text": "wo ist die Tür"}\n'.encode("latin-1"))
    assert said("desk.toml", "--records", "some.jsonl")["source"].endswith("; save the file as UTF-8")


def test_a_time_that_is_not_believed_and_a_record_that_is_none_are_told() -> None:
    arguments = records(RECORDS[0] | {"at": "yesterday"})
    with Path("some.jsonl").open("a") as file:
        file.write("no json\n")
    told = said("desk.toml", *arguments)
    assert told["source.at"].startswith("'yesterday' is no time")
    assert told["source"].startswith("record 2 cannot be read (not_json)")


def test_an_encoder_that_is_unknown_not_here_or_of_another_script_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "standing_encoder", lambda wiring: None)
    assert "`headrace encoders add" in said("desk.toml")["encoder"]
    monkeypatch.setattr(problems, "standing_encoder", standing_encoder)
    mend('# encoder = "zh"', 'encoder = "xx"')
    assert "encoder 'xx' is unknown" in said("desk.toml")["encoder"]


def test_texts_in_a_script_that_the_encoder_does_not_read_are_told(tmp_path: Path) -> None:
    write_starter(Starter("wenti", tmp_path, language="zh"))
    assert checked("wenti.toml")["in_order"]
    mend('encoder = "zh"', "", "wenti.toml")
    assert 'write encoder = "zh"' in said("wenti.toml")["encoder"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(("nope.toml",), "no application 'nope.toml'", id="no file"),
        pytest.param(("desk.toml", "--records", "nope.jsonl"), "cannot be read", id="no records"),
    ],
)
def test_what_cannot_be_checked_at_all_is_one_line(arguments: tuple[str, ...], why: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, ConfigError) and why in str(done.exception)


def test_a_record_is_routed_by_its_own_fields_and_time() -> None:
    tables = '[priority]\ncriticality = "/urgent"\nimpact = "/tier"\n[priority.table.true]\ngold = "P1"\n'
    tables += "[service_levels.default]\nresponse_minutes = 30\n"
    Path("desk.toml").write_text(Path("desk.toml").read_text("utf-8") + tables, "utf-8")
    urgent = RECORDS[0] | {"urgent": True, "tier": "gold"}
    proof = checked("desk.toml", *records(urgent, RECORDS[1]))
    first, second = proof["records"]
    assert (first["priority"], first["respond_by"]) == ("P1", "2026-11-01T10:30:00.000Z")
    assert second["priority"] is None and second["respond_by"]
    assert "P1" in run("desk.toml", "--records", "some.jsonl").stdout


def test_a_priority_by_a_field_that_no_record_has_is_told() -> None:
    table = '[priority]\ncriticality = "urgency"\nimpact = "/teir"\n[priority.table.high]\ngold = "P1"\n'
    Path("desk.toml").write_text(Path("desk.toml").read_text("utf-8") + table, "utf-8")
    told = said("desk.toml", *records(RECORDS[0] | {"tier": "gold"}))
    assert told["priority.impact"] == "nothing stands at '/teir' in any of 1 record; did you mean '/tier'?"


def test_a_list_of_names_that_cannot_be_read_is_told_under_its_field() -> None:
    Path("names.csv").write_text("id,title\na,A\n", "utf-8")
    Path("said.jsonl").write_text("{}\n", "utf-8")
    table = '[entities]\nnames = "names.csv"\ncorpus = "said.jsonl"\n'
    Path("desk.toml").write_text(Path("desk.toml").read_text("utf-8") + table, "utf-8")
    told = said("desk.toml")
    assert "has no column 'name'" in told["entities"]


def test_values_questions_and_lists_of_names_are_told() -> None:
    tables = """[slots.order]
pattern = '#\\d+'
asked_by = {intent = ["question", "nothing-like-it"]}
ask = "Which order?"
[slots.product]
kind = "names"
names = "products.csv"
[privacy]
mask = true
"""
    Path("desk.toml").write_text(Path("desk.toml").read_text("utf-8") + tables, "utf-8")
    assert "products.csv" in said("desk.toml")["slots"]
    Path("products.csv").write_text("id,name\nlamp,Lamp\n", "utf-8")
    text = "please refund order #17 with the Lamp to ada@example.org"
    proof = checked("desk.toml", *records(RECORDS[0] | {"text": text}))
    assert "'nothing-like-it'" in next(one["says"] for one in proof["problems"] if one["field"].startswith("slots"))
    (record,) = proof["records"]
    assert record["text"] == "please refund order #17 with the Lamp to [email]"
    assert [(slot["name"], slot["value"]) for slot in record["slots"]] == [("order", "#17"), ("product", "lamp")]
    assert "product: lamp" in run("desk.toml", *records(RECORDS[0] | {"text": text})).output


def test_records_that_are_all_passed_over_are_nothing_to_mend() -> None:
    deleted = {"id": "a", "at": "2026-11-01T10:00:00Z", "op": "d", "before": {"text": "x"}, "after": None}
    mend('text = "/text"', 'text = "/after/text"')
    done = run("desk.toml", *records(deleted))
    assert done.exit_code == 1 and "nothing was decided, as no record holds a text" in done.stderr + done.stdout


HAND_OVER = """
[conversations]
[hand_over]
says = "A colleague will answer you."
answers_alone = ["opening_hours"]
chain = ["duty"]
step_minutes = 30
remind_minutes = 15
[service_levels.default]
response_minutes = 60
"""


def with_hand_over(tables: str = HAND_OVER) -> None:
    path = Path("desk.toml")
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n{tables}", "utf-8")


def test_ten_records_go_through_the_dispatcher_until_the_clock_has_nothing_more() -> None:
    with_hand_over(HAND_OVER.replace('answers_alone = ["opening_hours"]\n', ""))
    proof = checked("desk.toml", *records(*RECORDS))
    assert proof["in_order"]
    made = proof["records"][0]["dispatch"]
    assert made["told"] == "A colleague will answer you."
    assert made["handed_over"]["queue"] == proof["records"][0]["action"].removeprefix("queue:")
    assert made["respond_by"].startswith("2026-11-01T11:00") and made["reminded"].startswith("2026-11-01T10:45")
    assert made["returned"].startswith("2026-11-01T11:00")
    assert [(at[:16], queue) for at, queue in made["escalated"]] == [("2026-11-01T11:00", "duty")]
    shown = run("desk.toml", "--records", "some.jsonl").stdout
    assert all(word in shown for word in ("reminded", "returned", "to duty"))


WORDLESS = [{"id": "c", "text": None, "photo": "p.png"}, {"id": "d", "text": " "}]


@pytest.mark.parametrize("key", ['key = "/id"', ""], ids=["in the record", "in Kafka"])
def test_people_get_sample_records_without_words_as_a_worker_hands_them_over(key: str) -> None:
    """Each was told as a mistake of the file's, with the pointer itself as what was meant."""
    with_hand_over(HAND_OVER.replace('answers_alone = ["opening_hours"]\n', ""))
    mend('key = "/id"', key)
    proof = checked("desk.toml", *records(*RECORDS, *WORDLESS))
    assert proof["in_order"] and not proof["problems"]
    worded, wordless = proof["records"][:2], proof["records"][2:]
    assert all(record["labels"] and "wordless" not in record for record in worded)
    assert [record["record"] for record in wordless] == [3, 4]
    for record in wordless:
        assert record["wordless"] and record["labels"] == {} and "unread" not in record
        assert record["dispatch"]["handed_over"] == {"queue": "people", "reason": "the message has no words"}
    shown = run("desk.toml", "--records", "some.jsonl").stdout
    assert shown.count("no words: to people") == 2


def test_a_field_that_no_sample_has_words_in_is_told() -> None:
    with_hand_over(HAND_OVER.replace('answers_alone = ["opening_hours"]\n', ""))
    filled = [one | {"message": "the lift is stuck"} for one in WORDLESS]
    told = said("desk.toml", *records(*filled))["source.text"]
    assert told.startswith("no record has words at '/text': people would get all of them; ") and "/message" in told
    assert said("desk.toml", *records({"text": ""}))["source"].startswith("record 1 cannot be read (empty_text)")


def test_the_pointer_itself_is_never_what_was_meant() -> None:
    told = said("desk.toml", *records(RECORDS[0], {"id": "c", "text": None}))["source.text"]
    assert told.startswith("no text stands at '/text' in record 2; there are: ") and told.count("/text") == 1
    assert (
        said("desk.toml", *records({"id": 1, "text": None}))["source.text"] == "no text stands at '/text' in record 1"
    )
    with_hand_over(HAND_OVER.replace('answers_alone = ["opening_hours"]\n', ""))
    typing = {"id": "c", "event": "typing"}
    assert "in record 2; there are: " in said("desk.toml", *records(RECORDS[0], typing))["source.text"]


def test_a_chain_that_nothing_goes_up_is_told() -> None:
    tables = HAND_OVER[: HAND_OVER.index("remind_minutes")].replace('answers_alone = ["opening_hours"]\n', "")
    with_hand_over(tables)
    proof = checked("desk.toml", *records(*RECORDS))
    (problem,) = proof["problems"]
    assert problem["field"] == "hand_over.chain" and "nobody promises" in problem["says"]
    assert proof["records"][0]["dispatch"]["escalated"] == []


def test_a_question_whose_cells_hold_several_labels_is_told() -> None:
    """Sets were learnt as labels of their own, and the answer was to give each of them five texts."""
    lines = Path("desk.csv").read_text("utf-8").splitlines()
    for number, cell in ((1, "high|normal"), (2, "normal|high"), (3, "high|normal")):
        lines[number] = f"{lines[number].rpartition(',')[0]},{cell}"
    Path("desk.csv").write_text("\n".join(lines) + "\n", "utf-8")
    found = said("desk.toml")
    assert found["heads.1"].startswith("cells of urgency hold several labels with | between them: write multi = true")
    mend('name = "urgency"\n', 'name = "urgency"\nmulti = true\n')
    assert "several labels with |" not in str(said("desk.toml"))


def test_the_column_of_the_texts_is_guessed_by_what_it_holds() -> None:
    """A sheet's first column, its numbers, was proposed."""
    rows = Path("desk.csv").read_text("utf-8").splitlines()
    sheet = [
        "Nr.," + rows[0].replace("text,", "Mensaje,"),
        *(f"Q{number},{row}" for number, row in enumerate(rows[1:])),
    ]
    Path("desk.csv").write_text("\n".join(sheet), "utf-8")
    assert 'write text_column = "Mensaje" above the first [table]' in said("desk.toml")["corpus"]


def test_a_label_that_is_written_in_two_ways_is_told_as_that_and_no_more() -> None:
    """The rarer way was to be given five texts, and a queue of its own."""
    rows = Path("desk.csv").read_text("utf-8").splitlines()
    number = next(number for number, row in enumerate(rows) if row.endswith("praise,normal"))
    rows[number] = rows[number].replace("praise,normal", "Praise,normal")
    Path("desk.csv").write_text("\n".join(rows) + "\n", "utf-8")
    problems = checked("desk.toml")["problems"]
    assert [problem["field"] for problem in problems] == ["heads.0"]
    assert "written in several ways" in problems[0]["says"] and "'Praise' 1; write them alike" in problems[0]["says"]


def test_a_training_tells_what_it_learns_as_labels_of_their_own() -> None:
    """Who trained without a check served sets as labels, and one label as two, without a word."""
    done = CliRunner().invoke(cli, ["train", "desk.toml", "--data", "desk.csv"], catch_exceptions=False)
    assert done.exit_code == 0 and "labels of their own" not in done.stderr
    rows = Path("desk.csv").read_text("utf-8").splitlines()
    number = next(number for number, row in enumerate(rows) if row.endswith("praise,normal"))
    rows[number] = rows[number].replace("praise,normal", "Praise,high|normal")
    Path("desk.csv").write_text("\n".join(rows) + "\n", "utf-8")
    done = CliRunner().invoke(cli, ["train", "desk.toml", "--data", "desk.csv"], catch_exceptions=False)
    assert "intent: labels that are written in several ways are learnt as labels of their own: 'praise' " in done.stderr
    assert "urgency: cells hold several labels with | between them" in done.stderr
    mend('name = "urgency"\n', 'name = "urgency"\nmulti = true\n')
    done = CliRunner().invoke(cli, ["train", "desk.toml", "--data", "desk.csv"], catch_exceptions=False)
    assert "several labels with |" not in done.stderr
