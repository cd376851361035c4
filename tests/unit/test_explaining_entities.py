"""Why a release says of each name what it says: which words decide, and what its relevance rests on."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from labelled_world import decision
from small_entities import small_entity_rows, small_gazetteer, small_reader
from small_release import manifest_bytes, small_release
from small_tagger import small_tagger
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from connectors.sqlite_store import SQLiteStore
from headrace.cli import app
from models.classifier import Classifier
from models.entities.gazetteer import Mention
from models.entities.judging import Asked, judge
from models.entities.reader import EntityReader
from models.explanation.entities import EntityExplanation, explain_entities
from retrain.entities.release import fit_entities

TEXT = "Acme wins , Zorn loses it"


def classifier(reader: EntityReader | None) -> Classifier:
    plain = small_release().classifier
    heads = tuple(plain.heads.values())
    return Classifier("support", "1", plain.encoder, plain.vocabulary, heads, plain.fast_path, entities=reader)


def explained(text: str, reader: EntityReader | None = None) -> list[EntityExplanation]:
    found = explain_entities(classifier(reader or small_reader()), text)
    assert found is not None
    return found


def first_part(one: EntityExplanation) -> str:
    return one.part_text(one.occlusion.order[0])


def test_each_name_stands_on_its_own_words() -> None:
    acme, zorn = explained(TEXT)
    assert (acme.answer.id, acme.answer.sentiment, first_part(acme)) == ("acme", "positive", "wins")
    assert (zorn.answer.id, zorn.answer.sentiment, first_part(zorn)) == ("zorn", "negative", "loses")
    assert {"Acme", "Zorn"}.isdisjoint(map(acme.part_text, range(len(acme.occlusion.parts))))


def test_effects_are_what_the_release_says_without_each_part() -> None:
    for one in explained(TEXT):
        for part, left in zip(one.occlusion.parts, one.without.tolist(), strict=True):
            without = TEXT[: part.start] + TEXT[part.end :]
            (answer,) = classifier(small_reader()).classify_texts([without])
            said = {entity.id: entity for entity in answer.entities or ()}[one.answer.id]
            if said.sentiment == one.answer.sentiment:
                assert left == pytest.approx(said.probability, abs=1e-6)
            else:
                assert left < said.probability


def test_words_that_are_taken_out_until_something_else_is_said_are_told() -> None:
    (one, _) = explained(TEXT)
    assert one.change is not None
    gone = TEXT
    for number in sorted(one.change.without, reverse=True):
        part = one.occlusion.parts[number]
        gone = gone[: part.start] + gone[part.end :]
    (answer,) = classifier(small_reader()).classify_texts([gone])
    assert answer.entities is not None and answer.entities[0].sentiment == one.change.sentiment != "positive"


def test_names_stay_where_a_long_text_is_taken_out_in_stretches() -> None:
    text = "the order of the town " * 4 + "Zorn is in the town and " * 2 + TEXT + " , the office of the town" * 4
    acme = next(one for one in explained(text) if one.answer.id == "acme")
    assert len(acme.occlusion.parts) < 60 and not np.isnan(acme.occlusion.effects).any()
    part = next(part for part in acme.occlusion.parts if part.words > 1 and "Zorn" in text[part.start : part.end])
    stretch = text[part.start : part.end]
    kept = text[: part.start] + "Zorn" * stretch.count("Zorn") + "Acme" * stretch.count("Acme") + text[part.end :]
    places = [Mention(found.start(), found.end(), found.group().casefold()) for found in re.finditer("Acme|Zorn", kept)]
    reader, own = small_reader(), [one for one in places if one.id == "acme"]
    (said,) = judge(reader.head, small_release().classifier.encoder, [Asked(kept, places, own)], str)
    column = reader.head.head.labels.index(acme.answer.sentiment)
    assert acme.without[acme.occlusion.parts.index(part)] == pytest.approx(said[column], abs=1e-6)


def test_characters_for_private_use_in_a_text_are_no_names() -> None:
    odd = f"\U000f0000 {TEXT} \U000f0001"
    acme, zorn = explained(odd)
    assert (acme.answer.start, zorn.answer.start) == (odd.index("Acme"), odd.index("Zorn"))
    assert first_part(acme) == "wins"


def test_a_name_that_the_tagger_found_is_explained_too() -> None:
    found = explained(
        "Birch wins , Acme loses it", EntityReader(small_gazetteer(), small_reader().head, small_tagger())
    )
    assert {one.answer.id: first_part(one) for one in found}["found:birch"] == "wins"


def test_a_text_that_is_nothing_but_a_name_and_one_without_any() -> None:
    (alone,) = explained("Acme")
    assert alone.occlusion.parts == () and alone.change is None
    assert explained("the order is late") == []
    assert explain_entities(classifier(None), TEXT) is None


def test_what_runs_out_of_time_says_so() -> None:
    found = explain_entities(classifier(small_reader()), TEXT, out_of_time=lambda: True)
    assert found is not None and all(one.is_cut and one.as_json()["parts"][0]["effect"] is None for one in found)


def test_relevance_says_what_it_rests_on() -> None:
    text = "Acme wins\nThe town is small. Acme and Zorn are there. Zorn is late."
    acme, zorn = explained(text)
    assert acme.relevance_words.endswith("named 2 times, in the title and sentence 2 below it; 1 more named beside it")
    assert zorn.relevance_words.endswith("named 2 times, in sentences 2, 3; 1 more named beside it")
    for one in (acme, zorn):
        rests = one.as_json()["relevance"]
        assert rests["value"] == one.answer.relevance == pytest.approx(rests["prominence"] * rests["share"], abs=1e-3)
    assert acme.as_json()["relevance"]["share"] == round((1 + 1 / 3) / (1 + 2 / 3 + 1 / 4), 4)
    (alone,) = explained("Acme wins again")
    assert "named once, in sentence 1; nothing else is named" in alone.relevance_words


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_STORE", f"sqlite:///{tmp_path}/decisions.db")
    monkeypatch.setenv("HEADRACE_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "160")
    manifest, blobs = json.loads(manifest_bytes(small_release())), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows())
    registry = FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", manifest, blobs)
    registry.promote("support", "1")
    return tmp_path


def told(*words: str) -> Result:
    return CliRunner().invoke(app, ["explain", *words], catch_exceptions=False)


def test_text_json_and_page_say_why_of_each_name(home: Path) -> None:
    done = told("support", TEXT, "--html", "why.html")
    assert "Acme (acme): positive" in done.stdout and "Zorn (zorn): negative" in done.stdout
    assert "«wins»" in done.stdout and "relevance 0.5000 = prominence 1.0000 × share 0.5000" in done.stdout
    page = (home / "why.html").read_text()
    assert "<h2>Names</h2>" in page and "relevance 0.5000" in page
    described = json.loads(told("support", TEXT, "--json").stdout)
    assert [one["name"] for one in described["entities"]] == ["Acme", "Zorn"]
    assert described["entities"][0]["parts"][0]["text"] == "wins"
    assert "no name is found" in told("support", "the order is late").stdout


def test_a_decision_out_of_the_store_says_why_of_each_name_too(home: Path) -> None:
    made = decision(3, text=TEXT)
    store = SQLiteStore(home / "decisions.db")
    store.prepare({"support": ["intent", "urgency"]})
    store.index([made])
    store.close()
    described = json.loads(told("--id", made["id"], "--json").stdout)
    assert [(one["id"], one["sentiment"]) for one in described["entities"]] == [
        ("acme", "positive"),
        ("zorn", "negative"),
    ]
