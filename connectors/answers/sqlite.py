"""The AnswerStore port on SQLite: a file for each bank. Embeddings are compared one by one, in memory."""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.cjk import spaced, words
from connectors.documents import storable
from connectors.errors import StoreMismatch, StoreUnavailable
from connectors.ports import Answer, AnswerVectors, BankState, FoundAnswer
from connectors.private_folders import make_private
from connectors.sqlite_transactions import transaction

BUSY_SECONDS = 10.0
IN_MEMORY = Path(":memory:")
PAGE = 1_000
SCHEMA_VERSION = 101  # decisions.db counts from 1: neither file is taken for the other
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, question TEXT NOT NULL,
                      answer TEXT NOT NULL, language TEXT NOT NULL, source TEXT NOT NULL,
                      question_vector BLOB NOT NULL, answer_vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state (only INTEGER PRIMARY KEY CHECK (only = 0), described TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS words
    USING fts5 (body, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'");
"""
FIELDS = "id, question, answer, language, source"


@dataclass(frozen=True, slots=True)
class _Vectors:
    """Of all entries, by row: their numbers and embeddings, shape (entries, dimensions)."""

    version: int
    numbers: NDArray[np.int64]
    questions: NDArray[np.float32]
    answers: NDArray[np.float32]


class SQLiteAnswers:
    """One file; see the port. May be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises StoreUnavailable, or StoreMismatch where the file is something else. IN_MEMORY: of
        this object alone, and gone with it."""
        self._path = path
        self._lock = threading.RLock()
        self._vectors: _Vectors | None = None
        with self._translated():
            if path != IN_MEMORY:
                make_private(path.parent)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            with self._transaction() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if version != SCHEMA_VERSION and (version or tables):
                    raise StoreMismatch(f"{path} is no bank of answers of this version; move it away")
                for statement in filter(str.strip, SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def state(self) -> BankState | None:
        """See the port."""
        with self._translated(), self._lock:
            row = self._connection.execute("SELECT described FROM state").fetchone()
        if row is None:
            return None
        described = orjson.loads(row[0])
        return BankState(described["encoder"], described["dimensions"], tuple(described["without_answer"]))

    def set_state(self, state: BankState) -> None:
        """See the port."""
        with self._transaction() as connection:
            described = orjson.dumps(state).decode()
            connection.execute("INSERT OR REPLACE INTO state VALUES (0, ?)", (described,))

    def put(self, entries: Sequence[AnswerVectors]) -> None:
        """See the port: all of them or, where it raises, none."""
        with self._transaction() as connection:
            for kept in entries:
                entry = kept.entry
                self._remove(connection, entry.id)
                row = [storable(value) for value in _values(entry)]
                cursor = connection.execute(
                    f"INSERT INTO answers ({FIELDS}, question_vector, answer_vector) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [*row, kept.question, kept.answer],
                )
                body = spaced(f"{entry.question} {entry.answer}")
                connection.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (cursor.lastrowid, body))
            self._vectors = None

    def entries(self) -> list[Answer]:
        """See the port."""
        with self._translated(), self._lock:
            rows = self._connection.execute(f"SELECT {FIELDS} FROM answers ORDER BY id").fetchall()
        return [Answer(*row) for row in rows]

    def vectors(self) -> Iterator[AnswerVectors]:
        """See the port."""
        after = ""
        while True:
            with self._translated(), self._lock:
                rows = self._connection.execute(
                    f"SELECT {FIELDS}, question_vector, answer_vector FROM answers WHERE id > ? ORDER BY id LIMIT ?",
                    (after, PAGE),
                ).fetchall()
            if not rows:
                return
            yield from (AnswerVectors(Answer(*row[:5]), *row[5:]) for row in rows)
            after = rows[-1][0]

    def remove(self, ids: Collection[str]) -> int:
        """See the port."""
        with self._transaction() as connection:
            self._vectors = None
            return sum(self._remove(connection, identity) for identity in ids)

    def find(self, text: str, vector: bytes, limit: int) -> list[FoundAnswer]:
        """See the port."""
        asked = np.frombuffer(vector, dtype="<f4")
        wanted = dict.fromkeys(word.text for word in words(text))
        with self._translated(), self._lock:
            all_vectors = self._all_vectors(len(asked))
            by_words = self._by_words(list(wanted), limit)
            of_questions, of_answers = all_vectors.questions @ asked, all_vectors.answers @ asked
            chosen = {number: position for position, number in enumerate(all_vectors.numbers.tolist())}
            best = {*np.argsort(-of_questions, kind="stable")[:limit], *np.argsort(-of_answers, kind="stable")[:limit]}
            best |= {chosen[number] for number in by_words}
            numbers = sorted(int(all_vectors.numbers[position]) for position in best)
            marks = ", ".join("?" for _ in numbers)
            rows = self._connection.execute(
                f"SELECT number, {FIELDS} FROM answers WHERE number IN ({marks}) ORDER BY id", numbers
            ).fetchall()
        return [
            FoundAnswer(
                Answer(*row),
                by_words.get(number, 0.0),
                float(of_questions[chosen[number]]),
                float(of_answers[chosen[number]]),
            )
            for number, *row in rows
        ]

    def clear(self) -> None:
        """See the port."""
        with self._transaction() as connection:
            for table in ("answers", "words", "state"):
                connection.execute(f"DELETE FROM {table}")
            self._vectors = None

    def close(self) -> None:
        """See the port."""
        with self._lock:
            self._connection.close()

    def _by_words(self, wanted: Sequence[str], limit: int) -> dict[int, float]:
        if not wanted:
            return {}
        any_of_them = " OR ".join(f'"{word}"' for word in wanted)  # words hold no quotes
        # by id, not by row: what is found must not depend on the order in which entries came
        sql = """SELECT words.rowid, -bm25(words) FROM words JOIN answers ON number = words.rowid
                 WHERE words MATCH ? ORDER BY bm25(words), id LIMIT ?"""
        rows = self._connection.execute(sql, (any_of_them, limit)).fetchall()
        return {number: max(0.0, score) for number, score in rows}

    def _all_vectors(self, dimensions: int) -> _Vectors:
        """Read once, and again after another process has written."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if self._vectors is None or self._vectors.version != version:
            rows = self._connection.execute(
                "SELECT number, question_vector, answer_vector FROM answers ORDER BY id"
            ).fetchall()
            if any(len(row[1]) != 4 * dimensions for row in rows):
                raise StoreMismatch(f"{self._path} holds embeddings of another length than {dimensions}")
            self._vectors = _Vectors(
                version,
                np.array([row[0] for row in rows], dtype=np.int64),
                np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4").reshape(-1, dimensions),
                np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(-1, dimensions),
            )
        return self._vectors

    def _remove(self, connection: sqlite3.Connection, identity: str) -> int:
        found = connection.execute("SELECT number FROM answers WHERE id = ?", (storable(identity),)).fetchone()
        if found is None:
            return 0
        connection.execute("DELETE FROM words WHERE rowid = ?", found)
        return connection.execute("DELETE FROM answers WHERE number = ?", found).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), self._lock, transaction(self._connection) as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreUnavailable(f"{self._path} cannot be used: {error}; see HEADRACE_STORE") from error
        except sqlite3.Error as error:
            raise StoreMismatch(f"{self._path} is no bank of answers: {error}; move it away") from error


def _values(entry: Answer) -> tuple[str, str, str, str, str]:
    return entry.id, entry.question, entry.answer, entry.language, entry.source
