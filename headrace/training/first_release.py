"""The first release of a model: one process trains it, however many start at once."""

import logging
import time
from collections.abc import Callable

from connectors.ports import ReleaseRegistry
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.progress import Progress, no_progress
from streams.application import Application

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
WAIT_SECONDS = 1800.0  # for another process that trains and shows that it lives


def champion_or_first(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, progress: Progress = no_progress
) -> str:
    """The registry's champion; where there is none, one is trained from the application's own corpus. For commands:
    processes of a stream go by `model.releases`."""
    settle_first_release(
        registry,
        app,
        train=lambda: train_first(wiring, registry, app, progress),
        is_settled=lambda: registry.champion(app.name) is not None,
        settle=lambda version: registry.promote(app.name, version),
    )
    version = registry.champion(app.name)
    assert version is not None
    return version


def settle_first_release(
    registry: ReleaseRegistry,
    app: Application,
    *,
    train: Callable[[], str],
    is_settled: Callable[[], bool],
    settle: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Returns once `is_settled`: by whoever has the turn, which is one process at a time.

    train: makes a version and returns it; not called where one was published already, by a process that died before it
    could say so. settle: makes a version the one that serves. Raises ConfigError, RegistryError.
    """
    turn, deadline = registry.lease(app.name, "first-release"), clock() + WAIT_SECONDS
    while not is_settled():
        if turn.take():
            try:
                if not is_settled():
                    published = registry.versions(app.name)
                    settle(published[-1] if published else train())
            finally:
                turn.give_back()
            return
        if clock() > deadline:
            raise ConfigError(
                f"another process has been training the first model {app.name} for {WAIT_SECONDS:.0f} s; look at its "
                f"log, or stop it and start again"
            )
        sleep(LOOK_SECONDS)


def train_first(wiring: Wiring, registry: ReleaseRegistry, app: Application, progress: Progress) -> str:
    """Train the first release from the application's own corpus and publish it; returns its version."""
    if app.corpus is None or not app.corpus.is_file():
        raise ConfigError(
            f"there is no model {app.name} and no corpus to train one: run `headrace train {app.given_as} --data FILE "
            f"--register`"
        )
    from headrace.training.from_file import TrainingRequest, train

    log.info("no model %s in the registry yet: training one from %s", app.name, app.corpus.name)
    trained = train(wiring, registry, app, TrainingRequest(data=app.corpus), progress)
    return registry.publish(app.name, trained.manifest, trained.blobs)
