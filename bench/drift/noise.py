"""Texts made of other texts: said again, or spread. Pure."""

from typing import Final

import numpy as np

from models.words.typing_noise import typed_badly

_OPENINGS: Final = ("", "hi, ", "hello ", "help: ", "please, ", "again: ", "urgent! ", "sorry, ")
_ENDINGS: Final = ("", "!", "!!", " please", " thanks", " asap", "??", " :(", " anyone?", " since this morning")
_SOURCES: Final = (" - Reuters", " | CNBC", " (AP)", " - report", " via Bloomberg", "", " - sources", " ...", " - WSJ")
_MARKS: Final = ("", "UPDATE 1-", "UPDATE 2-", "BREAKING: ", "RPT-", "WRAPUP 1-", "*", "NEWS: ")


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
