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
from itertools import accumulate
from typing import Final

from models.encoder.long_texts import parts_of
from models.entities.gazetteer import Mention

DIGITS: Final = 4  # behind the point: what is counted by it must not hang on how a sum was rounded
# a full stop that a digit or a small letter follows ends nothing: "3.5 %", "vs. last year"
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’)\]]*\s+(?![a-z\d\s])|[。！？][”’」』）]*|\n\s*\n")


def relevances(text: str, mentions: Sequence[Mention]) -> dict[str, float]:
    """By entity. mentions: all of the text, of every entity, in any order; those of one that is not among them are as
    if they were not there. Rounded to DIGITS."""
    starts = _sentence_starts(text)
    named: defaultdict[str, set[int]] = defaultdict(set)
    for one in mentions:
        named[one.id].add(bisect_right(starts, one.start) - 1)
    counts = {entity: math.fsum(map(_count, numbers)) for entity, numbers in named.items()}
    total = math.fsum(counts.values())
    return {entity: round(_prominence(numbers) * (counts[entity] / total), DIGITS) for entity, numbers in named.items()}


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
