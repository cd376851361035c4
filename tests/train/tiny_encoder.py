"""A BERT encoder small enough to be trained in a test: two layers, 32 dimensions, random weights, a vocabulary of
letters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "pad_token_id": 0,
}


def tiny_tokenizer(words: list[str]) -> str:
    """A WordPiece tokenizer over whole words and single letters, as JSON."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(words)), *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    text: str = tokenizer.to_str()
    return text


def tiny_weights(vocabulary: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Config and random weights, under the names of a BERT checkpoint."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = CONFIG | {"vocab_size": vocabulary}
    model = BertModel(BertConfig(**config), add_pooling_layer=False)
    return config, {name: value.numpy() for name, value in model.state_dict().items() if value.is_floating_point()}
