"""A header name that is no UTF-8, as producers in other languages write it."""

from typing import Any


class RawName(str):
    """Written by clients in Python as these bytes."""

    raw: bytes

    def encode(self, *_arguments: Any) -> bytes:
        return self.raw


def raw_name(raw: bytes) -> RawName:
    """A name for a record's `headers`."""
    name = RawName()
    name.raw = raw
    return name
