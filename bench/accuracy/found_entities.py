"""Names that are found, not given: a list of the training texts' names, the tagger, both; with what is said of each."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder, TokenizedText
from models.encoder.remembering import RememberingEncoder
from models.entities.gazetteer import Entity, Gazetteer, Mention, pieces_of
from models.entities.head import EntityHead
from models.entities.judging import Asked, judge
from models.entities.span_head import SpanHead
from models.entities.tagger import Tagger
from retrain.entities.rows import EntityRow, EntityRows
from retrain.entities.tagging import span_metrics

WAYS: Final = ("list", "tagger", "list_and_tagger")
MEASURES: Final = ("with_sentiment_f1", "span_f1", "span_precision", "span_recall")
Find = Callable[[str], Sequence[Mention]]


class RememberingStates(RememberingEncoder):
    """Computes the states of a text's tokens once too; 70 kB a text at 45 tokens and 384 dimensions."""

    def __init__(self, encoder: Encoder) -> None:
        """See `RememberingEncoder`."""
        super().__init__(encoder)
        self._states: dict[bytes, NDArray[np.float32]] = {}

    def token_states(self, tokenized: Sequence[TokenizedText]) -> list[NDArray[np.float32]]:
        """See `Encoder`."""
        missing = {text.ids.tobytes(): text for text in tokenized if text.ids.tobytes() not in self._states}
        self._states.update(zip(missing, super().token_states(list(missing.values())), strict=True))
        return [self._states[text.ids.tobytes()] for text in tokenized]


def measure_found(
    encoder: Encoder, dealt: EntityRows, head: EntityHead | SpanHead, tagger: Tagger
) -> dict[str, dict[str, float]]:
    """By way, micro F1 of spans with what is said of them, and of the spans alone, on the test rows."""
    rows, gazetteer = dealt.part("test"), names_of(dealt.part("train"))
    listed = [gazetteer.find(row.text) for row in rows]
    tagged = [[name for name, _ in names] for names in tagger.find([row.text for row in rows], encoder)]
    both = [sorted((*one, *_apart(other, one))) for one, other in zip(listed, tagged, strict=True)]
    ways = zip(WAYS, (listed, tagged, both), strict=True)
    return {way: _judged(encoder, head, rows, found) for way, found in ways}


def names_of(rows: Sequence[EntityRow]) -> Gazetteer:
    """A list of all names that are labelled in these rows, each for itself."""
    names: dict[str, set[str]] = {}
    for row in rows:
        for mention in row.mentions:
            written = row.text[mention.start : mention.end]
            if any(map(str.isalnum, written)):
                names.setdefault(" ".join(piece.key for piece in pieces_of(written)), set()).add(written)
    return Gazetteer(tuple(Entity(key, tuple(sorted(written))) for key, written in sorted(names.items())))


def cpu_ms_a_text(encoder: Encoder, tagger: Tagger, texts: Sequence[str]) -> dict[str, float]:
    """Processor time of the texts one by one: their embeddings, and what the tagger takes beside them. encoder: one
    that remembers nothing."""
    costs = {}
    for name, read in (("embedding", encoder.embed), ("tagger", lambda one: tagger.find(one, encoder))):
        read(texts[:1])
        start = time.process_time()
        for text in texts:
            read([text])
        costs[name] = round(1000 * (time.process_time() - start) / len(texts), 2)
    return costs


def _judged(
    encoder: Encoder, head: EntityHead | SpanHead, rows: Sequence[EntityRow], found: Sequence[Sequence[Mention]]
) -> dict[str, float]:
    """Each mention is judged by itself, as each is labelled by itself."""
    asked = [Asked(row.text, of_text, of_text) for row, of_text in zip(rows, found, strict=True)]
    said = [head.head.labels[best] for best in judge(head, encoder, asked, str).argmax(axis=1).tolist()]
    rest, spans, wholly = iter(said), 0, 0
    for row, of_text in zip(rows, found, strict=True):
        pairs = zip(row.mentions, row.labels, strict=True)
        labelled = {(one.start, one.end): label for one, label in pairs}
        for one in of_text:
            given, read = labelled.get((one.start, one.end)), next(rest)
            spans += given is not None
            wholly += given == read
    names = sum(len(row.mentions) for row in rows)
    alone, both = (span_metrics(len(rows), names, len(said), right) for right in (spans, wholly))
    return dict(zip(MEASURES, (both.f1, alone.f1, alone.precision, alone.recall), strict=True))


def _apart(found: Sequence[Mention], listed: Sequence[Mention]) -> list[Mention]:
    """As decisions have it: what overlaps a listed name is that one."""
    return [one for one in found if all(one.end <= other.start or other.end <= one.start for other in listed)]
