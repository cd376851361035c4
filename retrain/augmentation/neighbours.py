"""Words that an encoder holds for nearly the same: synonyms where there is no dictionary."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from models.heads import Floats
from models.words.stop_words import STOP_WORDS
from retrain.augmentation.methods import EachByItself
from retrain.augmentation.synonyms import with_synonyms
from retrain.augmentation.words import words_of
from retrain.progress import Progress, no_progress

Embed = Callable[[Sequence[str]], Floats]
NEAR: Final = 0.6  # cosine; of single words by MiniLM, what is nearer may stand for the other more often than not
MOST: Final = 5
MOST_WORDS: Final = 8_000  # of a vocabulary; each is embedded, and rarer ones seldom fit
_STEM: Final = 4  # words that begin with so many equal letters are forms of one word: nothing new
_CHUNK: Final = 512


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`retrain.augmentation.methods.Method`. embed: unit-length embeddings of texts. vocabulary: words that may be put
    in, beside those of the texts. rate: share of the words with neighbours that are replaced.

    In scripts without spaces a word here is a character, which has no neighbours: nothing is made of such texts.
    """

    embed: Embed
    vocabulary: Sequence[str]
    rate: float = 0.2
    name: str = "neighbours"

    def rewritten(self, texts: Sequence[str], seed: int, progress: Progress = no_progress) -> list[str]:
        """See `Method`. Which words a text's may be replaced by depends on the words of all texts."""
        words = sorted({word.lower() for text in texts for word in words_of(text) if _is_word(word)})
        candidates = sorted({*words, *filter(_is_word, self.vocabulary)})
        found = nearest_words(words, candidates, self.embed, progress)
        rewrite = partial(_rewrite, rate=self.rate, found=found)
        return EachByItself(self.name, rewrite).rewritten(texts, seed, progress)


def nearest_words(
    words: Sequence[str], candidates: Sequence[str], embed: Embed, progress: Progress = no_progress
) -> dict[str, tuple[str, ...]]:
    """At most MOST candidates for each word, the nearest first, of other stems, of a cosine of NEAR or more."""
    if not words or not candidates:
        return {}
    places = {word: place for place, word in enumerate(dict.fromkeys([*candidates, *words]))}
    listed = list(places)
    parts = []
    for start in range(0, len(listed), _CHUNK):
        progress("comparing words", start, len(listed))
        parts.append(embed(listed[start : start + _CHUNK]))
    progress("comparing words", len(listed), len(listed))
    embeddings = np.concatenate(parts)
    others = embeddings[[places[word] for word in candidates]]
    found = {}
    for start in range(0, len(words), _CHUNK):
        chunk = words[start : start + _CHUNK]
        cosines = embeddings[[places[word] for word in chunk]] @ others.T
        for word, row in zip(chunk, cosines, strict=True):
            near = np.flatnonzero(row >= NEAR)
            ordered = [candidates[place] for place in near[np.argsort(-row[near], kind="stable")]]
            found[word] = tuple(other for other in ordered if other[:_STEM] != word[:_STEM])[:MOST]
    return {word: near for word, near in found.items() if near}


def whole_words(tokenizer_json: str) -> list[str]:
    """The first MOST_WORDS whole words of a tokenizer's vocabulary, in lower case: BERT's stand in order of how common
    they are."""
    vocabulary = json.loads(tokenizer_json).get("model", {}).get("vocab", {})
    names = (
        sorted(vocabulary, key=vocabulary.__getitem__)
        if isinstance(vocabulary, dict)
        else [one[0] for one in vocabulary]
    )
    return [name for name in names if name.islower() and _is_word(name)][:MOST_WORDS]


def _is_word(word: str) -> bool:
    return len(word) > 2 and word.isalpha() and word.lower() not in STOP_WORDS


def _rewrite(text: str, random: np.random.Generator, *, rate: float, found: dict[str, tuple[str, ...]]) -> str:
    return with_synonyms(text, rate, lambda word: found.get(word, ()), random)
