"""Options of the full strategy are judged on the tuning rows, and a trial that falls behind ends at an evaluation."""

from dataclasses import replace

import pytest
from small_bert import CONFIG, small_tokenizer_json, small_weights
from small_release import small_dataset

from models.entities.gazetteer import Mention
from retrain.entities.rows import EntityRow, EntityRows
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Pretrained
from retrain.search.full_search import FullSearch

pytestmark = pytest.mark.train
PLAN = FineTuning(steps=6, evaluations=3, batch_texts=16)


class FellBehind(Exception):
    """What a study raises."""


def test_every_evaluation_is_told_and_the_best_one_counts() -> None:
    told: list[tuple[int, float]] = []
    start = Pretrained(small_weights(), CONFIG, small_tokenizer_json())
    worth = FullSearch(start, small_dataset()).judge(PLAN, lambda step, value: told.append((step, value)))
    assert [step for step, _ in told] == [1, 2, 3]
    assert worth.accuracy == max(value for _, value in told) and 0 < worth.texts < len(small_dataset().rows)


def test_a_trial_is_judged_by_what_is_said_of_names_as_well() -> None:
    texts = [f"refund for Alder {number} and Birch" for number in range(40)]
    rows = EntityRows(
        tuple(
            EntityRow(text, (mention(text, "Alder"), mention(text, "Birch")), ("good", "bad")[:: 1 if n % 2 else -1])
            for n, text in enumerate(texts)
        )
    )
    told: list[float] = []
    start = Pretrained(small_weights(), CONFIG, small_tokenizer_json())
    search = FullSearch(start, small_dataset(), entities=rows)
    worth = search.judge(PLAN, lambda step, value: told.append(value))
    alone = FullSearch(start, small_dataset()).judge(PLAN)
    assert len(told) == 3 and worth.accuracy in told
    both = FullSearch(start, small_dataset(), metric="loss").judge(replace(PLAN, heads="primary"))
    assert both.loss != alone.loss, "all heads are tuned, and judge, unless the plan says otherwise"
    assert worth.texts == alone.texts + 4, "a tenth of the texts with names judges as well"
    assert worth.loss != alone.loss


def mention(text: str, name: str) -> Mention:
    return Mention(text.index(name), text.index(name) + len(name), name)


def test_a_trial_ends_where_it_is_told_to() -> None:
    told: list[int] = []

    def stop(step: int, value: float) -> None:
        told.append(step)
        raise FellBehind

    start = Pretrained(small_weights(), CONFIG, small_tokenizer_json())
    with pytest.raises(FellBehind):
        FullSearch(start, small_dataset(), metric="loss").judge(PLAN, stop)
    assert told == [1]
