"""Helpers for tests with real services: start or skip, and waiting by deadline."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from connectors.errors import ServiceUnavailable
from connectors.local_services import services

PATIENCE_SECONDS = 120.0  # for what takes a moment: a slow machine has minutes


def services_cache() -> Path:
    """Where the programs of the services are kept between runs."""
    return Path(os.environ.get("HEADRACE_TEST_CACHE", "~/.cache/headrace-services")).expanduser()


def start_or_skip(
    folder: Path,
    *,
    kafka: bool,
    elasticsearch: bool,
    elasticsearch_major: int = 8,
    security: services.ElasticsearchSecurity | None = None,
    cache: Path | None = None,
) -> services.ServicesStatus:
    """Start services, or skip the test with the reason (fail with CI=true)."""
    try:
        return services.start(
            folder,
            kafka=kafka,
            elasticsearch=elasticsearch,
            elasticsearch_major=elasticsearch_major,
            security=security,
            short_start=True,
            cache=cache or services_cache(),
            progress=print,
        )
    except ServiceUnavailable as error:
        skip_or_fail(error)


def skip_or_fail(error: ServiceUnavailable) -> NoReturn:
    """Without a service a test is skipped, except on CI: a skipped service there would be a check that never runs."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs the real services: {error}")
    pytest.skip(f"no real service: {error}")


def wait_until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS, what: str = "it") -> None:
    """Wait by deadline; fails naming what did not happen."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
