"""What all documents beside decisions must hold, whatever they tell: texts, an application, times that people lived."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from connectors.documents import MAX_ID_BYTES, YEARS, instant, is_rfc3339, is_too_deep
from connectors.ports import Document, Rejected


def sort_out_documents(
    documents: Sequence[Document],
    refusal: Callable[[Document], str | None],
    kept: Callable[[Document], dict[str, Any]],
) -> tuple[dict[int, dict[str, Any]], list[Rejected]]:
    """Any JSON objects, whoever wrote them: by position those that can be stored, with what a store keeps of them
    (`kept`), and the others with why not (`refusal`; None: they can be stored)."""
    accepted: dict[int, dict[str, Any]] = {}
    rejected: list[Rejected] = []
    for position, document in enumerate(documents):
        if reason := refusal(document):
            rejected.append(Rejected(position, reason))
        else:
            accepted[position] = kept(document)
    return accepted, rejected


def refusal_of_any(
    document: Document, texts: Collection[str], times: Collection[str], apps: Collection[str], what: str
) -> str | None:
    """Why it is refused for good, or None. texts: fields that hold one, `app` and times among them. apps: those that
    the store was prepared for. what: such documents, in the words of people."""
    if is_too_deep(document):
        return "it is nested too deep"
    for name in texts:
        value = document.get(name)
        if not isinstance(value, str) or not 0 < len(value.encode("utf-8", "replace")) <= MAX_ID_BYTES:
            return f"field {name} is missing, or no text of 1 to {MAX_ID_BYTES} bytes"
    if document["app"] not in apps:
        return f"the store was not prepared for {what} of {document['app']!r:.60}; start its indexer"
    return next((reason for name in times if (reason := _time_refusal(name, document))), None)


def _time_refusal(name: str, document: Mapping[str, Any]) -> str | None:
    if is_rfc3339(document[name]) and instant(document[name]).year in YEARS:
        return None
    return f"{name} {document[name]!r:.60} is no RFC 3339 time of the years {YEARS.start} to {YEARS.stop - 1}"
