"""An application: which topic it reads, how a record is shaped, what its heads are called, what a decision leads to.

`[source]` uses JSON pointers (RFC 6901), so other people's records need no change and no Python.
"""

from streams.application.alerting import Drift, ReceiverSpec, Surge
from streams.application.answering import AnswerBankSpec
from streams.application.application import Application
from streams.application.conversations import Choices, Conversations, Escalation
from streams.application.hand_over import HandOver
from streams.application.labelling import Labelling, Retraining
from streams.application.names import BY_SYMBOLS, SHAPE, Name, Pointer, Topic
from streams.application.parsing import labels_without_use, parse_application, refusals, unknown_labels
from streams.application.recommending import Recommending
from streams.application.refusals import Refusal
from streams.application.routing import Opening, Priority, ServiceLevel
from streams.application.slots import Privacy, SlotSpec
from streams.application.source import Entities, HeadSpec, LongTextsSpec, Pictures, Source
from streams.application.stories import Stories

__all__ = [
    "BY_SYMBOLS",
    "SHAPE",
    "AnswerBankSpec",
    "Application",
    "Choices",
    "Conversations",
    "Drift",
    "Entities",
    "Escalation",
    "HandOver",
    "HeadSpec",
    "Labelling",
    "LongTextsSpec",
    "Name",
    "Opening",
    "Pictures",
    "Pointer",
    "Priority",
    "Privacy",
    "ReceiverSpec",
    "Recommending",
    "Refusal",
    "Retraining",
    "ServiceLevel",
    "SlotSpec",
    "Source",
    "Stories",
    "Surge",
    "Topic",
    "labels_without_use",
    "parse_application",
    "refusals",
    "unknown_labels",
]
