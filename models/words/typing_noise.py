"""Texts as hurried people type them."""

import itertools
from typing import Final

import numpy as np

_NEIGHBOURS: Final = {
    left + right for line in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for left, right in itertools.pairwise(line)
}


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


def _beside(letter: str, random: np.random.Generator) -> str:
    lower = letter.lower()
    near = sorted(pair.replace(lower, "", 1) for pair in _NEIGHBOURS if lower in pair)
    beside = str(random.choice(near)) if near else lower
    return beside.upper() if letter.isupper() else beside
