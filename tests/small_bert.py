"""A BERT encoder small enough for unit tests: random weights with outlier channels, and a WordPiece tokenizer."""

import json

import numpy as np
from numpy.typing import NDArray

TEXT = """
my card has not arrived where is the money refund please help transfer account fee why was i charged twice order late
parcel thanks hello ok shares fell rose after report profit warning ##s ##ed ##ing a b c x y z ##a ##b ##x ? ! . ,
"""
WORDS = tuple(TEXT.split())
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = (*SPECIAL, *WORDS)
CONFIG: dict[str, object] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "vocab_size": len(VOCABULARY),
    "layer_norm_eps": 1e-12,
}
TEXTS = (
    "my card has not arrived",
    "where is the money",
    "refund please",
    "why was i charged twice ?",
    "shares fell after profit warning",
    "hello",
    "parcel late . order late . help !",
    "transfer fee",
)


def small_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Tensors under the names of a BERT's model.safetensors; one channel of every LayerNorm is ten times the others."""
    random = np.random.default_rng(seed)
    hidden, intermediate = 32, 64

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return random.normal(0, 0.15, (rows, columns)).astype(np.float32)

    def norm(name: str) -> dict[str, NDArray[np.float32]]:
        weight = random.uniform(0.5, 1.5, hidden).astype(np.float32)
        weight[7] = 10.0
        return {f"{name}.weight": weight, f"{name}.bias": random.normal(0, 0.1, hidden).astype(np.float32)}

    def linear(name: str, inputs: int, outputs: int) -> dict[str, NDArray[np.float32]]:
        bias = random.normal(0, 0.1, outputs).astype(np.float32)
        return {f"{name}.weight": matrix(outputs, inputs), f"{name}.bias": bias}

    weights = {
        "embeddings.word_embeddings.weight": matrix(len(VOCABULARY), hidden),
        "embeddings.position_embeddings.weight": matrix(64, hidden),
        "embeddings.token_type_embeddings.weight": matrix(2, hidden),
        **norm("embeddings.LayerNorm"),
    }
    for layer in range(2):
        prefix = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            weights |= linear(f"{prefix}.attention.self.{part}", hidden, hidden)
        weights |= linear(f"{prefix}.attention.output.dense", hidden, hidden)
        weights |= norm(f"{prefix}.attention.output.LayerNorm")
        weights |= linear(f"{prefix}.intermediate.dense", hidden, intermediate)
        weights |= linear(f"{prefix}.output.dense", intermediate, hidden)
        weights |= norm(f"{prefix}.output.LayerNorm")
    return weights


def small_tokenizer_json() -> str:
    """A tokenizer.json like BERT's, with the padding and truncation that published files carry."""
    return json.dumps(
        {
            "version": "1.0",
            "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": {
                "strategy": {"Fixed": 8},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "[PAD]",
            },
            "added_tokens": [
                {
                    "id": number,
                    "special": True,
                    "content": content,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                }
                for number, content in enumerate(SPECIAL)
            ],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                ],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {
                    name: {"id": name, "ids": [SPECIAL.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: number for number, word in enumerate(VOCABULARY)},
            },
        }
    )


def dense_layer(dimensions: int) -> dict[str, NDArray[np.float32]]:
    """Of a layer behind the pooling, to so many dimensions."""
    random = np.random.default_rng(1)
    return {
        "dense.weight": random.normal(0, 0.15, (dimensions, 32)).astype(np.float32),
        "dense.bias": random.normal(0, 0.1, dimensions).astype(np.float32),
    }
