"""The training process of a retrain job: an order in, a verdict out (`headrace.training.child_process`)."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from connectors.errors import RegistryUnavailable
from connectors.registry import FolderRegistry
from headrace.training.child_process import answer
from models.bundle import unpack
from retrain import training_data
from retrain.challenge import challenger_dataset, compare
from retrain.job import train_release
from streams.classify.release_loading import proved_manifest

PUBLISH_SECONDS: Final = 300.0  # for which a registry that does not answer is asked again: training took longer
PAUSE_SECONDS: Final = 5.0


def main() -> None:
    """Take an order and answer it."""
    answer(run)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train a challenger on the champion's data and the corrections; publish it when it is better."""
    registry = FolderRegistry(order["registry"])
    model, version = order["model"], order["champion"]
    manifest = proved_manifest(registry, model, version, order["manifest_sha256"])
    described = json.loads(manifest)
    blob = registry.blobs_of(manifest)
    champion = unpack(manifest, blob, version=version, threads=order["threads"])
    before = training_data.of_release(described, blob)
    challenge = challenger_dataset(before, order["labelled"])
    dataset, oos_label = challenge.dataset, described.get("training", {}).get("oos_label")
    trained = train_release(
        model,
        dataset,
        champion.encoder,
        seed=order["seed"],
        oos_label=oos_label,
        parent=version,
    )
    sizes = training_data.served_bytes(described), training_data.served_bytes(trained.manifest)
    verdict = compare(champion, trained.classifier, dataset, sizes, oos_label)
    reason = "; ".join(filter(None, (verdict.reason, challenge.words)))
    if not verdict.passed:
        return {"version": None, "words": reason}
    trained.manifest["gate"] = {"passed": verdict.passed, "reason": reason}
    trained.manifest["retraining"] = {"request": order["request"]}  # by which a request delivered again finds it
    training_data.attach(trained.manifest, trained.blobs, trained.dataset)
    return {"version": _publish(registry, model, trained.manifest, trained.blobs), "words": reason}


def _publish(registry: FolderRegistry, model: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> str:
    deadline = time.monotonic() + PUBLISH_SECONDS
    while True:
        try:
            return registry.publish(model, manifest, blobs)
        except RegistryUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
