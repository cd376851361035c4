"""Names that no list holds: the chain of tags, the tagger, the release that carries it, decisions."""

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_entities import small_entity_rows, small_gazetteer, small_trained_entities
from small_release import small_dataset, small_encoder, small_release
from small_tagger import small_tagger, tagger_rows

from headrace.pages.model_card import render_card
from headrace.tools.digest.stories import Groups
from headrace.tools.training import _tell_entities
from headrace.training.entities.fitting import read_entities
from models.bundle import unpack
from models.classifier import Classifier
from models.encoder.long_texts import LongTexts
from models.entities.chain import START, best_path, may_follow, span_probabilities, spans_of
from models.entities.gazetteer import pieces_of
from models.entities.reader import NAMES_ROLE, EntityReader
from models.entities.reader import ROLE as HEAD_ROLE
from models.entities.tagger import MAX_ID_CHARACTERS, PREFIX, ROLE, Tagger, found_id
from models.entities.words import words_of
from models.errors import ReleaseCorrupt
from retrain.entities.release import carry_entities, fit_entities
from retrain.entities.tagging import NOTHING, train_tagger
from retrain.job import train_release
from streams.application import Application, HeadSpec, parse_application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery, Outcome
from streams.wire.records import Decision

TEXT = "Acme wins the order , Dunmere loses it"
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)
scores = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(3)), elements=st.floats(-6, 0))
pairs = arrays(np.float64, (3, 3), elements=st.floats(-3, 3))


def path_score(words: Any, following: Any, path: tuple[int, ...]) -> float:
    steps = sum(following[one, other] for one, other in itertools.pairwise(path))
    return float(START[path[0]] + steps + sum(words[number, tag] for number, tag in enumerate(path)))


@settings(max_examples=50, deadline=None)
@given(words=scores, free=pairs)
def test_the_best_path_and_the_probability_of_its_names_are_those_of_all_paths(words: Any, free: Any) -> None:
    following = may_follow(free)
    paths = list(itertools.product(range(3), repeat=len(words)))
    by_path = {path: path_score(words, following, path) for path in paths}
    best = best_path(words, following)
    assert by_path[tuple(best)] == pytest.approx(max(by_path.values()))
    spans = spans_of(best)
    everything = np.logaddexp.reduce(list(by_path.values()))
    for span, probability in zip(spans, span_probabilities(words, following, spans), strict=True):
        with_it = [score for path, score in by_path.items() if np.isfinite(score) and span in spans_of(list(path))]
        assert probability == pytest.approx(np.exp(np.logaddexp.reduce(with_it) - everything))


def test_a_name_never_goes_on_before_it_begins() -> None:
    words = np.log(np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    assert spans_of(best_path(words, may_follow(np.zeros((3, 3))))) in ([(0, 1), (2, 3)], [(0, 1)], [(2, 3)], [])


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_any_text_has_words_within_it(texts: list[str]) -> None:
    for text, words in zip(texts, words_of(texts, small_encoder()), strict=True):
        assert words.states.shape == (len(words), small_encoder().hidden) and np.isfinite(words.states).all()
        assert all(0 <= piece.start < piece.end <= len(text) for piece in words.pieces)
        assert len(words.features) == len(words)


def test_words_are_read_where_they_stand_behind_characters_of_every_kind() -> None:
    text = "😀\ud83d\ude00 ﬁ İ café refund"
    (words,) = words_of([text], small_encoder())
    assert text[words.pieces[-1].start : words.pieces[-1].end] == "refund"
    (alone,) = words_of(["refund"], small_encoder())
    assert not np.allclose(words.states[-1], 0.0) and words.states[-1].shape == alone.states[0].shape


def test_a_tagger_finds_names_that_it_never_saw() -> None:
    (names,) = small_tagger().find([TEXT], small_encoder())
    assert [(TEXT[one.start : one.end], one.id) for one, _ in names] == [
        ("Acme", "found:acme"),
        ("Dunmere", "found:dunmere"),
    ]
    assert all(0.5 < probability <= 1.0 for _, probability in names)


def test_names_are_found_the_same_alone_and_among_other_texts() -> None:
    texts = [TEXT, "", "Hazelton wins again", "it is Ostrava that loses again , and " * 40, "wins"]
    together = small_tagger().find(texts, small_encoder())
    assert together == [small_tagger().find([text], small_encoder())[0] for text in texts]
    assert together[1] == together[4] == []


def test_too_few_texts_find_nothing() -> None:
    few = train_tagger(small_encoder(), tagger_rows(2))
    assert few.tagger.threshold == NOTHING
    assert few.tagger.find([TEXT], small_encoder()) == [[]]


def test_the_tagger_comes_back_from_its_bytes() -> None:
    tagger = small_tagger()
    again = Tagger.from_parts(json.loads(json.dumps(tagger.describe())), tagger.to_bytes())
    assert again.find([TEXT], small_encoder()) == tagger.find([TEXT], small_encoder())


@pytest.mark.parametrize(
    "changed", [{"labels": ["a", "b", "c"]}, {"pairs": [[0.0]]}, {"threshold": "high"}, {"slope": float("nan")}]
)
def test_a_tagger_that_does_not_fit_is_refused(changed: dict[str, Any]) -> None:
    tagger = small_tagger()
    with pytest.raises(ReleaseCorrupt, match="tagger"):
        Tagger.from_parts(tagger.describe() | changed, tagger.to_bytes())
    with pytest.raises(ReleaseCorrupt):
        Tagger.from_parts(tagger.describe(), b"no tensors")


def test_an_id_is_bounded_and_the_same_for_what_is_written_otherwise() -> None:
    assert found_id("Ａcme  Corp") == found_id("ACME corp") == "found:acme corp"
    assert len(found_id("x" * 500)) == len(PREFIX) + MAX_ID_CHARACTERS


def reader() -> EntityReader:
    return EntityReader(small_gazetteer(), small_trained_entities().head, small_tagger())


def with_tagger() -> Classifier:
    plain = small_release().classifier
    parts = (plain.model, "1", plain.encoder, plain.vocabulary, list(plain.heads.values()))
    return Classifier(*parts, entities=reader())


def test_a_listed_name_keeps_its_id_and_an_unlisted_one_gets_one() -> None:
    (answer,) = with_tagger().classify_texts([TEXT])
    assert answer.entities is not None
    listed, found = answer.entities
    assert (listed.id, listed.span_probability) == ("acme", None)
    assert (found.id, found.name, found.start, found.end) == ("found:dunmere", "Dunmere", 22, 29)
    assert (listed.sentiment, found.sentiment) == ("positive", "negative")
    assert found.span_probability is not None and found.span_probability > 0.5


def test_names_that_are_found_never_displace_listed_ones() -> None:
    text = " , ".join(f"{name}{number} wins" for number in range(20) for name in ("Dunmere",)) + " , Zorn loses"
    (answer,) = with_tagger().classify_texts([text])
    assert answer.entities is not None and len(answer.entities) <= 16
    assert "zorn" in [one.id for one in answer.entities]
    assert [one.start for one in answer.entities] == sorted(one.start for one in answer.entities)


def packed() -> tuple[dict[str, Any], dict[str, bytes]]:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), tagger_rows(), tagger=True)
    return json.loads(json.dumps(manifest)), blobs


def test_a_release_carries_its_tagger_and_hands_it_on() -> None:
    before, blobs = packed()
    served = unpack(json.dumps(before).encode(), blobs.__getitem__, threads=1)
    (answer,) = served.classify_texts([TEXT])
    assert [one.name for one in answer.entities or ()] == ["Acme", "Dunmere"]
    assert before[ROLE]["metrics"]["f1"] > 0.8
    assert f"recall {before[ROLE]['metrics']['recall']:.4f}" in render_card(before)
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    assert carry_entities(before, blobs.__getitem__, manifest, own, small_release().classifier)
    assert manifest[ROLE] == before[ROLE] and manifest["files"][ROLE] == before["files"][ROLE]
    before["files"]["encoder"] = {"sha256": "0" * 64, "bytes": 1}
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    assert carry_entities(before, blobs.__getitem__, manifest, own, small_release().classifier)
    assert manifest["files"][ROLE] == before["files"][ROLE], "learnt anew from the same texts on the same encoder"


def test_a_tagger_of_another_encoder_is_refused() -> None:
    manifest, blobs = packed()
    head = small_tagger().head
    other = replace(small_tagger(), head=replace(head, dense=np.zeros((7, 3), dtype=np.float32))).to_bytes()
    sha256 = hashlib.sha256(other).hexdigest()
    manifest["files"][ROLE] = {"sha256": sha256, "bytes": len(other)}
    with pytest.raises(ReleaseCorrupt, match="states of 7 numbers, the encoder gives 32"):
        unpack(json.dumps(manifest).encode(), (blobs | {sha256: other}).__getitem__, threads=1)


def test_a_release_that_asks_for_no_tagger_is_the_same_as_before() -> None:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows())
    assert ROLE not in manifest and {HEAD_ROLE, NAMES_ROLE} < set(manifest["files"]) and ROLE not in manifest["files"]
    reads = EntityReader(small_gazetteer(), small_trained_entities().head)
    assert [one.id for one in reads.find([TEXT], str).read(small_encoder())[0]] == ["acme"]


def test_a_decision_tells_what_was_found_and_counts_of_it_nothing() -> None:
    app = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),))
    handler = ClassifyHandler(app, Serving(with_tagger()), {"chats": "e0"}, now_ms=lambda: 1)
    batch = [Delivery("chats", 0, 0, None, orjson.dumps({"text": TEXT}), 1)]
    for _, step in handler.steps:
        step(batch)
    outcome = batch[0].result
    assert isinstance(outcome, Outcome)
    record = orjson.loads(outcome.records[0].value)
    listed, found = record["entities"]
    assert "found" not in listed and "span_probability" not in listed
    assert found["found"] == "tagger" and 0.5 < found["span_probability"] <= 1.0
    Decision.model_validate(record)
    assert ("entity", "Acme") in Groups(app, None).of(record)
    assert ("entity", "Dunmere") not in Groups(app, None).of(record)
    signal = outcome.signal
    assert signal is None or [name for name, _ in signal["entities"]] == ["Acme"]


def test_an_application_asks_for_a_tagger_in_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.dumps(row.as_json()) for row in tagger_rows().rows]
    (tmp_path / "judged.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "names.csv").write_text("id,name\nacme,Acme\n", encoding="utf-8")
    table = '[entities]\nnames = "names.csv"\ncorpus = "judged.jsonl"\ntagger = true\n'
    file = 'name = "news"\ntopic = "news"\n[[heads]]\nname = "mood"\ncolumn = "mood"\n'
    named = read_entities(parse_application(file + table, tmp_path, "news.toml"), None, 0)
    assert named is not None and named.tagger
    trained = train_release("news", small_dataset(), small_encoder())
    named.attach(trained, 0, lambda stage, done, total: None)
    metrics = trained.report["entities"]["tagger"]
    assert metrics == trained.manifest[ROLE]["metrics"] and metrics["recall"] > 0.8
    _tell_entities(trained.report["entities"])
    assert f"{metrics['recall']:.4f} found by the tagger" in capsys.readouterr().out


def test_overlaps_are_the_listed_names() -> None:
    (answer,) = with_tagger().classify_texts(["Acme Corp wins the order"])
    assert [(one.id, one.start, one.end) for one in answer.entities or ()] == [("acme", 0, 9)]


def test_a_name_far_behind_is_found_where_long_texts_are_read_in_windows() -> None:
    text = "is it late again , " * 12 + "Dunmere wins again"
    (short,) = words_of([text], small_encoder())
    (long,) = words_of([text], small_encoder().reading(LongTexts(windows=4)))
    assert len(short) < len(pieces_of(text)) == len(long)
    assert [piece.key for piece in long.pieces][-3:] == ["dunmere", "wins", "again"]
    assert np.array_equal(short.states[:20], long.states[:20])
    (names,) = small_tagger().find([text], small_encoder().reading(LongTexts(windows=4)))
    assert [text[one.start : one.end] for one, _ in names] == ["Dunmere"]
    assert small_tagger().find([text], small_encoder()) == [[]]
