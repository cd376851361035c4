"""What others need to know of a release without loading it: its labels, and what drift monitors compare with."""

from typing import Any

import orjson
from numpy.typing import NDArray

from connectors.ports import ReleaseRegistry
from models.bundle import read_reference
from streams.classify.release_loading import proved_manifest


def release_reference(
    registry: ReleaseRegistry, model: str, version: str, manifest_sha256: str | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays that drift monitors compare with. manifest_sha256: as it was announced; None: not compared. Raises
    ReleaseCorrupt, RegistryError."""
    manifest = proved_manifest(registry, model, version, manifest_sha256)
    return read_reference(manifest, registry.blobs_of(manifest))


def labels_of(manifest: bytes) -> dict[str, list[str]]:
    """The labels that a release can give, by head."""
    return {head["name"]: list(head["labels"]) for head in orjson.loads(manifest)["heads"]}
