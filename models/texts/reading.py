"""How the text of a record, or of a row of a file, is read: the one place for what is served and what is learnt."""

from typing import Any, Literal

from models.encoder.long_texts import parts_of, with_body
from models.texts.plain import plain_text

Markup = Literal["none", "html"]


def as_seen(value: Any, markup: Markup) -> Any:
    """What a reader sees of a text that is written in `markup`; what is no text stays as it is."""
    return plain_text(value) if markup == "html" and isinstance(value, str) else value


def titled(title: Any, body: Any, markup: Markup) -> Any:
    """The text of what has a title and a body, or either: each by itself as it is seen, the title in one line
    (`long_texts.with_body`)."""
    seen = as_seen(title, markup)
    line = " ".join(seen.split("\n")) if markup == "html" and isinstance(seen, str) else seen
    return with_body(line, as_seen(body, markup))


def whole(text: Any, markup: Markup) -> Any:
    """A text whose first line may be its title (`long_texts.parts_of`), as files hold them in one field and decisions
    keep them: that line stays one, though HTML takes a line break for a space."""
    if markup == "none" or not isinstance(text, str):
        return text
    parts = parts_of(text)
    return titled(parts.title, parts.body, markup) if parts.title else as_seen(text, markup)
