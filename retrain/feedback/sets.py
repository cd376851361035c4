"""What people say of heads that give several labels: each set by its one text, so that two who mean the same say the
same."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from models.errors import TrainingDataError
from models.label_sets import canonical


def as_sets(labelled: Sequence[Mapping[str, Any]], several: Collection[str]) -> list[dict[str, Any]]:
    """labelled: as for `retrain.challenge.challenger_dataset`. several: the heads. What is no set (`none` beside a
    label) says nothing: whoever wrote it to the topic passed by the commands, which refuse it."""
    items = []
    for item in labelled:
        labels = {head: _as_set(label, head, several) for head, label in item["labels"].items()}
        said = {
            head: [word | {"label": _as_set(word["label"], head, several)} for word in words]
            for head, words in item.get("said", {}).items()
        }
        said = {head: [word for word in words if word["label"] is not None] for head, words in said.items()}
        known = {head: label for head, label in labels.items() if label is not None}
        if known:
            items.append(dict(item) | {"labels": known} | ({"said": said} if "said" in item else {}))
    return items


def _as_set(label: str, head: str, several: Collection[str]) -> str | None:
    if head not in several:
        return label
    try:
        return canonical(label)
    except TrainingDataError:
        return None
