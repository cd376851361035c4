"""A static table out of the encoder: which words its rows are of, what it is fitted to, and what it becomes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from models.ngrams import WORD_BUCKETS, NgramVocabulary, find_ngrams
from retrain.fitting import static_table
from retrain.fitting.linear import LinearWeights
from retrain.fitting.static_table import HeadTable, TableFit, most_frequent_words, spell_out

TEXTS, WORDS = 60, 9
RANDOM = np.random.default_rng(0)
COUNTS = sparse.csr_array((RANDOM.random((TEXTS, WORDS)) < 0.4).astype(np.float32))
COLUMNS = np.arange(WORDS)
TRAINING = np.arange(50)
FOLDS = TRAINING % 5


def fit_of(dimensions: int = 16) -> TableFit:
    """Embeddings that are sums of rows, which the words alone only resemble."""
    rows = RANDOM.standard_normal((WORDS, dimensions)).astype(np.float32)
    alone = rows + RANDOM.standard_normal(rows.shape).astype(np.float32)
    return TableFit.of(COLUMNS, COUNTS, alone, np.asarray(COUNTS @ rows), TRAINING)


def head_table(fit: TableFit) -> HeadTable:
    return HeadTable.of(fit, TRAINING, FOLDS, lambda done, total: None)


def test_a_bucket_is_spelled_as_the_words_that_fell_into_it() -> None:
    texts = ["never read", "Where is my CARD?", "the card, please"]
    found = find_ngrams(texts)
    buckets = np.unique(found.of(np.array([1, 2])).buckets)
    spelled = spell_out(found, np.array([1, 2]), texts, buckets[buckets < WORD_BUCKETS])
    words = {"where", "is", "my", "card", "?", "the", ",", "please"}
    pairs = {"where is", "is my", "my card", "card?", "the card", "card,", ", please"}
    assert sorted(spelled) == sorted(words | pairs)
    again = find_ngrams(spelled)
    assert all(bucket in again.of(np.array([row])).buckets for row, bucket in enumerate(np.unique(buckets)[:8]))


def test_rows_move_from_the_words_alone_towards_the_embeddings() -> None:
    fit = fit_of()
    rows = np.arange(50, TEXTS)  # texts that the table was not fitted to
    wanted = fit.residuals[rows] + fit.read(fit.alone, rows)
    alone, moved = (np.square(fit.read(table, rows) - wanted).sum() for table in (fit.alone, fit.fit(TRAINING)))
    assert moved < 0.5 * alone


def test_a_word_of_no_text_keeps_the_row_of_the_word_alone() -> None:
    fit = fit_of()
    without = np.flatnonzero(COUNTS.toarray()[:, 3] == 0)
    table = fit.fit(without)
    assert np.array_equal(table[3], fit.alone[3]) and not np.allclose(table[2], fit.alone[2])


def test_of_many_words_the_most_frequent_ones_have_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_table, "MAX_WORDS", 2)
    buckets = np.array([3, 7, 9, WORD_BUCKETS + 1], dtype=np.int32)
    vocabulary = NgramVocabulary(buckets, np.array([1.5, 4.0, 2.0, 1.0], dtype=np.float32), 5.0)
    assert most_frequent_words(vocabulary).tolist() == [0, 2]


def test_what_a_training_text_becomes_does_not_depend_on_its_own_embedding() -> None:
    fit = fit_of()
    other = fit.residuals.copy()
    other[7] += 5.0
    before, after = head_table(fit), head_table(replace(fit, residuals=other))
    assert np.allclose(before.texts[7] * before.size, after.texts[7] * after.size)
    others = TRAINING[FOLDS[7] != FOLDS]
    assert not np.allclose(before.texts[others] * before.size, after.texts[others] * after.size)
    assert np.square(before.texts[TRAINING]).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_folded_weights_give_the_logits_of_ngrams_beside_the_table() -> None:
    table = head_table(fit_of())
    characters = sparse.csr_array(RANDOM.random((TEXTS, 4)).astype(np.float32))
    ngrams = sparse.csr_array(sparse.hstack([COUNTS, characters]))
    dense, hashed, bias = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((16, 3), (WORDS + 4, 3), 3))
    new = np.arange(50, TEXTS)
    beside = LinearWeights(dense, hashed, bias).logits(table.texts[new], ngrams[new])
    folded = table.folded(LinearWeights(dense, hashed, bias))
    assert folded.dense.shape == (0, 3)
    assert np.allclose(folded.logits(np.zeros((len(new), 0), np.float32), ngrams[new]), beside, atol=1e-4)


def test_words_that_the_encoder_tells_nothing_about_make_a_table_of_nothing() -> None:
    nothing = np.zeros((WORDS, 16), dtype=np.float32)
    table = head_table(TableFit.of(COLUMNS, COUNTS, nothing, np.zeros((TEXTS, 16), dtype=np.float32), TRAINING))
    assert not table.rows.any() and not table.texts.any()
