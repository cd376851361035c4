"""A tagger small enough for unit tests: names with a capital in texts without any other."""

import functools

from small_entities import NAMES, SAID, labelled
from small_release import small_encoder

from models.entities.tagger import Tagger
from retrain.entities.rows import EntityRows, split_entity_rows
from retrain.entities.tagging import train_tagger

MORE = ("Juniper", "Larch", "Maple", "Nettle", "Oak", "Poplar", "Quince", "Rowan", "Sorrel", "Thorn", "Umber", "Vetch")


@functools.cache
def tagger_rows(names: int = 20) -> EntityRows:
    known, rows = (*NAMES, *MORE)[:names], []
    for number, first in enumerate(known):
        second = known[(number + 1) % len(known)]
        for shape, labels in SAID:
            named = [name for name in (first, second) if f"{{{(first, second).index(name)}}}" in shape]
            rows.append(labelled(shape.format(first, second), dict(zip(named, labels, strict=True))))
    return split_entity_rows(rows)


@functools.cache
def small_tagger() -> Tagger:
    return train_tagger(small_encoder(), tagger_rows()).tagger
