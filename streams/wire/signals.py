"""What the monitor needs of a decision: one record a batch, a list of these (see streams.classify.sampling for how
many)."""

import base64
from typing import Any

import numpy as np

from models.decision import Classification
from streams.wire.source_records import SourceText, cut_text

TEXT_BYTES = 240  # enough to say which words are new, small enough for one record a batch


def signal_record(identity: str, at: str, version: str, found: Classification, source: SourceText) -> dict[str, Any]:
    """One decision's signal. embedding: base64 of float16, wherever the encoder ran."""
    first = next(iter(found.heads.values()))
    signal: dict[str, Any] = {
        "id": identity,
        "at": at,
        "path": found.path,
        "version": version,
        "labels": {name: [head.label, round(head.probability, 4)] for name, head in found.heads.items()},
        "oos": first.oos_score,
        "characters": found.characters,
        "unknown_share": None if found.unknown_share is None else round(found.unknown_share, 4),
        "text": cut_text(source.text, TEXT_BYTES),
    }
    if source.symbols:
        signal["symbols"] = source.symbols
    if found.embedding is not None:
        signal["embedding"] = base64.b64encode(found.embedding.astype(np.float16).tobytes()).decode()
    return signal
