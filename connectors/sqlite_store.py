"""The DecisionStore port on SQLite: one file, full-text search by FTS5. For the demo and for a single machine.

A writer and readers of several processes may use the file at once (WAL). Within a process one connection is shared
behind a lock, so the store may be called from any thread.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from connectors.beside import sqlite as beside
from connectors.beside.stories import sort_out_stories, with_stories
from connectors.beside.trends import sort_out_windows
from connectors.cjk import highlight, phrases, spaced
from connectors.documents import (
    asked_instant,
    encoded,
    first_day,
    instant,
    labels_said,
    milliseconds,
    month,
    sort_out,
    storable,
)
from connectors.errors import StoreMismatch, StoreUnavailable
from connectors.ports import Document, IndexReport, SearchQuery, SearchResult, TrendsQuery
from connectors.private_folders import make_private
from connectors.sqlite_transactions import transaction

BUSY_SECONDS = 10.0
POLL_SECONDS = 0.01
SCHEMA_VERSION = 1
IDS_CHUNK = 5_000
# no table holds entities: of each decision that the other conditions leave, the document is looked into
OF_ENTITY = """EXISTS (SELECT 1 FROM json_each(document, '$.entities')
                WHERE ? IN (json_extract(value, '$.name'), json_extract(value, '$.id'))
                AND (? <= 0.0 OR json_extract(value, '$.relevance') >= ?))"""
OF_ANSWER = "? IN (json_extract(document, '$.answer.id'), json_extract(document, '$.answer.source'))"
OF_PICTURE = "/picture"  # in place of a head: none can be called so
SCHEMA = """
CREATE TABLE decisions (number INTEGER PRIMARY KEY, id TEXT NOT NULL, app TEXT NOT NULL, at_ms INTEGER NOT NULL,
                        month TEXT NOT NULL, document TEXT NOT NULL, UNIQUE (id, app));
CREATE INDEX decisions_by_app ON decisions (app, number);
CREATE INDEX decisions_by_time ON decisions (at_ms);
CREATE INDEX decisions_by_month ON decisions (month);
CREATE TABLE labels (label TEXT NOT NULL, number INTEGER NOT NULL, head TEXT NOT NULL,
                     PRIMARY KEY (label, number, head)) WITHOUT ROWID;
CREATE INDEX labels_by_number ON labels (number);
CREATE TABLE heads (app TEXT NOT NULL, position INTEGER NOT NULL, head TEXT NOT NULL, PRIMARY KEY (app, head));
CREATE TABLE apps (app TEXT PRIMARY KEY);
CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'");
"""


class SQLiteStore:
    """One file; see the port for what each verb promises."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises StoreUnavailable where the file cannot be opened, StoreMismatch where it is no
        store."""
        self._path = path
        self._lock = threading.RLock()
        # the last one to close a file cleans its log away: a log that stands is in use, or was left by a crash
        self._may_be_torn = _size(path.with_name(f"{path.name}-wal")) > 0
        with self._translated():
            make_private(path.parent)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            self._open()
        self._heads = self._load_heads()
        self._with_stories: set[str] = set()

    def prepare(self, heads: Mapping[str, Sequence[str]], stories: Collection[str] = ()) -> None:
        """See the port. Heads that an app had before stay known, so that older decisions remain valid.

        Looks the file over where it was not closed cleanly: who writes into a damaged one makes it worse.
        """
        if self._may_be_torn:
            self.check()
            self._may_be_torn = False
        with self._transaction() as connection:
            for app, names in heads.items():
                connection.execute("INSERT OR IGNORE INTO apps VALUES (?)", (app,))
                rows = [(app, position, head) for position, head in enumerate(names)]
                connection.executemany("INSERT OR IGNORE INTO heads VALUES (?, ?, ?)", rows)
            if stories:
                self._with_stories = beside.create(connection, stories)
        self._heads = self._load_heads()

    def index(self, documents: Sequence[Document]) -> IndexReport:
        """See the port. Durable: the file is synced before it returns."""
        accepted, rejected = sort_out(documents, self._heads)
        with self._transaction() as connection:
            created = sum(self._insert(connection, document) for document in accepted.values())
        return IndexReport(created, len(accepted) - created, tuple(rejected))

    def tell(self, stories: Sequence[Document]) -> IndexReport:
        """See the port."""
        accepted, rejected = sort_out_stories(stories, self._with_stories)
        with self._transaction() as connection:
            created = beside.insert(connection, accepted.values()) if accepted else 0
        return IndexReport(created, len(accepted) - created, tuple(rejected))

    def put_windows(self, windows: Sequence[Document]) -> IndexReport:
        """See the port."""
        accepted, rejected = sort_out_windows(windows, self._with_stories)
        with self._transaction() as connection:
            kept = beside.put_windows(connection, accepted.values()) if accepted else 0
        return IndexReport(kept, len(accepted) - kept, tuple(rejected))

    def windows(self, query: TrendsQuery) -> Iterator[dict[str, Any]]:
        """See the port."""
        after = (-1, "")
        while True:
            with self._translated(), self._lock:
                there = beside.is_there(self._connection)
                rows = beside.windows_of(self._connection, query, after) if there else []
            if not rows:
                return
            after = rows[-1][:2]
            yield from (orjson.loads(document) for _, _, document in rows)

    def search(self, query: SearchQuery) -> SearchResult:
        """See the port. Without text: newest first."""
        wanted = phrases(query.text)
        if query.text.strip() and not wanted:
            return SearchResult(0, ())  # nothing in it that any text could hold as a word
        if query.story is not None and not self._has_stories():
            return SearchResult(0, ())
        where, values = _conditions(query, wanted)
        source = "words JOIN decisions ON decisions.number = words.rowid" if wanted else "decisions"
        score, order = ("-bm25(words)", "bm25(words), ") if wanted else ("0.0", "")
        with self._translated(), self._lock:
            total = self._connection.execute(f"SELECT count(*) FROM {source} {where}", values).fetchone()[0]
            rows = self._connection.execute(
                f"SELECT document, {score} FROM {source} {where} ORDER BY {order}at_ms DESC, number DESC LIMIT ?",
                [*values, query.limit],
            ).fetchall()
        shown = [_shown(orjson.loads(text), score, wanted) for text, score in rows]
        return SearchResult(total, tuple(self._joined(shown)))

    def get(self, ids: Sequence[str], app: str | None = None) -> dict[str, dict[str, Any]]:
        """See the port."""
        documents: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), IDS_CHUNK):
            part = [storable(identity) for identity in ids[start : start + IDS_CHUNK]]
            marks = ", ".join("?" for _ in part)
            sql = f"SELECT id, document FROM decisions WHERE id IN ({marks})" + (
                " AND app = ?" if app is not None else ""
            )
            with self._translated(), self._lock:
                rows = self._connection.execute(sql, part if app is None else [*part, storable(app)]).fetchall()
            decisions = self._joined([orjson.loads(text) for _, text in rows])
            documents |= {identity: one for (identity, _), one in zip(rows, decisions, strict=True)}
        return documents

    def ids(self, app: str) -> Iterator[str]:
        """See the port. Documents that arrive meanwhile may or may not be among them."""
        last = -1
        while True:
            with self._translated(), self._lock:
                rows = self._connection.execute(
                    "SELECT number, id FROM decisions WHERE app = ? AND number > ? ORDER BY number LIMIT ?",
                    (storable(app), last, IDS_CHUNK),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (identity for _, identity in rows)

    def delete_before(self, day: str, apps: Collection[str]) -> int:
        """See the port: returns how many documents went, and gives their room back."""
        start = datetime.combine(first_day(day), datetime.min.time(), UTC)
        old = f"at_ms < ? AND app IN ({', '.join('?' for _ in apps)})"
        values = [milliseconds(start), *apps]
        with self._transaction() as connection:
            gone = f"(SELECT number FROM decisions WHERE {old})"
            connection.execute(f"DELETE FROM words WHERE rowid IN {gone}", values)
            connection.execute(f"DELETE FROM labels WHERE number IN {gone}", values)
            count = connection.execute(f"DELETE FROM decisions WHERE {old}", values).rowcount
            if beside.is_there(connection):
                beside.delete_before(connection, milliseconds(start), apps)
        with self._translated(), self._lock:
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        return count

    def check(self) -> None:
        """See the port: every page is read, seconds for each GB."""
        with self._translated(), self._lock:
            problem = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise StoreMismatch(
                f"{self._path} is damaged ({str(problem).splitlines()[-1]:.200}): put a copy back, or move it away "
                f"and run `headrace indexer APP --reset-position beginning`, which fills a new one with what the "
                f"topics still hold"
            )

    def missing_rights(self) -> list[str]:
        """See the port."""
        return [] if os.access(self._path, os.W_OK) else ["to write the file"]

    def close(self) -> None:
        """See the port."""
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        """Whole or not at all, also where several processes open a new file together. A file of another program is
        left as it is."""
        run = self._connection.execute
        run(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1_000)}")
        with self._transaction("DEFERRED"):
            is_new = self._is_new()
        run("PRAGMA auto_vacuum = INCREMENTAL")  # counts for a new file only, and before all else in it
        if self._patiently(lambda: str(run("PRAGMA journal_mode = WAL").fetchone()[0])) != "wal":
            raise StoreMismatch(
                f"{self._path} lies where SQLite cannot share memory (a network file system?); set HEADRACE_STORE to "
                f"a local disk, or to Elasticsearch"
            )
        run("PRAGMA synchronous = FULL")  # in WAL mode NORMAL would lose the last batches at a power cut
        if is_new:
            self._create()

    def _create(self) -> None:
        with self._transaction() as connection:
            if self._is_new():  # or another process was quicker
                for statement in filter(str.strip, SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _is_new(self) -> bool:
        """Whether nothing stands in the file yet; to be asked within a transaction. Raises StoreMismatch where
        something else stands in it."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StoreMismatch(
                f"{self._path} was written by another version of Headrace (schema {version}, this one reads "
                f"{SCHEMA_VERSION}); set HEADRACE_STORE to another file"
            )
        if version == 0 and tables:
            raise StoreMismatch(f"{self._path} is some other SQLite file; set HEADRACE_STORE to another path")
        return bool(version == 0)

    def _patiently(self, change: Callable[[], str]) -> str:
        """SQLite does not wait by itself where another process changes the journal at the same moment."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return change()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def _load_heads(self) -> dict[str, list[str]]:
        with self._translated(), self._lock:
            apps = self._connection.execute("SELECT app FROM apps").fetchall()
            rows = self._connection.execute("SELECT app, head FROM heads ORDER BY app, position").fetchall()
        return {app: [head for owner, head in rows if owner == app] for (app,) in apps}

    def _has_stories(self) -> bool:
        with self._translated(), self._lock:
            return beside.is_there(self._connection)

    def _joined(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the story of each that tells one."""
        with self._translated(), self._lock:
            if not decisions or not beside.is_there(self._connection):
                return decisions
            told = beside.stories_of(self._connection, [one["id"] for one in decisions])
        return with_stories(decisions, told)

    def _insert(self, connection: sqlite3.Connection, document: dict[str, Any]) -> bool:
        """Whether it is a new one."""
        row = (
            document["id"],
            document["app"],
            milliseconds(instant(document["at"])),
            month(document),
            encoded(document).decode(),
        )
        cursor = connection.execute(
            "INSERT OR IGNORE INTO decisions (id, app, at_ms, month, document) VALUES (?, ?, ?, ?, ?)", row
        )
        if cursor.rowcount == 0:
            return False
        number = cursor.lastrowid
        connection.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (number, spaced(document["text"])))
        answers = (document.get("labels") or {}).items()
        labels = [(label, number, head) for head, answer in answers for label in labels_said(answer)]
        if shown := (document.get("picture") or {}).get("label"):
            labels.append((shown, number, OF_PICTURE))
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", labels)
        return True

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._translated(), self._lock, transaction(self._connection, kind) as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:  # locked, full, read-only, not to be opened
            raise StoreUnavailable(f"{self._path} cannot be used: {error}; see HEADRACE_STORE") from error
        except sqlite3.Error as error:
            raise StoreMismatch(f"{self._path} is no store of decisions: {error}; set HEADRACE_STORE") from error


def _conditions(query: SearchQuery, wanted: list[list[str]]) -> tuple[str, list[object]]:
    conditions, values = [], list[object]()
    if wanted:
        conditions.append("words MATCH ?")
        values.append(" AND ".join(f'"{" ".join(phrase)}"' for phrase in wanted))  # words hold no quotes
    if query.app is not None:
        conditions.append("app = ?")
        values.append(storable(query.app))
    if query.label is not None:
        conditions.append("number IN (SELECT labels.number FROM labels WHERE label = ?)")
        values.append(storable(query.label))
    if query.story is not None:
        conditions.append(f"number IN ({beside.NUMBERS_OF_STORY})")
        values.append(storable(query.story))
    if query.entity is not None:
        conditions.append(OF_ENTITY)
        values += [storable(query.entity), *[query.relevance_min] * 2]
    if query.answer is not None:
        conditions.append(OF_ANSWER)
        values.append(storable(query.answer))
    for name, text, comparison in (("--since", query.since, ">="), ("--until", query.until, "<")):
        if (moment := asked_instant(name, text)) is not None:
            conditions.append(f"at_ms {comparison} ?")
            values.append(milliseconds(moment))
    return ("WHERE " + " AND ".join(conditions) if conditions else ""), values


def _shown(document: dict[str, Any], score: float, wanted: list[list[str]]) -> dict[str, Any]:
    return {**document, "score": score, "highlight": highlight(document["text"], wanted)}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
