"""What a run is made of: the shipped support corpus, of which one half trains, and two subjects that nobody learnt."""

import random
from collections.abc import Iterator
from typing import Final

from headrace.applications import load_application
from headrace.demo.scenario import LabelledText, Pools, TextStream, read_texts, split_pools
from retrain.data import Dataset, Row, split_rows
from streams.application import Application

EVENTS: Final = 1_500
ONSET: Final = 450
ASKED_SHARE: Final = 0.6  # of the texts, whatever was decided, that people label


def shipped() -> Application:
    """The application whose heads and corpus the story takes."""
    return load_application("support")


def story_pools(seed: int) -> Pools:
    """What trains, what is known and what is new. Half of the corpus trains, so the same seed always trains the same
    release."""
    app = shipped()
    assert app.corpus is not None
    known = read_texts(app.corpus, app.head_names)
    new = read_texts(app.corpus.with_name(f"{app.corpus.stem}_new_subjects.csv"), app.head_names, is_new=True)
    return split_pools(known, new, app.head_names[0], random.Random(seed))


def training_rows(pools: Pools, heads: tuple[str, ...]) -> Dataset:
    """Of the first release."""
    return split_rows([Row(text.text, text.labels) for text in pools.train], heads, seed=0)


def stream(pools: Pools, seed: int) -> Iterator[LabelledText]:
    """The events in their order: from ONSET on two in five are new."""
    texts = TextStream(pools, random.Random(seed))
    for number in range(EVENTS):
        texts.has_drifted = number >= ONSET
        yield texts.next()
