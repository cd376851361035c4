"""The ONNX graph against torch: the same numbers from the same weights (needs the `train` extra)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from platformdirs import user_cache_path
from small_bert import CONFIG, TEXTS, VOCABULARY, small_tokenizer_json, small_weights

from connectors.encoders.files import default_calibration_texts, load_encoder, locate_encoder
from connectors.errors import EncoderUnavailable
from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.tokenization import TokenizedText

pytestmark = pytest.mark.train

AWKWARD = ("", "x", "Where is my card?!", "退款什么时候到", "a long text about a card that never came " * 60)


def torch_embeddings(
    weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, object], tokenized: Sequence[TokenizedText]
) -> NDArray[np.float32]:
    """Mean-pooled unit-length embeddings by transformers' BertModel, in one padded batch, (texts, hidden)."""
    import torch
    from transformers import BertConfig, BertModel

    options: dict[str, Any] = {
        key: value for key, value in config.items() if key not in ("architectures", "model_type")
    }
    model = BertModel(BertConfig(**options), add_pooling_layer=False)
    missing, _ = model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()}, strict=False)
    assert not missing
    longest = max(len(text.ids) for text in tokenized)
    ids = np.zeros((len(tokenized), longest), dtype=np.int64)
    mask = np.zeros((len(tokenized), longest), dtype=np.float32)
    for row, text in enumerate(tokenized):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
    with torch.no_grad():
        weight = torch.tensor(mask)
        hidden = model.eval()(input_ids=torch.tensor(ids), attention_mask=weight).last_hidden_state
        mean = (hidden * weight[:, :, None]).sum(1) / weight.sum(1, keepdim=True)
        return np.asarray(torch.nn.functional.normalize(mean).numpy(), dtype=np.float32)


def test_small_encoder_is_within_a_ten_thousandth_of_torch() -> None:
    content = build_encoder_graph(small_weights(), CONFIG).SerializeToString()
    encoder = Encoder.from_bytes(content, small_tokenizer_json(), max_tokens=32, threads=1)
    tokenized = encoder.tokenize([*TEXTS, *AWKWARD])
    expected = torch_embeddings(small_weights(), {**CONFIG, "vocab_size": len(VOCABULARY)}, tokenized)
    assert np.abs(encoder.embed_tokens(tokenized) - expected).max() <= 1e-4


def test_default_encoder_is_within_a_ten_thousandth_of_torch_and_int8_close_to_it(record_property: Any) -> None:
    cache = user_cache_path("headrace")
    try:
        source = locate_encoder(cache=cache)
    except EncoderUnavailable as error:
        pytest.skip(f"the default encoder's files are not here: {error}")
    exact = load_encoder(source, cache=cache, precision="fp32")
    served = load_encoder(source, cache=cache, precision="int8")
    tokenized = exact.tokenize([*default_calibration_texts()[::8], *AWKWARD])
    expected = torch_embeddings(source.read_weights(), source.config, tokenized)
    assert np.abs(exact.embed_tokens(tokenized) - expected).max() <= 1e-4
    cosines = (served.embed_tokens(tokenized) * expected).sum(axis=1)[: -len(AWKWARD)]
    record_property("int8_cosine_mean", float(cosines.mean()))
    record_property("int8_cosine_min", float(cosines.min()))
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.98
