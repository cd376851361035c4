"""Which texts belong together, and that it is bounded and survives a restart."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.clusters import ClusterPolicy, Clusters, ClusterText

POLICY = ClusterPolicy(recent_texts=40)
TEXTS = [
    " ".join(f"{word}{end}" for end in "klmno") for word in map("".join, product("bcdf", "aeiou", "bcdf", "aeiou"))
]
STORY = "Fed official says weak data caused by weather, should not slow taper of bond purchases"


def unit(*numbers: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def restored(clusters: Clusters, texts: list[ClusterText]) -> Clusters:
    again = Clusters(clusters.policy)
    again.restore(orjson.loads(orjson.dumps(clusters.state())), texts[-clusters.policy.recent_texts :])
    return again


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 17  is late", "order 18 is LATE"),
        (STORY, f"UPDATE 2-{STORY} - Reuters"),
        ("我的包裹还没有到，请帮我查一下", "我的包裹还没有到！请帮我查一下。"),
    ],
    ids=["digits, case and spaces", "words around it", "a script without spaces"],
)
def test_copies_and_near_copies_are_of_one_cluster(one: str, other: str) -> None:
    clusters = Clusters(POLICY)
    first, between = clusters.add(ClusterText(one)), clusters.add(ClusterText("something else altogether, is it not?"))
    second = clusters.add(ClusterText(other))
    assert second.cluster == first.cluster != between.cluster
    assert (first.nth, between.nth, second.nth) == (1, 1, 2)


def test_texts_whose_embeddings_nearly_agree_are_of_one_cluster() -> None:
    clusters = Clusters(POLICY)
    first = clusters.add(ClusterText("card declined", None, unit(1.0, 0.1, 0.0)))
    near = clusters.add(ClusterText("payment was refused", None, unit(1.0, 0.0, 0.1)))
    far = clusters.add(ClusterText("no cash came out", None, unit(0.2, 1.0, 0.0)))
    assert near.cluster == first.cluster != far.cluster and near.nth == 2


def template(name: str, percent: int, *names: str) -> ClusterText:
    """All mean nearly the same to the encoder."""
    text = f"{name} Corp Q3 profit rises {percent} % on higher prices"
    return ClusterText(text, None, unit(1.0, 0.01 * percent, 0.0), names)


def test_two_companies_of_one_template_are_apart_where_subjects_count() -> None:
    texts = [template("Alder", 5), template("Birch", 7), template("Alder", 6), template("UPDATE 2-Birch", 7)]
    by_subject = replace(POLICY, by_subject=True)
    found = []
    for policy in (POLICY, by_subject):
        clusters = Clusters(policy)
        found.append([clusters.add(text).cluster for text in texts])
    assert found == [[1, 1, 1, 1], [1, 2, 1, 2]]
    again = restored(clusters, texts)
    assert [again.add(text).cluster for text in (template("Birch", 9), template("Cedar", 9), texts[0])] == [2, 3, 1]


def test_known_names_tell_texts_apart_that_only_differ_in_digits() -> None:
    first, second = (
        ClusterText(f"{code}.HK rises 2 % on strong sales", names=(f"{code}.HK",)) for code in ("0700", "0005")
    )
    clusters = Clusters(replace(POLICY, by_subject=True))
    assert [clusters.add(text).cluster for text in (first, second, first)] == [1, 2, 1]


def test_a_conversation_counts_by_its_key_and_no_greeting_weighs_on_it() -> None:
    clusters = Clusters(POLICY)
    for number in range(8):
        clusters.add(ClusterText("hello", f"customer {number}"))
    greeting = clusters.add(ClusterText("Hello", "me"))
    rest = [clusters.add(ClusterText(text, "me")) for text in TEXTS[:2]]
    assert (greeting.in_cluster, greeting.in_key) == (9, 1)
    assert [membership.nth for membership in rest] == [2, 3] and rest[0].in_cluster == 1


def test_keys_that_never_end_are_no_conversations() -> None:
    """A region or a symbol as the key must not make every text a copy."""
    clusters = Clusters(POLICY)
    counts = [clusters.add(ClusterText(text, "eu" if n % 2 else "us")) for n, text in enumerate(TEXTS)]
    assert counts[100].nth > 1 and all(membership.nth == 1 for membership in counts[300:])


def test_what_is_not_among_the_recent_texts_is_forgotten() -> None:
    clusters = Clusters(POLICY)
    first = clusters.add(ClusterText(STORY, "me"))
    for text in TEXTS[: POLICY.recent_texts]:
        clusters.add(ClusterText(text))
    again = clusters.add(ClusterText(STORY, "me"))
    assert again.nth == 1 and again.cluster != first.cluster


def test_texts_without_words_or_embeddings_are_clusters_of_their_own() -> None:
    clusters = Clusters(POLICY)
    nothing = [clusters.add(ClusterText(text)) for text in (None, None, "", "", "\ud800")]
    strange = [clusters.add(ClusterText(None, None, vector)) for vector in (unit(1.0, 0.0), np.full(2, np.nan))]
    assert all(membership.nth == 1 for membership in nothing + strange)


def test_another_encoder_starts_embeddings_anew() -> None:
    clusters = Clusters(POLICY)
    clusters.add(ClusterText(None, None, unit(1.0, 0.0)))
    assert clusters.add(ClusterText(None, None, unit(1.0, 0.0, 0.0))).nth == 1
    assert clusters.add(ClusterText(None, None, unit(1.0, 0.0, 0.0))).nth == 2


@given(st.integers(0, 30), st.lists(st.integers(0, 200), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(seed: int, stops: list[int]) -> None:
    random = np.random.default_rng(seed)
    words = ["card", "cash", "late", "lost", "fee", "bank", "pay"]
    texts = [
        ClusterText(
            None if random.random() < 0.1 else " ".join(random.choice(words, int(random.integers(1, 7)))),
            None if random.random() < 0.3 else f"key {random.integers(30)}",
            None if random.random() < 0.3 else unit(*random.standard_normal(3)),
        )
        for _ in range(200)
    ]
    whole, stopped = Clusters(POLICY), Clusters(POLICY)
    for number, text in enumerate(texts):
        if number in stops:
            stopped = restored(stopped, texts[:number])
        assert whole.add(text) == stopped.add(text)
    assert whole.state() == stopped.state()


def test_state_stays_small_and_a_broken_one_is_refused() -> None:
    clusters = Clusters()
    for number in range(3_000):
        clusters.add(ClusterText(f"text {'abc'[number % 3]}", f"key {number}"))
    state = clusters.state()
    assert len(orjson.dumps(state)) < 70_000
    with pytest.raises(ValueError, match="reshape"):
        Clusters(replace(POLICY, recent_texts=7)).restore(state, [])


def test_keys_that_stopped_counting_count_again_only_once_they_have_half_as_many_texts() -> None:
    """Who counts selects what is watched: it must not change to and fro at the limit."""
    clusters, texts, turns = Clusters(replace(POLICY, texts_per_key=6.0)), list[ClusterText](), list[int]()
    for number in range(900):
        texts.append(ClusterText(f"{TEXTS[number % len(TEXTS)]} {number}", f"key {number // 20 * 5 + number % 3}"))
    for number in range(900, 2_000):
        texts.append(ClusterText(None, f"key {number}"))
    for number, text in enumerate(texts):
        counted, again = clusters.counts_keys, restored(clusters, texts[:number]) if number % 250 == 0 else clusters
        clusters = again
        assert again.counts_keys is counted
        clusters.add(text)
        turns += [number] if clusters.counts_keys is not counted else []
    assert turns[0] == 299 and len(turns) == 2 and turns[1] > 1_000


def test_a_customer_who_writes_again_much_later_has_another_conversation() -> None:
    """Of 97 customers each text counted as a tenth of one, and a new subject was not found in 1,000 events."""
    clusters = Clusters(ClusterPolicy(recent_texts=300, key_texts=20))
    first = [clusters.add(ClusterText(text, "ann")) for text in TEXTS[:3]]
    assert [one.in_key for one in first] == [1, 2, 3]
    for number, text in enumerate(TEXTS[3:25]):
        clusters.add(ClusterText(text, f"customer {number}"))
    assert clusters.add(ClusterText(TEXTS[25], "ann")).in_key == 1
    assert clusters.add(ClusterText(TEXTS[26], "ann")).in_key == 2
