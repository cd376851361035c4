"""Texts as words and what stands between them; words left out, and words that change places.

Source: Wei and Zou, EDA: easy data augmentation techniques for boosting performance on text classification tasks
(2019); word dropout: Iyyer et al., Deep unordered composition rivals syntactic methods for text classification (2015).
"""

import re
from collections.abc import Callable
from typing import Final

import numpy as np

# A sign of a script without spaces (Thai to Burmese, Kana, Han, Hangul) is a word of its own, as models.ngrams has it.
_DENSE: Final = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff"
)
_WORD: Final = re.compile(rf"[{_DENSE}\U00020000-\U000323af]|[^\W_{_DENSE}\U00020000-\U000323af]+(?:['’][^\W\d_]+)?")


def words_of(text: str) -> list[str]:
    """The words of a text, in order; a character each where a script has no spaces."""
    return _WORD.findall(text)


def replace_words(text: str, replace: Callable[[int, str], str]) -> str:
    """The text with other words in place of its own; what stands between them stays. replace: is given a word's number
    and the word."""
    numbers = iter(range(len(text)))
    return _WORD.sub(lambda found: replace(next(numbers), found.group()), text)


def without_words(text: str, rate: float, random: np.random.Generator) -> str:
    """Each word is left out with probability `rate`, but one stays."""
    kept = random.random(len(words_of(text))) >= rate
    if len(kept) < 2:
        return text
    if not kept.any():
        kept[random.integers(len(kept))] = True
    shorter = replace_words(text, lambda number, word: word if kept[number] else "")
    return re.sub(r"\s+", " ", re.sub(r"\s+(?=[,.;:!?])", "", shorter)).strip()


def with_words_swapped(text: str, rate: float, random: np.random.Generator) -> str:
    """A share `rate` of the words, at least one pair, change places with a word at most two places on."""
    words = words_of(text)
    if len(words) < 2:
        return text
    for place in random.permutation(len(words) - 1)[: max(1, round(rate * len(words) / 2))].tolist():
        other = min(len(words) - 1, place + 1 + int(random.integers(2)))
        words[place], words[other] = words[other], words[place]
    return replace_words(text, lambda number, _: words[number])
