"""Words replaced by others of like meaning."""

from collections.abc import Callable, Sequence

import numpy as np

from models.words.stop_words import STOP_WORDS
from retrain.augmentation.words import replace_words, words_of

Thesaurus = Callable[[str], Sequence[str]]


def with_synonyms(text: str, rate: float, thesaurus: Thesaurus, random: np.random.Generator) -> str:
    """A share `rate` of the words that have synonyms, at least one, are replaced by one of them. thesaurus: of a word
    in lower case. A word in capitals, or with one in front, stays so."""
    words = [word.lower() for word in words_of(text)]
    found = [() if word in STOP_WORDS else tuple(thesaurus(word)) for word in words]
    places = [place for place, synonyms in enumerate(found) if synonyms]
    if not places:
        return text
    count = max(1, round(rate * len(places)))
    chosen = {int(place): str(random.choice(found[place])) for place in random.permutation(places)[:count]}
    return replace_words(text, lambda number, word: _like(word, chosen[number]) if number in chosen else word)


def _like(word: str, synonym: str) -> str:
    if word.isupper() and len(word) > 1:
        return synonym.upper()
    return synonym[:1].upper() + synonym[1:] if word[:1].isupper() else synonym
