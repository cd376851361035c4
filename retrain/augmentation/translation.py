"""Translation by MarianMT models.

Source: Junczys-Dowmunt et al., Marian: fast neural machine translation in C++ (2018); Tiedemann and Thottingal,
OPUS-MT (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from retrain.augmentation.models import load_model

_BATCH: Final = 32
_MAX_TOKENS: Final = 256


def load_translator(name: str) -> "Translator":
    """name: folder or hub name of a model that translates one way. Raises ConfigError."""
    return Translator(*load_model(name, "AutoModelForSeq2SeqLM", "translation"))


@dataclass(frozen=True, slots=True)
class Translator:
    """`retrain.augmentation.round_trip.Translate`. model, tokenizer: of transformers."""

    model: Any
    tokenizer: Any

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """A translation of each text, in order, by the most probable word at each place."""
        import torch

        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        translated = [""] * len(texts)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            tokens = self.tokenizer(
                [texts[row] for row in rows], return_tensors="pt", padding=True, truncation=True, max_length=_MAX_TOKENS
            )
            with torch.no_grad():
                found = self.model.generate(
                    **tokens, num_beams=1, do_sample=False, max_new_tokens=_longest(tokens["input_ids"].shape[1])
                )
            # A text is cut by its own length, not by the longest beside it, or it would depend on what that is. The
            # last token of a cut one is an end that the model is made to write.
            sizes = tokens["attention_mask"].sum(dim=1).tolist()
            for row, ids, size in zip(rows, found, sizes, strict=True):
                translated[row] = self.tokenizer.decode(ids[: _longest(size)], skip_special_tokens=True)
        return translated


def _longest(tokens: int) -> int:
    """Of a translation, in tokens: a model that goes astray repeats itself for ever."""
    return 2 * tokens + 8
