"""The training process of a retrain job: reads an order, prints a verdict as its last line of output."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from connectors.registry import FolderRegistry
from models.bundle import unpack
from retrain import training_data
from retrain.challenge import challenger_dataset, compare
from retrain.job import train_release


def main() -> None:
    """Run the order in the file given as the only argument."""
    os.nice(5)  # the streams of this machine come first
    order = json.loads(Path(sys.argv[1]).read_bytes())
    print(json.dumps(run(order)))


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train a challenger on the champion's data and the corrections; publish it when it is better."""
    registry = FolderRegistry(order["registry"])
    model, version = order["model"], order["champion"]
    manifest = registry.manifest(model, version)
    described = json.loads(manifest)
    champion = unpack(manifest, registry.blob, version=version, threads=order["threads"])
    before = training_data.from_bytes(registry.blob(described["files"][training_data.ROLE]["sha256"]))
    dataset = challenger_dataset(before, order["labelled"])
    trained = train_release(
        model,
        dataset,
        champion.encoder,
        seed=order["seed"],
        oos_label=described.get("training", {}).get("oos_label"),
        parent=version,
    )
    verdict = compare(champion, trained.classifier, dataset)
    if not verdict.passed:
        return {"version": None, "words": verdict.reason}
    trained.manifest["gate"] = {"passed": verdict.passed, "reason": verdict.reason}
    training_data.attach(trained.manifest, trained.blobs, dataset)
    return {"version": registry.publish(model, trained.manifest, trained.blobs), "words": verdict.reason}


if __name__ == "__main__":
    main()
