"""Which story a decided item tells, as both stores take it: what is refused and why, and how a decision shows it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from connectors.documents import MAX_ID_BYTES, YEARS, instant, is_rfc3339, is_too_deep, storable
from connectors.ports import Document, Rejected

TEXTS: Final = ("id", "app", "at", "story_id")
SHOWN: Final = ("story_id", "novelty")  # in the decision that a store gives


def sort_out_stories(
    told: Sequence[Document], apps: Collection[str]
) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """Any JSON objects, whoever wrote them: by position those that can be stored, with what a store keeps of them, and
    the others. apps: those with stories."""
    accepted: dict[int, dict[str, Any]] = {}
    rejected: list[Rejected] = []
    for position, document in enumerate(told):
        if reason := _refusal(document, apps):
            rejected.append(Rejected(position, reason))
            continue
        kept = {name: storable(document[name]) for name in TEXTS}
        accepted[position] = kept | {"novelty": round(float(document["novelty"]), 4)}
    return accepted, rejected


def with_stories(
    documents: Sequence[dict[str, Any]], stories: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Decisions with what is known of each. stories: by application and id."""
    known = [stories.get((document.get("app", ""), document.get("id", "")), {}) for document in documents]
    return [
        document | {name: one[name] for name in SHOWN if name in one}
        for document, one in zip(documents, known, strict=True)
    ]


def _refusal(document: Document, apps: Collection[str]) -> str | None:
    if is_too_deep(document):
        return "it is nested too deep"
    for name in TEXTS:
        value = document.get(name)
        if not isinstance(value, str) or not 0 < len(value.encode("utf-8", "replace")) <= MAX_ID_BYTES:
            return f"field {name} is missing, or no text of 1 to {MAX_ID_BYTES} bytes"
    if document["app"] not in apps:
        return f"the store was not prepared for stories of {document['app']!r:.60}; start its indexer"
    if not is_rfc3339(document["at"]) or instant(document["at"]).year not in YEARS:
        return f"at {document['at']!r:.60} is no RFC 3339 time of the years {YEARS.start} to {YEARS.stop - 1}"
    novelty = document.get("novelty")
    if isinstance(novelty, bool) or not isinstance(novelty, int | float) or not 0 <= novelty <= 1:
        return "novelty is no number between 0 and 1"
    return None
