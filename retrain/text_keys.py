"""Which texts are the same one: what is held out, is so by this key, wherever and however often the text comes back."""

import hashlib
import re
import unicodedata
from typing import Final

HELD_OUT_PERCENT: Final = 20
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_HASH_DIGITS: Final = 16  # 64 bits: among a million texts, two meet by chance once in 37 million times


def same_text_key(text: str) -> str:
    """The same for texts that differ in case, width or white space only."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_key(text: str) -> str:
    """The same for texts that differ in case, width, white space or numbers (order numbers, dates, amounts) only."""
    return _NUMBER.sub("0", same_text_key(text))


def key_hash(text: str) -> str:
    """A text's key, short and without the text itself: what a release keeps about the texts it knows."""
    return hashlib.sha256(text_key(text).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]


def is_held_out(text: str) -> bool:
    """Whether labels of this text only test: one text key in five, the same in every retraining."""
    digest = hashlib.sha256(b"held out " + text_key(text).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT
