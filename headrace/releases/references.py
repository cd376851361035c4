"""The arrays of a release that drift monitors compare with."""

from typing import Any

from numpy.typing import NDArray

from connectors.ports import ReleaseRegistry
from models.bundle import read_reference


def release_reference(registry: ReleaseRegistry, model: str, version: str) -> dict[str, NDArray[Any]]:
    """The arrays that drift monitors compare with."""
    return read_reference(registry.manifest(model, version), registry.blob)
