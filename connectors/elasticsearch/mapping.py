"""How decisions lie in an index: the mapping, and what makes a standing index unfit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.documents import (
    CONVERSATION_COUNTS,
    CONVERSATION_LISTS,
    CONVERSATION_TEXTS,
    CONVERSATION_TIMES,
    ENTITY_NUMBERS,
    KNOWN_SLOT_TEXTS,
    TEXT_FIELDS,
)
from connectors.errors import StoreMismatch

SCHEMA_VERSION = 1
KEYWORD = {"type": "keyword", "ignore_above": 1024}  # a longer term is stored but not searchable; Lucene refuses 32 kB
APP_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


def mappings_for(heads: Sequence[str]) -> dict[str, Any]:
    """The mapping of a month's index: strict but for `extra`, which is stored and not indexed."""
    one_label = {"label": {**KEYWORD, "copy_to": ["any_label"]}, "probability": {"type": "float"}}
    answer = {
        "properties": {
            **one_label,
            "oos_score": {"type": "float"},
            "rejected": {"type": "boolean"},
            "labels": {"properties": one_label},
        }
    }
    return {
        "dynamic": "strict",
        "_meta": {"headrace_schema": SCHEMA_VERSION},
        "properties": {
            **{name: KEYWORD for name in ("id", "app", *TEXT_FIELDS, "any_label")},
            "at": {"type": "date"},
            "decided_at": {"type": "date"},
            "respond_by": {"type": "date"},
            "latency_ms": {"type": "float"},
            "text": {"type": "text"},
            "words": {"type": "text", "analyzer": "whitespace"},
            "labels": {"properties": {head: answer for head in heads}},
            "picture": {
                "properties": {
                    "label": {**KEYWORD, "copy_to": ["any_label"]},
                    "probability": {"type": "float"},
                    "fault": KEYWORD,
                    "detail": {"type": "text", "index": False},
                }
            },
            "fusion": {
                "properties": {
                    **{name: KEYWORD for name in ("head", "decided_by", "text_label")},
                    "text_probability": {"type": "float"},
                }
            },
            "entities": {
                "type": "nested",  # so that a search can ask for an id together with its sentiment
                "properties": {
                    **{name: KEYWORD for name in ("id", "name", "sentiment", "found")},
                    "span": {"type": "integer"},
                    **{name: {"type": "float"} for name in ENTITY_NUMBERS},
                },
            },
            "slots": {
                "type": "nested",  # so that a search can ask for a slot together with its value
                "properties": {**{name: KEYWORD for name in ("name", "value", "text")}, "span": {"type": "integer"}},
            },
            "ask": {"properties": {"text": {"type": "text", "index": False}, "slot": KEYWORD, "choices": KEYWORD}},
            "answer": {
                "properties": {
                    **{name: {"type": "text", "index": False} for name in ("text", "question")},
                    **{name: KEYWORD for name in ("label", "id", "source")},
                    "confidence": {"type": "float"},
                }
            },
            "conversation": {
                "properties": {
                    **{name: KEYWORD for name in (*CONVERSATION_TEXTS, *CONVERSATION_LISTS)},
                    **{name: {"type": "integer"} for name in CONVERSATION_COUNTS},
                    **{name: {"type": "date"} for name in CONVERSATION_TIMES},
                    "slots": {
                        "type": "nested",
                        "properties": {
                            **{name: KEYWORD for name in KNOWN_SLOT_TEXTS},
                            "version": {"type": "integer"},
                        },
                    },
                }
            },
            "items": {
                "properties": {
                    "item_id": KEYWORD,
                    "score": {"type": "float"},
                    "why": KEYWORD,
                    "because": KEYWORD,
                    "propensity": {"type": "float"},
                    "segment": KEYWORD,
                }
            },
            "extra": {"type": "object", "enabled": False},
        },
    }


def story_mappings() -> dict[str, Any]:
    """The mapping of an index of what is told beside decisions."""
    return {
        "dynamic": "strict",
        "_meta": {"headrace_schema": SCHEMA_VERSION},
        "properties": {
            **{name: KEYWORD for name in ("id", "app", "story_id")},
            "at": {"type": "date"},
            "novelty": {"type": "float"},
        },
    }


def trend_mappings() -> dict[str, Any]:
    """The mapping of an index of windows of trends."""
    return {
        "dynamic": "strict",
        "_meta": {"headrace_schema": SCHEMA_VERSION},
        "properties": {
            **{name: KEYWORD for name in ("id", "app", "window", "topic", "symbol", "entity")},
            **{name: {"type": "date"} for name in ("start", "end")},
            **{name: {"type": "integer"} for name in ("items", "stories", "late")},
            **{name: {"type": "boolean"} for name in ("insufficient", "is_sample")},
            "sentiment": {"properties": {name: {"type": "float"} for name in ("mean", "interval")}},
            "largest": {"properties": {"story_id": KEYWORD, "items": {"type": "integer"}, "text": {"type": "text"}}},
        },
    }


def missing_fields(where: str, there: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether fields are missing. Raises StoreMismatch where one stands with another type."""
    missing = False
    for name, field in expected.items():
        if name not in there:
            missing = True
            continue
        standing, needed = there[name].get("type", "object"), field.get("type", "object")
        if standing != needed:
            raise StoreMismatch(f"{where}: field {name} is of type {standing}, Headrace needs {needed}; reindex it")
        missing |= missing_fields(f"{where}.{name}", there[name].get("properties", {}), field.get("properties", {}))
    return missing


def schema_of(mappings: Mapping[str, Any]) -> int | None:
    version = (mappings.get("_meta") or {}).get("headrace_schema")
    return version if isinstance(version, int) else None
