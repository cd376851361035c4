"""A map of embeddings as a release: a manifest and one file, safetensors, proved by its hash."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.errors import ModelError, ReleaseCorrupt
from models.recommendation.adapting.item_map import ItemMap

KIND: Final = "item_map"  # of the manifest; those of classifiers name none
FORMAT: Final = 1
ROLE: Final = "map"
_WAY_OUT: Final = "publish the release again or roll back to another version"


@dataclass(frozen=True, slots=True)
class MapNotes:
    """What a manifest says beyond the map. All values are JSON. encoder_sha256: of the encoder's file that the items'
    embeddings come from. parent: the version that it was compared with; None: with none."""

    encoder_sha256: str
    parent: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)


def pack_map(model: str, item_map: ItemMap, notes: MapNotes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files (sha256 to bytes), ready for `ReleaseRegistry.publish`."""
    content = save({"matrix": np.ascontiguousarray(item_map.matrix, np.float32)})
    digest = hashlib.sha256(content).hexdigest()
    manifest = {
        "format": FORMAT,
        "kind": KIND,
        "model": model,
        "parent": notes.parent,
        "strategy": KIND,
        "serves": KIND,
        "encoder": {"dimensions": item_map.dimensions, "sha256": notes.encoder_sha256},
        "training": dict(notes.training),
        "gate": None if notes.gate is None else dict(notes.gate),
        "libraries": dict(notes.libraries),
        "files": {ROLE: {"sha256": digest, "bytes": len(content)}},
    }
    return manifest, {digest: content}


def is_map(manifest: bytes) -> bool:
    """Whether a manifest is that of a map of embeddings; of any other, or of bytes that are none, not."""
    try:
        described = json.loads(manifest)
    except ValueError:
        return False
    return isinstance(described, dict) and described.get("kind") == KIND


def unpack_map(
    manifest: bytes, blob: Callable[[str], bytes], *, version: str = "", encoder: tuple[str, int] | None = None
) -> ItemMap:
    """Load a release, its file's hash verified. blob: gives a file by its sha256. encoder: hash of the file and
    dimensions of the one whose embeddings are to be mapped; None: nothing is compared. A map that changes nothing fits
    any of its dimensions.

    Raises ReleaseCorrupt, and ModelError for a map that is for another encoder.
    """
    if not is_map(manifest):
        raise ModelError(f"version {version} is no map of items' embeddings; roll back to another version")
    try:
        described = json.loads(manifest)
        name = f"{described['model']}@{version}"
        if described["format"] != FORMAT:
            raise ModelError(f"{name} has format {described['format']}, this Headrace reads {FORMAT}; update it")
        entry, made_for = described["files"][ROLE], described["encoder"]
        content = blob(entry["sha256"])
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ReleaseCorrupt(f"the map of {name} is not the file that its manifest names; {_WAY_OUT}")
        item_map = ItemMap(load(content)["matrix"].astype(np.float32), version)
        made_for = str(made_for["sha256"]), int(made_for["dimensions"])
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ReleaseCorrupt(f"the release {version} cannot be read ({error!r}); {_WAY_OUT}") from error
    if item_map.dimensions != made_for[1]:
        raise ReleaseCorrupt(
            f"the map of {name} has {item_map.dimensions} dimensions, its manifest says {made_for[1]}; {_WAY_OUT}"
        )
    fits_any = item_map.is_identity and encoder is not None and encoder[1] == item_map.dimensions
    if encoder is not None and encoder != made_for and not fits_any:
        raise ModelError(
            f"{name} is a map for embeddings of another encoder ({made_for[1]} numbers, {made_for[0][:12]}) than the "
            f"catalogue's ({encoder[1]} numbers, {encoder[0][:12]}): train it again with `headrace recommend --adapt`"
        )
    return item_map
