"""Faults of a text that have nothing to do with what it says, and the text without them."""

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

import ftfy

from models.personal_data import REGIONS, mask_personal_data

# Kept though without a width: the joiners of emoji and of several scripts, and variation selectors.
_KEPT: Final = "\u200c\u200d"
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
_LOST: Final = re.compile("[\ufffd\ud800-\udfff]")
_BLOCKS: Final = "p br div li ul ol table tr td th tbody thead h1 h2 h3 h4 h5 h6 hr blockquote pre html head body title"
_INLINE: Final = "a b i u s em strong span font small big sub sup code img center strike tt abbr cite mark del ins"
_DROPPED: Final = re.compile(r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BLOCK_TAG: Final = re.compile(rf"</?(?:{'|'.join(_BLOCKS.split())})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_INLINE_TAG: Final = re.compile(rf"</?(?:{'|'.join(_INLINE.split())})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINE_ENDS: Final = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def damaged(text: str) -> int:
    """How many characters are lost: replacement characters and halves of pairs. Nobody can bring them back."""
    return len(_LOST.findall(text))


def decoded(text: str) -> str:
    """The text where UTF-8 was read in another encoding, decoded rightly. Source: the package ftfy."""
    return text if text.isascii() else str(ftfy.fix_encoding(text))


def without_html(text: str) -> str:
    """Without the tags, comments and scripts of HTML, entities as characters. What only looks like a tag, `<3` or
    `<order number>`, stays."""
    if "<" in text:
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", _DROPPED.sub(" ", text)))
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def composed(text: str) -> str:
    """In Unicode's NFC: a letter and its accent as one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def visible(text: str) -> str:
    """Without control characters and characters without a width; emoji and scripts that need a joiner keep it."""
    return _INVISIBLE.sub("", text)


def spaced(text: str) -> str:
    """One blank where several stood, none around lines, no more than one empty line."""
    lines = (_BLANKS.sub(" ", line).strip() for line in _LINE_ENDS.sub("\n", text).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


# In this order: an entity may be an invisible character or a blank, and each may leave blanks.
STEPS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("encoding", decoded),
    ("html", without_html),
    ("unicode", composed),
    ("invisible", visible),
    ("space", spaced),
)


def faults(text: str) -> list[str]:
    """The kinds of faults that a text has: names of STEPS, and `damaged`."""
    found = ["damaged"] if damaged(text) else []
    for name, step in STEPS:
        repaired = step(text)
        if repaired != text:
            # the blanks that a taken-out tag leaves are no fault of their own
            text = spaced(repaired) if name != "space" and spaced(text) == text else repaired
            found.append(name)
    return found


def cleaned(text: str, *, mask: bool = False, regions: Sequence[str] = REGIONS) -> tuple[str, list[str]]:
    """The text without its faults, and the kinds of those. mask: with placeholders for personal data, too. regions:
    countries whose national phone numbers are known. Cleaning twice is cleaning once."""
    found = [name for name in faults(text) if name != "damaged"]
    for _ in range(4 if found else 0):  # `&amp;lt;` is peeled in turns
        before = text
        for _, step in STEPS:
            text = step(text)
        if text == before:
            break
    if mask and (masked := mask_personal_data(text, regions)) != text:
        return masked, [*found, "personal"]
    return text, found
