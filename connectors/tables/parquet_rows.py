"""Rows of a Parquet file: values as JSON has them, times as ISO 8601. Needs the extra `parquet`."""

import base64
import datetime
import decimal
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from connectors.table_lines import Reject, Row
from models.errors import ConfigError

MARK: Final = b"PAR1"  # what such a file begins with
_BATCH: Final = 1_000


class ParquetRows:
    """An open file. columns: by name, those without a name left out; twice: names that stand there more than once."""

    def __init__(self, raw: BinaryIO, name: str) -> None:
        """Raises ConfigError without the library, for a stream that cannot be searched, and for a damaged file."""
        try:
            import pyarrow
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise ConfigError(
                f"{name} is a Parquet file, which needs the extra parquet: pip install 'headrace[parquet]', or write "
                "it as CSV or JSON lines"
            ) from error
        if not raw.seekable():
            raise ConfigError(f"{name} is a Parquet file in a pipe; give the file itself")
        raw.seek(0)
        try:
            self._file = ParquetFile(raw)
        except (pyarrow.ArrowException, OSError) as error:
            raise ConfigError(f"{name} is a damaged Parquet file: {_first_line(error)}") from error
        self._errors = (pyarrow.ArrowException, OSError)
        self._name = name
        names = list(self._file.schema_arrow.names)
        self.columns = tuple(dict.fromkeys(column for column in names if column))
        self.twice = frozenset(column for column, count in Counter(names).items() if column and count > 1)
        self._read = 0

    @property
    def share_read(self) -> Callable[[], float | None]:
        """How much of the rows is behind, 0 to 1."""
        total = self._file.metadata.num_rows
        return lambda: self._read / total if total else None

    def __iter__(self) -> Iterator[Row | Reject]:
        """The first row's line is 2, as if the names stood in the first one. Raises ConfigError where the file is
        damaged further on."""
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH):
                names = batch.schema.names
                # by position: a name may stand there twice
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    self._read += 1
                    yield Row(self._read + 1, {name: _plain(v) for name, v in zip(names, values, strict=True) if name})
        except self._errors as error:
            raise ConfigError(f"{self._name} is a damaged Parquet file: {_first_line(error)}") from error


def _plain(value: Any) -> Any:
    """A value as JSON has it. Bytes are text where they are UTF-8, else base64; what is no number is nothing."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return float(value) if isinstance(value, decimal.Decimal) else str(value)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
