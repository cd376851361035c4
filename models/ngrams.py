"""Hashed word and character n-grams, computed for a whole batch at once with numpy.

A text is normalised (NFKC, case-folded) and read as a row of code points. Three kinds of features come out of it:

- words and pairs of neighbouring words, where a word is a run of letters, marks and digits, and every other visible
  sign ("$", "?", an emoji) is a word of its own: without the signs, tweets about shares are read worse;
- characters: runs of 3 to 5 inside a word, its edges included, which survive typos and inflection; and in scripts
  written without spaces (Han, Kana, Hangul, Thai, Lao, Khmer, Burmese), which have no words here, runs of 1 to 3,
  which carry the decision there.

Everything is integer arithmetic modulo 2**64, so that a text gives the same features in every process and on every
machine with the same Unicode tables. scikit-learn's HashingVectorizer gives features of the same quality at about a
tenth of the speed, because it cuts the character n-grams one by one in Python.

Source: hashing trick, Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009); rolling hash,
Karp and Rabin (1987); finaliser of SplitMix64, Steele, Lea and Flood (2014).
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from scipy import sparse

from models.errors import ReleaseCorrupt

_KIND_BITS = 20  # 100,000 distinct n-grams of a kind: one in ten shares its bucket, which no accuracy here shows
WORD_BUCKETS = 1 << _KIND_BITS  # words stand below, characters from here on
BUCKETS = 2 * WORD_BUCKETS
MAX_CHARACTERS = 8000  # of one text; a decision's text is cut at 8 kB as well
HASHING = "headrace-ngrams-1"  # a release names the hashing it was trained with: another one must be refused

_CHUNK_TEXTS = 2048  # bounds the memory of one pass (about 60 bytes a character and feature kind)
_ADDRESS = re.compile(r"https?://\S+")
SPACE, WORD, DENSE, SIGN = 0, 1, 2, 3
_FIRST_CHARACTERS = 2  # columns of a character's n-grams: word, pair, 3 to 5 in a word, 1 to 3 without spaces
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_DENSE_SCRIPTS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration mark and zero
    (0x3040, 0x30FF),  # Kana
    (0x3130, 0x318F),  # Hangul letters, compatible
    (0x31F0, 0x31FF),  # Kana, phonetic
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xAC00, 0xD7FF),  # Hangul syllables
    (0xF900, 0xFAFF),  # Han, compatible
    (0x20000, 0x323AF),  # Han, extensions B to H
)


def normalise(text: str) -> str:
    """The text as n-grams see it: NFKC, case-folded, web addresses (each unlike any other) as one word, at most
    MAX_CHARACTERS. Lone surrogates and NUL pass through."""
    cut = text[:MAX_CHARACTERS]
    # ASCII is normal as it is, and most of what comes.
    folded = cut.lower() if cut.isascii() else unicodedata.normalize("NFKC", cut).casefold()[:MAX_CHARACTERS]
    return _ADDRESS.sub(" http ", folded) if "://" in folded else folded


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Every n-gram of every text, as often as it stands there, in the order of the texts and of their characters.

    buckets: int32 (n-grams,), in [0, BUCKETS). starts: int64 (texts + 1,); text i's stand in starts[i]:starts[i + 1].
    """

    buckets: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, texts: NDArray[np.int64]) -> "Occurrences":
        """Those of some of the texts. texts: their numbers, rising."""
        sizes = np.diff(self.starts)
        wanted = np.zeros(len(self), dtype=bool)
        wanted[texts] = True
        starts = np.concatenate(([0], np.cumsum(sizes[texts])))
        return Occurrences(self.buckets[np.repeat(wanted, sizes)], starts)

    def counted(self) -> sparse.csr_array:
        """How often each n-gram stands in each text: (texts, BUCKETS), float32, column indices sorted."""
        # One sorted key per (text, bucket): counting repeats is then one pass.
        rows = np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.starts))
        unique, counts = np.unique(rows * BUCKETS + self.buckets, return_counts=True)
        starts = np.searchsorted(unique, np.arange(len(self) + 1, dtype=np.int64) * BUCKETS)
        data = counts.astype(np.float32), (unique & (BUCKETS - 1)).astype(np.int32), starts.astype(np.int32)
        return sparse.csr_array(data, shape=(len(self), BUCKETS))


def find_ngrams(texts: Sequence[str]) -> Occurrences:
    """The hashed n-grams of every text; any strings, empty ones too. A text's depend on that text only."""
    parts = [_find_in_chunk(texts[start : start + _CHUNK_TEXTS]) for start in range(0, len(texts), _CHUNK_TEXTS)]
    if len(parts) == 1:
        return parts[0]
    sizes = np.concatenate([[0], *(np.diff(part.starts) for part in parts)]).astype(np.int64)
    buckets = np.concatenate([np.zeros(0, dtype=np.int32), *(part.buckets for part in parts)])
    return Occurrences(buckets, np.cumsum(sizes))


def hash_ngrams(texts: Sequence[str]) -> sparse.csr_array:
    """Count the hashed n-grams of every text.

    texts: any strings, empty ones too. Returns shape (texts, BUCKETS), float32 counts, column indices sorted; a row
    depends on its own text only.
    """
    return find_ngrams(texts).counted()


@dataclass(frozen=True, slots=True)
class LocatedNgrams:
    """The n-grams of one text, in the order of `find_ngrams`, and where each stands.

    buckets: int32 (n-grams,). begins, ends: int64 (n-grams,), first character and the one behind the last in
    `normalise(text)`; the edge of a word that a run of characters takes along is not counted.
    """

    buckets: NDArray[np.int32]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]


def locate_ngrams(text: str) -> LocatedNgrams:
    """What `find_ngrams` finds in one text, with its places."""
    codes, starts = _code_points([text])
    kinds = _kinds_table()[codes]
    buckets, places, columns = _found(codes, kinds, starts)
    begins, column = np.divmod(places, columns)
    # of a word or sign: up to where the next one begins, or something that belongs to none
    visible = (kinds == WORD) | (kinds == SIGN)
    edge = ~visible | (kinds == SIGN) | (kinds != np.concatenate(([SPACE], kinds[:-1])))
    edges = np.append(np.flatnonzero(edge), len(codes))
    ends = edges[np.searchsorted(edges, begins, side="right")]
    words = begins[column == 0]
    pairs = column == 1
    begins[pairs] = words[np.searchsorted(words, begins[pairs]) - 1]
    runs = column >= _FIRST_CHARACTERS
    lengths = column - _FIRST_CHARACTERS + np.where(column < _FIRST_CHARACTERS + 3, 3, -2)
    ends[runs] = (begins + lengths)[runs]
    inner = runs & (column < _FIRST_CHARACTERS + 3)
    ends[inner] -= kinds[ends[inner] - 1] != WORD
    begins[inner] += kinds[begins[inner]] != WORD
    return LocatedNgrams(buckets, begins - 1, ends - 1)  # a space stands before the text


def kinds_of(text: str) -> NDArray[np.uint8]:
    """What each character of a text is: SPACE (controls too), WORD, DENSE (of a script without spaces) or SIGN."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds: NDArray[np.uint8] = _kinds_table()[codes]
    return kinds


def share_without_spaces(texts: Sequence[str]) -> float:
    """Share of the texts' letters and digits that belong to scripts written without spaces; 0 where there are none."""
    dense = words = 0
    for start in range(0, len(texts), _CHUNK_TEXTS):
        kinds = _kinds_table()[_code_points(texts[start : start + _CHUNK_TEXTS])[0]]
        dense += int((kinds == DENSE).sum())
        words += int((kinds == WORD).sum())
    return dense / (dense + words) if dense else 0.0


@dataclass(frozen=True, slots=True)
class NgramVocabulary:
    """Which hashed n-grams a release looks at, and how much each one counts. All heads of a release share it.

    buckets: int32, sorted. idf: float32, inverse document frequency of each. unseen_idf: of n-grams outside: they have
    no weights, but make the known ones count less, so that a text of mostly unknown n-grams stays undecided; 0 leaves
    them out of the length.
    """

    buckets: NDArray[np.int32]
    idf: NDArray[np.float32]
    unseen_idf: float

    def __len__(self) -> int:
        return len(self.buckets)

    @property
    def words(self) -> int:
        """How many of the kept n-grams are words; they come first."""
        return int(np.searchsorted(self.buckets, WORD_BUCKETS))

    def weigh(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Turn the counts of `hash_ngrams` into weights: (1 + log count) * idf, and for each text its words to unit
        length and its characters to unit length.

        counts: (texts, BUCKETS). Returns (texts, kept n-grams), float32; each row depends on its own text only.
        """
        texts = counts.shape[0]
        if not len(self):
            return sparse.csr_array((texts, 0), dtype=np.float32)
        places = np.minimum(np.searchsorted(self.buckets, counts.indices), len(self) - 1)
        known = self.buckets[places] == counts.indices
        weights = (1.0 + np.log(counts.data.astype(np.float64))) * np.where(known, self.idf[places], self.unseen_idf)
        rows = np.repeat(np.arange(texts), np.diff(counts.indptr))
        blocks = 2 * rows + (counts.indices >= WORD_BUCKETS)
        lengths = np.sqrt(np.bincount(blocks, weights=weights * weights, minlength=2 * texts))
        data = (weights[known] / lengths[blocks[known]]).astype(np.float32)
        starts = np.concatenate(([0], np.cumsum(np.bincount(rows[known], minlength=texts))))
        return sparse.csr_array((data, places[known].astype(np.int32), starts), shape=(texts, len(self)))

    def to_bytes(self) -> bytes:
        """As safetensors."""
        unseen = np.array([self.unseen_idf], dtype=np.float32)
        return save({"buckets": self.buckets, "idf": self.idf, "unseen_idf": unseen})

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`. Raises ReleaseCorrupt."""
        try:
            tensors = load(content)
            return cls(tensors["buckets"], tensors["idf"], float(tensors["unseen_idf"][0]))
        except Exception as error:  # the bytes come from outside
            raise ReleaseCorrupt(
                f"the n-gram vocabulary cannot be read ({error!r}); publish the release again"
            ) from error


def _find_in_chunk(texts: Sequence[str]) -> Occurrences:
    codes, starts = _code_points(texts)
    buckets, places, columns = _found(codes, _kinds_table()[codes], starts)
    return Occurrences(buckets, np.searchsorted(places, starts * columns))


def _found(
    codes: NDArray[np.uint32], kinds: NDArray[np.uint8], starts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """All n-grams' buckets; where each stands, as character times columns plus its kind of n-gram; and how many
    columns there are."""
    # One row per character, one column per kind of n-gram that may begin there: read row by row, what is found stands
    # in the order of the texts, so that nothing has to be sorted.
    dense = bool((kinds == DENSE).any())
    hashes = np.zeros((len(codes), 8 if dense else 5), dtype=np.uint64)
    there = np.zeros(hashes.shape, dtype=bool)
    _words(codes, kinds, starts, hashes, there)
    _inner_characters(codes, kinds, hashes, there)
    if dense:
        _dense_characters(codes, kinds, hashes, there)
    places = np.flatnonzero(there)
    columns = hashes.shape[1]
    buckets = _bucket(hashes.ravel()[places])
    buckets[places % columns >= _FIRST_CHARACTERS] += WORD_BUCKETS
    return buckets, places, columns


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """All texts' code points in one row, a space before and after each text, and where each text begins (and the
    end)."""
    normalised = [normalise(text) for text in texts]
    joined = f" {'  '.join(normalised)} " if normalised else ""
    starts = np.cumsum([0, *map(len, normalised)]) + 2 * np.arange(len(texts) + 1)
    if joined.isascii():
        return np.frombuffer(joined.encode("ascii"), dtype=np.uint8).astype(np.uint32), starts
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4"), starts


@functools.cache
def _kinds_table() -> NDArray[np.uint8]:
    """What each code point is: space or control, part of a word, part of a script without spaces, or a sign."""
    kinds = np.full(0x110000, SIGN, dtype=np.uint8)
    kinds[0x32400:0xE0100] = kinds[0xE01F0:] = SPACE  # beyond the scripts: unassigned and private
    for code in (*range(0x32400), *range(0xE0100, 0xE01F0)):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN":
            kinds[code] = WORD
        elif category[0] in "ZC":
            kinds[code] = SPACE
    for first, last in _DENSE_SCRIPTS:
        block = kinds[first : last + 1]
        block[block == WORD] = DENSE
    return kinds


def _words(
    codes: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    starts: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    there: NDArray[np.bool_],
) -> None:
    """Words, and pairs of neighbouring words of one text, where the (second) word begins."""
    visible = (kinds == WORD) | (kinds == SIGN)
    begins = visible & ((kinds == SIGN) | (kinds != np.concatenate(([SPACE], kinds[:-1]))))
    first = np.flatnonzero(begins)
    if not first.size:
        return
    inside = np.flatnonzero(visible)
    word_of = np.cumsum(begins)[inside] - 1
    powers = _powers(int(np.max(inside - first[word_of])) + 1)
    values = _mixed_codes(codes[inside]) * powers[inside - first[word_of]]
    words = np.add.reduceat(values, np.searchsorted(inside, first))
    hashes[first, 0] = words + np.uint64(1)
    there[first, 0] = True
    text_of = np.searchsorted(starts, first, side="right")
    second = np.flatnonzero(text_of[1:] == text_of[:-1]) + 1
    mixed = _mix(words)
    hashes[first[second], 1] = mixed[second - 1] * _PAIR + mixed[second] + np.uint64(2)
    there[first[second], 1] = True


def _inner_characters(
    codes: NDArray[np.uint32], kinds: NDArray[np.uint8], hashes: NDArray[np.uint64], there: NDArray[np.bool_]
) -> None:
    """Runs of 3 to 5 characters whose inner ones belong to one word; beyond its edge stands a space."""
    is_word = kinds == WORD
    rolling = values = _mixed_codes(np.where(is_word, codes, 32))
    inner = np.ones(len(codes), dtype=bool)
    for length in range(2, 6):
        rolling = rolling[:-1] * _PRIME + values[length - 1 :]
        if not rolling.size:
            return
        if length > 2:
            inner = inner[:-1] & is_word[length - 2 : -1]
            column = _FIRST_CHARACTERS + length - 3
            hashes[: rolling.size, column] = rolling + np.uint64(length << 8)
            there[: rolling.size, column] = inner
        else:
            inner = inner[:-1]


def _dense_characters(
    codes: NDArray[np.uint32], kinds: NDArray[np.uint8], hashes: NDArray[np.uint64], there: NDArray[np.bool_]
) -> None:
    """Runs of 1 to 3 characters of scripts without spaces."""
    is_dense = kinds == DENSE
    rolling = values = _mixed_codes(codes)
    inner = is_dense
    for length in range(1, 4):
        if length > 1:
            rolling = rolling[:-1] * _PRIME + values[length - 1 :]
            inner = inner[:-1] & is_dense[length - 1 :]
        column = _FIRST_CHARACTERS + 2 + length
        hashes[: rolling.size, column] = rolling + np.uint64(length << 16)
        there[: rolling.size, column] = inner


def _powers(count: int) -> NDArray[np.uint64]:
    return np.multiply.accumulate(np.concatenate(([np.uint64(1)], np.full(count - 1, _PRIME, dtype=np.uint64))))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: every input bit moves every output bit."""
    mixed = values + _PRIME
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _mixed_codes(codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """`_mix` of code points, from a table for the common ones."""
    common = _mixed_table()
    if not codes.size or int(codes.max()) < len(common):
        return common[codes]
    return _mix(codes.astype(np.uint64))


@functools.cache
def _mixed_table() -> NDArray[np.uint64]:
    return _mix(np.arange(0x800, dtype=np.uint64))


def _bucket(hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
    return (_mix(hashes) >> np.uint64(64 - _KIND_BITS)).astype(np.int32)
