"""The gate's verdict as one page, for whoever must decide or wants to know why."""

import re
from collections.abc import Mapping
from typing import Any, Final

from headrace.pages import page_environment

MARKS = {"passed": "✓", "too few": "?", "refused": "✗"}
REFUSED: Final = "not released: "  # how the gate's words begin; the page's head says it
CLAUSE: Final = re.compile(r"; (?![^()]*\))|, (?=but )")  # between clauses, not within parentheses
COMMAND: Final = re.compile(r"`([^`]+)`")


def render_verdict(verdict: Mapping[str, Any], *, app: str, champion: str, request: str, reason: str, at: str) -> str:
    """The page's HTML. verdict: `retrain.gate.verdict.Verdict.as_json`, with its examples. reason: the whole of it, on
    one line. champion: the version that the challenger was compared with. at: when, RFC 3339."""
    # each clause: words, a command, words, …
    clauses = [COMMAND.split(clause) for clause in CLAUSE.split(reason.removeprefix(REFUSED))]
    page: str = (
        page_environment("headrace", "pages")
        .get_template("verdict.html.j2")
        .render(verdict=verdict, app=app, champion=champion, request=request, clauses=clauses, at=at, marks=MARKS)
    )
    return page
