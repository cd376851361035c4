"""Synonyms out of WordNet's own files.

Source: Fellbaum (ed.), WordNet: an electronic lexical database (1998); the files' format is its page wndb(5WN).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from models.errors import ConfigError

FILES: Final = tuple(f"{kind}.{part}" for part in ("noun", "verb", "adj", "adv") for kind in ("index", "data"))
_OFFSET: Final = re.compile(r"\d{8}")
_MARKER: Final = re.compile(r"\((a|p|ip)\)$")


@dataclass(frozen=True, slots=True)
class WordNet:
    """synonyms: by word in lower case, those of its most frequent sense as each part of speech."""

    synonyms: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, files: Mapping[str, str]) -> Self:
        """files: the texts of `FILES` by name. Raises ConfigError where they are no WordNet."""
        found: dict[str, dict[str, None]] = {}
        for part in ("noun", "verb", "adj", "adv"):
            first = _first_senses(files[f"index.{part}"])
            words_of = _words_of_senses(files[f"data.{part}"])
            for word, sense in first.items():
                found.setdefault(word, {}).update(dict.fromkeys(words_of.get(sense, ())))
        synonyms = {word: tuple(other for other in others if other.lower() != word) for word, others in found.items()}
        synonyms = {word: others for word, others in synonyms.items() if others}
        if not synonyms:
            raise ConfigError("the files hold no WordNet: no word in them has a synonym")
        return cls(synonyms)

    def __call__(self, word: str) -> tuple[str, ...]:
        """Synonyms of a word in lower case; of a plural that stands in no dictionary, plurals."""
        found = self.synonyms.get(word, ())
        if found or not word.endswith("s") or word.endswith("ss"):
            return found
        return tuple(f"{other}s" for other in self.synonyms.get(word[:-1], ()) if not other.endswith("s"))


def _first_senses(index: str) -> dict[str, str]:
    """The place of each word's most frequent sense. Senses stand in order of their frequency."""
    senses = {}
    for line in index.splitlines():
        if line and not line.startswith(" "):  # the licence stands in front, indented
            word, *fields = line.split()
            # behind the numbers of senses and of tagged senses there are places only
            first = next((field for field in fields if _OFFSET.fullmatch(field)), None)
            if first is not None and "_" not in word:
                senses[word] = first
    return senses


def _words_of_senses(data: str) -> dict[str, tuple[str, ...]]:
    """The words of every sense, by its place."""
    words = {}
    for line in data.splitlines():
        if line and not line.startswith(" "):
            place, _, _, count, *fields = line.split()
            listed = fields[: 2 * int(count, 16) : 2]  # each word is followed by the number of its sense
            words[place] = tuple(_MARKER.sub("", word).replace("_", " ") for word in listed)
    return words
