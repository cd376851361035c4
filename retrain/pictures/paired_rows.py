"""Rows with a text and a picture that trained neither's classifier: what late fusion is learnt on, and scored on."""

import gzip
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ReleaseCorrupt
from models.heads import Floats
from retrain.text_keys import same_text_key


@dataclass(frozen=True, slots=True)
class PairedRows:
    """head: whose labels these are. shown: the network's labels, in its order. texts, labels: by row. tests: bool
    (rows,), whether a row only tests; the others tune. pictures: float32 (rows, labels), what the network says of each
    row's picture. A release keeps them, so that whoever trains its texts anew can learn the fusion anew."""

    head: str
    shown: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    tests: NDArray[np.bool_]
    pictures: Floats

    def __len__(self) -> int:
        return len(self.texts)

    def chosen(self, rows: NDArray[np.bool_]) -> Self:
        """Some of the rows."""
        numbers = np.flatnonzero(rows).tolist()
        return replace(
            self,
            texts=tuple(self.texts[number] for number in numbers),
            labels=tuple(self.labels[number] for number in numbers),
            tests=self.tests[rows],
            pictures=self.pictures[rows],
        )

    def unknown_to(self, trained: Collection[str]) -> Self:
        """Those whose text a classifier has not learnt. trained: its texts."""
        keys = {same_text_key(text) for text in trained}
        return self.chosen(np.array([same_text_key(text) not in keys for text in self.texts], dtype=bool))

    def to_bytes(self) -> bytes:
        """JSON lines, compressed. The same rows give the same bytes."""
        lines = [json.dumps({"head": self.head, "labels": self.shown})]
        for text, label, tests, row in zip(self.texts, self.labels, self.tests, self.pictures, strict=True):
            shown = [round(float(probability), 7) for probability in row]
            described = {"text": text, "label": label, "tests": bool(tests), "picture": shown}
            lines.append(json.dumps(described, ensure_ascii=False))
        return gzip.compress("\n".join(lines).encode(), mtime=0)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`. Raises ReleaseCorrupt."""
        try:
            first, *lines = gzip.decompress(content).decode().split("\n")
            header = json.loads(first)
            rows: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
            labels = tuple(map(str, header["labels"]))
            pictures = np.array([row["picture"] for row in rows], dtype=np.float32).reshape(len(rows), len(labels))
            return cls(
                str(header["head"]),
                labels,
                tuple(str(row["text"]) for row in rows),
                tuple(str(row["label"]) for row in rows),
                np.array([row["tests"] for row in rows], dtype=bool),
                pictures,
            )
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise ReleaseCorrupt(
                f"the rows that the release's late fusion was learnt on cannot be read: {error}; train it again from a "
                f"file"
            ) from error
