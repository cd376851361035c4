"""A release small enough for unit tests: the small BERT with two heads, trained once for a test run."""

import functools
import json

from small_bert import CONFIG, TEXTS, small_tokenizer_json, small_weights

from models.encoder.encoder import Encoder
from models.encoder.quantization import quantize_encoder
from retrain.data import Dataset, Row, split_rows
from retrain.job import TrainedRelease, train_release

SUBJECTS = {
    "refund": (
        "refund please",
        "give my money back",
        "i want a refund for the order",
        "please refund my card",
    ),
    "delivery": (
        "where is my parcel",
        "my order has not arrived",
        "the parcel is late",
        "is the order late again",
    ),
    "fee": (
        "why was i charged twice",
        "what is this fee",
        "transfer fee on my account",
        "charged a fee for the card",
    ),
    "到账": ("退款什么时候到账", "钱还没到账", "退款到账了吗", "怎么还没退款到账"),
}
ENDINGS = ("", " ?", " !", " help", " thanks", " hello", " ok", " now", " today", " a b c")


@functools.cache
def small_encoder() -> Encoder:
    int8 = quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32)
    return Encoder.from_bytes(int8, small_tokenizer_json(), max_tokens=32, threads=1)


def small_rows() -> list[Row]:
    """160 texts: intent for each, urgency for every other one."""
    rows = []
    for intent, texts in SUBJECTS.items():
        for number, text in enumerate(text + ending for text in texts for ending in ENDINGS):
            labels = {"intent": intent}
            if number % 2:
                labels["urgency"] = "high" if text.endswith(("!", "help", "now")) else "low"
            rows.append(Row(text, labels))
    return rows


def small_dataset() -> Dataset:
    return split_rows(small_rows(), ("intent", "urgency"))


@functools.cache
def small_release() -> TrainedRelease:
    return train_release("support", small_dataset(), small_encoder())


def manifest_bytes(release: TrainedRelease) -> bytes:
    return json.dumps(release.manifest).encode()
