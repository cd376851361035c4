"""Texts translated into another language and back.

Source: Sennrich, Haddow and Birch, Improving neural machine translation models with monolingual data (2016), where the
translation back makes training texts; Yu et al., QANet (2018), which paraphrases by both ways.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrain.progress import Progress, no_progress

Translate = Callable[[Sequence[str]], list[str]]
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """`retrain.augmentation.methods.Method`. there, back: a translation of each text, in order. Nothing is random."""

    name: str
    there: Translate
    back: Translate

    def rewritten(self, texts: Sequence[str], seed: int, progress: Progress = no_progress) -> list[str]:
        """See `Method`. A text whose translation is empty stays itself."""
        lines = [" ".join(text.split()) for text in texts]
        made: list[str] = []
        for start in range(0, len(lines), _CHUNK):
            progress(f"augmenting by {self.name}", start, len(lines))
            made += self.back(self.there(lines[start : start + _CHUNK]))
        progress(f"augmenting by {self.name}", len(lines), len(lines))
        return [back.strip() or text for text, back in zip(texts, made, strict=True)]
