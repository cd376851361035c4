"""The picture part of a release, and how text and picture decide together: put into one that was packed, carried on to
its successor, or added to one that serves."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from models.classifier import Classifier
from models.errors import ReleaseCorrupt
from models.pictures.classifier import ROLE
from models.pictures.fusion import ROLE as FUSION
from models.pictures.fusion import Doubles
from retrain.data import Dataset, Row
from retrain.gate.verdict import PAGE_ROLE
from retrain.pictures.dataset import PictureSet
from retrain.pictures.fusing import LearntFusion, learn_fusion
from retrain.pictures.paired_rows import PairedRows
from retrain.pictures.training import TrainedPictures
from retrain.training_data import CARD_ROLE, FUSION_ROWS_ROLE, PICTURE_KEYS_ROLE, attach_file

_OF_ITS_MAKING: Final = ("version", "gate", "retraining")  # what a manifest says of how that very release came about
_OF_THAT_NETWORK: Final = (PAGE_ROLE, CARD_ROLE, FUSION_ROWS_ROLE)


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


def fuse(
    manifest: dict[str, Any],
    blobs: dict[str, bytes],
    classifier: Classifier,
    rows: PairedRows,
    dataset: Dataset,
    seed: int = 0,
) -> LearntFusion:
    """Learn how text and picture decide together, into a packed release that is not published yet. classifier: of its
    texts. dataset: what that was trained on. rows: all that are known; those whose text trained it are left out."""
    training = dataset.part("train")
    labels = classifier.heads[rows.head].labels if rows.head in classifier.heads else ()
    if sorted(labels) != sorted(rows.shown):
        apart = ", ".join(map(repr, sorted(set(labels) ^ set(rows.shown))[:5]))
        reason = f"texts and pictures have other labels: {apart}"
        learnt = LearntFusion(None, {"head": rows.head, "serves": False, "reason": reason})
    else:
        unknown = rows.unknown_to([row.text for row in training])
        learnt = learn_fusion(classifier, unknown, _label_shares(training, rows.head, labels), seed)
    manifest[FUSION] = learnt.described
    attach_file(manifest, blobs, FUSION_ROWS_ROLE, rows.to_bytes())
    return learnt


def carry_fusion(
    before: Mapping[str, Any],
    blob: Callable[[str], bytes],
    manifest: dict[str, Any],
    blobs: dict[str, bytes],
    classifier: Classifier,
    dataset: Dataset,
) -> LearntFusion | None:
    """What a release's text and picture decide together, its successor learns anew, as its texts are decided anew: on
    the same rows, where it has the same network. See `carry_pictures`, which goes before; `fuse`. None where there was
    nothing."""
    if before.get(FUSION) is None or FUSION_ROWS_ROLE not in before["files"]:
        return None
    rows = PairedRows.from_bytes(blob(before["files"][FUSION_ROWS_ROLE]["sha256"]))
    seed = int((manifest.get("training") or {}).get("seed", 0))
    return fuse(manifest, blobs, classifier, rows, dataset, seed)


def _label_shares(rows: Sequence[Row], head: str, labels: Sequence[str]) -> Doubles:
    """As if each label had one row more: none has a share of nothing."""
    counts = Counter(row.labels.get(head) for row in rows)
    counted: Doubles = np.array([counts[label] + 1.0 for label in labels])
    shares: Doubles = counted / counted.sum()
    return shares


def with_pictures(before: Mapping[str, Any], trained: TrainedPictures) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A successor that decides texts as `before` does, and pictures: its manifest, and the files that `before` has not.
    Where text and picture decided together, they do not any more: that was learnt on what another network said.

    before: a published manifest.
    """
    manifest = {name: value for name, value in before.items() if name not in (*_OF_ITS_MAKING, FUSION)}
    manifest["parent"] = str(before["version"])
    manifest["files"] = {role: file for role, file in before["files"].items() if role not in _OF_THAT_NETWORK}
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
