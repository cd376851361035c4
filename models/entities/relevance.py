"""How much a text is about each thing that it names, in [0, 1].

Three things are asked of an entity: whether the title names it, how early it is named, and how often, beside all others
that are named. The title, or the first sentence where there is none, is sentence 0; each sentence that names an entity
counts for it 1 / (1 + its number), once.

- prominence: 1 - the product of (1 - 1 / (1 + number)) over the sentences that name it. 1 for what the title names.
- share: what its sentences count of what those of all entities do.
- relevance: prominence times share; of all entities of a text together 1 at most.

Source: the features of Dunietz and Gillick (2014), "A new entity salience task with millions of training examples",
EACL, section 4 (first location, number of mentions, headline), which news services rank by as well ("entity
prominence": title, closeness to the top, number of mentions). How these are put together is Headrace's own: no weights
are learnt, as there were no texts at hand whose readers had said it. Reciprocal places as in Voorhees (1999), "The
TREC-8 question answering track report". Who does something to whom in a sentence is not asked.
"""

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from models.encoder.long_texts import parts_of
from models.entities.gazetteer import Mention

DIGITS: Final = 4  # behind the point: what is counted by it must not hang on how a sum was rounded
# a full stop that a digit or a small letter follows ends nothing: "3.5 %", "vs. last year"
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’)\]]*\s+(?![a-z\d\s])|[。！？][”’」』）]*|\n\s*\n")


@dataclass(frozen=True, slots=True)
class Relevance:
    """What one entity's relevance rests on. value: prominence times share, rounded to DIGITS. sentences: numbers of
    those that name it, rising. mentions: how often it is named. has_title: whether sentence 0 is a title."""

    value: float
    prominence: float
    share: float
    sentences: tuple[int, ...]
    mentions: int
    has_title: bool

    @property
    def in_title(self) -> bool:
        """Whether the title names it."""
        return self.has_title and self.sentences[0] == 0


def relevances(text: str, mentions: Sequence[Mention]) -> dict[str, float]:
    """By entity; see `why_relevant`. Rounded to DIGITS."""
    return {entity: one.value for entity, one in why_relevant(text, mentions).items()}


def why_relevant(text: str, mentions: Sequence[Mention]) -> dict[str, Relevance]:
    """By entity. mentions: all of the text, of every entity, in any order; those of one that is not among them are as
    if they were not there."""
    starts, has_title = _sentence_starts(text), bool(parts_of(text)[0])
    named: defaultdict[str, list[int]] = defaultdict(list)
    for one in mentions:
        named[one.id].append(bisect_right(starts, one.start) - 1)
    counts = {entity: math.fsum(map(_count, set(numbers))) for entity, numbers in named.items()}
    total = math.fsum(counts.values())
    found = {}
    for entity, numbers in named.items():
        prominence, share = _prominence(set(numbers)), counts[entity] / total
        value, sentences = round(prominence * share, DIGITS), tuple(sorted(set(numbers)))
        found[entity] = Relevance(value, prominence, share, sentences, len(numbers), has_title)
    return found


def _count(number: int) -> float:
    return 1.0 / (1 + number)


def _prominence(numbers: set[int]) -> float:
    *_, unseen = accumulate(sorted(numbers), lambda left, number: left * (1.0 - _count(number)), initial=1.0)
    return 1.0 - unseen


def _sentence_starts(text: str) -> list[int]:
    """Where each begins, from 0 on; a title is one, whatever stands in it."""
    title, _ = parts_of(text)
    below = text.index("\n", text.index(title)) + 1 if title else 0
    ends = [match.end() for match in _SENTENCE_END.finditer(text, below)]
    return [0, *([below] if title else []), *(end for end in ends if text[end:].strip())]
