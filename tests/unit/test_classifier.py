"""The classifier of a release: two stages, thread-safe, the same answer in any batch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bert import VOCABULARY
from small_release import SUBJECTS, small_release

from models.decision import Classification

CLASSIFIER = small_release().classifier

some_texts = st.lists(
    st.one_of(
        st.lists(st.sampled_from(VOCABULARY[5:]), max_size=12).map(" ".join),
        st.text(st.characters(exclude_categories=[]), max_size=30),  # surrogates and NUL included
        st.sampled_from([text for texts in SUBJECTS.values() for text in texts]),
    ),
    min_size=1,
    max_size=30,
)


def labels_of(decisions: list[Classification]) -> list[tuple[str, ...]]:
    return [tuple(head.label for head in decision.heads.values()) for decision in decisions]


@settings(max_examples=60, deadline=None)
@given(some_texts)
def test_same_text_has_the_same_answer_whatever_the_batch(texts: list[str]) -> None:
    together = CLASSIFIER.classify_texts(texts)
    alone = [CLASSIFIER.classify_texts([text])[0] for text in texts]
    assert labels_of(together) == labels_of(alone)
    for one, other in zip(together, alone, strict=True):
        assert abs(one.heads["intent"].probability - other.heads["intent"].probability) < 1e-4
        assert one.unknown_share == other.unknown_share


def test_stages_may_run_in_different_threads_at_the_same_time() -> None:
    batches = [[f"{text} {number}" for texts in SUBJECTS.values() for text in texts] for number in range(12)]
    expected = [labels_of(CLASSIFIER.classify_texts(batch)) for batch in batches]
    with ThreadPoolExecutor(4) as first, ThreadPoolExecutor(4) as second:
        prepared = [first.submit(CLASSIFIER.tokenize, batch) for batch in batches]
        decided = [second.submit(lambda future: CLASSIFIER.classify(future.result()), future) for future in prepared]
        assert [labels_of(future.result()) for future in decided] == expected


def test_classification_carries_what_signals_need() -> None:
    (decision,) = CLASSIFIER.classify_texts(["where is my parcel zebra"])
    assert list(decision.heads) == ["intent", "urgency"]
    assert decision.path == "full"
    assert decision.characters == 24
    assert 0 < decision.unknown_share < 1
    assert decision.embedding is not None
    assert np.linalg.norm(decision.embedding) == np.float32(1) or abs(np.linalg.norm(decision.embedding) - 1) < 1e-5
    assert decision.heads["intent"].oos_score is not None
    assert decision.heads["urgency"].oos_score is None


def test_no_texts_give_no_answers() -> None:
    assert CLASSIFIER.classify_texts([]) == []


def test_text_in_a_script_that_the_encoder_cannot_read_is_decided() -> None:
    assert CLASSIFIER.classify_texts(["钱什么时候到账"])[0].heads["intent"].label == "到账"
