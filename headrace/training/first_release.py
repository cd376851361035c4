"""The version to serve; where there is none yet, the first one is trained."""

import logging

from connectors.ports import ReleaseRegistry
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.progress import Progress, no_progress
from streams.application import Application

log = logging.getLogger(__name__)


def champion_or_first(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, progress: Progress = no_progress
) -> str:
    """The version to serve; where there is none, one is trained from the application's own corpus."""
    version = registry.champion(app.name)
    if version is not None:
        return version
    if app.corpus is None or not app.corpus.is_file():
        raise ConfigError(
            f"there is no model {app.name} and no corpus to train one: run `headrace train APP --data FILE --register`"
        )
    from headrace.training.from_file import TrainingRequest, train_and_register

    log.info("no model %s in the registry yet: training one from %s", app.name, app.corpus.name)
    report = train_and_register(wiring, registry, app, TrainingRequest(data=app.corpus), progress)
    return str(report["version"])
