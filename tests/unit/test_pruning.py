"""Which versions go."""

import pytest

from connectors.registry.pruning import superseded
from headrace.tools.pruning import in_use
from streams.wire.records import Release


def test_what_serves_is_tried_or_gone_back_to_is_in_use() -> None:
    release = Release(
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
    assert in_use(release) == {"4", "7", "8", "9"}
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
