"""The picture part of a release, from a folder or from the pictures beside a file's rows: beside a training on texts,
or for the release that serves."""

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from connectors.ports import ReleaseRegistry
from headrace.pages.model_card import attach_card
from headrace.training.energy_counter import EnergyMeter
from headrace.training.pictures.folder import PictureOrder, read_picture_folder, read_pictures_of_rows
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.pictures.fusion import ROLE as FUSION
from retrain.data import Dataset, with_tuning_rows
from retrain.job import PackedRelease, TrainedRelease
from retrain.pictures.beside_rows import PicturesOfRows
from retrain.pictures.dataset import PictureSet
from retrain.pictures.fitting import PicturePlan, require_torch
from retrain.pictures.release import attach_pictures, carry_fusion, carry_pictures, fuse, picture_report, with_pictures
from retrain.pictures.training import TrainedPictures, train_pictures
from retrain.progress import Progress
from streams.application import Application


@dataclass(frozen=True, slots=True)
class SeenPictures:
    """A picture part that was trained, for a release. beside: the rows that its pictures stand beside; None of a
    folder's."""

    pictures: PictureSet
    trained: TrainedPictures
    beside: PicturesOfRows | None = None

    @classmethod
    def of_folder(cls, wiring: Wiring, order: PictureOrder, seed: int, progress: Progress) -> Self:
        """Raises ConfigError, TrainingDataError, ModelError."""
        require_torch()
        pictures = read_picture_folder(order, seed=seed, progress=progress)
        return cls(pictures, _train(wiring, order, pictures, seed, progress))

    @classmethod
    def of_rows(
        cls,
        wiring: Wiring,
        order: PictureOrder,
        dataset: Dataset,
        data: Path,
        oos_label: str | None,
        seed: int,
        progress: Progress,
    ) -> Self:
        """dataset: with tuning rows, which no part is trained on. data: its file. Raises as `of_folder`."""
        require_torch()
        beside = read_pictures_of_rows(order, dataset, data, oos_label=oos_label, progress=progress)
        return cls(beside.pictures, _train(wiring, order, beside.pictures, seed, progress), beside)

    def attach(self, release: TrainedRelease, seed: int) -> None:
        """Into a packed release that is not published yet, with what text and picture decide together."""
        attach_pictures(release.manifest, release.blobs, self.trained)
        release.report["pictures"] = picture_report(self.pictures, self.trained)
        if self.beside is not None:
            rows = self.beside.paired(release.dataset, self.trained.classifier)
            learnt = fuse(release.manifest, release.blobs, release.classifier, rows, release.dataset, seed)
            release.report["fusion"] = learnt.described | {"words": learnt.words}


def see(
    wiring: Wiring,
    order: PictureOrder | None,
    dataset: Dataset,
    data: Path,
    oos_label: str | None,
    seed: int,
    progress: Progress,
) -> tuple[Dataset, SeenPictures | None]:
    """What is to be trained on pictures, and the dataset as the texts' part is to be trained on it: where its rows have
    pictures, with tuning rows that both parts leave to the fusion. Raises as `SeenPictures`."""
    if order is None:
        return dataset, None
    if order.column is None:
        return dataset, SeenPictures.of_folder(wiring, order, seed, progress)
    dataset.require_single_labels("--image-column", dataset.heads[:1])
    dataset = with_tuning_rows(dataset, seed)
    return dataset, SeenPictures.of_rows(wiring, order, dataset, data, oos_label, seed, progress)


def _train(wiring: Wiring, order: PictureOrder, pictures: PictureSet, seed: int, progress: Progress) -> TrainedPictures:
    plan = PicturePlan(mirror=order.mirror, threads=wiring.settings.threads or None)
    trained = train_pictures(pictures, seed=seed, plan=plan, progress=progress, meter=EnergyMeter())
    libraries = {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", "pillow", "torch")}
    trained.described["training"]["libraries"] = libraries
    return trained


def train_on_pictures(
    wiring: Wiring, registry: ReleaseRegistry, app: Application, order: PictureOrder, seed: int, progress: Progress
) -> PackedRelease:
    """The champion with a new picture part: texts are decided as before. Raises ConfigError where nothing serves yet,
    and as `SeenPictures`."""
    champion = registry.champion(app.name)
    if champion is None:
        raise ConfigError(
            f"there is no release of {app.name} yet that pictures could stand beside: give --data FILE as well"
        )
    before = registry.manifest(app.name, champion)
    seen = SeenPictures.of_folder(wiring, order, seed, progress)
    trained = seen.trained
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
        "pictures": picture_report(seen.pictures, trained),
        "fusion_ended": FUSION in json.loads(before),
    }
    return PackedRelease(manifest, blobs, report)


def carry_from_champion(registry: ReleaseRegistry, trained: TrainedRelease) -> bool:
    """What the release that serves knows of pictures goes on to one that was trained on texts alone; how text and
    picture decide together is learnt anew. Returns whether it knew anything."""
    model = str(trained.manifest["model"])
    champion = registry.champion(model)
    if champion is None:
        return False
    manifest = registry.manifest(model, champion)
    before, blob = json.loads(manifest), registry.blobs_of(manifest)
    if not carry_pictures(before, blob, trained.manifest, trained.blobs):
        return False
    learnt = carry_fusion(before, blob, trained.manifest, trained.blobs, trained.classifier, trained.dataset)
    if learnt is not None:
        trained.report["fusion"] = learnt.described | {"words": learnt.words}
    return True
