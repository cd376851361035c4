"""Kafka's compression codecs, and the libraries that this process's two clients read them with.

A topic's records may come in any of them, whatever Headrace itself sends: the producer chooses, or the topic's
`compression.type`. gzip is in Python.
"""

import importlib.util
from collections.abc import Callable, Mapping

# codec to {module: package}: cramjam serves aiokafka (live reading), the other one kafka-python (replay, followers)
CODECS: Mapping[str, Mapping[str, str]] = {
    "snappy": {"cramjam": "cramjam", "snappy": "python-snappy"},
    "lz4": {"cramjam": "cramjam", "lz4": "lz4"},
    "zstd": {"cramjam": "cramjam", "zstandard": "zstandard"},
}


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def missing_libraries(is_installed: Callable[[str], bool] = _is_installed) -> dict[str, list[str]]:
    """Codec to the packages that are not installed, for those codecs that cannot be read everywhere."""
    missing = {
        codec: [package for module, package in libraries.items() if not is_installed(module)]
        for codec, libraries in CODECS.items()
    }
    return {codec: packages for codec, packages in missing.items() if packages}


def codec_advice(error: Exception) -> str:
    """What to do about a client's `UnsupportedCodecError`, whose text names the codec."""
    named = [codec for codec in CODECS if codec in str(error)]
    packages = sorted({package for codec in named or CODECS for package in CODECS[codec].values()})
    return f"this Python lacks a library to decompress records ({error}): pip install {' '.join(packages)}"
