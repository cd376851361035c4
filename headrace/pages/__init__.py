"""Pages as files: no network, no script, readable on a phone and in the dark. Texts are hostile: all is escaped."""

from typing import Any, Final
from unicodedata import category

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from models.figures import minute, moment, number_of, readable

_THIN: Final = "\u202f"  # between thousands


def page_environment(package: str, folder: str) -> Environment:
    """Where templates of a package's folder are rendered, with what pages have in common. Filters: `percent`, `count`,
    `points`, and `minute`, `moment`, `number_of` and `readable` of models.figures."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, folder), PackageLoader("headrace", "pages")]),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "count": _count,
        "points": _points,
        "minute": minute,
        "moment": moment,
        "number_of": _number_of,
        "readable": readable,
    }
    return environment


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _points(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:+.{digits}f}"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", _THIN)


def _number_of(count: int, noun: str, plural: str | None = None) -> str:
    return number_of(count, noun, plural).replace(",", _THIN)


def _visible(value: Any) -> Any:
    """Of every string that enters the page: control characters, which it must not hold, become the replacement
    character. What a macro made is no longer a plain string, and stays."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join(
        character if character in "\n\t\u200d" or category(character)[0] != "C" else "\ufffd" for character in value
    )
