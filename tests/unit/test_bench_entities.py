"""The measures of names that are found: what counts as right, on rows where it can be counted by hand."""

from dataclasses import replace

import pytest
from small_entities import labelled, small_trained_entities
from small_release import small_encoder
from small_tagger import small_tagger, tagger_rows

from bench.accuracy.found_entities import WAYS, RememberingStates, cpu_ms_a_text, measure_found, names_of
from retrain.entities.rows import EntityRows
from retrain.entities.tagging import span_metrics

TRAIN = (
    labelled("Acme wins the order", {"Acme": "positive"}),
    labelled("it is Zorn that loses again", {"Zorn": "negative"}),
)


def test_a_list_finds_only_names_of_the_training_texts() -> None:
    gazetteer = names_of(TRAIN)
    assert [one.id for one in gazetteer.find("Zorn wins , Acme wins , Dunmere wins")] == ["zorn", "acme"]


def test_each_way_is_counted_by_its_own_names() -> None:
    test = labelled("Acme wins the order , Dunmere loses it", {"Acme": "positive", "Dunmere": "negative"})
    dealt = EntityRows((*TRAIN, replace(test, split="test")))
    encoder = RememberingStates(small_encoder())
    figures = measure_found(encoder, dealt, small_trained_entities().head, small_tagger())
    assert list(figures) == list(WAYS)
    assert figures["list"]["span_recall"] == 0.5 and figures["list"]["span_precision"] == 1.0
    assert figures["list"]["span_f1"] == pytest.approx(2 / 3)
    assert figures["tagger"] == figures["list_and_tagger"] == dict.fromkeys(figures["tagger"], 1.0)


def test_a_wrong_span_and_a_missed_one_cost_both() -> None:
    metrics = span_metrics(texts=1, names=4, told=3, right=2)
    assert (metrics.precision, metrics.recall, metrics.f1) == (pytest.approx(2 / 3), 0.5, pytest.approx(4 / 7))
    assert span_metrics(1, 0, 0, 0).f1 == 0.0


def test_remembered_states_are_the_encoders() -> None:
    remembering, texts = RememberingStates(small_encoder()), [row.text for row in tagger_rows().rows[:5]]
    assert small_tagger().find(texts, remembering) == small_tagger().find(texts, small_encoder())
    assert small_tagger().find(texts, remembering) == small_tagger().find(texts, small_encoder())
    assert set(cpu_ms_a_text(small_encoder(), small_tagger(), texts)) == {"embedding", "tagger"}
