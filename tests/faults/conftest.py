"""What a campaign needs here: a release that loads in a moment, and the services' programs, or a skip with the reason."""

from pathlib import Path

import pytest
from real_services import services_cache, skip_or_fail
from small_release import small_release, small_rows

from bench.faults.scene import Ground
from connectors import services
from connectors.errors import ServiceUnavailable
from streams.application import HeadSpec

HEADS = tuple(HeadSpec(name=name, column=name) for name in ("intent", "urgency"))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A campaign's ground with the small release; skips where Java or Maven is missing."""
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


@pytest.fixture(scope="session")
def three_brokers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where the services cannot be had at all; a campaign starts its own, because it kills them."""
    folder = tmp_path_factory.mktemp("can-start")
    try:
        services.start(folder, kafka=True, elasticsearch=False, short_start=True, cache=services_cache(), progress=print)
    except ServiceUnavailable as error:
        skip_or_fail(error)
    finally:
        services.stop(folder)
