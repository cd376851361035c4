"""Words that a masked-language model would rather expect in their places.

Source: Kobayashi, Contextual augmentation: data augmentation by words with paradigmatic relations (2018); Wu et al.,
Conditional BERT contextual augmentation (2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retrain.augmentation.methods import random_of
from retrain.augmentation.models import load_model
from retrain.augmentation.words import replace_words, words_of
from retrain.progress import Progress, no_progress

MOST: Final = 8  # of the most probable words one is drawn
_BATCH: Final = 32
_MAX_TOKENS: Final = 128


def load_masked_words(name: str, rate: float) -> "MaskedWords":
    """name: folder or hub name of a masked-language model. Raises ConfigError."""
    model, tokenizer = load_model(name, "AutoModelForMaskedLM", "masked words")
    return MaskedWords(model, tokenizer, rate)


@dataclass(frozen=True, slots=True)
class MaskedWords:
    """`retrain.augmentation.methods.Method`. model, tokenizer: of transformers. rate: share of the words that are
    masked, at least one; in scripts without spaces of the characters."""

    model: Any
    tokenizer: Any
    rate: float = 0.2
    name: str = "masked"

    def rewritten(self, texts: Sequence[str], seed: int, progress: Progress = no_progress) -> list[str]:
        """See `Method`. Words behind the model's longest text stay."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        made = list(texts)
        for start in range(0, len(order), _BATCH):
            progress("augmenting by masked", start, len(order))
            rows = order[start : start + _BATCH]
            for row, text in zip(rows, self._batch([texts[row] for row in rows], seed), strict=True):
                made[row] = text
        progress("augmenting by masked", len(order), len(order))
        return made

    def _batch(self, texts: Sequence[str], seed: int) -> list[str]:
        import torch

        randoms = [random_of(text, seed) for text in texts]
        places = [_places(text, self.rate, random) for text, random in zip(texts, randoms, strict=True)]
        mask = self.tokenizer.mask_token
        masked = [_with(text, dict.fromkeys(chosen, mask)) for text, chosen in zip(texts, places, strict=True)]
        tokens = self.tokenizer(masked, return_tensors="pt", padding=True, truncation=True, max_length=_MAX_TOKENS)
        with torch.no_grad():
            logits = self.model(**tokens).logits
        is_mask = tokens["input_ids"] == self.tokenizer.mask_token_id
        made = []
        for row, (text, chosen, random) in enumerate(zip(texts, places, randoms, strict=True)):
            expected = logits[row][is_mask[row]].numpy()  # masks stand in the order of their words
            words = words_of(text)
            new = {place: self._drawn(one, words[place], random) for place, one in zip(chosen, expected, strict=False)}
            made.append(_with(text, new))
        return made

    def _drawn(self, logits: NDArray[np.float32], word: str, random: np.random.Generator) -> str:
        """A word by its probability; the word itself where none is expected that is another whole word."""
        likely = np.argsort(-logits, kind="stable")[: 4 * MOST]
        names = self.tokenizer.convert_ids_to_tokens(likely.tolist())
        whole = [
            (name, float(logits[number]))
            for name, number in zip(names, likely.tolist(), strict=True)
            if name.isalpha() and name.lower() != word.lower()
        ][:MOST]
        if not whole:
            return word
        weights = np.exp([logit - whole[0][1] for _, logit in whole])
        return str(random.choice([name for name, _ in whole], p=weights / weights.sum()))


def _places(text: str, rate: float, random: np.random.Generator) -> list[int]:
    """Numbers of the words to mask, rising."""
    words = [number for number, word in enumerate(words_of(text)) if word[0].isalpha()]
    if not words:
        return []
    count = max(1, round(rate * len(words)))
    return sorted(random.permutation(words)[:count].tolist())


def _with(text: str, words: Mapping[int, str]) -> str:
    """The text with other words at some of its words' numbers."""
    return replace_words(text, lambda number, word: words.get(number, word))
