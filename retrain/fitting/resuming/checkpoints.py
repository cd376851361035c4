"""Where a training that was cut off goes on from."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.fitting.tuning.texts import LabelledTexts, Pretrained

Tensors = Mapping[str, NDArray[Any]]

_FORM: Final = 2  # of what is kept: an older Headrace's state under the same name would not be understood


class Checkpoints(Protocol):
    """Keeps the state of trainings, each under its name."""

    def load(self, name: str) -> tuple[Tensors, dict[str, Any]] | None:
        """What was kept last, or None where there is nothing whole."""

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Keep it in place of what was kept before: all of it or nothing. state: values of JSON."""

    def forget(self) -> None:
        """The trainings that were asked about are over: nobody goes on from them."""


class NoCheckpoints:
    """A training that starts anew each time."""

    def load(self, name: str) -> None:
        """There is nothing."""

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """It is not kept."""

    def forget(self) -> None:
        """There is nothing."""


def training_name(
    start: Pretrained, training: LabelledTexts, tuning: LabelledTexts, seed: int, plan: Any, more: Sequence[Any] = ()
) -> str:
    """sha256 over all that a training comes from: another text, weight or option is another training. plan: a data
    class; more: what JSON holds."""
    said = [_FORM, type(plan).__name__, dataclasses.asdict(plan), seed, dict(start.config), *more]
    found = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for part in (training, tuning):
        found.update(json.dumps([list(part.texts), list(part.labels), list(part.soft)]).encode())
        spans = [] if part.spans is None else [part.spans.text, part.spans.start, part.spans.end, part.spans.labels]
        for values in [*part.labels.values(), *part.soft.values(), *spans]:
            found.update(np.ascontiguousarray(values).tobytes())
    for name in sorted(start.weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(start.weights[name]).tobytes())
    return found.hexdigest()
