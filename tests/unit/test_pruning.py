"""Which versions go, and what the command says of it."""

import hashlib
import json
from pathlib import Path

import pytest
from topics_in_memory import MemoryTopics
from typer.testing import CliRunner

from connectors.errors import BrokerUnavailable
from connectors.registry import FolderRegistry
from connectors.registry.pruning import superseded
from headrace.cli import app
from headrace.tools.pruning import in_use
from headrace.wiring import Wiring
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release

ANNOUNCED = Release(
    model="support",
    champion="7",
    previous="4",
    canary="8",
    share=0.1,
    shadow="9",
    revision=3,
    manifest_sha256={},
    by="try",
    at="2026-11-24T10:00:00.000Z",
)


def test_what_serves_is_tried_or_gone_back_to_is_in_use() -> None:
    assert in_use(ANNOUNCED) == {"4", "7", "8", "9"}
    assert in_use(None) == set()


@pytest.mark.parametrize(
    ("used", "keep", "gone"),
    [
        (set(), 1, ["1", "2", "3", "9"]),
        (set(), 3, ["1", "2"]),
        ({"2"}, 1, ["1", "3", "9"]),
        ({"10", "77"}, 5, []),
        (set(), 0, ["1", "2", "3", "9"]),
    ],
)
def test_the_newest_and_those_in_use_stay(used: set[str], keep: int, gone: list[str]) -> None:
    assert superseded(["1", "2", "3", "9", "10"], used, keep) == gone


def test_of_no_versions_none_goes() -> None:
    assert superseded([], set(), 3) == []


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderRegistry:
    """Eleven versions of `support`, announced as above, and one of `finance`, of which nothing was announced."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    topics = MemoryTopics()
    topics.append(RELEASES_TOPIC, ANNOUNCED.encode(), b"support")
    monkeypatch.setattr(Wiring, "reader", lambda self: topics.reader())
    filled = FolderRegistry(str(tmp_path / "registry"))
    for number, model in enumerate(["support"] * 11 + ["finance"]):
        content = b"head %d" % number
        digest = hashlib.sha256(content).hexdigest()
        filled.publish(model, {"files": {"head": {"sha256": digest, "bytes": len(content)}}}, {digest: content})
    filled.promote("support", "6")
    return filled


def test_prune_lists_first_and_removes_only_when_told(registry: FolderRegistry) -> None:
    listed = CliRunner().invoke(app, ["models", "prune", "--keep", "1"])
    assert "support@1\nsupport@2\nsupport@3\nsupport@5\nsupport@10\nwould go: 5 versions, 5 files" in listed.stdout
    assert len(registry.versions("support")) == 11
    removed = CliRunner().invoke(app, ["models", "prune", "support", "--keep", "1", "--yes", "--json"])
    answer = json.loads(removed.stdout)
    assert (answer["removed"], len(answer["versions"]), answer["files"]) == (True, 5, 5)
    assert registry.versions("support") == ["4", "6", "7", "8", "9", "11"]
    assert registry.versions("finance") == ["1"]
    for version in registry.versions("support"):
        manifest = registry.manifest("support", version)
        assert registry.blobs_of(manifest)(json.loads(manifest)["files"]["head"]["sha256"])


def test_prune_removes_nothing_where_nobody_can_tell_what_serves(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Wiring) -> None:
        raise BrokerUnavailable("no broker answers")

    monkeypatch.setattr(Wiring, "reader", gone)
    done = CliRunner().invoke(app, ["models", "prune", "--yes"])
    assert done.exit_code == 1 and isinstance(done.exception, BrokerUnavailable)
    assert len(registry.versions("support")) == 11
