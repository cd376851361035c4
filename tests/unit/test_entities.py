"""What is said of each entity of a text: views, head, release, decisions."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from small_entities import (
    entity_files,
    labelled,
    small_entity_rows,
    small_gazetteer,
    small_reader,
    small_trained_entities,
)
from small_release import small_dataset, small_encoder, small_release

from headrace.pages.model_card import render_card
from headrace.training.entities.fitting import read_entities
from headrace.training.entities.names import read_gazetteer
from models.bundle import unpack
from models.classifier import Classifier
from models.encoder.encoder import TokenizedText
from models.entities.gazetteer import Mention
from models.entities.head import EntityHead
from models.entities.reader import NAMES_ROLE, ROLE
from models.entities.views import views_of
from models.errors import ConfigError, ReleaseCorrupt, TrainingDataError
from retrain.entities.release import carry_entities, fit_entities
from retrain.entities.rows import EntityRow, read_entity_rows, split_entity_rows
from retrain.job import train_release
from retrain.training_data import served_bytes
from streams.application import Application, Entities, HeadSpec, Stories, parse_application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery, Outcome
from streams.wire.records import Decision
from streams.wire.signals import read_signals

GOLD = "Gold shines on seasonal demand; Silver dull, and Gold may follow"
OF_GOLD = [Mention(0, 4, "gold"), Mention(32, 38, "silver"), Mention(49, 53, "gold")]
MIXED = "Acme wins the order , Zorn loses it"


def with_entities() -> Classifier:
    plain = small_release().classifier
    parts = (plain.model, "1", plain.encoder, plain.vocabulary, list(plain.heads.values()))
    return Classifier(*parts, entities=small_reader())


def test_no_name_is_left_in_any_view() -> None:
    for mention in OF_GOLD:
        for view in views_of(GOLD, OF_GOLD, mention).for_ngrams():
            assert "Gold" not in view and "Silver" not in view


def test_a_clause_ends_where_another_begins() -> None:
    clauses = [views_of(GOLD, OF_GOLD, mention).clause.split() for mention in OF_GOLD]
    assert clauses == [["xtargetx", "shines"], ["xtargetx", "dull"], ["xtargetx", "may", "follow"]]


def test_a_long_text_is_read_near_the_name_only() -> None:
    text = f"{'far ' * 500}near Acme here{' away' * 500}"
    start = text.index("Acme")
    views = views_of(text, [], Mention(start, start + 4, "acme"))
    assert "near xtargetx here" in views.context and len(views.context) < 600


def test_names_that_overlap_the_one_asked_about_are_left_out() -> None:
    text = "Delta Air Lines falls"
    whole, part = Mention(0, 15, "delta_air"), Mention(0, 5, "delta")
    assert views_of(text, [part, whole], whole).behind == "falls"


def test_the_head_tells_two_entities_of_one_text_apart() -> None:
    (answer,) = with_entities().classify_texts([MIXED])
    assert answer.entities is not None
    said = {entity.id: (entity.name, MIXED[entity.start : entity.end], entity.sentiment) for entity in answer.entities}
    assert said == {"acme": ("Acme", "Acme", "positive"), "zorn": ("Zorn", "Zorn", "negative")}


def test_an_entity_is_judged_the_same_alone_and_among_other_texts() -> None:
    classifier = with_entities()
    texts = [MIXED, "refund please", "Zorn wins again", "", "it is Acme Corp that loses again"]
    together = classifier.classify_texts(texts)
    assert [answer.entities for answer in together] == [classifier.classify_texts([text])[0].entities for text in texts]
    assert together[1].entities == ()


def test_what_is_said_of_entities_is_read_in_the_same_call_as_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, calls = with_entities(), list[int]()
    texts = [MIXED, "refund please", MIXED, "Zorn wins again"]
    apart = classifier.tokenize(texts, fast=False)
    assert apart.entities is not None
    says = apart.entities.read(classifier.encoder)
    embeddings = classifier.encoder.embed_tokens(apart.tokenized)
    embed_tokens = classifier.encoder.embed_tokens

    def counted(tokenized: Sequence[TokenizedText]) -> NDArray[np.float32]:
        calls.append(len(tokenized))
        return embed_tokens(tokenized)

    monkeypatch.setattr(classifier.encoder, "embed_tokens", counted)
    together = classifier.tokenize(texts, fast=False)
    np.testing.assert_allclose(classifier.embed(together), embeddings, atol=1e-6)
    classifier.read_entities(together)
    answers = classifier.classify(together, embeddings)
    assert len(calls) == 1, "the encoder is asked once"
    assert together.entities is not None
    assert calls == [len(texts) + len(together.entities.embedded)]
    shown = {text for view in together.entities.views for text in view.for_encoder()}
    assert set(together.entities.embedded) == shown and len(shown) < 2 * len(together.entities.views)
    for answer, said in zip(answers, says, strict=True):
        assert [(one.id, one.sentiment) for one in answer.entities or ()] == [(one.id, one.sentiment) for one in said]
        of_one = [one.probability for one in answer.entities or ()]
        assert of_one == pytest.approx([one.probability for one in said], abs=1e-5)
    assert classifier.embed(together).shape == embeddings.shape, "and may be asked again"


def test_the_same_labels_are_decided_with_and_without_entities() -> None:
    texts = [MIXED, "refund please"]
    assert [answer.heads for answer in with_entities().classify_texts(texts)] == [
        answer.heads for answer in small_release().classifier.classify_texts(texts, fast=False)
    ]


def test_a_text_of_a_hundred_names_costs_a_bounded_number_of_readings() -> None:
    reader = small_reader()
    found = reader.find(["Acme wins , " * 200 + "Zorn"], str)
    assert len(found.views) == 3  # two of one, one of the other


def test_the_head_comes_back_from_its_bytes() -> None:
    head = small_trained_entities().head
    again = EntityHead.from_parts(json.loads(json.dumps(head.describe())), head.to_bytes())
    views = [views_of(MIXED, [], Mention(0, 4, "acme"))]
    embeddings = small_encoder().embed([text for view in views for text in view.for_encoder()])
    assert np.array_equal(head.predict(views, embeddings), again.predict(views, embeddings))
    with pytest.raises(ReleaseCorrupt, match="entities"):
        EntityHead.from_parts(head.describe(), b"no tensors")


def packed() -> tuple[dict[str, Any], dict[str, bytes]]:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows())
    return manifest, blobs


def test_a_release_carries_its_entities() -> None:
    manifest, blobs = packed()
    served = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
    (answer,) = served.classify_texts([MIXED])
    assert [entity.sentiment for entity in answer.entities or ()] == ["positive", "negative"]
    metrics = manifest[ROLE]["metrics"]
    assert metrics["entities"] > 0 and metrics["accuracy"] > 0.8
    before = served_bytes(small_release().manifest)
    own = sum(manifest["files"][role]["bytes"] for role in (ROLE, NAMES_ROLE))
    assert served_bytes(manifest) == before + own, "the training texts are not served"


def test_the_model_card_says_how_well_entities_are_judged() -> None:
    manifest, _ = packed()
    card = render_card(manifest)
    assert "What is said of each of 2 listed names" in card
    assert f"| {manifest[ROLE]['metrics']['accuracy']:.4f} |" in card
    assert "## Entities" not in render_card(small_release().manifest)


def test_a_changed_list_of_names_is_refused() -> None:
    manifest, blobs = packed()
    blobs[manifest["files"][NAMES_ROLE]["sha256"]] = b"[]"
    with pytest.raises(ReleaseCorrupt, match=NAMES_ROLE):
        unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)


def test_a_successor_on_the_same_encoder_takes_the_head_over() -> None:
    before, blobs = packed()
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    assert carry_entities(before, blobs.__getitem__, manifest, own, small_release().classifier)
    assert manifest["files"][ROLE] == before["files"][ROLE] and manifest[ROLE] == before[ROLE]
    assert not carry_entities(small_release().manifest, own.__getitem__, {}, {}, small_release().classifier)


def test_a_successor_on_another_encoder_learns_from_the_same_texts() -> None:
    before, blobs = packed()
    before["files"]["encoder"] = {"sha256": "0" * 64, "bytes": 1}
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    assert carry_entities(before, blobs.__getitem__, manifest, own, small_release().classifier)
    assert manifest["files"][ROLE] == before["files"][ROLE], "the same texts on what is the same encoder after all"
    assert unpack(json.dumps(manifest).encode(), own.__getitem__, threads=1).entities is not None


def test_a_decision_on_the_wire_says_what_is_said_of_each_entity() -> None:
    app = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),))
    handler = ClassifyHandler(app, Serving(with_entities()), {"chats": "e0"}, now_ms=lambda: 1)
    batch = [
        Delivery("chats", 0, number, None, orjson.dumps({"text": text}), 1)
        for number, text in enumerate([MIXED, "refund please", "x" * 8100 + " Acme wins again"])
    ]
    for _, step in handler.steps:
        step(batch)
    records = [orjson.loads(one.result.records[0].value) for one in batch if isinstance(one.result, Outcome)]
    assert [(one["id"], one["span"], one["sentiment"]) for one in records[0]["entities"]] == [
        ("acme", [0, 4], "positive"),
        ("zorn", [22, 26], "negative"),
    ]
    assert [record["entities"] for record in records[1:]] == [[], []]
    for record in records:
        Decision.model_validate(record)


def test_a_passing_mention_is_told_and_not_counted_where_the_application_says_so() -> None:
    table = {"names": Path("names.csv"), "corpus": Path("said.csv"), "relevance_min": 0.3}
    app = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),))
    text = "Acme wins the order\nThe board met. It was long. Zorn loses it"
    for one, counted in ((app, ["Acme", "Zorn"]), (app.model_copy(update={"entities": Entities(**table)}), ["Acme"])):
        handler = ClassifyHandler(one, Serving(with_entities()), {"chats": "e0"}, now_ms=lambda: 1)
        handler._signal_sample.of = lambda events: 1.0  # type: ignore[method-assign]
        batch = [Delivery("chats", 0, 0, None, orjson.dumps({"text": text}), 1)]
        for _, step in handler.steps:
            step(batch)
        (result,) = [delivery.result for delivery in batch if isinstance(delivery.result, Outcome)]
        decided = Decision.model_validate_json(result.records[0].value)
        told = [(entity.name, entity.relevance) for entity in decided.entities or ()]
        assert told == [("Acme", 0.8), ("Zorn", 0.05)]
        (read,) = read_signals(orjson.dumps([result.signal])).signals
        assert [name for name, _ in read.entities] == counted


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_monitor_of_an_application_with_stories_is_shown_what_windows_count(share: float) -> None:
    """When it was decided, and whether it is a sample; what is said of each entity every monitor is shown, as rules may
    count by it."""
    app = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),))
    shown = []
    for one in (app, app.model_copy(update={"stories": Stories()})):
        handler = ClassifyHandler(one, Serving(with_entities()), {"chats": "e0"}, now_ms=lambda: 1_000)
        handler._signal_sample.of = lambda events: share  # type: ignore[method-assign]
        batch = [Delivery("chats", 0, number, None, orjson.dumps({"text": MIXED}), 1) for number in range(20)]
        for _, step in handler.steps:
            step(batch)
        signals = [delivery.result.signal for delivery in batch if delivery.result.signal is not None]
        (read,) = read_signals(orjson.dumps(signals[:1])).signals
        shown.append((read.decided_at, read.entities, read.share))
    told = (("Acme", "positive"), ("Zorn", "negative"))
    assert shown == [(None, told, None), ("1970-01-01T00:00:01.000Z", told, None if share == 1.0 else share)]


def test_a_release_without_entities_says_nothing_of_them() -> None:
    (answer,) = small_release().classifier.classify_texts(["refund please"])
    assert answer.entities is None


@pytest.mark.parametrize(
    ("entities", "reason"),
    [
        pytest.param([{"start": 0, "end": 99, "label": "x"}], "no part of a text", id="beyond the text"),
        pytest.param([{"start": 3, "end": 3, "label": "x"}], "no part of a text", id="empty"),
        pytest.param(["Alder"], "no object", id="names"),
        pytest.param({"Alder": "good"}, "no object", id="labels by name"),
        pytest.param([{"start": 0, "end": 4}], "label", id="no label"),
        pytest.param([], "none is labelled", id="none"),
        pytest.param("gold", "entities", id="no list"),
    ],
)
def test_a_broken_row_is_rejected_with_its_line(tmp_path: Path, entities: Any, reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    good = [row.as_json() for row in small_entity_rows().rows]
    lines = [{"text": "Gold shines", "entities": entities, "split": "train"}, *good]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    rows = read_entity_rows(path)
    assert len(rows.rows) == len(good)
    assert [one.line for one in rows.rejected] == [1] and reason in rows.rejected[0].reason


def test_a_text_never_trains_and_tests() -> None:
    row = labelled("Acme wins", {"Acme": "positive"})
    other = labelled("Zorn loses", {"Zorn": "negative"})
    copy = replace(row, text="ACME  wins".lower(), mentions=(Mention(0, 4, "acme"),), split="test")
    with pytest.raises(TrainingDataError, match="1 labels"):
        split_entity_rows([row, copy, other])


def test_texts_with_one_label_teach_but_are_never_judged() -> None:
    rows = small_entity_rows()
    tested = rows.part("test")[0].text
    taught = rows.taught_by([("sales win", "positive"), ("sales sleep", "asleep"), (tested, "positive")])
    assert taught.rows == (*rows.rows, EntityRow("sales win", (), ("positive",)))
    assert EntityRow.from_json(taught.rows[-1].as_json()) == taught.rows[-1]
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fitted = fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), taught)
    assert fitted.metrics is not None and fitted.metrics.entities == sum(len(row.labels) for row in rows.part("test"))


TOML = """
name = "news"
topic = "news"
[[heads]]
name = "mood"
column = "mood"
[entities]
names = "names.csv"
corpus = "judged.jsonl"
"""


def test_an_application_names_its_files_from_its_own_folder_on(tmp_path: Path) -> None:
    files = entity_files(tmp_path)
    app = parse_application(TOML, tmp_path, "news.toml")
    assert app.entities is not None and (app.entities.names, app.entities.corpus) == (files["names"], files["corpus"])
    named = read_entities(app, None, 0)
    assert named is not None and len(named.gazetteer) == 2 and named.rows == small_entity_rows()
    trained = train_release("news", small_dataset(), small_encoder())
    named.attach(trained, 0, lambda stage, done, total: None)
    assert trained.report["entities"]["names"] == 2
    assert trained.report["entities"]["test"]["accuracy"] > 0.8


def test_a_head_that_is_to_teach_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no head 'moood'.*mood"):
        parse_application(TOML + 'head = "moood"\n', tmp_path, "news.toml")


def test_a_file_of_entities_for_an_application_without_any_is_refused(tmp_path: Path) -> None:
    app = Application(name="support", topic="chats", heads=(HeadSpec(name="intent", column="intent"),))
    with pytest.raises(ConfigError, match=r"table \[entities\]"):
        read_entities(app, tmp_path / "judged.jsonl", 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("id,title\nacme,Acme\n", "no column 'name'", id="column"),
        pytest.param("id,name,aliases,tickers\n,Acme,,\n", "line 2", id="no id"),
        pytest.param("id,name,aliases,tickers\na,Acme,,\nb,Acme,,\n", "stands for both", id="two of a name"),
        pytest.param("id,name,aliases,tickers\na,Acme,,\na,Zorn,,\n", "id 'a'", id="two of an id"),
        pytest.param("id,name,aliases,tickers\n", "lists no entity", id="empty"),
    ],
)
def test_a_list_of_names_that_is_none_is_told_as_such(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_gazetteer(path)
