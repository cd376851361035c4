"""The training process of a staged retrainer; see `bench.faults.scene.staged`."""

from typing import Any

from bench.faults.scene.staged import train
from connectors.registry import FolderRegistry
from headrace.training.child_process import answer

WORDS = "the champion again, for the campaign"


def run(order: dict[str, Any]) -> dict[str, Any]:
    """A release that decides exactly like the champion, for this request."""
    registry, model, champion = FolderRegistry(order["registry"]), order["model"], order["champion"]
    more = {"parent": champion, "gate": {"reason": WORDS}, "retraining": {"request": order["request"]}}
    return {"version": train(registry, model, (registry, model, champion), more), "words": WORDS}


if __name__ == "__main__":
    answer(run)
