"""The fast path: which texts n-grams decide, what they say, and that neighbours never matter."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from small_bert import VOCABULARY
from small_fast_path import classifier_with, small_fast_path, with_threshold
from small_release import SUBJECTS, small_release

from models.bundle import Notes, Reference, pack, unpack
from models.errors import ModelError, ReleaseCorrupt
from models.fast_path import FastPath
from models.ngrams import WORD_BUCKETS, NgramVocabulary, find_ngrams

CLASSIFIER = classifier_with(small_fast_path())
TEXTS = [text for texts in SUBJECTS.values() for text in texts]

some_texts = st.lists(
    st.one_of(
        st.lists(st.sampled_from(VOCABULARY[5:]), max_size=12).map(" ".join),
        st.text(st.characters(exclude_categories=[]), max_size=30),  # surrogates and NUL included
        st.sampled_from(TEXTS),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(some_texts, st.integers(0, 29), st.integers(1, 30))
def test_logits_have_the_same_bits_whatever_the_batch(texts: list[str], start: int, size: int) -> None:
    rows = slice(min(start, len(texts) - 1), start + size)
    together = small_fast_path().logits(find_ngrams(texts))
    assert np.array_equal(together[rows], small_fast_path().logits(find_ngrams(texts[rows])))


@settings(max_examples=40, deadline=None)
@given(some_texts)
def test_path_and_answer_are_the_same_alone_and_in_a_batch(texts: list[str]) -> None:
    together = CLASSIFIER.classify_texts(texts)
    for text, decision in zip(texts, together, strict=True):
        (alone,) = CLASSIFIER.classify_texts([text])
        assert (alone.path, alone.characters, alone.unknown_share) == (
            decision.path,
            decision.characters,
            decision.unknown_share,
        )
        if decision.path == "fast":
            assert alone.heads == decision.heads


@settings(max_examples=40, deadline=None)
@given(some_texts)
def test_text_left_to_the_encoder_is_answered_as_without_a_fast_path(texts: list[str]) -> None:
    full = CLASSIFIER.classify_texts(texts, fast=False)
    for one, other in zip(CLASSIFIER.classify_texts(texts), full, strict=True):
        assert other.path == "full" and other.embedding is not None and other.agrees is None
        if one.path == "full":
            assert {name: head.label for name, head in one.heads.items()} == {
                name: head.label for name, head in other.heads.items()
            }


def test_fast_answer_has_no_embedding_and_looked_for_nothing_strange() -> None:
    (decision,) = CLASSIFIER.classify_texts(["give my money back"])
    assert decision.path == "fast"
    assert decision.embedding is None and decision.unknown_share is None and decision.agrees is None
    assert decision.characters == 18
    assert list(decision.heads) == ["intent", "urgency"]
    assert decision.heads["intent"].label == "refund"
    assert {(head.oos_score, head.rejected) for head in decision.heads.values()} == {(None, False)}


def test_encoder_gets_only_what_the_fast_path_leaves() -> None:
    texts = ["give my money back", "order card zebra", "where is my parcel"]
    prepared = CLASSIFIER.tokenize(texts)
    paths = [decision.path for decision in CLASSIFIER.classify(prepared)]
    assert set(paths) == {"fast", "full"}
    assert [row for row, path in enumerate(paths) if path == "full"] == prepared.for_encoder.tolist()
    assert len(prepared.tokenized) == prepared.ngrams.shape[0] == paths.count("full")
    assert len(prepared) == 3


def test_one_head_in_doubt_sends_the_text_to_the_encoder() -> None:
    path = small_fast_path()
    doubting = replace(path, heads=(path.heads[0], replace(path.heads[1], threshold=1.0)))
    assert path.decide(find_ngrams(TEXTS)).sure.any()
    assert not doubting.decide(find_ngrams(TEXTS)).sure.any()


def test_audited_text_keeps_its_fast_answer_and_shows_its_embedding() -> None:
    fast = CLASSIFIER.classify_texts(TEXTS)
    audited = CLASSIFIER.classify(CLASSIFIER.tokenize(TEXTS, audited=[True] * len(TEXTS)))
    full = CLASSIFIER.classify_texts(TEXTS, fast=False)
    assert {decision.path for decision in fast} == {"fast", "full"} or {decision.path for decision in fast} == {"fast"}
    for one, looked_at, other in zip(fast, audited, full, strict=True):
        assert one.heads == looked_at.heads or one.path == "full"
        assert one.path == looked_at.path
        assert looked_at.embedding is not None and looked_at.unknown_share is not None
        if one.path == "fast":
            same = all(head.label == one.heads[name].label for name, head in other.heads.items())
            assert looked_at.agrees == (same and not any(head.rejected for head in other.heads.values()))
        else:
            assert looked_at.agrees is None


def test_audit_tells_where_the_encoder_decides_otherwise() -> None:
    """Labels the wrong way round on the fast path: every audit must say so."""
    path = with_threshold(0.0)
    backwards = replace(path, weights=-path.weights, bias=-path.bias)
    classifier = classifier_with(backwards)
    decisions = classifier.classify(classifier.tokenize(TEXTS, audited=[True] * len(TEXTS)))
    assert {decision.path for decision in decisions} == {"fast"}
    assert sum(bool(decision.agrees) for decision in decisions) < len(TEXTS) / 4


@pytest.mark.parametrize("threshold_increase", [1.0, 1.5])
def test_thresholds_raised_by_one_or_more_leave_nothing_to_the_fast_path(threshold_increase: float) -> None:
    classifier = classifier_with(with_threshold(0.0))
    assert len(classifier.tokenize(TEXTS).for_encoder) == 0
    assert len(classifier.tokenize(TEXTS, threshold_increase=threshold_increase).for_encoder) == len(TEXTS)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1.2), st.floats(0, 1.2))
def test_raising_the_thresholds_only_takes_texts_away(one: float, other: float) -> None:
    occurrences = find_ngrams(TEXTS)
    lower = small_fast_path().decide(occurrences, threshold_increase=min(one, other)).sure
    higher = small_fast_path().decide(occurrences, threshold_increase=max(one, other)).sure
    assert not (higher & ~lower).any()


def test_no_texts_give_no_answers() -> None:
    assert CLASSIFIER.classify_texts([]) == []


def test_words_and_characters_of_known_texts_have_unit_length_each() -> None:
    texts = ["give my money back", "refund please"]
    buckets = np.unique(find_ngrams(texts).buckets)
    vocabulary = NgramVocabulary(buckets, np.linspace(1, 3, len(buckets), dtype=np.float32), unseen_idf=4.0)
    weights = np.zeros((len(buckets), 6), dtype=np.float32)
    path = FastPath(vocabulary, weights, weights[0], small_fast_path().heads)
    weighed = path.weigh(find_ngrams(texts))
    for row in range(2):
        data, columns = (
            part[weighed.indptr[row] : weighed.indptr[row + 1]] for part in (weighed.data, weighed.indices)
        )
        is_word = buckets[columns] < WORD_BUCKETS
        assert np.linalg.norm(data[is_word]) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(data[~is_word]) == pytest.approx(1, abs=1e-5)


def test_unknown_ngrams_make_the_known_ones_count_less() -> None:
    plain, mixed = (
        small_fast_path().decide(find_ngrams(["refund please", "refund please zorgs qwx blip"])).probabilities[0]
    )
    assert mixed < plain


def test_fast_path_comes_back_from_its_bytes_bit_for_bit() -> None:
    path = small_fast_path()
    again = FastPath.from_parts(json.loads(json.dumps(path.describe())), path.to_bytes())
    assert np.array_equal(again.logits(find_ngrams(TEXTS)), path.logits(find_ngrams(TEXTS)))
    assert again.heads == path.heads and again.to_bytes() == path.to_bytes()


@pytest.mark.parametrize(
    ("changes", "content"),
    [({}, b"nonsense"), ({"heads": []}, None), ({"heads": [{"name": "intent"}]}, None)],
    ids=["no safetensors", "no heads", "half a head"],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], content: bytes | None) -> None:
    path = small_fast_path()
    with pytest.raises(ReleaseCorrupt, match="publish the release again"):
        FastPath.from_parts(path.describe() | changes, content or path.to_bytes())


# ---- in a release


def packed(fast_path: FastPath | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    zeros = np.zeros((1, 32), dtype=np.float32)
    reference = Reference(zeros, zeros[0], zeros[0], zeros, zeros[0])
    return pack(classifier_with(fast_path), reference, Notes(golden_texts=TEXTS))


MANIFEST, BLOBS = packed(small_fast_path())


def test_unpacked_release_takes_the_same_path_with_the_same_answer() -> None:
    again = unpack(json.dumps(MANIFEST).encode(), BLOBS.__getitem__, encoder=CLASSIFIER.encoder)
    for one, other in zip(again.classify_texts(TEXTS), CLASSIFIER.classify_texts(TEXTS), strict=True):
        assert (one.path, one.heads) == (other.path, other.heads)
    assert again.fast_path is not None and again.fast_path.measured == {"coverage": 0.5}


def test_release_without_a_fast_path_says_so_and_loads() -> None:
    manifest, blobs = packed(None)
    assert manifest["fast_path"] is None and "fast_path" not in manifest["files"]
    assert unpack(json.dumps(manifest).encode(), blobs.__getitem__, encoder=CLASSIFIER.encoder).fast_path is None


def test_release_made_before_there_were_fast_paths_loads() -> None:
    manifest, blobs = packed(None)
    del manifest["fast_path"], manifest["golden"]["fast"]
    assert unpack(json.dumps(manifest).encode(), blobs.__getitem__, encoder=CLASSIFIER.encoder).fast_path is None
    assert small_release().manifest["format"] == manifest["format"]


def changed(edit: Callable[[dict[str, Any]], None]) -> bytes:
    manifest: dict[str, Any] = json.loads(json.dumps(MANIFEST))
    edit(manifest)
    return json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda manifest: manifest["files"].pop("fast_path"), "no file 'fast_path'"),
        (lambda manifest: manifest["golden"].update(fast=None), "cannot be read"),
        (lambda manifest: manifest["fast_path"]["heads"].reverse(), "other heads or labels"),
        (lambda manifest: manifest["fast_path"]["heads"][0].update(name="mood"), "other heads or labels"),
    ],
    ids=["file left out", "golden entry", "heads in another order", "another head"],
)
def test_altered_release_is_refused(edit: Callable[[dict[str, Any]], None], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        unpack(changed(edit), BLOBS.__getitem__, encoder=CLASSIFIER.encoder)


def test_fast_path_that_answers_differently_is_refused_though_its_hash_fits() -> None:
    tensors = load(BLOBS[MANIFEST["files"]["fast_path"]["sha256"]])
    other = save(tensors | {"bias": np.ascontiguousarray(tensors["bias"] + np.float32(0.1))})
    sha256 = hashlib.sha256(other).hexdigest()
    manifest = changed(lambda manifest: manifest["files"].update(fast_path={"sha256": sha256, "bytes": len(other)}))
    with pytest.raises(ReleaseCorrupt, match=r"golden text 0 .* fast path"):
        unpack(manifest, (BLOBS | {sha256: other}).__getitem__, encoder=CLASSIFIER.encoder)
