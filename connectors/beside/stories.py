"""Which story a decided item tells, as both stores take it: what is refused and why, and how a decision shows it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from connectors.beside.checks import refusal_of_any, sort_out_documents
from connectors.documents import storable
from connectors.ports import Document, Rejected

TEXTS: Final = ("id", "app", "at", "story_id")
SHOWN: Final = ("story_id", "novelty")  # in the decision that a store gives


def sort_out_stories(
    told: Sequence[Document], apps: Collection[str]
) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """See `sort_out_documents`. apps: those with stories."""
    return sort_out_documents(told, lambda document: _refusal(document, apps), _kept)


def with_stories(
    documents: Sequence[dict[str, Any]], stories: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Decisions with what is known of each. stories: by application and id."""
    known = [stories.get((document.get("app", ""), document.get("id", "")), {}) for document in documents]
    return [
        document | {name: one[name] for name in SHOWN if name in one}
        for document, one in zip(documents, known, strict=True)
    ]


def _kept(document: Document) -> dict[str, Any]:
    kept = {name: storable(document[name]) for name in TEXTS}
    return kept | {"novelty": round(float(document["novelty"]), 4)}


def _refusal(document: Document, apps: Collection[str]) -> str | None:
    if reason := refusal_of_any(document, TEXTS, ("at",), apps, "stories"):
        return reason
    novelty = document.get("novelty")
    if isinstance(novelty, bool) or not isinstance(novelty, int | float) or not 0 <= novelty <= 1:
        return "novelty is no number between 0 and 1"
    return None
