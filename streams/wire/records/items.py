"""What stands in a catalogue's topic: one item a key, the latest counts."""

from typing import Any, Final, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from streams.wire.records.base import Wire

TEXT_MAX: Final = 4_000  # characters; what an encoder reads of a text is less


class CatalogItem(Wire):
    """An item as it is now. Written by the shop to the topic that `[recommend] catalog_topic` names; a tombstone
    withdraws it."""

    item_id: str = Field(min_length=1, max_length=512)
    """Names the item, as user events do."""
    title: str = ""
    """What it is called; only one that is withdrawn may lack it."""
    description: str = ""
    """What else is said of it."""
    tags: str = ""
    """Further words; a list is joined."""
    withdrawn: bool = False
    """It is not shown any more."""

    @field_validator("item_id", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("title", "description", "tags", mode="before")
    @classmethod
    def _words(cls, value: Any, info: ValidationInfo) -> Any:
        """A book may be called 1984, and is by who writes what looks like a number as one."""
        if isinstance(value, list) and info.field_name != "title":
            return " ".join(str(word) for word in value if word is not None)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if value is None else str(value) if is_number else value

    @field_validator("withdrawn", mode="before")
    @classmethod
    def _not_said(cls, value: Any) -> Any:
        return False if value is None else value

    @model_validator(mode="after")
    def _is_called_something(self) -> Self:
        if not self.title.strip() and not self.withdrawn:
            raise ValueError("an item that may be shown needs a title")
        return self

    @property
    def text(self) -> str:
        """All that is said of it."""
        return item_text(self.title, self.description, self.tags)[:TEXT_MAX]


def item_text(*parts: str | None) -> str:
    """What an item is read by."""
    return " ".join(part for part in parts if part)
