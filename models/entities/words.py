"""What the tagger sees of each word of a text: the encoder's states of its tokens, its spelling, and its neighbours.

Words are the gazetteer's pieces (`models.entities.gazetteer.pieces_of`), so a name ends where a word does, and in
scripts without spaces every character is one.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.encoder.encoder import Encoder
from models.entities.gazetteer import Piece, pieces_of
from models.heads import Floats

BUCKETS: Final = 1 << 15  # of hashed features
AFFIX_CHARACTERS: Final = 3
FIRST_WORDS: Final = 4  # a word's place counts so far; those behind are alike
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 by the golden ratio: Knuth, The Art of Computer Programming 6.4
_OUTSIDE: Final = "\0"  # stands for the word before the first one and behind the last one
_RUNS: Final = re.compile(r"(.)\1+")

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text that the encoder saw. states: (words, hidden), the mean over a word's tokens at unit
    length. features: int32 (words, features), numbers of hashed ones."""

    pieces: tuple[Piece, ...]
    states: Floats
    features: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.pieces)


def words_of(texts: Sequence[str], encoder: Encoder) -> list[Words]:
    """The words of each text as far as the encoder reads it. Any text will do. Raises ModelError."""
    placed = encoder.tokenize_with_places(texts)
    states = iter(encoder.token_states([window.text for windows in placed for window in windows]))
    words = []
    for text, windows in zip(texts, placed, strict=True):
        of_text = np.concatenate([next(states) for _ in windows])
        words.append(_words(text, np.concatenate([window.places for window in windows]), of_text))
    return words


def feature_matrix(features: NDArray[np.int32]) -> sparse.csr_array:
    """The hashed features as a matrix, float32 (words, BUCKETS), each row of unit length where none meet."""
    words, columns = features.shape
    values = np.full(features.size, 1.0 / np.sqrt(columns), dtype=np.float32)
    parts = values, features.ravel(), np.arange(0, features.size + 1, columns)
    return sparse.csr_array(parts, shape=(words, BUCKETS))


def _words(text: str, places: NDArray[np.int32], states: Floats) -> Words:
    reach = int(places.max(initial=0))  # what stands behind was cut
    pieces = pieces_of(text[:reach])
    starts, ends = (np.array([getattr(piece, side) for piece in pieces], dtype=np.int32) for side in ("start", "end"))
    meets = (places[None, :, 0] < ends[:, None]) & (places[None, :, 1] > starts[:, None])
    means = meets.astype(np.float32) / np.maximum(meets.sum(axis=1, keepdims=True), 1).astype(np.float32)
    sums = (
        np.stack([row @ states for row in means]) if len(pieces) else np.empty((0, states.shape[1]), dtype=np.float32)
    )
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return Words(tuple(pieces), np.asarray(sums / lengths, dtype=np.float32), _features(text, pieces))


def _features(text: str, pieces: Sequence[Piece]) -> NDArray[np.int32]:
    written = [text[piece.start : piece.end] for piece in pieces]
    word, shape = _hashes([piece.key for piece in pieces]), _hashes([_shape(one) for one in written])
    prefix, suffix = (
        _hashes([piece.key[part] for piece in pieces])
        for part in (slice(None, AFFIX_CHARACTERS), slice(-AFFIX_CHARACTERS, None))
    )
    follows = [str(number > 0 and pieces[number - 1].end == piece.start) for number, piece in enumerate(pieces)]
    joined, place = _hashes(follows), np.minimum(np.arange(len(pieces)), FIRST_WORDS).astype(np.uint64)
    columns = [[_beside(kind, offset)] for kind in (word, shape) for offset in (-2, -1, 0, 1, 2)]
    columns += [[_beside(kind, offset)] for kind in (prefix, suffix) for offset in (-1, 0, 1)]
    columns += [[_beside(joined, offset)] for offset in (0, 1)]
    columns += [[_beside(kind, offset), _beside(kind, offset + 1)] for kind in (word, shape) for offset in (-1, 0)]
    columns += [[_beside(shape, offset) for offset in (-1, 0, 1)], [place]]
    return np.stack([_bucket(number, parts) for number, parts in enumerate(columns)], axis=1)


def _shape(word: str) -> str:
    """How it is written: capitals, small letters and digits, runs of them as two."""
    kinds = ["X" if one.isupper() else "x" if one.isalpha() else "9" if one.isdigit() else one for one in word]
    return _RUNS.sub(r"\1\1", "".join(kinds))


def _hashes(words: Sequence[str]) -> Hashes:
    """Of each word, between those of what stands outside of the text."""
    padded = [_OUTSIDE] * 2 + list(words) + [_OUTSIDE] * 2
    return np.array([zlib.crc32(one.encode("utf-8", "surrogatepass")) for one in padded], dtype=np.uint64)


def _beside(hashes: Hashes, offset: int) -> Hashes:
    """Of each word, what the word so many places behind it has."""
    return hashes[2 + offset : len(hashes) - 2 + offset]


def _bucket(number: int, parts: Sequence[Hashes]) -> NDArray[np.int32]:
    """The bucket of each word's feature of this number, which has so many parts."""
    mixed = np.full(len(parts[0]), number + 1, dtype=np.uint64)
    for part in parts:
        mixed = (mixed ^ part) * _SPREAD
        mixed ^= mixed >> np.uint64(29)
    return (mixed % np.uint64(BUCKETS)).astype(np.int32)
