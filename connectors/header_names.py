"""Records whose header names are not UTF-8, read all the same.

The protocol says that a header's name is UTF-8, but no broker looks, and producers in other languages write the bytes
that they have. Both clients raise UnicodeDecodeError for such a record, at every fetch, for ever: one record would stop
every reader of its partition.
"""

from typing import Any, SupportsIndex


class _Lenient(bytearray):
    """Bytes whose slices decode, whatever they are: a byte that is not UTF-8 becomes `\\xff`."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        part = super().__getitem__(at)
        return _Lenient(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class AnyHeaderName:
    """Mixed into a client's parser of record batches in Python, before that class: `_buffer` is the batch unpacked,
    `_read_msg` parses a record and moves only where that went well."""

    _buffer: bytearray

    def _read_msg(self, *arguments: Any) -> Any:
        parse = super()._read_msg  # type: ignore[misc]  # the client's
        try:
            return parse(*arguments)
        except UnicodeDecodeError:
            self._buffer = _Lenient(self._buffer)  # for what is left of the batch; from the start it would be slow
            return parse(*arguments)
