"""What the monitor needs of a decision: one record a batch, a list of these (see streams.classify.sampling for how
many)."""

import base64
from typing import Any

import numpy as np

from models.decision import Classification
from streams.wire.source_records import SourceText
from streams.wire.text import cut_text

TEXT_BYTES = 240  # enough to say which words are new, small enough for one record a batch


def signal_record(
    identity: str, at: str, version: str, classification: Classification, source: SourceText
) -> dict[str, Any]:
    """One decision's signal. embedding: base64 of float16, wherever the encoder ran."""
    first = next(iter(classification.heads.values()))
    signal: dict[str, Any] = {
        "id": identity,
        "at": at,
        "path": classification.path,
        "version": version,
        "labels": {name: [head.label, round(head.probability, 4)] for name, head in classification.heads.items()},
        "oos": first.oos_score,
        "characters": classification.characters,
        "unknown_share": None if classification.unknown_share is None else round(classification.unknown_share, 4),
        "text": cut_text(source.text, TEXT_BYTES),
    }
    if source.symbols:
        signal["symbols"] = source.symbols
    if classification.embedding is not None:
        signal["embedding"] = base64.b64encode(classification.embedding.astype(np.float16).tobytes()).decode()
    return signal
