"""HTML in other people's texts, made plain: what a reader sees of it, in lines.

One pass from left to right, in time that grows with the text's length whatever stands in it: records come from
strangers, and parsers that look ahead anew for each open tag take minutes for a megabyte.
"""

import html
import re
from typing import Final

_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})(?=[\s/>])[^<>]*>")
_DECLARATION: Final = re.compile(r"<(?:!doctype\b[^<>\[]*[>\[]|\?[a-z][^<>]*>)", re.IGNORECASE)
_CDATA: Final = re.compile(r"<!\[cdata\[", re.IGNORECASE)
_CDATA_END: Final = "]]>"
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_MARKUP: Final = (_TAG, _REFERENCE, re.compile("<!--"), _DECLARATION, _CDATA)
_SPACE: Final = re.compile(r"\s+")
_COMMENT, _COMMENT_END = "<!--", "-->"
_UNSEEN: Final = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style", "title", "head")}
_LINES: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_APART: Final = frozenset(("td", "th", "img", "option"))


def plain_text(text: str) -> str:
    """Without tags, comments, scripts and styles, character references as what they stand for; paragraphs, list items
    and the like in lines of their own, other white space as one space. What only looks like markup ("a < b", "R&D")
    stays, and a text without any is as it was, line breaks too: what was made plain once stays so."""
    if not any(sign.search(text) for sign in _MARKUP):
        return text
    text = _without_cdata(text)
    pieces: list[str] = []
    at, missing = 0, set[str]()  # what does not end in the rest of the text
    while (start := text.find("<", at)) >= 0:
        pieces.append(_SPACE.sub(" ", text[at:start]))
        at, piece = _past(text, start, missing)
        pieces.append(piece)
    pieces.append(_SPACE.sub(" ", text[at:]))
    # references last, so that "&lt;b&gt;" is no tag
    seen = _REFERENCE.sub(lambda match: html.unescape(match[0]), "".join(pieces)).replace("\xa0", " ")
    lines = (" ".join(line.split(" ")).strip() for line in seen.split("\n"))
    return "\n".join(re.sub(r" {2,}", " ", line) for line in lines if line)


def _without_cdata(text: str) -> str:
    """Feeds wrap markup in `<![CDATA[` and `]]>`: what stands between the two is read as all else."""
    pieces, at = list[str](), 0
    while (opener := _CDATA.search(text, at)) and (end := text.find(_CDATA_END, opener.end())) >= 0:
        pieces += text[at : opener.start()], text[opener.end() : end]
        at = end + len(_CDATA_END)
    return "".join([*pieces, text[at:]])


def _past(text: str, start: int, missing: set[str]) -> tuple[int, str]:
    """Where it goes on behind the sign "<" at a place, and what is seen of what was passed over."""
    if text.startswith(_COMMENT, start) and _COMMENT not in missing:
        end = text.find(_COMMENT_END, start + len(_COMMENT))
        if end >= 0:
            return end + len(_COMMENT_END), ""
        missing.add(_COMMENT)
    tag = _TAG.match(text, start)
    if tag is None:
        declared = _DECLARATION.match(text, start)
        return (start + 1, "<") if declared is None else (declared.end(), "")
    name = tag[2].lower()
    if name in _UNSEEN and not tag[1] and name not in missing:
        closing = _UNSEEN[name].search(text, tag.end())
        if closing is not None:
            return closing.end(), " "
        missing.add(name)
    return tag.end(), "\n" if name in _LINES else " " if name in _APART else ""
