"""Windows of trends, as both stores take them: what is refused and why."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from connectors.beside.checks import refusal_of_any, sort_out_documents
from connectors.documents import storable
from connectors.ports import Document, Rejected

TEXTS: Final = ("id", "app", "window", "start", "end")
GROUP: Final = ("topic", "symbol", "entity")
COUNTS: Final = ("items", "stories", "late")
FLAGS: Final = ("insufficient", "is_sample")
MOST: Final = 2**31 - 1  # Elasticsearch keeps 32 bits of a count


def sort_out_windows(
    windows: Sequence[Document], apps: Collection[str]
) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """See `sort_out_documents`. apps: those with trends."""
    return sort_out_documents(windows, lambda document: _refusal(document, apps), _kept)


def _kept(document: Document) -> dict[str, Any]:
    kept: dict[str, Any] = {name: document[name] for name in (*TEXTS, *COUNTS)}
    kept |= {name: document.get(name) for name in GROUP}
    kept |= {name: document[name] for name in FLAGS if isinstance(document.get(name), bool)}
    sentiment, largest = document.get("sentiment"), document["largest"]
    kept["sentiment"] = None if sentiment is None else {"mean": sentiment["mean"], "interval": sentiment["interval"]}
    kept["largest"] = {name: largest[name] for name in ("story_id", "items", "text")}
    cleaned: dict[str, Any] = storable(kept)
    return cleaned


def _refusal(document: Document, apps: Collection[str]) -> str | None:
    if reason := refusal_of_any(document, TEXTS, ("start", "end"), apps, "trends"):
        return reason
    if not all(isinstance(document.get(name), str | None) for name in GROUP):
        return "topic, symbol or entity is no text"
    if not all(_is_count(document.get(name)) for name in COUNTS) or document["items"] < 1:
        return "items, stories or late is no count"
    return _said_refusal(document)


def _said_refusal(document: Document) -> str | None:
    largest, sentiment = document.get("largest"), document.get("sentiment")
    if not isinstance(largest, Mapping) or not _is_count(largest.get("items")):
        return "largest is no story with its items"
    if not isinstance(largest.get("story_id"), str) or not isinstance(largest.get("text"), str):
        return "largest has no story_id or no text"
    if sentiment is None:
        return None
    interval = sentiment.get("interval") if isinstance(sentiment, Mapping) else None
    if not isinstance(interval, (list, tuple)) or len(interval) != 2 or not isinstance(sentiment, Mapping):
        return "sentiment has no interval of two numbers"
    if not all(_is_mean(value) for value in (sentiment.get("mean"), *interval)):
        return "sentiment holds something else than numbers between -1 and 1"
    return None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST


def _is_mean(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1
