"""The gate's verdict as one page, for whoever must decide or wants to know why."""

from collections.abc import Mapping
from typing import Any

from headrace.pages import page_environment

MARKS = {"passed": "✓", "too few": "?", "refused": "✗"}


def render_verdict(verdict: Mapping[str, Any], *, app: str, champion: str, request: str, reason: str, at: str) -> str:
    """The page's HTML. verdict: `retrain.gate.verdict.Verdict.as_json`, with its examples. reason: the whole of it, on
    one line. champion: the version that the challenger was compared with. at: when, RFC 3339."""
    page: str = (
        page_environment("headrace", "pages")
        .get_template("verdict.html.j2")
        .render(verdict=verdict, app=app, champion=champion, request=request, reason=reason, at=at, marks=MARKS)
    )
    return page
