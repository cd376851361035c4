"""Arrays as text, for JSON: base64 of their numbers, little-endian."""

import base64
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def pack(array: NDArray[Any]) -> str:
    """The numbers of an array; type and shape are known to who reads them."""
    return base64.b64encode(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).decode()


def unpack(text: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of its own from what `pack` gave. Raises ValueError where it does not fit or holds what is no number."""
    wanted = np.dtype(dtype)
    array = np.frombuffer(base64.b64decode(text, validate=True), wanted.newbyteorder("<")).astype(wanted)
    if wanted.kind == "f" and not np.isfinite(array).all():
        raise ValueError("an array with numbers that are not finite")
    return array.reshape(shape)
