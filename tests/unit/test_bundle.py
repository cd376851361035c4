"""A release's files: complete, checked at every load, and proved by golden texts."""

import hashlib
import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from small_release import manifest_bytes, small_encoder, small_release

from models import bundle
from models.bundle import Reference, parse_manifest, read_reference, unpack
from models.encoder import encoder
from models.errors import ModelError, ReleaseCorrupt

RELEASE = small_release()
Edit = Callable[[dict[str, Any]], None]


def edited(edit: Edit) -> bytes:
    manifest: dict[str, Any] = json.loads(manifest_bytes(RELEASE))
    edit(manifest)
    return json.dumps(manifest).encode()


def test_unpacked_release_decides_like_the_one_that_was_trained() -> None:
    texts = ["where is my parcel", "退款", "", "\x00", "\ud800"]
    again = unpack(manifest_bytes(RELEASE), RELEASE.blobs.__getitem__, version="7", threads=1)
    assert (again.model, again.version) == ("support", "7")
    expected = RELEASE.classifier.classify_texts(texts)
    for one, other in zip(again.classify_texts(texts), expected, strict=True):
        assert one.heads == other.heads


def test_what_serves_keeps_no_copy_of_the_encoder_file() -> None:
    """A worker held it twice beside the runtime's own weights: 47 of the 390 MB that three applications took."""
    sha256 = RELEASE.manifest["files"]["encoder"]["sha256"]
    content = bytes(bytearray(RELEASE.blobs[sha256]))  # a copy that nobody else knows
    blobs = {**RELEASE.blobs, sha256: content}
    before = sys.getrefcount(content)
    served = unpack(manifest_bytes(RELEASE), blobs.__getitem__, threads=1).encoder
    assert sys.getrefcount(content) == before
    assert [kept for kept in vars(served._session).values() if isinstance(kept, bytes)] == []
    assert served.model_bytes() == content


def test_encoder_file_is_hashed_once_for_its_check_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start hashed 23 MB twice here, and once more in the registry."""
    file = RELEASE.manifest["files"]["encoder"]
    hashed: list[int] = []

    def sha256(content: bytes) -> Any:
        hashed.append(len(content))
        return hashlib.sha256(content)

    for room in (bundle, encoder):
        monkeypatch.setattr(room, "hashlib", SimpleNamespace(sha256=sha256))
    served = unpack(manifest_bytes(RELEASE), RELEASE.blobs.__getitem__, threads=1).encoder
    assert served.sha256 == file["sha256"] and hashed.count(file["bytes"]) == 1


def test_encoder_file_that_is_read_again_is_checked_again() -> None:
    """What a release is packed on must be what serves, though it is read a second time."""
    sha256 = RELEASE.manifest["files"]["encoder"]["sha256"]
    blobs = dict(RELEASE.blobs)
    served = unpack(manifest_bytes(RELEASE), blobs.__getitem__, threads=1).encoder
    blobs[sha256] = blobs[sha256][:-1] + b"x"
    with pytest.raises(ReleaseCorrupt, match="encoder"):
        served.model_bytes()


def test_every_file_is_named_by_its_hash_and_no_file_is_a_pickle() -> None:
    files = RELEASE.manifest["files"]
    assert set(files) == {"encoder", "tokenizer", "ngrams", "reference", "head:intent", "head:urgency"}
    for role, file in files.items():
        content = RELEASE.blobs[file["sha256"]]
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["bytes"]
        assert not content.startswith(b"\x80"), role


def test_manifest_says_how_the_release_was_made() -> None:
    manifest = RELEASE.manifest
    assert manifest["training"]["fingerprint"] and manifest["training"]["train_rows"] == 128
    assert manifest["metrics"]["intent"]["accuracy_ci95"]
    assert manifest["libraries"]["onnxruntime"]
    assert manifest["golden"]["texts"] and set(manifest["golden"]["logits"]) == {"intent", "urgency"}
    json.dumps(manifest, allow_nan=False)


def test_reference_fits_the_training_texts_of_the_primary_head() -> None:
    reference = read_reference(manifest_bytes(RELEASE), RELEASE.blobs.__getitem__)
    assert reference["centroids"].shape == (4, 32)
    assert reference["reference_distances"].shape == reference["reference_confidence"].shape == (128,)
    assert reference["reference_embeddings"].dtype == np.float16
    assert reference["label_shares"].sum() == pytest.approx(1)


def test_reference_beside_a_fast_path_says_which_texts_it_decides() -> None:
    plain = {"reference_fast", "reference_full_embeddings"}
    reference = read_reference(manifest_bytes(RELEASE), RELEASE.blobs.__getitem__)
    assert not plain & set(reference) and RELEASE.classifier.fast_path is None
    ones = np.ones((3, 2), np.float32)
    fast = np.array([True, False, True])
    saved = load(Reference(ones, ones[:, 0], ones[:, 0], ones, ones[:, 0], fast, ones[:1]).to_bytes())
    assert saved["reference_fast"].dtype == np.uint8 and saved["reference_fast"].tolist() == [1, 0, 1]
    assert saved["reference_full_embeddings"].shape == (1, 2)


def test_loaded_encoder_is_shared_when_its_file_is_the_same() -> None:
    encoder = small_encoder()
    assert unpack(manifest_bytes(RELEASE), RELEASE.blobs.__getitem__, encoder=encoder).encoder is encoder


@pytest.mark.parametrize("role", ["encoder", "tokenizer", "ngrams", "head:intent"])
def test_altered_file_is_refused_by_name(role: str) -> None:
    wanted = RELEASE.manifest["files"][role]["sha256"]

    def blob(sha256: str) -> bytes:
        content = RELEASE.blobs[sha256]
        return content[:-1] + bytes([content[-1] ^ 1]) if sha256 == wanted else content

    with pytest.raises(ReleaseCorrupt, match=f"'{role}'.*publish the release again or roll back"):
        unpack(manifest_bytes(RELEASE), blob)


def test_model_that_answers_differently_is_refused_though_its_hashes_fit() -> None:
    """What hashes cannot see: another library or processor that computes something else."""
    role = "head:intent"
    tensors = load(RELEASE.blobs[RELEASE.manifest["files"][role]["sha256"]])
    other = save(tensors | {"bias": np.ascontiguousarray(tensors["bias"][::-1] + np.float32(1))})
    sha256 = hashlib.sha256(other).hexdigest()

    def replace_head(manifest: dict[str, Any]) -> None:
        manifest["files"][role] = {"sha256": sha256, "bytes": len(other)}

    with pytest.raises(ReleaseCorrupt, match=r"golden text 0 of support@\? gives intent="):
        unpack(edited(replace_head), (RELEASE.blobs | {sha256: other}).__getitem__)


def test_logits_that_are_not_finite_are_refused() -> None:
    def spoil(manifest: dict[str, Any]) -> None:
        manifest["golden"]["logits"]["intent"][0][0] = float("nan")

    with pytest.raises(ReleaseCorrupt, match="golden text 0"):
        unpack(edited(spoil), RELEASE.blobs.__getitem__)


def rotate_labels_and_allow_anything(manifest: dict[str, Any]) -> None:
    """What whoever may write to the registry can do to a manifest."""
    head = manifest["heads"][0]
    head["labels"] = [*head["labels"][1:], head["labels"][0]]
    manifest["golden"]["tolerance"] = 1e9


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda manifest: manifest["golden"].update(texts=[], logits={"intent": [], "urgency": []}), "has 0 golden"),
        (lambda manifest: manifest["golden"].update(texts=["ok"] * len(manifest["golden"]["texts"])), "has 1 golden"),
        (lambda manifest: manifest["golden"]["labels"].update(intent=[]), "do not cover head 'intent'"),
        (lambda manifest: manifest["golden"]["logits"].update(urgency=[[0.0, 0.0]]), "do not cover head 'urgency'"),
        (lambda manifest: manifest["golden"]["logits"].pop("urgency"), "cannot be read"),
        (lambda manifest: manifest["golden"].update(tolerance=float("nan")), "allow nan"),
        (lambda manifest: manifest["golden"].update(tolerance=float("inf")), "allow inf"),
        (lambda manifest: manifest["golden"].update(tolerance=-1), "allow -1"),
        (rotate_labels_and_allow_anything, "golden text 0 .* expected .* within 0.25"),
    ],
    ids=[
        "no texts",
        "one text",
        "no labels",
        "few logits",
        "a head less",
        "nan",
        "infinite",
        "negative",
        "rotated labels",
    ],
)
def test_a_manifest_cannot_switch_its_own_proof_off(edit: Edit, says: str) -> None:
    """D-A3: tolerance, expected logits and labels stand in the manifest; with a tolerance of 1e9 and no golden labels
    an altered release was "as it was published"."""
    with pytest.raises(ReleaseCorrupt, match=says):
        unpack(edited(edit), RELEASE.blobs.__getitem__)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b'{"format": 1}', b"\xff\xfe", b'{"format": 1, "model": "m", "files": {}}'],
    ids=["empty", "cut", "list", "number", "no fields", "no UTF-8", "half"],
)
def test_broken_manifest_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ReleaseCorrupt) as raised:
        parse_manifest(content)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda manifest: manifest.update(format=99), "format 99"),
        (lambda manifest: manifest.update(hashing="other"), "train it again"),
        (lambda manifest: manifest["files"].pop("ngrams"), "no file 'ngrams'"),
        (lambda manifest: manifest["encoder"].pop("max_tokens"), "cannot be read"),
        (lambda manifest: manifest["golden"].pop("tolerance"), "cannot be read"),
        (lambda manifest: manifest["heads"][0].update(labels=["a", "b"]), "number of labels"),
    ],
    ids=["newer format", "other hashing", "file left out", "encoder entry", "golden entry", "labels"],
)
def test_manifest_that_this_version_cannot_serve_is_refused(edit: Edit, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        unpack(edited(edit), RELEASE.blobs.__getitem__)
