"""A loaded release: text in, decisions of all its heads out, in two stages that may run in different threads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import sparse

from models.decision import Classification
from models.encoder import Encoder, TokenizedText
from models.heads import Head
from models.ngrams import NgramVocabulary, hash_ngrams


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stage 1 hands to stage 2: token ids and weighted n-grams of the same texts, in order."""

    tokenized: Sequence[TokenizedText]
    ngrams: sparse.csr_array

    def __len__(self) -> int:
        return len(self.tokenized)


class Classifier:
    """An encoder with the heads that were trained on it. Thread-safe: nothing changes after the start.

    model, version: of the release. heads: by name, the primary one first.
    """

    def __init__(
        self, model: str, version: str, encoder: Encoder, vocabulary: NgramVocabulary, heads: Sequence[Head]
    ) -> None:
        """Put the parts together; `models.bundle.unpack` does so from a release's files."""
        self.model = model
        self.version = version
        self.encoder = encoder
        self.vocabulary = vocabulary
        self.heads: Mapping[str, Head] = {head.name: head for head in heads}

    def tokenize(self, texts: Sequence[str]) -> Prepared:
        """Stage 1: token ids and n-grams. Any text will do: empty, huge, with NUL or lone surrogates."""
        return Prepared(self.encoder.tokenize(texts), self.vocabulary.weigh(hash_ngrams(texts)))

    def classify(self, prepared: Prepared) -> list[Classification]:
        """Stage 2: encoder and heads. A text's answer does not depend on the others. Raises ModelError."""
        if not len(prepared):
            return []
        embeddings = self.encoder.embed_tokens(prepared.tokenized)
        decided = {name: head.decide(embeddings, prepared.ngrams) for name, head in self.heads.items()}
        return [
            Classification(
                heads={name: decisions[row] for name, decisions in decided.items()},
                path="full",
                characters=text.characters,
                unknown_share=text.unknown_share,
                embedding=embeddings[row],
            )
            for row, text in enumerate(prepared.tokenized)
        ]

    def classify_texts(self, texts: Sequence[str]) -> list[Classification]:
        """Both stages at once."""
        return self.classify(self.tokenize(texts))
