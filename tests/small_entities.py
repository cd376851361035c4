"""Labelled entities for unit tests: texts in which names of no company win and lose."""

import functools
import json
from pathlib import Path

from small_release import small_encoder

from models.entities.gazetteer import Entity, Gazetteer, Mention
from models.entities.reader import EntityReader
from retrain.entities.fitting import TrainedEntities, train_entities
from retrain.entities.rows import EntityRow, EntityRows, split_entity_rows

NAMES = ("Alder", "Birch", "Cedar", "Delmar", "Elm", "Fir", "Gorse", "Hazel")
SAID = (
    ("{0} wins the order , {1} loses it", ("positive", "negative")),
    ("{0} loses money while {1} wins", ("negative", "positive")),
    ("the office of {0} is in the town of {1}", ("neutral", "neutral")),
    ("{1} wins again", ("positive",)),
    ("it is {1} that loses again", ("negative",)),
)


def labelled(text: str, said: dict[str, str]) -> EntityRow:
    places = sorted((text.index(name), name) for name in said)
    mentions = tuple(Mention(start, start + len(name), name.casefold()) for start, name in places)
    return EntityRow(text, mentions, tuple(said[name] for _, name in places))


@functools.cache
def small_entity_rows() -> EntityRows:
    rows = []
    for number, first in enumerate(NAMES):
        second = NAMES[(number + 3) % len(NAMES)]
        for shape, labels in SAID:
            named = [name for name in (first, second) if f"{{{(first, second).index(name)}}}" in shape]
            rows.append(labelled(shape.format(first, second), dict(zip(named, labels, strict=True))))
    return split_entity_rows(rows)


@functools.cache
def small_trained_entities() -> TrainedEntities:
    return train_entities(small_encoder(), small_entity_rows(), str)


def small_gazetteer() -> Gazetteer:
    return Gazetteer((Entity("acme", ("Acme", "Acme Corp"), ("ACME",)), Entity("zorn", ("Zorn",))))


def small_reader() -> EntityReader:
    return EntityReader(small_gazetteer(), small_trained_entities().head)


def entity_files(folder: Path) -> dict[str, Path]:
    """The names and the rows as an application's `[entities]` wants them."""
    names, corpus = folder / "names.csv", folder / "judged.jsonl"
    names.write_text("id,name,aliases,tickers\nacme,Acme,Acme Corp,ACME\nzorn,Zorn,,\n", encoding="utf-8")
    corpus.write_text("\n".join(json.dumps(row.as_json()) for row in small_entity_rows().rows), encoding="utf-8")
    return {"names": names, "corpus": corpus}
