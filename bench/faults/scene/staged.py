"""The product's command line on a stage: a campaign meets it at the right moment, and a training takes seconds.

    python -m bench.faults.scene.staged worker APP ...

FAULTS_STAGE names a folder. A file in it switches something on for as long as it is there:

    registry-down     every verb on the registry's files fails as s3fs tells an object store's "503 Slow Down"
    hold-training     a training, in its own process, does not go on
    hold-announcing   a retrainer waits before it announces what was trained
    hold-noting       ... before the registry notes what was announced

A training publishes the champion's files again (the control loop is on trial here, not the learning), a first one those
of the registry that FAULTS_SOURCE names. Each writes its process id into a file `training-<id>`.
"""

import asyncio
import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.ports import ReleaseRegistry
from connectors.registry import FolderRegistry
from connectors.registry.local_files import LocalFiles
from headrace.training.retrain_job import RetrainJob
from streams.retrainer import Challenger
from streams.wire.records import RetrainRequest

VERBS = ("read", "size", "names", "write", "create", "create_in_new_folder", "remove")
TRAINING_SECONDS = 3.0
POLL_SECONDS = 0.05


def is_on(switch: str) -> bool:
    """Whether the campaign has switched this on."""
    return (stage() / switch).exists()


def stage() -> Path:
    """The folder of the switches."""
    return Path(os.environ["FAULTS_STAGE"])


def train(registry: ReleaseRegistry, model: str, source: tuple[ReleaseRegistry, str, str], more: dict[str, Any]) -> str:
    """Publish a release (registry, model, version) again, as if it had been trained; returns the new version."""
    (stage() / f"training-{os.getpid()}").touch()
    time.sleep(TRAINING_SECONDS)
    while is_on("hold-training"):
        time.sleep(POLL_SECONDS)
    others, name, version = source
    manifest = json.loads(others.manifest(name, version)) | more
    blobs = {file["sha256"]: others.blob(file["sha256"]) for file in manifest["files"].values()}
    return registry.publish(model, manifest, blobs)


def set_up() -> None:
    """Put the stage under the product."""
    from headrace.process import release_control
    from headrace.training import retrain_job

    for name in VERBS:
        setattr(LocalFiles, name, _may_be_down(getattr(LocalFiles, name)))
    setattr(retrain_job, "CHILD", "bench.faults.scene.staged_child")  # noqa: B010  # a name in another module
    setattr(release_control, "train_first", _train_first)  # noqa: B010
    setattr(RetrainJob, "announce", _held_announce(RetrainJob.announce))  # noqa: B010
    setattr(FolderRegistry, "promote", _held_promote(FolderRegistry.promote))  # noqa: B010


def _may_be_down(verb: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*arguments: Any, **options: Any) -> Any:
        if is_on("registry-down"):
            raise OSError(errno.EBUSY, "503 Slow Down: please reduce your request rate")
        return verb(*arguments, **options)

    return answer


def _train_first(wiring: Any, registry: ReleaseRegistry, app: Any, progress: Any) -> str:
    source = FolderRegistry(os.environ["FAULTS_SOURCE"])
    (name,) = source.models()
    return train(registry, app.name, (source, name, source.versions(name)[0]), {})


def _held_announce(announce: Any) -> Any:
    async def hold(self: RetrainJob, request: RetrainRequest, challenger: Challenger) -> str:
        while is_on("hold-announcing"):
            await asyncio.sleep(POLL_SECONDS)
        words: str = await announce(self, request, challenger)
        return words

    return hold


def _held_promote(promote: Any) -> Any:
    def hold(self: FolderRegistry, model: str, version: str) -> None:
        while is_on("hold-noting"):
            time.sleep(POLL_SECONDS)
        promote(self, model, version)

    return hold


if __name__ == "__main__":
    from headrace.cli import main

    set_up()
    main()
