"""Releases for a campaign: two that are good and decide alike, and broken ones, each broken in another way."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors.numpy import load, save

from connectors.ports import Publisher
from connectors.registry import FolderRegistry
from streams.clock import wall_clock_ms
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release, format_time

BROKEN: Final = ("altered manifest", "truncated file", "golden texts that disagree")


class ReleaseShelf:
    """The registry of a campaign. good: versions that serve; the first is the champion at the start."""

    def __init__(self, root: Path, model: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
        self._root, self._model, self._manifest, self._blobs = root, model, manifest, blobs
        self._registry = FolderRegistry(str(root))
        self.good = [self._registry.publish(model, manifest, blobs) for _ in range(2)]
        self._registry.promote(model, self.good[0])

    @property
    def registry(self) -> FolderRegistry:
        """Where the releases stand."""
        return self._registry

    @property
    def champion(self) -> str:
        """The version that the registry names."""
        version = self._registry.champion(self._model)
        assert version is not None
        return version

    def known_label(self, head: str) -> str:
        """A label that the good releases decide: a new one would be left out of training."""
        labels: dict[str, list[str]] = {described["name"]: described["labels"] for described in self._manifest["heads"]}
        return labels[head][0]

    def note(self, version: str) -> None:
        """Have the registry name what was announced."""
        self._registry.promote(self._model, version)

    def versions_for(self, request: str) -> list[str]:
        """The versions that were trained for a retrain request."""
        manifests = {
            v: json.loads(self._registry.manifest(self._model, v)) for v in self._registry.versions(self._model)
        }
        return [v for v, described in manifests.items() if described.get("retraining", {}).get("request") == request]

    def publish_broken(self, how: str) -> tuple[str, str]:
        """Publish a release that must not serve. how: one of BROKEN. Returns its version and the hash to announce."""
        manifest = json.loads(json.dumps(self._manifest))
        blobs = dict(self._blobs)
        if how == "golden texts that disagree":
            for rows in manifest["golden"]["logits"].values():
                rows[0] = [value + 10.0 for value in rows[0]]
        if how == "truncated file":
            self._give_it_a_file_of_its_own(manifest, blobs)
        version = self._registry.publish(self._model, manifest, blobs)
        announced = hashlib.sha256(self._registry.manifest(self._model, version)).hexdigest()
        if how == "truncated file":
            file = self._root / "blobs" / next(sha for sha in blobs if sha not in self._blobs)
            file.write_bytes(file.read_bytes()[:-100])
        if how == "altered manifest":
            place = self._root / "models" / self._model / version / "manifest.json"
            place.write_bytes(place.read_bytes().replace(b'"strategy"', b'"strategie"', 1))
        return version, announced

    def announce(self, publisher: Publisher, version: str, manifest_sha256: str | None = None) -> None:
        """Tell all workers through `model.releases`, with no look at whether it is any good."""
        sha256 = manifest_sha256 or hashlib.sha256(self._registry.manifest(self._model, version)).hexdigest()
        now_ms, before = wall_clock_ms(), self.champion
        hashes = {before: hashlib.sha256(self._registry.manifest(self._model, before)).hexdigest(), version: sha256}
        release = Release(
            model=self._model,
            champion=version,
            previous=before,
            revision=now_ms,
            manifest_sha256=hashes,
            by="faults",
            at=format_time(now_ms),
        )
        publisher.send(RELEASES_TOPIC, release.encode(), self._model.encode())
        publisher.flush()

    def _give_it_a_file_of_its_own(self, manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
        """The first head again, under another hash: releases share what is the same, and only this one may break."""
        role = next(name for name in manifest["files"] if name.startswith("head:"))
        content = save(load(blobs[manifest["files"][role]["sha256"]]), {"copy": str(wall_clock_ms())})
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][role] = {"sha256": sha256, "bytes": len(content)}
        blobs[sha256] = content
