"""An encoder that computes a text once: for training and its checks, which ask for the same texts again and again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder
from models.encoder.tokenization import TokenizedText


class RememberingEncoder(Encoder):
    """The same answers as the encoder that it stands for; 1.5 kB a text at 384 dimensions, for as long as it lives."""

    def __init__(self, encoder: Encoder) -> None:
        """encoder: is shared, and closed by who opened it."""
        self.__dict__.update(encoder.__dict__)  # one session, one pool
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self._tokens: dict[str, TokenizedText] = {}

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """See `Encoder`."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._tokens))
        if missing:
            self._tokens.update(zip(missing, super().tokenize(missing), strict=True))
        return [self._tokens[text] for text in texts]

    def embed_tokens(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """See `Encoder`."""
        keys = [text.identity() for text in tokenized]
        missing = {key: text for key, text in zip(keys, tokenized, strict=True) if key not in self._known}
        if missing:
            self._known.update(zip(missing, super().embed_tokens(list(missing.values())), strict=True))
        if not keys:
            return np.empty((0, self.dimensions), dtype=np.float32)
        return np.stack([self._known[key] for key in keys])
