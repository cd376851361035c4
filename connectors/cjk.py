"""Words of a text, as both stores index them and as both are asked.

Chinese, Japanese and other scripts without spaces give a word per character; a question of several such characters is
asked as a phrase. (SQLite's trigram tokenizer finds no two-character word: `退款` had 0 hits; Elasticsearch keeps a run
of katakana as one word.) Other scripts: letters, digits and their marks, lower case, Latin letters without accents. The
stores get words with a space between and split at spaces only, so they cannot disagree.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_NO_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # 々 〆 〇
    (0x3040, 0x30FF),  # hiragana, katakana
    (0x31F0, 0x31FF),  # katakana extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xF900, 0xFAFF),  # CJK compatibility
    (0x20000, 0x323AF),  # CJK extensions B to H
)
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
_SEPARATOR, _PART, _ALONE, _UNSEEN = range(4)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is indexed, and where it stands in the text: text[start:end]."""

    text: str
    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """The words of a text in order. What nobody sees (soft hyphens, zero width characters, marks of direction) is left
    out; anything else (punctuation, NUL, lone surrogates, emoji) only separates."""
    if text.isascii():  # most texts, ten times as fast
        for match in _ASCII_WORD.finditer(text):
            yield Word(match[0].lower(), match.start(), match.end())
        return
    begin, letters = 0, ""
    for position, character in enumerate(text):
        kind, shape = _classify(character)
        if kind == _UNSEEN:
            continue
        if letters and kind != _PART:
            yield Word(letters, begin, position)
            letters = ""
        if kind == _ALONE:
            for character in shape:  # a ligature (ำ) reads as the characters it stands for, which people type as well
                yield Word(character, position, position + 1)
        elif kind == _PART:
            begin = begin if letters else position
            letters += shape
    if letters:
        yield Word(letters, begin, len(text))


def spaced(text: str) -> str:
    """The words with one space between: what a store indexes."""
    return " ".join(word.text for word in words(text))


def phrases(question: str) -> list[list[str]]:
    """What must occur: for each part of the question between spaces, its words, side by side in this order."""
    return [phrase for part in question.split() if (phrase := [word.text for word in words(part)])]


def highlight(text: str, wanted: list[list[str]], before: str = "<em>", after: str = "</em>", around: int = 80) -> str:
    """The text around the first phrase found, up to `around` characters to each side, every found phrase marked."""
    there = list(words(text))
    spans = sorted(span for phrase in wanted for span in _find(there, phrase))
    first = max(0, spans[0][0] - around) if spans else 0
    last = min(len(text), (spans[0][1] if spans else 0) + 2 * around)
    parts, position = ["…" if first else ""], first
    for begin, end in spans:
        if begin >= position and end <= last:
            parts += [text[position:begin], before, text[begin:end], after]
            position = end
    return "".join([*parts, text[position:last], "…" if last < len(text) else ""])


def _find(there: list[Word], phrase: list[str]) -> Iterator[tuple[int, int]]:
    length = len(phrase)
    for at in range(len(there) - length + 1):
        if all(there[at + n].text == phrase[n] for n in range(length)):
            yield there[at].start, there[at + length - 1].end


@lru_cache(maxsize=16_384)
def _classify(character: str) -> tuple[int, str]:
    """What a character is to a word, and the form in which it is indexed."""
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":  # or a variation selector: it stands behind an emoji
        return _UNSEEN, ""
    if category[0] not in "LNM":
        return _SEPARATOR, ""
    shape = unicodedata.normalize("NFKC", character).casefold()
    plain = unicodedata.normalize("NFD", shape)
    if plain[0].isascii():
        shape = "".join(letter for letter in plain if letter.isascii() and letter.isalnum())
    elif 0x0300 <= ord(character) <= 0x036F:  # an accent that stands apart from its Latin letter
        shape = ""
    elif len(shape) > 1:  # what folding took apart is read as if it had been written so
        shape = "".join(_classify(character)[1] for character in shape)
    code = ord(shape[0]) if shape else 0
    if any(low <= code <= high for low, high in _NO_SPACES):
        return _ALONE, shape
    return _PART, shape
