"""Arrays as text, for JSON (base64 of their numbers), or as bytes behind one line of JSON; little-endian."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
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


def pack_record(head: Mapping[str, Any], arrays: Iterable[NDArray[Any]]) -> bytes:
    """A record of one line of JSON, which has no line feed in it, and the bytes of arrays."""
    parts = [np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes() for array in arrays]
    return b"".join([orjson.dumps(head), b"\n", *parts])


def unpack_record(value: bytes) -> tuple[Any, "Arrays"]:
    """What `pack_record` was given. Raises ValueError."""
    head, _, rest = value.partition(b"\n")
    return orjson.loads(head), Arrays(rest)


class Arrays:
    """Arrays one after the other in bytes; type and shape of each are known to who reads them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """The next array, of its own. Raises ValueError where it does not fit or holds what is no number."""
        wanted, numbers = np.dtype(dtype), int(np.prod(shape))
        if min(shape, default=0) < 0 or len(self._data) - self._at < numbers * wanted.itemsize:
            raise ValueError(f"an array of shape {shape} is cut off")
        array = np.frombuffer(self._data, wanted.newbyteorder("<"), numbers, self._at).astype(wanted)
        self._at += numbers * wanted.itemsize
        if wanted.kind == "f" and not np.isfinite(array).all():
            raise ValueError("an array with numbers that are not finite")
        return array.reshape(shape)

    def rest(self) -> bytes:
        """All bytes that were not taken."""
        return self._data[self._at :]
