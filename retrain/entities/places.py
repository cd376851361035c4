"""Where a name stands in a text as it is read, given where it stands in the fields of a row. Values in, values out."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrain.file_columns import FileColumns

Place = tuple[str, int, int]  # a column, and characters of what stands in it, half-open


def read_with_places(
    fields: Mapping[str, Any], columns: FileColumns, places: Sequence[Place]
) -> tuple[str, list[tuple[int, int]]]:
    """A row's text as it is read (`FileColumns.text_of`), and each place in it. Raises ValueError where a place
    is lost: it stands within a tag, in what is cut from a title, or in what is masked.

    Signs that no text has are put at the places, and found again behind the reading, whatever that leaves out.
    """
    text = columns.text_of(fields)
    if columns.title is None and text == fields.get(columns.text):
        return text, [(start, end) for _, start, end in places]
    sign = _unused(fields, columns)
    bounds = {(column, at) for column, start, end in places for at in (start, end)}
    # as they stand in the text: those of the title first
    in_order = sorted(bounds, key=lambda bound: (bound[0] != columns.title, bound[1]))
    marked = dict(fields)
    for column, at in reversed(in_order):
        marked[column] = marked[column][:at] + sign + marked[column][at:]
    pieces = str(columns.text_of(marked)).split(sign)
    if len(pieces) != len(in_order) + 1 or "".join(pieces) != text:
        raise ValueError(
            "a name begins or ends in what is not read: in a tag, a masked number, or behind the end of a title"
        )
    ends, at = dict[tuple[str, int], int](), 0
    for bound, piece in zip(in_order, pieces, strict=False):
        at += len(piece)
        ends[bound] = at
    return text, [(ends[column, start], ends[column, end]) for column, start, end in places]


def _unused(fields: Mapping[str, Any], columns: FileColumns) -> str:
    """A character of the private use area that neither text nor title has."""
    used = set(f"{fields.get(columns.text)}{fields.get(columns.title or columns.text)}")
    return next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in used)
