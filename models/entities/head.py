"""The head that says what a text thinks of one entity: a linear one over the embeddings and n-grams of its views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from safetensors.numpy import load, save
from scipy import sparse

from models.entities.views import EMBEDDED_VIEWS, NGRAM_VIEWS, EntityViews
from models.errors import ReleaseCorrupt
from models.heads import Floats, Head
from models.ngrams import NgramVocabulary, find_ngrams


def beside_each_other(embeddings: Floats) -> Floats:
    """Of each mention's views, one behind the other. embeddings: (mentions * EMBEDDED_VIEWS, dimensions), a mention's
    rows together. Returns (mentions, EMBEDDED_VIEWS * dimensions)."""
    return embeddings.reshape(-1, len(EMBEDDED_VIEWS) * embeddings.shape[1])


@dataclass(frozen=True, slots=True)
class EntityHead:
    """head: over (EMBEDDED_VIEWS * dimensions) and all views' n-grams. vocabularies: in the order of NGRAM_VIEWS."""

    head: Head
    vocabularies: tuple[NgramVocabulary, ...]

    @property
    def dimensions(self) -> int:
        """Of the encoder that it was fitted on."""
        return int(self.head.dense.shape[0]) // len(EMBEDDED_VIEWS)

    def ngrams(self, views: Sequence[EntityViews]) -> sparse.csr_array:
        """Weighted n-grams of all views side by side, float32 (mentions, kept n-grams)."""
        columns = zip(*(view.for_ngrams() for view in views), strict=True)
        parts = [
            vocabulary.weigh(find_ngrams(texts).counted())
            for vocabulary, texts in zip(self.vocabularies, columns, strict=True)
        ]
        return sparse.csr_array(sparse.hstack(parts, format="csr"))

    def predict(self, views: Sequence[EntityViews], embeddings: Floats) -> Floats:
        """Calibrated probabilities, (mentions, labels). embeddings: see `beside_each_other`. A mention's row has the
        same bits alone and among others."""
        return self.head.predict(beside_each_other(embeddings), self.ngrams(views))

    def rounded(self) -> Self:
        """As it comes back from `to_bytes`."""
        return replace(self, head=self.head.rounded())

    def to_bytes(self) -> bytes:
        """As safetensors; the rest is in `describe`."""
        tensors = {f"head.{name}": tensor for name, tensor in load(self.head.to_bytes()).items()}
        for view, vocabulary in zip(NGRAM_VIEWS, self.vocabularies, strict=True):
            tensors |= {f"{view}.{name}": tensor for name, tensor in load(vocabulary.to_bytes()).items()}
        return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, for the manifest."""
        return self.head.describe()

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], weights: bytes) -> Self:
        """The reverse of `describe` and `to_bytes`. Raises ReleaseCorrupt when they do not fit together."""
        try:
            tensors = load(weights)
            parts = {
                part: {
                    name.removeprefix(f"{part}."): one for name, one in tensors.items() if name.startswith(f"{part}.")
                }
                for part in ("head", *NGRAM_VIEWS)
            }
        except Exception as error:  # the bytes come from outside
            raise ReleaseCorrupt(f"the head of entities cannot be read ({error!r}); publish it again") from error
        vocabularies = tuple(NgramVocabulary.from_bytes(save(parts[view])) for view in NGRAM_VIEWS)
        head = Head.from_parts(description, save(parts["head"]))
        if head.ngrams.shape[0] != sum(map(len, vocabularies)) or head.dense.shape[0] % len(EMBEDDED_VIEWS):
            raise ReleaseCorrupt("the head of entities has weights for other n-grams or views; publish it again")
        return cls(head, vocabularies)
