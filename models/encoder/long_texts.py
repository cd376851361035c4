"""Texts that are longer than an encoder's input: read in windows, one after the other, and a title by itself; what is
said by all of them is one embedding, in which the title counts more. Values in, values out.

Source: the mean of passages' embeddings, each by its length, as in Dai and Callan (2019), "Deeper text understanding
for IR with contextual neural language modeling", SIGIR, section 3, where windows are scored and put together; weights
for fields as in Robertson, Zaragoza and Taylor (2004), "Simple BM25 extension to multiple weighted fields", CIKM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ReleaseCorrupt

if TYPE_CHECKING:  # what reads an application's file needs no tokenizer
    from models.encoder.tokenization import TokenizedText

TITLE_CHARACTERS: Final = 300  # a longer first line is no title
MOST_WINDOWS: Final = 32
ROLE: Final = "long_texts"  # in a release's manifest, below `encoder`


class TitledText(NamedTuple):
    """title: empty where there is none. body: all else."""

    title: str
    body: str


def parts_of(text: str) -> TitledText:
    """A text's first line is its title, where it is no longer than TITLE_CHARACTERS and something follows. What comes
    as one line is all body."""
    title, _, body = text.lstrip().partition("\n")
    if not body.strip() or len(title.rstrip()) > TITLE_CHARACTERS:
        return TitledText("", text)
    return TitledText(title.strip(), body)


def joined(title: str, body: str) -> str:
    """The text that `parts_of` takes apart again. A title is one line and cut at TITLE_CHARACTERS."""
    line = " ".join(title.split())[:TITLE_CHARACTERS]
    return f"{line}\n{body}" if line and body.strip() else line or body


def with_body(title: object, body: object) -> object:
    """The text of a record, or of a row, that has both, or either. What is no text, or a blank body, is not there; with
    no body the title is the text, whatever it is."""
    if not isinstance(body, str) or not body.strip():
        return title
    return joined(title, body) if isinstance(title, str) else body


@dataclass(frozen=True, slots=True)
class LongTexts:
    """How an encoder reads them. windows: of a body, from its beginning, 1 to MOST_WINDOWS; what is behind the last one
    is not read. title_weight: what the title counts in the embedding, the body counting the rest, in [0, 1]."""

    windows: int = 4
    title_weight: float = 0.5

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        return {"windows": self.windows, "title_weight": self.title_weight}

    @classmethod
    def from_manifest(cls, described: Mapping[str, Any] | None) -> Self | None:
        """The reverse of `describe`; None of None. Raises ReleaseCorrupt, KeyError, TypeError, ValueError."""
        if described is None:
            return None
        read = cls(int(described["windows"]), float(described["title_weight"]))
        if not (1 <= read.windows <= MOST_WINDOWS and 0 <= read.title_weight <= 1):
            raise ReleaseCorrupt(f"a manifest reads long texts as {dict(described)!r:.100}; publish the release again")
        return read


def windows_of(tokenized: "Sequence[TokenizedText]") -> list[NDArray[np.int32]]:
    """The token ids of each window of each text, in their order: what an encoder computes."""
    return [ids for text in tokenized for ids in ([one.ids for one in text.windows] or [text.ids])]


def put_together(tokenized: "Sequence[TokenizedText]", embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """One embedding of unit length for each text, float32 (texts, dimensions). embeddings: of `windows_of`. A text's
    row depends on that text alone."""
    if not any(text.windows for text in tokenized):
        return embeddings
    rows = np.empty((len(tokenized), embeddings.shape[1]), np.float32)
    start = 0
    for row, text in enumerate(tokenized):
        if not text.windows:
            rows[row] = embeddings[start]
            start += 1
            continue
        weights = np.array([one.weight for one in text.windows], np.float32)
        mean = (weights[:, None] * embeddings[start : start + len(weights)]).sum(axis=0)
        length = np.float32(np.linalg.norm(mean))
        # windows that say the opposite of each other, to the last bit: the first one stands for the text
        rows[row] = mean / length if length > 0 else embeddings[start]
        start += len(weights)
    return rows
