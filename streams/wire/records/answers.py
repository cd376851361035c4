"""The bank of answers as it travels: entries, and what closes a change of them."""

from pydantic import Field

from streams.wire.records.base import Wire

BANK_KEY = b" bank"  # no entry's id begins with a space


class BankEntry(Wire):
    """One entry, by its id. Vectors: float16, little-endian, base64, of length 1. A tombstone takes it out."""

    id: str
    """The entry, as `headrace answers search` shows it."""
    question: str
    """The question."""
    answer: str
    """Its answer."""
    language: str = ""
    """A language tag, where somebody said so."""
    source: str = ""
    """Where the answer comes from, where somebody said so."""
    question_vector: str
    """The question's embedding."""
    answer_vector: str
    """The answer's embedding."""


class BankClose(Wire):
    """The last record of a change, always under the same key: a change holds with it, and as a whole."""

    encoder: str
    """sha256 of the encoder that made the embeddings."""
    dimensions: int = Field(ge=1)
    """Length of an embedding."""
    entries: int = Field(ge=0)
    """How many entries there are now."""
    sha256: str
    """Of all entries, as they stand in the topic (exclusive or of each one's): which they are that belong together."""
    without_answer: tuple[float, ...] = ()
    """How strong that is, ascending, which is found for questions whose answer was left out."""
