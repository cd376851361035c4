"""Real services and the embedded broker for tests.

A service comes from the environment (HEADRACE_TEST_KAFKA, HEADRACE_TEST_ELASTICSEARCH), else from Java and Maven in a
folder of its own; programs are kept in ~/.cache/headrace-services or $HEADRACE_TEST_CACHE. Where neither is there the
tests skip with the reason, except that with CI=true they fail.
"""

import contextlib
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from real_services import start_or_skip
from repeats import repeats

from connectors.errors import ServiceUnavailable
from connectors.kafka.embedded import EmbeddedBroker
from connectors.local_services import services
from headrace.process.garbage import collect_rarely_at_start

FOLDER_PREFIX = "headrace-test-services-"
# how long a case takes says how busy the machine is
settings.register_profile("headrace", deadline=None, max_examples=repeats(30, 100))
settings.load_profile("headrace")
collect_rarely_at_start()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """The modules and cases of thousands of tests stay to the end: the collector need not walk through them again and
    again, which took half of the time of a test that asks for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def collector_is_spared() -> None:
    """Again, where a process that ran within a test let go of what was frozen."""
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def services_folder() -> Iterator[Callable[[str], Path]]:
    """Makes a folder for services by name, open to the user that Elasticsearch runs as; at the end all of it is
    stopped."""
    _sweep_killed_runs()
    root = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    root.chmod(0o755)

    def folder(name: str) -> Path:
        (root / name).mkdir(exist_ok=True)
        return root / name

    yield folder
    _stop_below(root)


@pytest.fixture(scope="session")
def kafka_address(services_folder: Callable[[str], Path]) -> str:
    """host:port of a real Kafka."""
    if given := os.environ.get("HEADRACE_TEST_KAFKA"):
        return given.removeprefix("kafka://")
    started = start_or_skip(services_folder("kafka"), kafka=True, elasticsearch=False)
    assert started.kafka is not None
    return started.kafka


@pytest.fixture(scope="session")
def elasticsearch_url(services_folder: Callable[[str], Path]) -> str:
    """URL of a real Elasticsearch 8."""
    if given := os.environ.get("HEADRACE_TEST_ELASTICSEARCH"):
        return given
    started = start_or_skip(services_folder("elasticsearch"), kafka=False, elasticsearch=True)
    assert started.elasticsearch is not None
    return started.elasticsearch


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """A started embedded broker of this test's own."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, for topics, indices and groups."""
    return f"t{uuid.uuid4().hex[:10]}"


def _sweep_killed_runs() -> None:
    """A test run that was killed leaves its servers behind: stop them by the ids it wrote down."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = left.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            _stop_below(left)


def _stop_below(root: Path) -> None:
    for folder in root.iterdir():
        with contextlib.suppress(ServiceUnavailable):
            services.stop(folder)
    shutil.rmtree(root, ignore_errors=True)
