"""What an encoder reads that was tuned to say what is said of each name, and the head that reads its states."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_entities import small_entity_rows, small_gazetteer
from small_release import small_encoder, small_release

from headrace.pages.model_card import render_card
from models.bundle import unpack
from models.encoder.encoder import Encoder
from models.encoder.tokenization import tokens_inside
from models.entities.gazetteer import Mention
from models.entities.reader import ROLE, EntityReader
from models.entities.span_head import SpanHead, mention_states
from models.entities.stretches import REPLACEMENT, stretches_of
from models.errors import ModelError, ReleaseCorrupt
from models.heads import Head
from retrain.entities.release import carry_entities, fit_entities
from retrain.training_data import attach_file

GOLD = "Gold shines on demand; Silver dull, and Gold may follow"
OF_GOLD = [Mention(0, 4, "gold"), Mention(23, 29, "silver"), Mention(40, 44, "gold")]


def head(seed: int = 0) -> SpanHead:
    labels, hidden = ("negative", "neutral", "positive"), small_encoder().hidden
    dense = np.random.default_rng(seed).normal(size=(hidden, len(labels))).astype(np.float32)
    none = np.zeros((0, len(labels)), dtype=np.float32)
    return SpanHead(Head("entities", labels, dense, none, np.zeros(3, dtype=np.float32), 1.5)).rounded()


def test_names_are_replaced_and_their_places_known() -> None:
    ((stretch, inside),) = stretches_of(GOLD, OF_GOLD, OF_GOLD, str)
    assert "Gold" not in stretch.text and "Silver" not in stretch.text
    assert stretch.text == f"{REPLACEMENT} shines on demand; {REPLACEMENT} dull, and {REPLACEMENT} may follow"
    assert list(inside) == OF_GOLD
    assert [stretch.text[start:end] for start, end in stretch.places] == [REPLACEMENT] * 3
    assert len(set(stretch.places)) == 3


def test_the_places_are_those_of_the_text_as_a_release_reads_it() -> None:
    ((stretch, _),) = stretches_of(GOLD, OF_GOLD, OF_GOLD[1:2], lambda part: part.replace("demand", "very high demand"))
    ((start, end),) = stretch.places
    assert stretch.text[:start].endswith("very high demand; ") and stretch.text[end:].startswith(" dull")


def test_of_a_long_text_what_lies_near_names_is_read_and_every_name_is_in_one_stretch() -> None:
    text = f"Gold shines {'far ' * 500}Silver dull, Gold too {'away ' * 300}"
    silver, gold = text.index("Silver"), text.rindex("Gold")
    mentions = [Mention(0, 4, "gold"), Mention(silver, silver + 6, "silver"), Mention(gold, gold + 4, "gold")]
    found = stretches_of(text, mentions, mentions, str)
    assert [list(inside) for _, inside in found] == [mentions[:1], mentions[1:]]
    assert all(len(stretch.text) < 900 for stretch, _ in found)
    assert all(len(stretch.places) == len(inside) for stretch, inside in found)


def test_a_name_that_overlaps_another_stands_where_that_does() -> None:
    whole, part = Mention(0, 15, "delta_air"), Mention(6, 15, "air_lines")
    ((stretch, _),) = stretches_of("Delta Air Lines falls", [whole, part], [whole, part], str)
    assert stretch.text == f"{REPLACEMENT} falls" and stretch.places == ((0, len(REPLACEMENT)),) * 2


def test_a_place_that_was_cut_off_is_read_as_the_whole() -> None:
    places = np.array([[0, 0], [0, 3], [4, 9], [0, 0]], dtype=np.int32)
    assert tokens_inside(places, 4, 9) == (2, 3)
    assert tokens_inside(places, 2, 5) == (1, 3)
    assert tokens_inside(places, 40, 44) == (0, 4)


def test_states_are_the_last_layers_and_their_mean_over_all_tokens_is_the_embedding() -> None:
    encoder, text = small_encoder(), "where is my parcel"
    (states,) = encoder.last_states(encoder.tokenize([text]))
    mean = states.mean(axis=0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), encoder.embed([text])[0], atol=1e-5)


class Counting(Encoder):
    """Counts the texts that pass the encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.__dict__.update(encoder.__dict__)
        self.read: list[int] = []

    def reading(self, long_texts: Any) -> "Counting":
        return self

    def last_states(self, tokenized: Any) -> Any:
        self.read.append(len(tokenized))
        return super().last_states(tokenized)

    def embed_tokens(self, tokenized: Any) -> Any:
        raise AssertionError("no view is read beside the text")


def test_a_text_is_read_once_whatever_it_names() -> None:
    encoder = Counting(small_encoder())
    texts = ["Acme wins , Zorn loses and Acme Corp wins again", "nobody", "Zorn wins"]
    answers = EntityReader(small_gazetteer(), head()).find(texts, str).read(encoder)
    assert encoder.read == [2], "one text without a name, two with some"
    assert [[entity.id for entity in of_text] for of_text in answers] == [["acme", "zorn"], [], ["zorn"]]


def test_an_entity_is_judged_the_same_alone_and_among_others_and_as_its_mentions_say() -> None:
    reader, encoder = EntityReader(small_gazetteer(), head()), small_encoder()
    texts = ["Acme wins , Zorn loses and Acme Corp wins again", "Zorn wins", "it is ACME that loses"]
    together = reader.find(texts, str).read(encoder)
    assert together == [reader.find([text], str).read(encoder)[0] for text in texts]
    mentions = small_gazetteer().find(texts[0])
    ((stretch, _),) = stretches_of(texts[0], mentions, mentions, str)
    said = head().predict(mention_states(encoder, [stretch]))
    assert together[0][0].probability == pytest.approx(float(said[[0, 2]].mean(axis=0).max()))
    assert together[0][1].probability == pytest.approx(float(said[1].max()))


def packed() -> tuple[dict[str, Any], dict[str, bytes]]:
    manifest, blobs = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    fit_entities(manifest, blobs, small_release().classifier, small_gazetteer(), small_entity_rows(), tuned=head())
    return manifest, blobs


def test_a_release_carries_a_tuned_head_and_says_so() -> None:
    manifest, blobs = packed()
    served = unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
    (answer,) = served.classify_texts(["Acme wins , Zorn loses"])
    ((of_reader,),) = [
        EntityReader(small_gazetteer(), head()).find(["Acme wins , Zorn loses"], str).read(served.encoder)
    ]
    assert answer.entities == of_reader
    assert manifest[ROLE]["metrics"]["entities"] > 0
    assert "the states of the tokens where a name stands" in render_card(manifest)


def test_a_successor_on_the_same_encoder_takes_a_tuned_head_over() -> None:
    before, blobs = packed()
    manifest, own = json.loads(json.dumps(small_release().manifest)), dict(small_release().blobs)
    assert carry_entities(before, blobs.__getitem__, manifest, own, small_release().classifier)
    assert manifest[ROLE] == before[ROLE] and manifest["files"][ROLE] == before["files"][ROLE]


def test_a_head_of_another_encoder_or_of_a_newer_headrace_is_refused() -> None:
    narrow = SpanHead(replace(head().head, dense=head().head.dense[:3]))
    manifest, blobs = packed()
    manifest[ROLE] |= narrow.describe()
    attach_file(manifest, blobs, ROLE, narrow.to_bytes())
    with pytest.raises(ReleaseCorrupt, match="dimensions"):
        unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
    manifest, blobs = packed()
    manifest[ROLE]["reads"] = "stars"
    with pytest.raises(ModelError, match="update it"):
        unpack(json.dumps(manifest).encode(), blobs.__getitem__, threads=1)
