"""What a campaign needs here: a release that loads in a moment, and folders."""

from pathlib import Path

import pytest
from real_services import services_cache
from small_release import small_release, small_rows

from bench.faults.ground import Ground
from streams.application import HeadSpec

HEADS = tuple(HeadSpec(name=name, column=name) for name in ("intent", "urgency"))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A campaign's ground with the small release."""
    release = small_release()
    return Ground(
        heads=HEADS,
        texts=[row.text for row in small_rows()],
        manifest=release.manifest,
        blobs=release.blobs,
        folder=tmp_path / "campaign",
        cache=services_cache() / "encoders",
        services_cache=services_cache(),
    )
