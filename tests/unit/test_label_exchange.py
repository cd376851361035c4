"""The queue out to files, and its labels back in."""

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from labelled_decisions import NO_RANDOM, world_of_decisions
from labelled_world import APP, World, decision

from headrace.tools.data.writing import write_sheet
from headrace.tools.labels.correcting import Speaker
from headrace.tools.labels.exchange import exported, format_of, import_file
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, labelling_queue
from models.errors import ConfigError
from streams.application import Labelling


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of_decisions(tmp_path)


def mask(text: str) -> str:
    return text.replace("parcel", "[masked]")


def test_an_exported_file_comes_back_with_what_was_filled_in(world: World, tmp_path: Path) -> None:
    half = APP.model_copy(update={"labelling": Labelling(random_share=0.5, random_per_day=0)})
    queue = labelling_queue(read_pool(world.wiring, half), half, 20)
    path = tmp_path / "tasks.csv"
    path.write_bytes(exported(queue, format_of(path), mask))
    assert "parcel" not in path.read_text() and "[masked]" in path.read_text()
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows[:-2]:
        row["label"] = "refund"
    forged = next(row for row in rows[:-2] if row["chosen"] == "queue")
    forged |= {"chosen": "random", "probability": "1"}  # whoever says so; the draw says otherwise
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    report, without = import_file(world.wiring, path, Speaker("bob", app=half, chosen="import"))
    assert (len(report.taken), without, report.rejected) == (len(queue) - 2, 2, [])
    chosen = {said.decision_id: (said.chosen, said.probability) for said in report.taken}
    assert chosen[rows[0]["id"]] == ("random", 0.5)
    assert chosen[forged["id"]] == ("import", None)
    again, _ = import_file(world.wiring, path, Speaker("bob", app=half, chosen="import"))
    assert (again.taken, again.unchanged) == ([], len(queue) - 2)


def test_what_a_spreadsheet_would_compute_is_text_in_it() -> None:
    asked = Asked(decision(1, text="=HYPERLINK(1)"), "intent", "random", "random", 0.5)
    assert "'=HYPERLINK(1)" in exported([asked], "csv", str).decode()
    assert b"'=" not in exported([asked], "jsonl", str)


def test_a_sheet_carries_the_mark_by_which_a_spreadsheet_reads_its_umlauts() -> None:
    out = io.BytesIO()
    write_sheet(out, ("text", "label"), [("Lüfter läuft; 风扇", None), ('"a", b\nc', "x")])
    assert out.getvalue().decode() == '\ufefftext,label\nLüfter läuft; 风扇,\n"""a"", b\nc",x\n'
    plain = io.BytesIO()
    write_sheet(plain, ("text",), [("fan",)])
    assert plain.getvalue() == b"text\nfan\n", "plain English needs none"
    damaged = io.BytesIO()
    write_sheet(damaged, ("text",), [("half \ud800",)])
    assert damaged.getvalue() == b"\xef\xbb\xbftext\nhalf \\ud800\n"


def test_label_studios_annotations_come_back_under_their_peoples_names(world: World, tmp_path: Path) -> None:
    queue = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 3)
    path = tmp_path / "tasks.json"
    path.write_bytes(exported(queue, format_of(path), mask))
    tasks = orjson.loads(path.read_bytes())
    assert tasks[0]["predictions"][0]["result"][0]["value"]["choices"] == ["fee"]

    def annotation(label: str, by: Any, **fields: Any) -> dict[str, Any]:
        result = [{"from_name": "intent", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        return {"completed_by": by, "result": result} | fields

    tasks[0]["annotations"] = [annotation("refund", {"email": "ann@example.com"}), annotation("delivery", 7)]
    tasks[1]["annotations"] = [annotation("refund", 7, was_cancelled=True)]
    tasks.append({"data": {"text": "no id"}})
    path.write_bytes(orjson.dumps(tasks))
    report, without = import_file(world.wiring, path, Speaker("me", app=NO_RANDOM, chosen="import"))
    assert [(said.by, said.label) for said in report.taken] == [
        ("ann@example.com", "refund"),
        ("label-studio-7", "delivery"),
    ]
    assert without == 2 and [reject.line for reject in report.rejected] == [4]


def test_jsonl_goes_out_and_a_file_of_no_use_is_one_clear_error(world: World, tmp_path: Path) -> None:
    queue = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 2)
    lines = exported(queue, "jsonl", mask).splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [asked.decision["id"] for asked in queue]
    with pytest.raises(ConfigError, match="must end in"):
        format_of(tmp_path / "x.xlsx")
    broken = tmp_path / "x.json"
    for content in (b"{", b"{}"):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match="Label Studio"):
            import_file(world.wiring, broken, Speaker("me", app=APP))
    broken.write_bytes('[{"data": "Tür"}]'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"x\.json is not UTF-8; save it as UTF-8"):
        import_file(world.wiring, broken, Speaker("me", app=APP))
