"""Words that a release reads as one: every listed name as the same name, "he" and "she" as "they". On what texts differ
in there no decision can hang, whatever the encoder makes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from models.errors import ReleaseCorrupt
from models.words.chinese_names import ChineseNames
from models.words.listed_words import FoundWord, ListedWords, is_possessive, put
from models.words.neutral_names import NeutralNames

ROLE = "neutral_words"  # of the file in a release


@dataclass(frozen=True)
class NeutralWords:
    """words: listed word, case-folded, to what is read in its place. before_noun: the same for words that mean another
    thing before a noun ("her card": "their", "paid her": "them"). keep: phrases that hold a word and are none. names:
    what is read as a name besides, once the listed words have been read; chinese_names: the same in Chinese, before
    them."""

    words: Mapping[str, str]
    before_noun: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()
    names: NeutralNames | None = None
    chinese_names: ChineseNames | None = None
    _finder: ListedWords = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_finder", ListedWords(self.words.keys(), self.keep))

    def read(self, text: str) -> str:
        """The text as the release reads it. Listed words side by side that are read alike, as given and family names
        are, become one."""
        if self.chinese_names is not None:  # first: a listed word may be the beginning of a name
            text = self.chinese_names.read(text)
        joined: list[tuple[FoundWord, str]] = []
        for one in self._finder.find(text):
            is_before_noun = one.word in self.before_noun and is_possessive(text, one.end)
            told = self.before_noun[one.word] if is_before_noun else self.words[one.word]
            last, told_last = joined[-1] if joined else (one, None)
            if told == told_last and text[last.end : one.start].isspace():
                joined[-1] = FoundWord(last.word, last.start, one.end), told
            else:
                joined.append((one, told))
        told_of = dict(joined)
        read = put(text, list(told_of), told_of.__getitem__)
        return read if self.names is None else self.names.read(read)

    @property
    def listed(self) -> int:
        """How many words and phrases are listed, names included."""
        return len(self.words) + (0 if self.names is None else self.names.listed)

    def fitted_to(self, texts: Sequence[str]) -> Self:
        """The same for a release trained on these texts: see `NeutralNames.fitted_to`."""
        return replace(
            self,
            names=self.names and self.names.fitted_to(texts),
            chinese_names=self.chinese_names and self.chinese_names.fitted_to(texts),
        )

    def to_bytes(self) -> bytes:
        """JSON, the same for the same words."""
        parts = {"words": dict(sorted(self.words.items())), "before_noun": dict(sorted(self.before_noun.items()))}
        beside = {"names": self.names, "chinese_names": self.chinese_names}
        names = {name: words.as_json() for name, words in beside.items() if words is not None}
        return json.dumps(parts | {"keep": list(self.keep)} | names, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`. Raises ReleaseCorrupt."""
        try:
            parts: Any = json.loads(content)
            words, before_noun = ({str(k): str(v) for k, v in parts[name].items()} for name in ("words", "before_noun"))
            names = NeutralNames.from_json(parts["names"]) if "names" in parts else None
            chinese = ChineseNames.from_json(parts["chinese_names"]) if "chinese_names" in parts else None
            return cls(words, before_noun, tuple(map(str, parts["keep"])), names, chinese)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ReleaseCorrupt(f"the list of neutral words cannot be read ({error!r}); publish it again") from error
