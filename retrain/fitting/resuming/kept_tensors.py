"""What a training keeps of its model and optimiser: named parts as the flat arrays of a checkpoint, and back.

A part is a mapping of names to torch tensors or numpy arrays; its arrays are named `part/name`. What Adam knows of its
parameter N is the part `adam.N`.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retrain.fitting.resuming.checkpoints import Tensors

Parts = dict[str, Mapping[str, Any]]

_ADAM: Final = "adam."


def as_arrays(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """All parts' values, as `Checkpoints.save` takes them."""
    return {f"{part}/{name}": _array(value) for part, named in parts.items() for name, value in named.items()}


def as_parts(tensors: Tensors) -> dict[str, dict[str, NDArray[Any]]]:
    """The way back; arrays of their own, which may be written to."""
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = np.array(value)
    return parts


def parts_of_adam(optimizer: Any) -> Parts:
    """What a torch optimiser knows of each of its parameters."""
    return {f"{_ADAM}{number}": known for number, known in optimizer.state_dict()["state"].items()}


def resume_adam(torch: Any, optimizer: Any, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Give an optimiser of the same parameters back what `parts_of_adam` said; torch moves it to their device."""
    known = {
        int(part.removeprefix(_ADAM)): {name: torch.from_numpy(value) for name, value in named.items()}
        for part, named in parts.items()
        if part.startswith(_ADAM)
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": known})


def resume_schedule(schedule: Any, optimizer: Any, step: int) -> None:
    """Set a torch schedule to where it stood after this many steps."""
    schedule.last_epoch = step - 1
    optimizer._opt_called = True  # it was, in the training that was cut off; else the schedule warns
    schedule.step()


def _array(value: Any) -> NDArray[Any]:
    array: NDArray[Any] = value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
    return array
