"""Text that came from elsewhere, made fit to be written again: valid Unicode, of bounded length."""

import hashlib
import json
from typing import Any

import orjson

TEXT_MAX_BYTES = 8_192  # text kept in a decision; the classifier has seen more


def clean_text(text: str) -> str:
    """Lone surrogates, which no encoding can carry, become U+FFFD; NUL, which stores refuse, too."""
    if text.isascii():
        return text.replace("\0", "�")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "�")


def cut_text(text: str, limit_bytes: int = TEXT_MAX_BYTES) -> str:
    """At most `limit_bytes` of UTF-8, never half a character."""
    if len(text) * 4 <= limit_bytes:
        return text
    encoded = text.encode()
    return text if len(encoded) <= limit_bytes else encoded[:limit_bytes].decode("utf-8", "ignore")


def as_text(value: Any) -> str:
    """A JSON value as text that can be written again: a text as it is, anything else as the JSON it came as."""
    if isinstance(value, str):
        return clean_text(value)
    try:
        return clean_text(orjson.dumps(value).decode())
    except (orjson.JSONEncodeError, RecursionError):  # lone surrogates, huge integers, NaN, deep nesting
        pass
    try:
        return clean_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, TypeError, RecursionError):
        return f"a JSON {type(value).__name__}"


def digest_text(content: bytes) -> str:
    """Stands for what is too long to be carried on; the same for the same bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
