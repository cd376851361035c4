"""Which texts are the same one: what is held out, is so by this key, wherever and however often the text comes back."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

HELD_OUT_PERCENT: Final = 20
_DENSER: Final = 3.0
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_RUN: Final = 5
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


def character_runs(key: str) -> set[bytes]:
    """The runs of five characters of a text's key, by which near copies are known; of a shorter one, itself."""
    return {key[start : start + _RUN].encode("utf-8", "surrogatepass") for start in range(max(1, len(key) - _RUN + 1))}


def is_held_out(text: str) -> bool:
    """Whether labels of this text only test: one text key in five, the same in every retraining."""
    digest = hashlib.sha256(b"held out " + text_key(text).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


def denser_tests(share: float) -> tuple[float, float]:
    """With which probability to draw a text that only tests, and any other one, so that `share` of all texts are drawn
    and of those that test three times as many: what a challenger learns may be chosen, what judges it must be drawn,
    and is the scarcer. Which texts test has nothing to do with what was decided."""
    tests, part = min(1.0, _DENSER * share), HELD_OUT_PERCENT / 100
    return tests, (share - part * tests) / (1.0 - part)


def labels_for(held_out: int | None) -> int | None:
    """How many labels drawn at random bring so many texts that test, on average; None for None."""
    return None if held_out is None else -(-held_out * 100 // HELD_OUT_PERCENT)


class NearCopies:
    """Texts by which others are known as copies: of the same key, or with most of their runs of five characters shared.

    Source: Broder, On the resemblance and containment of documents (1997).
    """

    SIMILARITY: Final = 0.7  # Jaccard's, estimated
    _EMPTY: Final = MinHash(num_perm=64)  # making its permutations takes far longer than a text's runs do
    _BANDS: Final = 8, 8  # by which MinHashLSH divides 64 for a threshold of 0.7; it would search them each time

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the texts that others may be copies of."""
        self._keys: set[str] = set()
        self._index = MinHashLSH(num_perm=self._EMPTY.num_perm, params=self._BANDS)
        self._hashes: dict[str, MinHash] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Take one more that others may be copies of."""
        key = text_key(text)
        if key not in self._keys:
            self._keys.add(key)
            self._hashes[key] = self._hashed(key)
            self._index.insert(key, self._hashes[key])

    def __contains__(self, text: str) -> bool:
        """Whether the text is a copy of one of them, or nearly one."""
        return self.copied(text) is not None

    def copied(self, text: str) -> str | None:
        """The key of the one that it is nearest a copy of; None where it is of none."""
        key = text_key(text)
        if key in self._keys:
            return key
        hashed = self._hashed(key)
        near = [(hashed.jaccard(self._hashes[other]), other) for other in self._index.query(hashed)]
        similarity, nearest = max(near, default=(0.0, None))
        return nearest if similarity >= self.SIMILARITY else None

    def _hashed(self, key: str) -> MinHash:
        hashed = self._EMPTY.copy()
        hashed.update_batch(character_runs(key))
        return hashed


def spellings(labels: Mapping[str, int]) -> list[list[str]]:
    """Labels that differ in case, width, white space, hyphens or underscores alone, the commonest first. labels: each
    with how often it stands."""
    ways: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        ways[same_text_key(label.replace("_", " ").replace("-", " "))].append(label)
    return [sorted(alike, key=lambda label: -labels[label]) for alike in ways.values() if len(alike) > 1]
