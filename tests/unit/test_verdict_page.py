"""A verdict as a page and as a command's words: nothing of a text is markup, and old releases are answered as well."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.pages.verdict import render_verdict
from headrace.training.verdict_files import KEPT, write_page
from retrain import training_data
from retrain.gate.verdict import PAGE_ROLE

HOSTILE = '<script>alert(1)</script> "x" \x1b\u202e'
GAIN = {"texts": 40, "before": 0.7, "after": 0.9, "gain": 0.2, "gain_ci95": [0.1, 0.3], "won": 9, "lost": 1}
LABEL = {"label": HOSTILE, "texts": 6, "before": 1.0, "after": 0.3, "lost": 4, "won": 0, "loss_probability": 0.97}
EXAMPLE = {"head": "intent", "text": HOSTILE, "given": "a", "before": HOSTILE, "after": "a", "origin": "feedback"}
CHECKS = [
    {"name": "intent is better", "outcome": "passed", "words": "90 % against 70 %"},
    {"name": f"intent={HOSTILE}", "outcome": "refused", "words": "falls"},
    {"name": "urgency is no worse on live texts", "outcome": "too few", "words": "too few texts"},
]


def verdict(**changed: Any) -> dict[str, Any]:
    return {
        "passed": False,
        "reason": "not released: too few texts to say",
        "primary": "intent",
        "gain": GAIN,
        "look": 2,
        "level": 0.0076,
        "more_labels": 240,
        "too_few": [],
        "checks": CHECKS,
        "labels": {"intent": [LABEL, LABEL | {"label": "new", "loss_probability": None}]},
        "known_labels": {"intent": GAIN},
        "left_out": [f"left out of training: {HOSTILE}"],
        "won": [EXAMPLE],
        "lost": [EXAMPLE],
    } | changed


def page_of(described: dict[str, Any]) -> str:
    return render_verdict(
        described, app="support", champion="1", request="r", reason=described["reason"], at="2026-01-01T00:00:00Z"
    )


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.words += [data.strip()] if data.strip() and self.tags[-1] != "style" else []


def test_a_hostile_text_stays_text_and_the_page_asks_for_nothing() -> None:
    page = page_of(verdict())
    reader = Reader()
    reader.feed(page)
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & set(reader.tags)
    assert not [name for name in reader.names if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in page and "url(" not in page
    assert "\x1b" not in page and "\u202e" not in page and "&lt;script&gt;" in page


def test_the_first_line_says_what_is_known_passed_the_gate_or_not_released() -> None:
    for passed, reason, first in (
        (False, "not released: too few texts to say, 90 %", "Not released: too few texts to say, 90 %"),
        (True, "better: 90.0% against 70.0% on 40 texts", "Passed the gate: better: 90.0% against 70.0% on 40 texts"),
    ):
        reader = Reader()
        reader.feed(page_of(verdict(passed=passed, reason=reason)))
        title, heading = reader.words[:2]
        assert heading == first and title.startswith(first.partition(":")[0])
        assert ("240 more labels" in reader.words) is not passed


def test_what_the_gate_says_further_stands_below_the_first_line_clause_by_clause() -> None:
    """All of it was the heading: six lines of bold red."""
    better = "intent is better, 74.6% against 63.4% on 347 texts (95 %: +6.5 to +16.1; 57 better, 18 worse)"
    asks = "a second person is asked by `headrace labels next support`"
    reader = Reader()
    page = page_of(verdict(reason=f"not released: {better}, but urgency is worse; {asks}; \x1b<i>"))
    reader.feed(page)
    assert reader.words[1] == f"Not released: {better}"
    assert "but urgency is worse" in reader.words and "<code>headrace labels next support</code>" in page
    assert "\x1b" not in page and "<i>" not in page


def test_pages_of_refusals_are_their_owners_and_the_oldest_go(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        path = write_page(tmp_path / "verdicts", "support", f"support@1-../{number:03d}", "page")
        assert path is not None and path.parent == tmp_path / "verdicts"
        os.utime(path, (number, number))
    other = write_page(tmp_path / "verdicts", "finance", "1", "page")
    assert other is not None and other.stat().st_mode & 0o777 == 0o600
    names = sorted(path.name for path in (tmp_path / "verdicts").iterdir())
    assert (
        len(names) == KEPT + 1
        and "support-support@1-.._000.html" not in names
        and "support-support@1-.._052.html" in names
    )


def test_pages_of_an_application_whose_name_begins_alike_stay(tmp_path: Path) -> None:
    other = write_page(tmp_path, "support-eu", "support-eu@1-1", "page")
    assert other is not None
    os.utime(other, (0, 0))
    for number in range(KEPT):
        write_page(tmp_path, "support", f"support@1-{number}", "page")
    assert other.exists() and len(list(tmp_path.iterdir())) == KEPT + 1


def test_a_page_that_somebody_else_deletes_meanwhile_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "support-support@1-gone.html").symlink_to(tmp_path / "gone")  # listed, and not there when looked at
    path = write_page(tmp_path, "support", "support@1-1", "page")
    assert path is not None and path.read_text() == "page"


def test_where_no_page_can_be_written_the_verdict_stands(tmp_path: Path) -> None:
    (tmp_path / "verdicts").write_text("a file")
    assert write_page(tmp_path / "verdicts", "support", "1", "page") is None


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderRegistry:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_REGISTRY", str(tmp_path / "registry"))
    registry = FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", {"format": 1, "files": {}}, {})
    old = {"passed": True, "reason": "better: of before"}
    registry.publish("support", {"format": 1, "files": {}, "parent": "1", "gate": old}, {})
    manifest: dict[str, Any] = {"format": 1, "files": {}, "parent": "2", "gate": verdict(passed=True, reason="better")}
    blobs: dict[str, bytes] = {}
    training_data.attach_file(manifest, blobs, PAGE_ROLE, b"<p>the page</p>")
    registry.publish("support", manifest, blobs)
    return registry


def test_the_command_tells_the_verdict_and_writes_its_page(registry: FolderRegistry, tmp_path: Path) -> None:
    page = tmp_path / "verdict.html"
    told = CliRunner().invoke(app, ["models", "verdict", "support@3", "--page", str(page)])
    assert told.exit_code == 0 and page.read_text() == "<p>the page</p>"
    assert "support@3, compared with support@2: better" in told.output and "? urgency is no worse" in told.output
    described = json.loads(CliRunner().invoke(app, ["models", "verdict", "support@3", "--json"]).stdout)
    assert described["compared_with"] == "2" and described["checks"][0]["outcome"] == "passed"


def test_releases_without_a_verdict_or_a_page_say_so(registry: FolderRegistry, tmp_path: Path) -> None:
    first = CliRunner().invoke(app, ["models", "verdict", "support@1"])
    assert first.exit_code != 0 and "was trained from a file" in str(first.exception)
    before = CliRunner().invoke(app, ["models", "verdict", "support@2"])
    assert before.exit_code == 0 and "better: of before" in before.output
    page = CliRunner().invoke(app, ["models", "verdict", "support@2", "--page", str(tmp_path / "p.html")])
    assert page.exit_code != 0 and "carries no page" in str(page.exception)
