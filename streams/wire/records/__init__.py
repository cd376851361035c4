"""What travels in the topics: one schema each, JSON in UTF-8, validated where it enters.

`SourceReader` is the gate for other people's records: it gives a text or raises MessageError, never anything else.
"""

from streams.wire.records.alerts import AcceptedDrift, Alert, Silence, Told, Word
from streams.wire.records.answers import BankClose, BankEntry
from streams.wire.records.base import Severity, W, Wire, decision_id, decode, format_time, json_object
from streams.wire.records.conversations import (
    ConversationChange,
    DroppedChange,
    HeldConversation,
    SentAnswer,
    Utterance,
)
from streams.wire.records.decisions import (
    ConversationAnswer,
    Decision,
    EntityAnswer,
    GivenAnswer,
    HeadAnswer,
    KnownSlot,
    Question,
    RankedItem,
    SlotValue,
    decision_fault,
    read_decision,
)
from streams.wire.records.items import CatalogItem, item_text
from streams.wire.records.labels import Doubts, Feedback, Lease
from streams.wire.records.releases import Candidate, Release, ReleaseStep, RetrainRequest, Step
from streams.wire.records.stories import StoryTold
from streams.wire.records.trends import LargestStory, MeanSentiment, TrendWindow

__all__ = [
    "AcceptedDrift",
    "Alert",
    "BankClose",
    "BankEntry",
    "Candidate",
    "CatalogItem",
    "ConversationAnswer",
    "ConversationChange",
    "Decision",
    "Doubts",
    "DroppedChange",
    "EntityAnswer",
    "Feedback",
    "GivenAnswer",
    "HeadAnswer",
    "HeldConversation",
    "KnownSlot",
    "LargestStory",
    "Lease",
    "MeanSentiment",
    "Question",
    "RankedItem",
    "Release",
    "ReleaseStep",
    "RetrainRequest",
    "SentAnswer",
    "Severity",
    "Silence",
    "SlotValue",
    "Step",
    "StoryTold",
    "Told",
    "TrendWindow",
    "Utterance",
    "W",
    "Wire",
    "Word",
    "decision_fault",
    "decision_id",
    "decode",
    "format_time",
    "item_text",
    "json_object",
    "read_decision",
]
