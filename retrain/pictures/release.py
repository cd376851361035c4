"""The picture part of a release: put into one that was packed, carried on to its successor, or added to one that
serves."""

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from models.errors import ReleaseCorrupt
from models.pictures.classifier import ROLE
from retrain.gate.verdict import PAGE_ROLE
from retrain.pictures.dataset import PictureSet
from retrain.pictures.training import TrainedPictures
from retrain.training_data import CARD_ROLE, PICTURE_KEYS_ROLE, attach_file

_OF_ITS_MAKING: Final = ("version", "gate", "retraining")  # what a manifest says of how that very release came about


def attach_pictures(manifest: dict[str, Any], blobs: dict[str, bytes], trained: TrainedPictures) -> None:
    """Into a packed release that is not published yet."""
    manifest[ROLE] = trained.described
    attach_file(manifest, blobs, ROLE, trained.classifier.model)
    content = json.dumps(sorted(trained.known)).encode()
    attach_file(manifest, blobs, PICTURE_KEYS_ROLE, gzip.compress(content, mtime=0))


def known_pictures(manifest: Mapping[str, Any], blob: Callable[[str], bytes]) -> frozenset[str]:
    """Keys of the pictures that a release's network was trained or tuned on (`picture_key`); none of a release that
    does not say so. Raises ReleaseCorrupt."""
    if PICTURE_KEYS_ROLE not in manifest["files"]:
        return frozenset()
    try:
        content = blob(manifest["files"][PICTURE_KEYS_ROLE]["sha256"])
        return frozenset(map(str, json.loads(gzip.decompress(content))))
    except (ValueError, OSError, EOFError) as error:
        raise ReleaseCorrupt(
            f"the list of the release's training pictures cannot be read: {error}; train it again"
        ) from error


def carry_pictures(
    before: Mapping[str, Any], blob: Callable[[str], bytes], manifest: dict[str, Any], blobs: dict[str, bytes]
) -> bool:
    """What a release knows of pictures goes on to its successor, which was trained on texts alone. before: its
    manifest. blob: gives its files by their sha256. Returns whether it knew anything."""
    if before.get(ROLE) is None:
        return False
    manifest[ROLE] = before[ROLE]
    for role in (ROLE, PICTURE_KEYS_ROLE):
        if role in before["files"]:
            attach_file(manifest, blobs, role, blob(before["files"][role]["sha256"]))
    return True


def with_pictures(before: Mapping[str, Any], trained: TrainedPictures) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A successor that decides texts as `before` does, and pictures: its manifest, and the files that `before` has not.

    before: a published manifest.
    """
    manifest = {name: value for name, value in before.items() if name not in _OF_ITS_MAKING}
    manifest["parent"] = str(before["version"])
    manifest["files"] = {role: file for role, file in before["files"].items() if role not in (PAGE_ROLE, CARD_ROLE)}
    blobs: dict[str, bytes] = {}
    attach_pictures(manifest, blobs, trained)
    return manifest, blobs


def picture_report(pictures: PictureSet, trained: TrainedPictures) -> dict[str, Any]:
    """For `headrace train --json`."""
    described = trained.described
    return {
        "labels": described["labels"],
        "size": described["size"],
        **{name: described["training"][f"{name}_pictures"] for name in ("train", "valid", "test")},
        **{name: described["metrics"][name] for name in ("accuracy", "accuracy_ci95", "macro_f1", "ece")},
        "bytes": len(trained.classifier.model),
        "seconds": described["training"]["cost"]["seconds"],
        "dropped_duplicates": pictures.dropped_duplicates,
        "rejected": [{"name": one.name, "reason": one.reason, "detail": one.detail} for one in pictures.rejected],
    }
