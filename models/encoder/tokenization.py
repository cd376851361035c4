"""Text to token ids, for any text that a stream may carry: empty, huge, with NUL bytes or lone surrogates."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.encoder.long_texts import LongTexts, parts_of
from models.errors import ModelError

_CHARACTERS_PER_TOKEN: Final = 32  # English has about 4; beyond this much text, the tokens left are cut anyway
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # one by one: a pair, as one character, would move what follows


class WeighedWindow(NamedTuple):
    """A stretch of a long text. ids: as of a text. weight: what its embedding counts, between 0 and 1."""

    ids: NDArray[np.int32]
    weight: float


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """ids: int32 (tokens,), special tokens included, cut to the encoder's longest input; of a text that is read in
    windows those of all of them.

    unknown_share: share of the tokens (special ones apart) that the vocabulary does not know, in [0, 1].
    characters: length of the text as it came. windows: of a text that is read in more than one
    (`models.encoder.long_texts`).
    """

    ids: NDArray[np.int32]
    unknown_share: float
    characters: int
    windows: tuple[WeighedWindow, ...] = ()

    def identity(self) -> bytes:
        """Texts with the same one have the same embedding."""
        parts = [self.ids, *([len(one.ids), one.weight] for one in self.windows)]
        return b"".join(np.asarray(part).tobytes() for part in parts)


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """A window's tokens with their places. text: its ids. places: int32 (tokens, 2), from which character of a text up
    to which each stands, the latter not included; (0, 0) of a special token."""

    text: TokenizedText
    places: NDArray[np.int32]


def tokens_inside(places: NDArray[np.int32], start: int, end: int) -> tuple[int, int]:
    """The tokens that a part of a text stands in, half-open; all of them where it stands in none. places: see
    `PlacedTokens`."""
    inside = np.flatnonzero((places[:, 0] < end) & (places[:, 1] > start) & (places[:, 1] > places[:, 0]))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, len(places))


class TextTokenizer:
    """A `tokenizer.json` with its length limit. Thread-safe: the Rust tokenizer is not changed after the start."""

    def __init__(self, tokenizer_json: str, *, max_tokens: int) -> None:
        """Raises ModelError when `tokenizer_json` cannot be read."""
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
            model = json.loads(tokenizer_json)["model"]
        except Exception as error:  # the Rust side raises plain Exception
            raise ModelError(f"tokenizer.json cannot be read ({error}); use the encoder's own file") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._special = self._tokenizer.num_special_tokens_to_add(False)
        self._unknown = self._tokenizer.token_to_id(str(model.get("unk_token", "[UNK]")))
        self._max_characters = max_tokens * _CHARACTERS_PER_TOKEN

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Token ids of every text, in order. Releases the GIL while the Rust tokenizer works."""
        encodings = self._tokenizer.encode_batch_fast([self._readable(text) for text in texts])
        return [self._tokenized(encoding, len(text)) for encoding, text in zip(encodings, texts, strict=True)]

    def tokenize_long(self, texts: Sequence[str], how: LongTexts) -> list[TokenizedText]:
        """Token ids of every text, in order, window by window and of its title. A text that fits into one window, and
        has no title, is as `tokenize` gives it."""
        titled = [parts_of(text) for text in texts]
        bodies = self._tokenizer.encode_batch_fast([self._readable(one.body, how.windows) for one in titled])
        titles = iter(self.tokenize([one.title for one in titled if one.title]))
        return [
            self._together(next(titles) if one.title else None, body, len(text), how)
            for one, body, text in zip(titled, bodies, texts, strict=True)
        ]

    def tokenize_with_places(self, texts: Sequence[str], windows: int = 1) -> list[list[PlacedTokens]]:
        """As `tokenize`, with where each token stands, in at most so many windows one behind the other. What is behind
        the last one is cut, white space and all, so that places are the text's own."""
        most = windows * self._max_characters
        encodings = self._tokenizer.encode_batch([_SURROGATE.sub("\ufffd", text[:most]) for text in texts])
        return [
            [
                PlacedTokens(self._tokenized(one, len(text)), np.array(one.offsets, dtype=np.int32).reshape(-1, 2))
                for one in (encoding, *encoding.overflowing[: windows - 1])
            ]
            for encoding, text in zip(encodings, texts, strict=True)
        ]

    def _together(self, title: TokenizedText | None, body: Any, characters: int, how: LongTexts) -> TokenizedText:
        """body: what the tokenizer found, of which it hands on all that is behind the first window."""
        read = [self._tokenized(window, 0) for window in (body, *body.overflowing[: how.windows - 1])]
        tokens = [len(window.ids) for window in read]
        share = 1.0 if title is None else 1.0 - how.title_weight
        weights = [share * length / sum(tokens) for length in tokens]
        if title is not None:
            read, tokens, weights = [title, *read], [len(title.ids), *tokens], [how.title_weight, *weights]
        unknown = sum(one.unknown_share * length for one, length in zip(read, tokens, strict=True)) / sum(tokens)
        windows = tuple(WeighedWindow(one.ids, weight) for one, weight in zip(read, weights, strict=True))
        if len(windows) == 1:
            return TokenizedText(read[0].ids, read[0].unknown_share, characters)
        return TokenizedText(np.concatenate([one.ids for one in read]), unknown, characters, windows)

    def _tokenized(self, encoding: Any, characters: int) -> TokenizedText:
        ids = np.array(encoding.ids, dtype=np.int32)
        words = max(len(ids) - self._special, 1)
        unknown = 0 if self._unknown is None else int(np.count_nonzero(ids == self._unknown))
        return TokenizedText(ids, min(unknown / words, 1.0), characters)

    def _readable(self, text: str, windows: int = 1) -> str:
        """The text as the Rust side can take it: valid Unicode, of bounded length."""
        most = windows * self._max_characters
        if len(text) > most:
            start = text[: 8 * most]  # runs of white space may hide the words
            text = " ".join(start.split())[:most]
        if text.isascii():
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
