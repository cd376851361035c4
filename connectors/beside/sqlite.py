"""What stands beside decisions in the file of a `SQLiteStore`, in tables of its own: a file of before gets them when it
is opened to be written."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from connectors.documents import encoded, instant, milliseconds
from connectors.ports import TrendsQuery

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS stories (app TEXT NOT NULL, id TEXT NOT NULL, at_ms INTEGER NOT NULL,
       story_id TEXT NOT NULL, novelty REAL NOT NULL, PRIMARY KEY (app, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS stories_by_time ON stories (at_ms)",
    "CREATE INDEX IF NOT EXISTS stories_by_story ON stories (story_id)",
    """CREATE TABLE IF NOT EXISTS trends (app TEXT NOT NULL, id TEXT NOT NULL, length TEXT NOT NULL,
       start_ms INTEGER NOT NULL, items INTEGER NOT NULL, topic TEXT, symbol TEXT, entity TEXT, document TEXT NOT NULL,
       PRIMARY KEY (app, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS trends_by_start ON trends (app, length, start_ms)",
    "CREATE TABLE IF NOT EXISTS apps_with_stories (app TEXT PRIMARY KEY)",
)
IDS_CHUNK: Final = 5_000
NUMBERS_OF_STORY: Final = """SELECT told.number FROM stories JOIN decisions AS told USING (id, app)
                             WHERE stories.story_id = ?"""  # of decisions


def is_there(connection: sqlite3.Connection) -> bool:
    """Whether the file has these tables."""
    found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'trends_by_start'").fetchone()
    return bool(found[0])


def create(connection: sqlite3.Connection, apps: Iterable[str]) -> set[str]:
    """Within a transaction: make what is missing, for these applications and those of before, which are returned."""
    for statement in TABLES:
        connection.execute(statement)
    connection.executemany("INSERT OR IGNORE INTO apps_with_stories VALUES (?)", [(app,) for app in apps])
    return {app for (app,) in connection.execute("SELECT app FROM apps_with_stories")}


def insert(connection: sqlite3.Connection, told: Iterable[Mapping[str, Any]]) -> int:
    """Within a transaction: keep these, the first of an id; how many were new."""
    rows = [(one["app"], one["id"], milliseconds(instant(one["at"])), one["story_id"], one["novelty"]) for one in told]
    return sum(connection.execute("INSERT OR IGNORE INTO stories VALUES (?, ?, ?, ?, ?)", row).rowcount for row in rows)


def stories_of(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """By application and id, of these ids."""
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for start in range(0, len(ids), IDS_CHUNK):
        part = list(ids[start : start + IDS_CHUNK])
        # by the primary key, which begins with the application; a plain join scans all stories
        rows = connection.execute(
            f"SELECT app, id, story_id, novelty FROM apps_with_stories CROSS JOIN stories USING (app)"
            f" WHERE id IN ({', '.join('?' for _ in part)})",
            part,
        )
        told |= {(app, identity): {"story_id": story, "novelty": novelty} for app, identity, story, novelty in rows}
    return told


def delete_before(connection: sqlite3.Connection, start_ms: int, apps: Collection[str]) -> None:
    """Within a transaction: drop what is older, of these applications."""
    marks = ", ".join("?" for _ in apps)
    connection.execute(f"DELETE FROM stories WHERE at_ms < ? AND app IN ({marks})", [start_ms, *apps])
    connection.execute(f"DELETE FROM trends WHERE start_ms < ? AND app IN ({marks})", [start_ms, *apps])


def put_windows(connection: sqlite3.Connection, windows: Iterable[Mapping[str, Any]]) -> int:
    """Within a transaction: keep these, but where one of an id has more items; how many were kept."""
    return sum(
        connection.execute(
            "INSERT INTO trends VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (app, id) DO UPDATE SET"
            " items = excluded.items, document = excluded.document WHERE excluded.items >= trends.items",
            (
                *(one["app"], one["id"], one["window"], milliseconds(instant(one["start"])), one["items"]),
                *(one["topic"], one["symbol"], one["entity"], encoded(one).decode()),
            ),
        ).rowcount
        for one in windows
    )


def windows_of(
    connection: sqlite3.Connection, query: TrendsQuery, after: tuple[int, str]
) -> list[tuple[int, str, str]]:
    """The next ones behind `after`: start in milliseconds, id, document."""
    group = {"topic": query.topic, "symbol": query.symbol, "entity": query.entity}
    wanted = "" if not any(group.values()) else "".join(f" AND {name} IS ?" for name in group)
    values = [query.app, query.window, *(milliseconds(instant(time)) for time in (query.since, query.until)), *after]
    return connection.execute(
        "SELECT start_ms, id, document FROM trends WHERE app = ? AND length = ? AND start_ms >= ? AND start_ms < ?"
        f" AND (start_ms, id) > (?, ?){wanted} ORDER BY start_ms, id LIMIT {IDS_CHUNK}",
        [*values, *(group.values() if wanted else ())],
    ).fetchall()
