"""Answers to texts that come again: a bounded cache for one release.

A decision is a function of release and text, so an answer may be given again as it is; keep one cache for each release.
Texts are known by a digest and long ones are not kept, so an answer takes about a kilobyte, whatever the text; with its
embedding two bytes more for each dimension.
"""

import threading
from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from models.decision import Classification

TEXT_MAX_BYTES = 8_192  # longer texts hardly come again, and hashing them costs as much as it saves
DIGEST_BYTES = 16


class TextCache:
    """The answers to the texts that were asked for last. Thread-safe.

    hits, misses: how often `get` found an answer, and how often not.
    """

    def __init__(self, max_texts: int, *, keeps_embeddings: bool = False) -> None:
        """max_texts: how many answers are kept; 0 keeps none. keeps_embeddings: to 16 bits, as signals have
        them."""
        if max_texts < 0:
            raise ValueError(f"max_texts={max_texts} is below 0")
        self.max_texts, self._keeps_embeddings = max_texts, keeps_embeddings
        self.hits = 0
        self.misses = 0
        self._answers: OrderedDict[bytes, tuple[Classification, NDArray[np.float16] | None]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, text: str) -> Classification | None:
        """The answer to exactly this text, if it is kept."""
        digest = _digest(text)
        with self._lock:
            known = self._answers.get(digest) if digest is not None else None
            if known is None or digest is None:
                self.misses += 1
                return None
            self.hits += 1
            self._answers.move_to_end(digest)
        answer, embedding = known
        return answer if embedding is None else replace(answer, embedding=embedding.astype(np.float32))

    def put(self, text: str, answer: Classification) -> None:
        """Keep an answer, without audit (a cached answer is not a sample of anything) and, where nobody asked for it,
        embedding; the one that was not asked for longest makes room."""
        digest = _digest(text) if self.max_texts else None
        if digest is None:
            return
        seen = answer.embedding
        if seen is not None or answer.agrees is not None:
            answer = replace(answer, embedding=None, agrees=None)
        with self._lock:
            self._answers[digest] = (
                answer,
                seen.astype(np.float16) if seen is not None and self._keeps_embeddings else None,
            )
            self._answers.move_to_end(digest)
            if len(self._answers) > self.max_texts:
                self._answers.popitem(last=False)


def _digest(text: str) -> bytes | None:
    """None for a text that is too long to be kept."""
    if len(text) > TEXT_MAX_BYTES:
        return None
    encoded = text.encode("utf-8", "surrogatepass")
    return blake2b(encoded, digest_size=DIGEST_BYTES).digest() if len(encoded) <= TEXT_MAX_BYTES else None
