"""What a release was trained on, kept beside it: a retraining starts from there, wherever it runs."""

import gzip
import hashlib
import json
from typing import Any

from models.errors import ReleaseCorrupt
from retrain.data import Dataset, Row

ROLE = "training_data"


def to_bytes(dataset: Dataset) -> bytes:
    """JSON lines, compressed: heads first, then a row each. The same dataset gives the same bytes."""
    lines = [json.dumps({"heads": dataset.heads})]
    lines += [
        json.dumps({"text": row.text, "labels": dict(row.labels), "split": row.split}, ensure_ascii=False)
        for row in dataset.rows
    ]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def from_bytes(content: bytes) -> Dataset:
    """The dataset again. Raises ReleaseCorrupt."""
    try:
        first, *rows = gzip.decompress(content).decode().split("\n")
        found = [json.loads(line) for line in rows]
        return Dataset(
            tuple(json.loads(first)["heads"]), tuple(Row(each["text"], each["labels"], each["split"]) for each in found)
        )
    except (ValueError, KeyError, OSError) as error:
        raise ReleaseCorrupt(
            f"the release's training data cannot be read: {error}; train it again from a file"
        ) from error


def attach(manifest: dict[str, Any], blobs: dict[str, bytes], dataset: Dataset) -> None:
    """Put the data into a packed release that is not published yet."""
    content = to_bytes(dataset)
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"][ROLE] = {"sha256": digest, "bytes": len(content)}
    blobs[digest] = content
