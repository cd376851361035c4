"""What a release was trained on, kept beside it: a retraining starts from there, wherever it runs."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from models.bundle import HALF_ROLE
from models.errors import ReleaseCorrupt
from models.texts.reading import Reading
from retrain.data import Dataset, Row
from retrain.file_columns import FileColumns
from retrain.gate.verdict import PAGE_ROLE
from retrain.text_keys import key_hash, same_text_key

ROLE: Final = "training_data"
CARD_ROLE: Final = "card"  # of the file in a release that describes it to people
PICTURE_KEYS_ROLE: Final = "picture_keys"  # of the file with what a picture network was trained on
FUSION_ROWS_ROLE: Final = "fusion_rows"  # of the file with what late fusion was learnt on
ENTITY_ROWS_ROLE: Final = "entity_rows"  # of the file with what the head of entities was trained on
_UNSERVED: Final = (ROLE, PAGE_ROLE, CARD_ROLE, PICTURE_KEYS_ROLE, FUSION_ROWS_ROLE, ENTITY_ROWS_ROLE)
_SET_ASIDE = "corrected"  # the file's name for them, of when corrections were the only reason


def to_bytes(dataset: Dataset) -> bytes:
    """JSON lines, compressed: heads and what the encoder knows first, then a row each. The same dataset gives the same
    bytes."""
    header: dict[str, Any] = {"heads": dataset.heads, "encoder_tuned_on": sorted(dataset.encoder_tuned_on)}
    if dataset.several:
        header["several"] = sorted(dataset.several)
    if dataset.columns is not None:
        header["columns"] = dataset.columns.as_json()
    lines = [json.dumps(header | {_SET_ASIDE: [_described(row) for row in dataset.set_aside]})]
    lines += [json.dumps(_described(row), ensure_ascii=False) for row in dataset.rows]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def from_bytes(content: bytes, *, tuned_encoder: bool = False) -> Dataset:
    """The dataset again. Raises ReleaseCorrupt.

    tuned_encoder: whether the release's encoder was fine-tuned. A release of before it was written down on which texts
    then counts as tuned on all of its training texts.
    """
    try:
        first, *lines = gzip.decompress(content).decode().split("\n")
        header = json.loads(first)
        rows = tuple(_row(json.loads(line)) for line in lines)
        set_aside = tuple(_row(row) for row in header.get(_SET_ASIDE, []))
        known = header.get("encoder_tuned_on")
        if known is None:
            known = [key_hash(row.text) for row in rows if row.split == "train"] if tuned_encoder else []
        several = frozenset(header.get("several", ()))
        heads = tuple(header["heads"])
        said = header.get("columns")
        columns = None if said is None else FileColumns.from_json(said)
        tuned_on = frozenset(known)
        return Dataset(heads, rows, encoder_tuned_on=tuned_on, set_aside=set_aside, several=several, columns=columns)
    except (ValueError, KeyError, OSError) as error:
        raise ReleaseCorrupt(
            f"the release's training data cannot be read: {error}; train it again from a file"
        ) from error


def _described(row: Row) -> dict[str, Any]:
    described = {"text": row.text, "labels": dict(row.labels), "split": row.split}
    if row.origin == "feedback":
        described |= {"origin": row.origin, "decisions": list(row.decisions)}
    if row.group:
        described["group"] = row.group
    if row.copies:
        described["copies"] = list(row.copies)
    return described


def _row(described: Mapping[str, Any]) -> Row:
    """Rows of releases that do not say where they came from count as the corpus's."""
    origin, decisions = described.get("origin", "corpus"), tuple(described.get("decisions", ()))
    return Row(
        described["text"],
        described["labels"],
        described["split"],
        origin=origin,
        decisions=decisions,
        group=described.get("group", ""),
        copies=tuple(described.get("copies", ())),
    )


def of_release(described: Mapping[str, Any], blob: Callable[[str], bytes]) -> Dataset:
    """What a release was trained on. described: its manifest. blob: gives a file by its sha256.

    Raises ReleaseCorrupt.
    """
    # FP16 weights stand beside an encoder that was fine-tuned, and beside no other, in its successors as well.
    tuned = described.get("serves", described.get("strategy")) == "full" or HALF_ROLE in described["files"]
    return from_bytes(blob(described["files"][ROLE]["sha256"]), tuned_encoder=tuned)


def trained_texts(manifest: bytes, blob: Callable[[str], bytes]) -> frozenset[str]:
    """Key hashes of the texts that a release was trained or tuned on; none of one that does not carry its data. Raises
    ReleaseCorrupt."""
    described = json.loads(manifest)
    if ROLE not in described["files"]:
        return frozenset()
    return frozenset(key_hash(row.text) for row in of_release(described, blob).rows if row.split != "test")


def read_as_served(dataset: Dataset, reading: Reading) -> Dataset:
    """Rows of a release that was trained before texts were read as the application reads records by now. What was
    plain, or masked, stays so. Those of feedback were plain when they were decided."""
    columns = dataset.columns or FileColumns(dict(zip(dataset.heads, dataset.heads, strict=True)))
    before = columns.reading
    again = Reading(reading.markup if before.markup == "none" else "none", reading.masks)
    now = Reading(before.markup if again.markup == "none" else again.markup, reading.masks or before.masks)
    if now == before:
        return dataset
    known = dataset.encoder_tuned_on

    def read(row: Row) -> Row:
        of_row = replace(again, markup="none") if row.origin == "feedback" else again
        text, *copies = (of_row.masked(of_row.whole(one)) for one in (row.text, *row.copies))
        return row if not text.strip() else replace(row, text=text, copies=tuple(copies))

    rows, set_aside = tuple(map(read, dataset.rows)), tuple(map(read, dataset.set_aside))
    pairs = zip((*dataset.rows, *dataset.set_aside), (*rows, *set_aside), strict=True)
    known |= {key_hash(after.text) for was, after in pairs if key_hash(was.text) in known}
    tested = {same_text_key(row.text) for row in rows if row.split == "test"}
    kept = tuple(row for row in rows if row.split == "test" or same_text_key(row.text) not in tested)
    said = replace(columns, reading=now)
    return replace(dataset, rows=kept, set_aside=set_aside, encoder_tuned_on=known, columns=said)


def served_bytes(described: Mapping[str, Any]) -> int:
    """Bytes of a release's files but what only people and trainings read. described: its manifest."""
    return sum(int(file["bytes"]) for role, file in described["files"].items() if role not in _UNSERVED)


def attach(manifest: dict[str, Any], blobs: dict[str, bytes], dataset: Dataset) -> None:
    """Put the data into a packed release that is not published yet."""
    attach_file(manifest, blobs, ROLE, to_bytes(dataset))


def attach_file(manifest: dict[str, Any], blobs: dict[str, bytes], role: str, content: bytes) -> None:
    """Put a file into a packed release that is not published yet."""
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"][role] = {"sha256": digest, "bytes": len(content)}
    blobs[digest] = content
