"""What local services share: where they live, what of them runs (on disk), waiting for health, stopping."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors.errors import ServiceUnavailable
from connectors.local_services.java import Progress
from connectors.local_services.process import end_processes, is_running, last_lines

HEALTH_SECONDS = (
    180.0  # a cold start took 8 s alone and 98 s on two cores that others kept busy; past this something is wrong
)
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RunningService:
    """One process: `name` is kafka-1, kafka-2, ... or elasticsearch. `birth` tells a reused process id apart."""

    name: str
    version: str
    pid: int
    birth: str
    address: str
    log: str

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return is_running(self.pid, self.birth)


@dataclass(frozen=True, slots=True)
class Place:
    """Where things go: `folder` for state and data, `cache` for programs; `progress` hears what is being done."""

    folder: Path
    cache: Path
    progress: Progress

    @property
    def state_file(self) -> Path:
        """Where it is written down what runs."""
        return self.folder / "services.json"


def load(place: Place) -> list[RunningService]:
    """What was started here, alive or not. Raises ServiceUnavailable where the file is broken."""
    try:
        return [RunningService(**entry) for entry in json.loads(place.state_file.read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise ServiceUnavailable(f"{place.state_file} is not readable ({error}); remove it") from error


def save(place: Place, services: Sequence[RunningService]) -> None:
    """Write down what runs, at once or not at all."""
    written = place.state_file.with_suffix(".new")
    written.write_text(json.dumps([asdict(service) for service in services], indent=1))
    written.replace(place.state_file)


def wait_healthy(services: Sequence[RunningService], answers: Callable[[], bool], what: str) -> None:
    """Wait by deadline. Raises ServiceUnavailable with the end of the log when one ends, or none answers in time."""
    deadline = time.monotonic() + HEALTH_SECONDS
    while True:
        for service in services:
            if not service.is_alive():
                raise ServiceUnavailable(f"{what} ended while starting; {service.log} ends with: {_tail(service.log)}")
        if answers():
            return
        if time.monotonic() > deadline:
            log = services[0].log
            raise ServiceUnavailable(
                f"{what} did not answer within {HEALTH_SECONDS:.0f} s; {log} ends with: {_tail(log)}"
            )
        time.sleep(0.2)


def _tail(log: str) -> str:
    with contextlib.suppress(OSError):
        return last_lines(Path(log).read_text(errors="replace"))
    return "(no log)"


def stop_all(services: Sequence[RunningService]) -> None:
    """Ask all at once, wait, then kill what is left, with its children. A process that began at another time than it
    is written down was given the same id later, and is let alone."""
    end_processes({service.pid: service.birth for service in services}, STOP_SECONDS)
