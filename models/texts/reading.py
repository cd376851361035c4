"""How the text of a record, or of a row of a file, is read: the one place for what is served and what is learnt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from models.encoder.long_texts import parts_of, with_body
from models.texts.plain import plain_text

Markup = Literal["none", "html"]


@dataclass(frozen=True, slots=True)
class Reading:
    """markup: what texts are written in. masks: countries whose phone numbers are masked, and with them all else that
    is personal data; None: nothing is. What was read once reads the same again, markup shown as text apart."""

    markup: Markup = "none"
    masks: tuple[str, ...] | None = None

    def seen(self, value: Any) -> Any:
        """What a reader sees of a text, unmasked; what is no text stays as it is."""
        return plain_text(value) if self.markup == "html" and isinstance(value, str) else value

    def titled(self, title: Any, body: Any) -> Any:
        """The text of what has a title and a body, or either: each by itself as it is seen, the title in one line
        (`long_texts.with_body`); unmasked."""
        seen = self.seen(title)
        line = " ".join(seen.split("\n")) if self.markup == "html" and isinstance(seen, str) else seen
        return with_body(line, self.seen(body))

    def whole(self, text: Any) -> Any:
        """A text whose first line may be its title (`long_texts.parts_of`), as files hold them in one field and
        decisions keep them: that line stays one, though HTML takes a line break for a space. Unmasked."""
        if self.markup == "none" or not isinstance(text, str):
            return text
        parts = parts_of(text)
        return self.titled(parts.title, parts.body) if parts.title else self.seen(text)

    def masked(self, text: Any) -> Any:
        """Without personal data, where it is masked; what is no text stays as it is."""
        if self.masks is None or not isinstance(text, str):
            return text
        from models.personal_data import mask_personal_data  # its libraries take 0.1 s

        return mask_personal_data(text, regions=self.masks)

    def as_json(self) -> dict[str, Any]:
        """For a manifest; empty where texts are read as they stand."""
        said: dict[str, Any] = {} if self.markup == "none" else {"markup": self.markup}
        return said if self.masks is None else said | {"masks": list(self.masks)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """The reverse of `as_json`; other fields are passed over."""
        masks = said.get("masks")
        return cls(said.get("markup", "none"), None if masks is None else tuple(masks))


AS_IT_STANDS: Final = Reading()
