"""An encoder that computes each text once: what it gave stands in a folder."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder, TokenizedText

_AT_ONCE = 512


class RememberingEncoder(Encoder):
    """The same encoder with a memory on disk. Several processes may use one folder; a text that two of them meet at
    the same time is computed twice."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        """folder: of this encoder and others."""
        self.__dict__.update(encoder.__dict__)
        self._folder = folder / encoder.sha256[:16]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._read: set[str] = set()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._parts: list[NDArray[np.float32]] = []
        self._load()

    def embed_tokens(self, tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        """See Encoder; remembered ones are not computed."""
        names = [_name_of(text) for text in tokenized]
        if any(name not in self._places for name in names):
            self._load()
        missing = {name: text for name, text in zip(names, tokenized, strict=True) if name not in self._places}
        waiting = list(missing.items())
        for start in range(0, len(waiting), 16 * _AT_ONCE):
            some = waiting[start : start + 16 * _AT_ONCE]
            parts = [
                super(RememberingEncoder, self).embed_tokens([text for _, text in some[first : first + _AT_ONCE]])
                for first in range(0, len(some), _AT_ONCE)
            ]
            self._keep([name for name, _ in some], np.concatenate(parts))
        embeddings = np.empty((len(names), self.dimensions), np.float32)
        for row, name in enumerate(names):
            part, place = self._places[name]
            embeddings[row] = self._parts[part][place]
        return embeddings

    def _keep(self, names: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        digest = hashlib.blake2b(b"".join(names), digest_size=12).hexdigest()
        path = self._folder / f"{digest}.npz"
        beside = self._folder / f".{digest}-{os.getpid()}.npz"
        np.savez(beside, names=np.frombuffer(b"".join(names), np.uint8).reshape(len(names), -1), embeddings=embeddings)
        beside.replace(path)
        self._add(path.name, names, embeddings)

    def _load(self) -> None:
        for path in sorted(self._folder.glob("[!.]*.npz")):
            if path.name not in self._read:
                with np.load(path) as part:
                    self._add(path.name, [bytes(name) for name in part["names"]], part["embeddings"])

    def _add(self, file: str, names: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
        self._read.add(file)
        self._parts.append(embeddings)
        self._places.update((name, (len(self._parts) - 1, place)) for place, name in enumerate(names))


def _name_of(text: TokenizedText) -> bytes:
    return hashlib.blake2b(np.asarray(text.ids, np.int64).tobytes(), digest_size=12).digest()
