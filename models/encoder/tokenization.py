"""Text to token ids, for any text that a stream may carry: empty, huge, with NUL bytes or lone surrogates."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.errors import ModelError

_CHARACTERS_PER_TOKEN: Final = 32  # English has about 4; beyond this much text, the tokens left are cut anyway
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # one by one: a pair, as one character, would move what follows


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """ids: int32 (tokens,), special tokens included, cut to the encoder's longest input.

    unknown_share: share of the tokens (special ones apart) that the vocabulary does not know, in [0, 1].
    characters: length of the text as it came.
    """

    ids: NDArray[np.int32]
    unknown_share: float
    characters: int


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """A text's tokens with their places. text: its ids. places: int32 (tokens, 2), from which character of the text up
    to which each stands, the latter not included; (0, 0) of a special token."""

    text: TokenizedText
    places: NDArray[np.int32]


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
        return [
            self._tokenized(np.array(encoding.ids, dtype=np.int32), len(text))
            for encoding, text in zip(encodings, texts, strict=True)
        ]

    def tokenize_with_places(self, texts: Sequence[str]) -> list[PlacedTokens]:
        """As `tokenize`, with where each token stands. A text that is too long for the encoder is cut at its end, white
        space and all, so that places are the text's own."""
        readable = [_SURROGATE.sub("\ufffd", text[: self._max_characters]) for text in texts]
        encodings = self._tokenizer.encode_batch(readable)
        return [
            PlacedTokens(
                self._tokenized(np.array(encoding.ids, dtype=np.int32), len(text)),
                np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2),
            )
            for encoding, text in zip(encodings, texts, strict=True)
        ]

    def _tokenized(self, ids: NDArray[np.int32], characters: int) -> TokenizedText:
        words = max(len(ids) - self._special, 1)
        unknown = 0 if self._unknown is None else int(np.count_nonzero(ids == self._unknown))
        return TokenizedText(ids, min(unknown / words, 1.0), characters)

    def _readable(self, text: str) -> str:
        """The text as the Rust side can take it: valid Unicode, of bounded length."""
        if len(text) > self._max_characters:
            start = text[: 8 * self._max_characters]  # runs of white space may hide the words
            text = " ".join(start.split())[: self._max_characters]
        if text.isascii():
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
