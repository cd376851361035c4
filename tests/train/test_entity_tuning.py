"""An encoder that is tuned to say what is said of each name: it learns, serves in INT8 what it learnt, and goes on
where it was cut off."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cut_off import Kept
from tiny_encoder import tiny_tokenizer, tiny_weights

from connectors.registry import FolderRegistry
from headrace.settings import load_settings
from headrace.training.compressing import CompressionRequest, compress
from headrace.wiring import Wiring
from models.bundle import unpack
from models.encoder.encoder import Encoder
from models.encoder.precision import build_half_graph
from models.encoder.quantization import equal_length_batches, quantize_encoder
from models.entities.gazetteer import Entity, Gazetteer, Mention
from models.entities.judging import Asked, judge
from models.entities.span_head import mention_states
from retrain.compression import pruning
from retrain.compression.plan import CompressionPlan
from retrain.data import Dataset, Row, split_rows
from retrain.entities.fitting import score_entities
from retrain.entities.release import carry_entities, fit_entities
from retrain.entities.rows import EntityRow, EntityRows, split_entity_rows
from retrain.entities.span_fitting import fit_better_head
from retrain.entities.span_tuning import DealtEntities, TunedToEntities, tune_to_entities, with_entities
from retrain.fitting.spans import Spans
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained, Weights
from retrain.job import train_release
from retrain.strategies.few_weights import BODIES, few_weights_strategy
from retrain.strategies.full import FullStrategy
from retrain.strategies.tuned import Judged, is_better_somewhere
from retrain.training_data import attach

pytestmark = pytest.mark.train

NAMES = ("alder", "birch", "cedar", "delmar", "elm", "fir")
SAYS = {"positive": ("rises", "wins"), "negative": ("falls", "loses")}
JOINTS = ("while", "and", "as", "but")
PLAN = FineTuning(steps=120, learning_rate=5e-3, batch_texts=16, evaluations=4, r_drop=0.0, label_smoothing=0.0)


@cache
def rows() -> EntityRows:
    """Two names a text, each with a word behind it that says how it fares."""
    found = []
    words = [(word, label) for label, of_label in SAYS.items() for word in of_label]
    for number, ((one, its), (other, others), joint) in enumerate(itertools.product(words, words, JOINTS)):
        for shift in range(3):
            first, second = NAMES[(number + shift) % 6], NAMES[(number + 2 * shift + 1) % 6]
            text = f"{first} {one} {joint} {second} {other}"
            start = text.rindex(second)
            mentions = Mention(0, len(first), first), Mention(start, start + len(second), second)
            found.append(EntityRow(text, mentions, (its, others)))
    return split_entity_rows(found)


@cache
def start() -> Pretrained:
    words = [
        *NAMES,
        *JOINTS,
        *(word for words in SAYS.values() for word in words),
        "the",
        "company",
        "refund",
        "parcel",
    ]
    tokenizer = tiny_tokenizer(words)
    config, weights = tiny_weights(len(json.loads(tokenizer)["model"]["vocab"]))
    return Pretrained(weights, config, tokenizer)


def quantize(weights: Weights, texts: Sequence[str]) -> bytes:
    return quantize_encoder(weights, start().config, start().tokenizer_json, texts, max_tokens=64)


def opened(weights: Weights, texts: Sequence[str]) -> Encoder:
    return Encoder.from_bytes(quantize(weights, texts), start().tokenizer_json, max_tokens=64, threads=1)


@cache
def tuned() -> TunedToEntities:
    return tune_to_entities(start(), rows(), opened, plan=PLAN)


def test_what_is_said_of_each_of_two_names_is_learnt() -> None:
    metrics = score_entities(tuned().head, tuned().encoder, rows().part("test"), str)
    assert metrics is not None and metrics.accuracy > 0.95
    assert metrics.mixed_macro_f1 is not None and metrics.mixed_macro_f1 > 0.95


def test_the_served_integers_say_what_torch_said() -> None:
    from models.encoder.graph import build_encoder_graph

    dealt = DealtEntities.of(rows(), 0)
    whole = Encoder.from_bytes(
        build_encoder_graph(tuned().tuned.weights, start().config).SerializeToString(),
        start().tokenizer_json,
        max_tokens=64,
        threads=1,
    )
    asked = [Asked(row.text, row.mentions, row.mentions) for row in dealt.tuning]
    by_file = [judge(tuned().head, encoder, asked, str) for encoder in (whole, tuned().encoder)]
    assert np.abs(by_file[0] - by_file[1]).max() < 0.1
    assert np.array_equal(by_file[0].argmax(1), by_file[1].argmax(1))


def test_the_graph_gives_the_states_that_torch_trained() -> None:
    from models.encoder.graph import build_encoder_graph
    from models.entities.stretches import stretches_of
    from retrain.fitting.spans import tokens_of_spans
    from retrain.fitting.tuning.body import WholeEncoder
    from retrain.fitting.tuning.model import TunedModel

    training, _ = DealtEntities.of(rows(), 0).numbered(str)
    some = training.of(np.arange(12))
    assert some.spans is not None
    encoder = Encoder.from_bytes(
        build_encoder_graph(start().weights, start().config).SerializeToString(),
        start().tokenizer_json,
        max_tokens=64,
        threads=1,
    )
    model = TunedModel(start(), {}, FineTuning(half=False), WholeEncoder(), spans=2)
    ids, spans = tokens_of_spans(encoder._tokenizer, some.texts, some.spans)
    rows_of = DealtEntities.of(rows(), 0).training[:12]
    stretches = [one for row in rows_of for one, _ in stretches_of(row.text, row.mentions, row.mentions, str)]
    np.testing.assert_allclose(model.spans_of(ids, spans), mention_states(encoder, stretches), atol=1e-4)


def test_a_tuning_that_was_cut_off_ends_as_it_would_have() -> None:
    plan = FineTuning(steps=20, evaluations=4, batch_texts=16, learning_rate=5e-3)
    whole = tune_to_entities(start(), rows(), opened, plan=plan)
    kept = Kept(whole=2)
    with pytest.raises(KeyboardInterrupt):
        tune_to_entities(start(), rows(), opened, plan=plan, around=Around(kept))
    kept.left = 1000
    again = tune_to_entities(start(), rows(), opened, plan=plan, around=Around(kept))
    assert all(np.array_equal(whole.tuned.weights[name], again.tuned.weights[name]) for name in whole.tuned.weights)
    assert np.array_equal(whole.head.head.dense, again.head.head.dense)


def test_spans_of_some_texts_are_counted_anew() -> None:
    numbers = np.arange(5)
    spans = Spans(np.array([0, 0, 2, 3, 3]), numbers, numbers + 1, numbers)
    some = spans.of(np.array([3, 1, 0]))
    assert some.text.tolist() == [0, 0, 2, 2] and some.labels.tolist() == [3, 4, 0, 1]
    assert len(spans.of(np.array([1]))) == 0


def test_no_text_that_judges_entities_teaches_a_head() -> None:
    dealt = DealtEntities.of(rows(), 0)
    held, free = dealt.tuning[0].text, "refund alder"
    heads = LabelledTexts([held, free], {"intent": np.array([0, 1])})
    training, tuning = with_entities(heads, heads, dealt, str)
    assert held not in training.texts and training.texts[0] == free
    assert training.labels["intent"].tolist() == [1] + [-1] * (len(training) - 1)
    assert tuning.spans is not None and tuning.spans.text.min() == 2


def test_a_text_with_one_label_as_a_whole_that_a_head_knows_too_is_read_once() -> None:
    texts = "refund alder", "parcel birch"
    taught = replace(
        rows(), rows=(*rows().rows, EntityRow(texts[1], (), ("negative",)), EntityRow("fir", (), ("positive",)))
    )
    dealt = DealtEntities.of(taught, 0)
    heads = LabelledTexts(texts, {"intent": np.array([0, 1])})
    training, _ = with_entities(heads, heads, dealt, str)
    assert training.spans is not None and training.texts.count(texts[1]) == training.texts.count("fir") == 1
    first = training.spans.of(np.array([1]))
    assert (first.start.tolist(), first.end.tolist()) == ([0], [len(texts[1])])
    assert [dealt.labels[number] for number in first.labels] == ["negative"]
    assert np.all(np.diff(training.spans.text) >= 0)


@cache
def dataset() -> Dataset:
    rows = [
        Row(f"{word} {NAMES[number % 6]} {JOINTS[number % 4]} {number}", {"intent": word})
        for number in range(120)
        for word in ("refund", "parcel")
    ]
    return split_rows(rows, ("intent",), seed=0)


def test_one_encoder_is_tuned_to_heads_and_entities_and_serves_where_either_is_better() -> None:
    plan = FineTuning(steps=150, learning_rate=5e-3, batch_texts=16, evaluations=4, r_drop=1.0)
    strategy = FullStrategy(start().weights, start().config, quantize, plan, 1, entities=rows())
    encoder = opened(start().weights, dataset().rows[0].text.split())
    trained: Any = train_release("finance", dataset(), encoder, strategy="full", trainer=strategy)
    choices = trained.manifest["training"]["choices"]["intent"]
    assert choices["full_entity_accuracy"] > 0.9
    if choices["fine_tuned"]:
        assert trained.entity_head is not None and trained.manifest["serves"] == "full"
        metrics = score_entities(trained.entity_head, trained.classifier.encoder, rows().part("test"), str)
        assert metrics is not None and metrics.accuracy > 0.9
        assert trained.metrics["intent"].accuracy > 0.9
    else:
        assert trained.entity_head is None


@pytest.mark.parametrize("name", list(BODIES))
def test_few_weights_are_tuned_to_heads_and_entities_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin with an encoder that knows its way: so few weights of a random one learn nothing in a short time."""
    monkeypatch.setattr("retrain.strategies.tuned.is_clearly_better", lambda quick, tuned: True)
    begin = tuned().tuned.weights
    strategy = few_weights_strategy(name, begin, start().config, quantize, threads=1, entities=rows(), read_as=str)
    strategy = replace(strategy, plan=replace(strategy.plan, epochs=FineTuning().epochs, steps=60))
    trained = train_release("finance", dataset(), opened(begin, ["refund"]), strategy=name, trainer=strategy)
    assert trained.manifest["serves"] == name and trained.entity_head is not None
    manifest, blobs = dict(trained.manifest), dict(trained.blobs)
    gazetteer = Gazetteer((Entity("alder", ("alder",)), Entity("birch", ("birch",))))
    fit_entities(manifest, blobs, trained.classifier, gazetteer, rows(), tuned=trained.entity_head)
    assert manifest["entities"]["metrics"]["accuracy"] > 0.9
    served = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
    (answer,) = served.classify_texts(["alder wins while birch loses"])
    assert [entity.id for entity in answer.entities or ()] == ["alder", "birch"]


def test_a_head_is_fitted_to_a_smaller_encoder_by_what_that_reads_of_the_places() -> None:
    weights, config = tuned().tuned.weights, start().config
    small = pruning.prune_widths(weights, config, equal_length_batches(ids_of(tuned().encoder)), units=0.5)
    encoder = Encoder.from_bytes(
        quantize_encoder(small.weights, small.config, start().tokenizer_json, texts_of_rows(), max_tokens=64),
        start().tokenizer_json,
        max_tokens=64,
        threads=1,
    )
    assert len(encoder.model_bytes()) < len(tuned().encoder.model_bytes())
    head = fit_better_head(encoder, rows(), str, seed=3, dealt_by=0)
    assert head is not None
    metrics = score_entities(head, encoder, rows().part("test"), str)
    assert metrics is not None and metrics.accuracy > 0.9


def test_what_a_tuned_release_says_of_names_goes_on_to_a_smaller_one() -> None:
    """Once by places, as it was; a release that reads views stays with views."""
    release = train_release("finance", dataset(), tuned().encoder)
    smaller = train_release("finance", dataset(), opened(tuned().tuned.weights, texts_of_rows()[::2]))
    gazetteer = Gazetteer((Entity("alder", ("alder",)),))
    for given, reads in ((tuned().head, "tokens"), (None, None)):
        manifest, blobs = json.loads(json.dumps(release.manifest)), dict(release.blobs)
        fit_entities(manifest, blobs, release.classifier, gazetteer, rows(), tuned=given, seed=0)
        successor, its = json.loads(json.dumps(smaller.manifest)), dict(smaller.blobs)
        successor["training"]["seed"] = 7
        assert successor["files"]["encoder"]["sha256"] != manifest["files"]["encoder"]["sha256"]
        assert carry_entities(manifest, blobs.__getitem__, successor, its, smaller.classifier)
        assert successor["entities"].get("reads") == reads
        assert successor["entities"]["choices"].get("dealt_by") == (0 if reads else None)
        assert successor["entities"]["metrics"]["accuracy"] > 0.9
        again = json.loads(json.dumps(smaller.manifest))
        assert carry_entities(successor, its.__getitem__, again, dict(its), smaller.classifier)
        assert again["entities"] == successor["entities"], "the same encoder keeps its head"


def test_compress_keeps_a_head_of_places_and_says_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = build_half_graph(tuned().tuned.weights, start().config)
    monkeypatch.setattr("headrace.training.compressing.half_graphs", lambda wiring: lambda sha256: half)
    release = train_release("finance", dataset(), tuned().encoder)
    manifest, blobs = json.loads(json.dumps(release.manifest)), dict(release.blobs)
    fit_entities(
        manifest, blobs, release.classifier, Gazetteer((Entity("alder", ("alder",)),)), rows(), tuned=tuned().head
    )
    attach(manifest, blobs, release.dataset)
    registry = FolderRegistry(str(tmp_path))
    registry.publish("finance", manifest, blobs)
    shown = list[str]()
    order = CompressionRequest("finance@1", CompressionPlan(units=0.5))
    wiring = Wiring(load_settings(home=tmp_path, threads=1))
    done = compress(wiring, registry, order, lambda what, *_: shown.append(what))
    assert done.trained.manifest["entities"]["reads"] == "tokens"
    assert done.entities is not None and done.entities.before > 0.9 and done.entities.after > 0.9
    texts = {row.text for row in dataset().rows if row.split != "test"}
    how = done.trained.manifest["compression"]
    assert how["texts"] + how["held_out_texts"] > len(texts), "it learns from texts with names as well"
    assert "comparing what is said of entities" in shown


def texts_of_rows() -> list[str]:
    return [row.text for row in rows().part("train")]


def ids_of(encoder: Encoder) -> list[Any]:
    return [text.ids for text in encoder.tokenize(texts_of_rows())]


def test_a_tuned_release_serves_where_it_is_better_at_one_thing_and_worse_at_none() -> None:
    good, bad = (Judged(np.full(40, right), np.full(40, loss)) for right, loss in ((True, 0.1), (False, 3.0)))
    assert is_better_somewhere([(bad, good)]) and not is_better_somewhere([(good, good)])
    assert is_better_somewhere([(good, good), (bad, good)])
    assert not is_better_somewhere([(good, bad), (bad, good)])
