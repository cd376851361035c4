"""A release out of the registry, proved and warm."""

import hashlib

from connectors.ports import ReleaseRegistry
from models.bundle import HalfGraphs, unpack
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ReleaseCorrupt
from streams.wire.records import Release

WARM_UP_TEXTS = ("warm up", "the first batch of a session allocates its buffers, so it must not be a customer's " * 4)


def proved_manifest(registry: ReleaseRegistry, model: str, version: str, manifest_sha256: str | None) -> bytes:
    """The manifest's bytes, compared with the hash that was announced; None: there is nothing to compare with.

    The manifest names the hash of every file and holds the golden texts, so this one hash proves the whole release.
    Raises ReleaseCorrupt where they differ, RegistryError.
    """
    manifest = registry.manifest(model, version)
    actual = hashlib.sha256(manifest).hexdigest()
    if manifest_sha256 is not None and actual != manifest_sha256:
        raise ReleaseCorrupt(
            f"manifest of {model}@{version} has sha256 {actual[:12]}, the release says {manifest_sha256[:12]}: "
            f"the registry was altered; publish the release again"
        )
    return manifest


def announced_hash(release: Release, version: str) -> str:
    """What the manifest of a version must hash to. Raises ReleaseCorrupt where the release does not say: whoever may
    leave the hash out could have any file served."""
    sha256 = release.manifest_sha256.get(version)
    if sha256 is None:
        raise ReleaseCorrupt(
            f"the release names no hash for {release.model}@{version}: announce it with `headrace models promote "
            f"{release.model}@{version}`"
        )
    return sha256


def load_release(
    registry: ReleaseRegistry,
    model: str,
    version: str,
    manifest_sha256: str | None = None,
    *,
    threads: int = 0,
    device: str = "cpu",
    encoder: Encoder | None = None,
    half: HalfGraphs | None = None,
) -> Classifier:
    """A proved, warm classifier. encoder: one that is loaded already; releases on the same encoder share it, so that
    a swap takes neither its time nor its memory twice. half: gives a GPU the FP16 weights (`models.bundle.unpack`).
    Raises ReleaseCorrupt where a hash or a golden text disagrees, RegistryError."""
    manifest = proved_manifest(registry, model, version, manifest_sha256)
    classifier = unpack(
        manifest,
        registry.blobs_of(manifest),
        version=version,
        threads=threads or None,
        device=device,
        encoder=encoder,
        half=half,
    )
    classifier.classify_texts(list(WARM_UP_TEXTS))
    return classifier
