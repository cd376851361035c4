"""Texts of three subjects that a tiny encoder can learn in seconds, and a tiny encoder for them."""

import json
import random
from collections.abc import Sequence
from functools import cache

import numpy as np
from tiny_encoder import tiny_tokenizer, tiny_weights

from retrain.fitting.tuning.texts import LabelledTexts, Pretrained

WORDS = {
    "refund": ["money", "back", "refund", "paid", "return"],
    "parcel": ["parcel", "late", "where", "courier", "door"],
    "login": ["password", "login", "account", "locked", "reset"],
}
STRANGE = ["weather", "rain", "sunny", "storm", "cloud"]
FILLER = ["please", "i", "my", "the", "is", "need", "help", "today"]


@cache
def tiny_start() -> Pretrained:
    """An encoder with random weights."""
    tokenizer = tiny_tokenizer([word for words in WORDS.values() for word in words] + STRANGE + FILLER)
    config, weights = tiny_weights(len(json.loads(tokenizer)["model"]["vocab"]))
    return Pretrained(weights, config, tokenizer)


def sentence(words: Sequence[str], rng: random.Random) -> str:
    """One of the words among fillers."""
    found = [rng.choice(words), *(rng.choice(FILLER) for _ in range(rng.randint(2, 6)))]
    rng.shuffle(found)
    return " ".join(found)


def labelled(count: int, seed: int) -> LabelledTexts:
    """Texts with their subject and, as a second head, whether they say "please"."""
    rng = random.Random(seed)
    subjects = list(WORDS)
    texts = [sentence(WORDS[subjects[number % 3]], rng) for number in range(count)]
    polite = np.array(["please" in text for text in texts], dtype=np.int64)
    return LabelledTexts(texts, {"subject": np.arange(count, dtype=np.int64) % 3, "polite": polite})


def of_head(texts: LabelledTexts, head: str = "subject") -> LabelledTexts:
    """The same with one head's labels alone."""
    return LabelledTexts(texts.texts, {head: texts.labels[head]})


def strange(count: int, seed: int) -> list[str]:
    """Texts of no subject."""
    rng = random.Random(seed)
    return [sentence(STRANGE, rng) for _ in range(count)]
