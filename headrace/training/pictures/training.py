"""The picture part of a release, from a folder: beside a training on texts, or for the release that serves."""

import importlib.metadata
import json
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.pages.model_card import attach_card
from headrace.training.energy_counter import EnergyMeter
from headrace.training.pictures.folder import PictureOrder, read_picture_folder
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.job import PackedRelease
from retrain.pictures.dataset import PictureSet
from retrain.pictures.fitting import PicturePlan, require_torch
from retrain.pictures.release import carry_pictures, picture_report, with_pictures
from retrain.pictures.training import TrainedPictures, train_pictures
from retrain.progress import Progress
from streams.application import Application


def read_and_train(
    wiring: Wiring, order: PictureOrder, seed: int, progress: Progress
) -> tuple[PictureSet, TrainedPictures]:
    """Raises ConfigError, TrainingDataError, ModelError."""
    require_torch()
    pictures = read_picture_folder(order, seed=seed, progress=progress)
    plan = PicturePlan(mirror=order.mirror, threads=wiring.settings.threads or None)
    trained = train_pictures(pictures, seed=seed, plan=plan, progress=progress, meter=EnergyMeter())
    libraries = {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", "pillow", "torch")}
    trained.described["training"]["libraries"] = libraries
    return pictures, trained


def train_on_pictures(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, order: PictureOrder, seed: int, progress: Progress
) -> PackedRelease:
    """The champion with a new picture part: texts are decided as before. Raises ConfigError where nothing serves yet,
    and as `read_and_train`."""
    champion = registry.champion(app.name)
    if champion is None:
        raise ConfigError(
            f"there is no release of {app.name} yet that pictures could stand beside: give --data FILE as well"
        )
    before = registry.manifest(app.name, champion)
    pictures, trained = read_and_train(wiring, order, seed, progress)
    manifest, blobs = with_pictures(json.loads(before), trained)
    attach_card(manifest, blobs)
    blob = registry.blobs_of(before)
    own = set(blobs)
    blobs |= {
        file["sha256"]: blob(file["sha256"]) for file in manifest["files"].values() if file["sha256"] not in blobs
    }
    report: dict[str, Any] = {
        "model": app.name,
        "version": None,
        "parent": champion,
        "seconds": trained.described["training"]["cost"]["seconds"],
        "model_bytes": sum(len(blobs[sha256]) for sha256 in own),
        "pictures": picture_report(pictures, trained),
    }
    return PackedRelease(manifest, blobs, report)


def carry_from_champion(
    registry: ReleaseRegistry, model: str, manifest: dict[str, Any], blobs: dict[str, bytes]
) -> bool:
    """See `carry_pictures`; of the release that serves."""
    champion = registry.champion(model)
    if champion is None:
        return False
    before = registry.manifest(model, champion)
    return carry_pictures(json.loads(before), registry.blobs_of(before), manifest, blobs)
