"""What an event belongs to: the bytes on the records that it leads to, and the text in them.

The bytes decide the partition, so they are kept as they came: four binary keys stay four. The text is for people.
"""

import codecs
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from streams.wire.text import as_text, cut_text, digest_text

KEY_TEXT_MAX_BYTES: Final = 1_024  # in a decision's body; Elasticsearch looks up keywords up to this length
RECORD_KEY_MAX_BYTES: Final = 16_384  # on a record; far below what a broker takes, with the body beside it


class SourceKey(NamedTuple):
    """record_key: for outgoing records. text: for their bodies. marks: what was done to the text, under `extra`."""

    record_key: bytes | None
    text: str | None
    marks: Mapping[str, bool] = MappingProxyType({})


def key_of_bytes(key: bytes | None) -> SourceKey:
    """From a record's own key. What is no UTF-8 text, or holds NUL, is shown in hexadecimal. A blank one names nobody:
    whoever has no key would be one conversation with all others who have none."""
    if key is None or is_blank(key):
        return SourceKey(None if key is None else _record_key(key), None)
    if len(key) <= KEY_TEXT_MAX_BYTES and key.isascii() and b"\0" not in key:
        return SourceKey(key, key.decode())
    start = key[:KEY_TEXT_MAX_BYTES]
    try:  # a character that is cut in half at the end of the start is no mistake
        text = codecs.getincrementaldecoder("utf-8")().decode(start, final=start == key)
    except UnicodeDecodeError:
        text = "\0"
    is_binary = "\0" in text
    shown = cut_text("0x" + start.hex(), KEY_TEXT_MAX_BYTES) if is_binary else text
    marks = {"headrace_key_hex": True} if is_binary else {}
    if len(start) < len(key) or (is_binary and len(shown) < 2 + 2 * len(start)):
        marks["headrace_key_cut"] = True
        shown = _cut(shown, key)
    return SourceKey(_record_key(key), shown, marks)


def is_blank(key: bytes) -> bool:
    """Whether a record's own key is nothing but white space, as a text in its body may be."""
    return not key or not key.decode("utf-8", errors="replace").strip()


def key_of_value(value: Any) -> SourceKey:
    """From a JSON value in a record's body, which is not null: a text as it is, anything else as JSON."""
    text = as_text(value)
    encoded = text.encode()
    if len(encoded) <= KEY_TEXT_MAX_BYTES:
        return SourceKey(_record_key(encoded), text)
    return SourceKey(_record_key(encoded), _cut(text, encoded), {"headrace_key_cut": True})


def names_nobody(value: Any) -> bool:
    """Whether a JSON value says nothing of whom it belongs to: null, a text of blanks and joiners alone, `{}`, `[]`.
    Whoever has such a key would be one conversation with all others who have it."""
    if isinstance(value, str):
        return all(character.isspace() or unicodedata.category(character) == "Cf" for character in value)
    return value is None or value == {} or value == []


def _cut(shown: str, whole: bytes) -> str:
    """A text for people that is too long, with a digest of the whole at its end: two that begin alike stay two
    conversations."""
    mark = "…" + digest_text(whole)
    return cut_text(shown, KEY_TEXT_MAX_BYTES - len(mark.encode())) + mark


def identity_text(value: Any) -> str | None:
    """Who or what is meant by a JSON value, in at most KEY_TEXT_MAX_BYTES; None where nothing is, or a blank."""
    if names_nobody(value):
        return None
    text = as_text(value)
    encoded = text.encode()
    return text if len(encoded) <= KEY_TEXT_MAX_BYTES else digest_text(encoded)


def _record_key(key: bytes) -> bytes:
    """A key that is too long for a record is stood for by its digest: the same key still goes to the same partition."""
    return key if len(key) <= RECORD_KEY_MAX_BYTES else digest_text(key).encode()
