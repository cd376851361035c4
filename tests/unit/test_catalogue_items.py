"""What a shop writes of an item, as shops write it."""

from typing import Any

import orjson
import pytest

from models.errors import MessageError
from streams.wire.records import CatalogItem, decode


def item(**fields: Any) -> CatalogItem:
    return decode(CatalogItem, orjson.dumps({"item_id": "i7"} | fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"title": 1984, "description": 7.5}, "1984 7.5"),
        ({"title": "Lamp", "tags": ["desk", 5, None]}, "Lamp desk 5"),
        ({"title": "Lamp", "description": None, "tags": None, "withdrawn": None}, "Lamp"),
    ],
)
def test_an_item_is_read_by_all_that_is_said_of_it(fields: dict[str, Any], text: str) -> None:
    known = item(**fields)
    assert known.text == text and not known.withdrawn


@pytest.mark.parametrize("title", ["", " \n", None])
def test_an_item_without_a_title_is_only_taken_where_it_is_withdrawn(title: str | None) -> None:
    with pytest.raises(MessageError, match="needs a title"):
        item(title=title)
    assert item(title=title, withdrawn=True).withdrawn


@pytest.mark.parametrize("title", [["Lamp"], {"en": "Lamp"}, True])
def test_a_title_of_another_shape_is_refused(title: object) -> None:
    with pytest.raises(MessageError, match="title"):
        item(title=title)
