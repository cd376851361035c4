"""Releases that decide exactly like the champion of a benchmark, to be swapped in under load."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import onnx

from connectors.ports import ReleaseRegistry


def publish_successor(registry: ReleaseRegistry, model: str, *, own_encoder: bool) -> str:
    """Publish the champion's files again; returns the new version.

    own_encoder: under another hash, as after a fine-tuning: a worker cannot share the encoder that it has loaded, and
    must load and warm up the new one beside it.
    """
    champion = registry.champion(model)
    assert champion is not None
    manifest: dict[str, Any] = json.loads(registry.manifest(model, champion))
    blobs = {file["sha256"]: registry.blob(file["sha256"]) for file in manifest["files"].values()}
    if own_encoder:
        blobs |= _renamed_encoder(manifest, blobs)
    return registry.publish(model, manifest, blobs)


def _renamed_encoder(manifest: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    graph = onnx.load_model_from_string(blobs[manifest["files"]["encoder"]["sha256"]])
    graph.metadata_props.add(key="copy", value=str(len(graph.metadata_props) + 1))
    content = graph.SerializeToString()
    sha256 = hashlib.sha256(content).hexdigest()
    manifest["files"]["encoder"] = {"sha256": sha256, "bytes": len(content)}
    return {sha256: content}
