"""What composition says of texts, as numbers that heads look at beside embedding and n-grams."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.errors import ModelError, ReleaseCorrupt
from models.polarity.composition import Claim, Reading, compose
from models.polarity.lexicon import Lexicon
from models.polarity.lists import MAX_BYTES, Lists, listed, read_lists

ROLE: Final = "polarity"  # of the file in a release
COMPOSES: Final = 1  # the rules by which features come of texts; heads trained by others must be refused
_KINDS: Final = {  # of a claim, as the heads tell them apart
    "direction": "direction",
    "number": "number",
    "happening": "happening",
    "phrase": "happening",
    "failing": "happening",
    "matter": "matter",
    "quality": "matter",
    "quantity": "matter",
    "alone": "alone",
}
_PAIRS: Final = ("score", "sign", *dict.fromkeys(_KINDS.values()), "turned", "first", "last", "agreed")
FEATURES: Final = (*(f"{name}:{side}" for name in _PAIRS for side in ("good", "bad")), "nothing", "unmoved")
_MAX_FILE: Final = MAX_BYTES + 50_000  # of the lists, and of what stands beside them
_SURE: Final = 0.05  # scores nearer to 0 say neither
_CLEAR: Final = 0.9  # a score from which all that is said alike is said plainly
_MOST: Final = 1.5  # a score beyond says no more


@dataclass(frozen=True)
class Polarity:
    """words: the lists, of which what `models.polarity.lists` reads is kept. heads: that look at what is composed of
    them. Raises ValueError for lists of another shape."""

    words: Lists
    heads: tuple[str, ...]
    _lexicon: Lexicon = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", read_lists(self.words))
        object.__setattr__(self, "_lexicon", Lexicon(self.words))

    def __len__(self) -> int:
        """How many words and phrases are listed, in all their forms."""
        return len(self._lexicon)

    @property
    def quantities(self) -> dict[int, list[str]]:
        """Those that are good (1) and bad (-1) when they rise, in their base form."""
        table = self.words["quantities"]
        return {sign: [word.split("/")[0] for word in listed(table[side])] for side, sign in (("good", 1), ("bad", -1))}

    def signs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts,), 1 where what is composed is good, -1 where it is bad, 0 where it is neither."""
        return np.array([_sign(self.read(text)) for text in texts], dtype=np.float64)

    def read(self, text: str) -> Reading:
        """What is composed of a text."""
        return compose(self._lexicon, text)

    def features(self, texts: Sequence[str]) -> sparse.csr_array:
        """(texts, FEATURES), float32, each in [0, 1]; a text of nothing that is listed has "nothing" alone. A text's
        depend on that text only."""
        table = np.zeros((len(texts), len(FEATURES)), dtype=np.float32)
        for row, text in enumerate(texts):
            table[row] = numbers(self.read(text))
        return sparse.csr_array(table)

    def to_bytes(self) -> bytes:
        """JSON, the same for the same words. composes, features: the rules and columns that the heads were trained
        with."""
        parts = {"composes": COMPOSES, "features": FEATURES, "heads": self.heads, "words": self.words}
        return json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`. Raises ReleaseCorrupt, ModelError for rules or columns of another Headrace."""
        try:
            return cls._of_parts(content)
        except (ValueError, RecursionError) as error:
            raise ReleaseCorrupt(
                f"the words of good and bad cannot be read ({str(error)[:200]}); publish it again"
            ) from error

    @classmethod
    def _of_parts(cls, content: bytes) -> Self:
        if len(content) > _MAX_FILE:
            raise ValueError(f"{len(content):,} bytes, more than {_MAX_FILE:,}")
        parts = json.loads(content)
        if not isinstance(parts, dict):
            raise ValueError("no JSON object")
        _check_rules(parts.get("composes", 1), parts.get("features", [*FEATURES]))  # the first releases name neither
        heads = parts.get("heads")
        if not isinstance(heads, list) or not all(isinstance(head, str) for head in heads):
            raise ValueError("no list of heads")
        return cls(parts.get("words", {}), tuple(heads))

    def of_heads(self, names: Iterable[str]) -> Self | None:
        """The same for those of its heads alone that are named; None where none is."""
        known = frozenset(names)
        heads = tuple(head for head in self.heads if head in known)
        return replace(self, heads=heads) if heads else None


def _check_rules(composes: object, features: object) -> None:
    if composes == COMPOSES and features == [*FEATURES]:
        return
    is_newer = isinstance(composes, int) and composes > COMPOSES
    raise ModelError(
        f"the release composes good and bad by rules {str(composes)[:20]!r}"
        + ("" if features == [*FEATURES] else " and with other columns")
        + f", this Headrace by rules {COMPOSES}; {'update Headrace' if is_newer else 'train it again'}"
    )


def beside(ngrams: sparse.csr_array, composed: sparse.csr_array | None) -> sparse.csr_array:
    """What heads look at beside the embedding: weighted n-grams and, behind them, what is composed, (texts, n-grams and
    FEATURES); the n-grams alone where nothing is."""
    return ngrams if composed is None else sparse.csr_array(sparse.hstack([ngrams, composed], format="csr"))


def numbers(reading: Reading) -> list[float]:
    """A reading's row of `FEATURES`."""
    said = [claim for claim in reading.claims if claim.value * claim.weight]
    sign = _sign(reading)
    sums = {
        "score": max(-_MOST, min(_MOST, reading.score)) / _MOST,
        "sign": sign,
        "turned": _total([claim for claim in said if claim.turned]),
        "first": _total(said[:1]),
        "last": _total(said[-1:]),
        "agreed": sign * (abs(reading.score) >= _CLEAR and all(claim.value * sign > 0 for claim in said)),
    }
    for kind in dict.fromkeys(_KINDS.values()):
        sums[kind] = _total([claim for claim in said if _KINDS.get(claim.kind) == kind])
    pairs = [value for name in _PAIRS for value in (max(0.0, sums[name]), max(0.0, -sums[name]))]
    return [*pairs, float(not said), float(reading.is_unmoved)]


def _sign(reading: Reading) -> float:
    return 0.0 if abs(reading.score) <= _SURE else float(np.sign(reading.score))


def _total(claims: Sequence[Claim]) -> float:
    return max(-1.0, min(1.0, sum(claim.value * claim.weight for claim in claims)))
