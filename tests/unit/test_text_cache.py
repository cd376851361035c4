"""The cache of answers: bounded, counted, small, and safe to use from many threads."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.decision import Classification, HeadDecision
from models.text_cache import TextCache


def answer(label: str, embedding: bool = False) -> Classification:
    vector = np.ones(4, dtype=np.float32) if embedding else None
    return Classification({"intent": HeadDecision(label, 0.9)}, "full", 3, 0.0, vector, True if embedding else None)


def test_text_is_answered_again_only_when_it_is_exactly_the_same() -> None:
    cache = TextCache(10)
    cache.put("card lost", answer("lost"))
    kept = cache.get("card lost")
    assert kept is not None and kept.heads["intent"].label == "lost"
    assert cache.get("Card lost") is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_answer_that_was_not_asked_for_longest_makes_room() -> None:
    cache = TextCache(2)
    for text in ("a", "b"):
        cache.put(text, answer(text))
    cache.get("a")
    cache.put("c", answer("c"))
    assert [cache.get(text) is not None for text in ("a", "b", "c")] == [True, False, True]
    assert len(cache) == 2


def test_what_is_kept_has_no_embedding_and_is_no_audit() -> None:
    cache = TextCache(2)
    cache.put("a", answer("a", embedding=True))
    kept = cache.get("a")
    assert kept is not None and kept.embedding is None and kept.agrees is None


def test_an_embedding_is_kept_where_it_is_asked_for() -> None:
    cache = TextCache(2, keeps_embeddings=True)
    cache.put("a", answer("a", embedding=True))
    cache.put("b", answer("b"))
    kept = cache.get("a")
    assert kept is not None and kept.embedding is not None and kept.agrees is None
    assert kept.embedding.dtype == np.float32 and kept.embedding.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert (without := cache.get("b")) is not None and without.embedding is None


def test_cache_for_no_texts_keeps_none() -> None:
    cache = TextCache(0)
    cache.put("a", answer("a"))
    assert cache.get("a") is None and len(cache) == 0
    with pytest.raises(ValueError, match="below 0"):
        TextCache(-1)


def test_threads_never_see_another_texts_answer_and_the_bound_holds() -> None:
    cache = TextCache(50)

    def work(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 100, 2000).tolist():
            kept = cache.get(str(number))
            assert kept is None or kept.heads["intent"].label == str(number)
            if kept is None:
                cache.put(str(number), answer(str(number)))
            assert len(cache) <= 51  # one may be on its way out

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(cache) == 50 and cache.hits + cache.misses == 8000


def test_long_texts_are_not_kept_and_short_ones_only_by_their_digest() -> None:
    """S-A12: bounded by number only, 3,000 texts of 100 kB took 288 MB."""
    cache = TextCache(10_000)
    tracemalloc.start()
    for number in range(300):
        cache.put(f"{number} " + "x" * 100_000, answer("a"))
        cache.put(f"{number} " + "x" * 8_000, answer("a"))
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 300 * 2_000
    assert len(cache) == 300
    assert cache.get("7 " + "x" * 8_000) is not None
    assert cache.get("7 " + "x" * 100_000) is None


@pytest.mark.parametrize("text", ["\ud800", "", "\0", "ü" * 4_096, "ü" * 4_097])
def test_any_text_can_be_asked_for(text: str) -> None:
    cache = TextCache(1)
    cache.put(text, answer("a"))
    assert (cache.get(text) is not None) == (len(text.encode("utf-8", "surrogatepass")) <= 8_192)
