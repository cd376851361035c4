"""Releases for the swaps of `headrace bench latency`: others by name, the same by what they decide."""

from pathlib import Path

import pytest
from small_release import small_release

from bench.successors import publish_successor
from connectors.registry import FolderRegistry
from streams.classify.release_loading import load_release

TEXTS = ["refund please", "where is my parcel", "退款到账了吗"]


@pytest.mark.parametrize("own_encoder", [False, True])
def test_a_successor_decides_like_the_champion_and_shares_its_encoder_only_where_asked(
    tmp_path: Path, own_encoder: bool
) -> None:
    registry = FolderRegistry(str(tmp_path))
    release = small_release()
    first = registry.publish("support", release.manifest, release.blobs)
    registry.promote("support", first)
    second = publish_successor(registry, "support", own_encoder=own_encoder)
    champion = load_release(registry, "support", first)
    successor = load_release(registry, "support", second, encoder=champion.encoder)  # proves its golden texts as well
    assert (second, successor.version) == ("2", "2")
    assert (successor.encoder is champion.encoder) is not own_encoder
    answers = [
        [decision.heads["intent"].label for decision in classifier.classify_texts(TEXTS)]
        for classifier in (champion, successor)
    ]
    assert answers[0] == answers[1]
