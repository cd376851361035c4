"""SQLite's own ways to go wrong: opened by several at once, torn, full, another program's file."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.beside import sqlite as beside
from connectors.errors import StoreMismatch, StoreUnavailable
from connectors.ports import SearchQuery
from connectors.sqlite_store import SQLiteStore

OLD_FILE = Path(__file__).parents[1] / "data" / "decisions_schema_1.db"
OPEN_EACH = """
import sys
from pathlib import Path
from connectors.sqlite_store import SQLiteStore

for line in sys.stdin:  # everybody gets the line at once
    store = SQLiteStore(Path(line.strip()))
    store.prepare({"support": ["intent"]})
    store.close()
    print("opened", flush=True)
"""


def decision(number: int, text: str = "where is my card") -> dict[str, object]:
    return {"id": f"t@0a0b0c0d-0-{number}", "app": "support", "at": "2026-11-24T10:00:00Z", "text": text}


def prepared(path: Path) -> SQLiteStore:
    store = SQLiteStore(path)
    store.prepare({"support": ["intent"]})
    return store


def test_a_new_file_is_opened_by_three_processes_at_once(tmp_path: Path) -> None:
    """D-B7: of 180 such opens 11 failed, as "some other SQLite file" or as locked."""
    rounds = 30
    openers = [
        subprocess.Popen([sys.executable, "-c", OPEN_EACH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        for number in range(rounds):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{tmp_path / str(number)}.db\n")
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.flush()
            for opener in openers:
                assert opener.stdout is not None
                assert opener.stdout.readline() == "opened\n", f"round {number}"
    finally:
        for opener in openers:
            opener.communicate(timeout=120)


def test_a_creation_that_fails_leaves_nothing_and_the_next_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-B7: an error between two statements left half a schema, which no later start accepted."""
    import connectors.sqlite_store as module

    path = tmp_path / "decisions.db"
    with monkeypatch.context() as patched, pytest.raises(StoreUnavailable, match="no such table: nowhere"):
        patched.setattr(module, "SCHEMA", module.SCHEMA.replace("CREATE TABLE heads", "DROP TABLE nowhere; CREATE"))
        SQLiteStore(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    store = prepared(path)
    assert store.index([decision(1)]).created == 1
    store.close()


def test_a_full_disk_is_named_and_what_stood_stays(tmp_path: Path) -> None:
    """D-B7: the error of a full disk was "cannot rollback - no transaction is active"."""
    store = prepared(tmp_path / "decisions.db")
    store.index([decision(0)])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        store.index([decision(number, "x" * 8_000) for number in range(1, 20)])
    assert list(store.ids("support")) == ["t@0a0b0c0d-0-0"]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.index([decision(number, "x" * 8_000) for number in range(20)]).created == 19
    store.close()


def damaged(path: Path) -> None:
    """Garbage in the middle of a file that was closed cleanly."""
    store = prepared(path)
    store.index([decision(number, f"text {number} " * 50) for number in range(500)])
    store.close()
    with path.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(os.urandom(35 * 4096))


def test_damage_is_found_by_a_check(tmp_path: Path) -> None:
    """D-B7: a file with 35 pages of garbage was opened, searched and indexed into."""
    damaged(tmp_path / "decisions.db")
    store = SQLiteStore(tmp_path / "decisions.db")
    with pytest.raises(StoreMismatch, match=r"is damaged .*put a copy back, or move it away"):
        store.check()
    store.close()


def test_damage_is_found_before_writing_where_the_file_was_not_closed_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    damaged(path)
    path.with_name("decisions.db-wal").write_bytes(b"left by a crash" * 100)
    store = SQLiteStore(path)
    with pytest.raises(StoreMismatch, match="is damaged"):
        store.prepare({"support": ["intent"]})
    store.close()


def test_a_file_in_order_that_was_not_closed_cleanly_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    crashed = prepared(path)
    crashed.index([decision(1)])
    copy = tmp_path / "copy.db"  # as the disk holds it while the process still has it open
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    crashed.close()
    store = prepared(copy)
    assert list(store.ids("support")) == ["t@0a0b0c0d-0-1"]
    store.close()


def test_a_place_where_sqlite_cannot_share_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B7: on a network file system the write-ahead log is not safe; SQLite then stays with its old journal."""
    monkeypatch.setattr(SQLiteStore, "_patiently", lambda *_: "delete")
    with pytest.raises(StoreMismatch, match=r"network file system.*set HEADRACE_STORE to a local disk"):
        SQLiteStore(tmp_path / "decisions.db")


def test_a_file_of_the_first_release_is_read_and_written(tmp_path: Path) -> None:
    """Written by commit d23f76a."""
    path = tmp_path / "decisions.db"
    shutil.copy(OLD_FILE, path)
    store = SQLiteStore(path)
    store.check()
    store.prepare({"support": ["intent"], "finance": ["topic"]})
    assert store.search(SearchQuery("退款")).documents[0]["labels"]["intent"]["label"] == "refund"
    assert store.index([decision(1), {**decision(1), "id": "support.chats@0a1b2c3d-0-2"}]).repeats == 1
    # its own of 2025 and of the year 7, not finance's of 2025
    assert store.delete_before("2026-01", ["support"]) == 2
    assert sorted(store.ids("support")) == ["support.chats@0a1b2c3d-0-2", "t@0a0b0c0d-0-1"]
    assert list(store.ids("finance")) == ["support.chats@0a1b2c3d-0-1"]
    store.close()


def test_a_file_of_another_schema_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    shutil.copy(OLD_FILE, path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(StoreMismatch, match=r"another version of Headrace \(schema 2.*set HEADRACE_STORE"):
        SQLiteStore(path)


def test_the_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreMismatch, match="some other SQLite file"):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_the_story_of_a_decision_is_looked_up_and_no_table_is_read_whole() -> None:
    connection, asked = sqlite3.connect(":memory:"), list[str]()
    beside.create(connection, ["finance"])
    connection.set_trace_callback(asked.append)
    beside.stories_of(connection, ["news@0a1b2c3d-0-1"])
    connection.set_trace_callback(None)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert not any(step.startswith("SCAN stories") for step in plan), plan
    connection.close()
