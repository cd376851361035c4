"""Texts made of other texts: typed badly, or copied with small changes. Pure."""

import itertools
from typing import Final

import numpy as np

_NEIGHBOURS: Final = {
    left + right for line in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for left, right in itertools.pairwise(line)
}
_OPENINGS: Final = ("", "hi, ", "hello ", "help: ", "please, ", "again: ", "urgent! ", "sorry, ")
_ENDINGS: Final = ("", "!", "!!", " please", " thanks", " asap", "??", " :(", " anyone?", " since this morning")
_SOURCES: Final = (" - Reuters", " | CNBC", " (AP)", " - report", " via Bloomberg", "", " - sources", " ...", " - WSJ")
_MARKS: Final = ("", "UPDATE 1-", "UPDATE 2-", "BREAKING: ", "RPT-", "WRAPUP 1-", "*", "NEWS: ")


def typed_badly(text: str, rate: float, random: np.random.Generator) -> str:
    """Each letter is mistyped with probability `rate`: left out, doubled, swapped with the next, or a neighbour on the
    keyboard, equally often."""
    letters, typed, place = list(text), list[str](), 0
    while place < len(letters):
        letter = letters[place]
        if not letter.isalpha() or random.random() >= rate:
            typed.append(letter)
        else:
            kind = int(random.integers(4))
            if kind == 1:
                typed += [letter, letter]
            elif kind == 2 and place + 1 < len(letters):
                typed += [letters[place + 1], letter]
                place += 1
            elif kind == 3:
                typed.append(_beside(letter, random))
        place += 1
    return "".join(typed)


def said_again(text: str, random: np.random.Generator) -> str:
    """The same complaint by somebody else: another greeting or ending, a slip of the keyboard."""
    changed = str(random.choice(_OPENINGS)) + text.rstrip(".!? ") + str(random.choice(_ENDINGS))
    return typed_badly(changed, 0.01, random)


def syndicated(text: str, random: np.random.Generator) -> str:
    """The same headline elsewhere: a mark, a source, a word left out or in capitals."""
    words = text.split()
    if len(words) > 5 and random.random() < 0.4:
        del words[int(random.integers(len(words)))]
    if random.random() < 0.2:
        place = int(random.integers(len(words)))
        words[place] = words[place].upper()
    return str(random.choice(_MARKS)) + " ".join(words) + str(random.choice(_SOURCES))


def _beside(letter: str, random: np.random.Generator) -> str:
    lower = letter.lower()
    near = sorted(pair.replace(lower, "", 1) for pair in _NEIGHBOURS if lower in pair)
    beside = str(random.choice(near)) if near else lower
    return beside.upper() if letter.isupper() else beside
