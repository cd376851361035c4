"""What a decided text leads to: the decision's record, the signal for the monitor, what a release on trial says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from models.classifier import Classifier
from models.decision import Classification
from models.encoder.encoder import Encoder
from models.pictures.classifier import PictureAnswer
from streams.application import Application
from streams.classify.release_batch import Pending
from streams.classify.sampling import sample_position
from streams.classify.serving import Trial
from streams.conversations.memory import ConversationMemory
from streams.engine.delivery import Outcome, OutRecord
from streams.routing.replies import Message, Replier
from streams.wire.outcomes import entity_records, fusion_record, head_record, picture_record
from streams.wire.records import format_time
from streams.wire.signals import packed, signal_record, trial_answer
from streams.wire.source_records import SourceReader
from streams.wire.text import cut_text

WORDLESS: Final = Classification({}, "fast", 0, None)  # of a conversation's message without words: no model is asked


def may_be_wordless(app: Application) -> bool:
    """Whether a message without words is decided, as people are to see it: else it is a dead letter."""
    return app.hand_over is not None and app.source.picture is None


@dataclass(frozen=True, slots=True)
class DecisionRecords:
    """Writes the records of one batch. decided_ms: when, milliseconds since 1970. shown: share of the events that the
    monitor is shown. memory: of the application's conversations; None: it has none."""

    app: Application
    reader: SourceReader
    replier: Replier
    decided_ms: int
    shown: float = 0.0
    memory: ConversationMemory | None = None

    def outcome(self, pending: Pending, classification: Classification, classifier: Classifier) -> Outcome:
        """The champion's decision, which acts. The signal is the text's own, with late fusion as well: what a monitor
        compares it with was measured on texts."""
        decision = self._decision(pending, classification, classifier)
        decision["latency_ms"] = latency_ms = max(self.decided_ms - pending.source.written_ms, 0)
        acting = classification
        if pending.picture is not None:
            decision["picture"] = picture_record(pending.picture)
        if classifier.fusion is not None and self.app.source.picture is not None:
            fused = classifier.fusion.decide(classification, _seen(pending))
            decision["labels"][fused.head] = head_record(fused.decision)
            decision["fusion"] = fusion_record(fused)
            acting = fused.in_place_of(classification)
        decision |= self._reply(pending, acting, decision["text"], classifier)
        signal = None
        is_shown = self.shown >= 1.0 or sample_position("signals", pending.identity) < self.shown
        if is_shown and classification.heads:  # a message without words says nothing of the stream
            signal = signal_record(
                pending.identity,
                decision["at"],
                classifier.version,
                classification,
                pending.source,
                relevance_min=0.0 if self.app.entities is None else self.app.entities.relevance_min,
                least_relevance=self.app.least_relevance if self.app.has_own_relevance else None,
            )
            signal |= _for_the_watch(pending)
            if self.app.stories is not None:
                signal |= self._for_stories(decision, pending)
            if (
                signal.keys() & {"entities", "passing"}
                and self.app.entities is not None
                and self.app.entities.head is not None
            ):
                signal["entity_head"] = self.app.entities.head
            if segments := self.reader.segments(pending.source):
                signal["segments"] = segments
        return Outcome(
            records=[OutRecord(self.app.decisions_topic, self._record_key(pending), orjson.dumps(decision))],
            signal=signal,
            latency_seconds=latency_ms / 1000,
            path=pending.path,
            agrees=classification.agrees if pending.path == "fast" else None,
        )

    def _for_stories(self, decision: Mapping[str, Any], pending: Pending) -> dict[str, Any]:
        known: dict[str, Any] = {"decided_at": decision["decided_at"]}
        if pending.remembered is not None:
            known |= {"embedding": packed(pending.remembered), "again": True}
        return known | ({} if self.shown >= 1.0 else {"share": round(self.shown, 4)})

    def _record_key(self, pending: Pending) -> bytes | None:
        """As the source record's; where a dispatcher reads on, the conversation: all that is of one stands together."""
        if self.app.hand_over is None or pending.source.key is None:
            return pending.source.record_key
        return pending.source.key.encode()

    def _reply(self, pending: Pending, acting: Classification, text: str, classifier: Classifier) -> dict[str, Any]:
        """What follows, by what is known of the conversation; and that is known from now on."""
        source, delivery = pending.source, pending.delivery
        place, offset, before = (delivery.topic, delivery.partition), delivery.offset, None
        if self.memory is not None and source.key is not None:
            before = self.memory.before(place, offset, source.key)
        read = as_read(classifier, acting)
        message = Message(text, source.fields, source.at_ms, offset, source.key, before, *read, pending.identity)
        reply = self.replier.reply(acting, message)
        if self.memory is not None and reply.conversation is not None:
            self.memory.keep(place, offset, reply.conversation)
        return reply.fields

    def trial_record(
        self, pending: Pending, classification: Classification, classifier: Classifier, trial: Trial
    ) -> OutRecord:
        """What a release on trial says: marked, and without an action."""
        decision = self._decision(pending, classification, classifier) | {"role": trial.role}
        return OutRecord(self.app.trials_topic, pending.source.record_key, orjson.dumps(decision))

    def _decision(self, pending: Pending, classification: Classification, classifier: Classifier) -> dict[str, Any]:
        source = pending.source
        text = cut_text(source.text)
        extra = self.reader.extra(source)
        if len(text) < len(source.text):
            extra["headrace_text_cut"] = True
        if pending.late:
            extra["headrace_late"] = True
        decision = {
            "id": pending.identity,
            "app": self.app.name,
            "model": classifier.model,
            "version": classifier.version,
            "path": classification.path,
            "at": format_time(source.at_ms),
            "decided_at": format_time(self.decided_ms),
            "latency_ms": 0,
            "labels": {name: head_record(head) for name, head in classification.heads.items()},
            "action": "none",
            "text": text,
            "key": source.key,
            "extra": extra,
        }
        if classification.entities is not None:
            decision["entities"] = entity_records(classification.entities, len(text))
        return decision


def as_read(classifier: Classifier, classification: Classification) -> tuple[Encoder, NDArray[np.float32] | None]:
    """What read a text, and what it read of the text as it stands: not where it saw neutral words instead."""
    return classifier.encoder, classification.embedding if classifier.neutral_words is None else None


def _seen(pending: Pending) -> PictureAnswer | None:
    """What the release that decides says of the picture. None where there is none that can be read, and where a canary
    looked at it that then failed on the text: its network is another one."""
    if isinstance(pending.picture, PictureAnswer) and pending.failed_by is None:
        return pending.picture
    return None


def _for_the_watch(pending: Pending) -> dict[str, Any]:
    """What the watch over releases needs to know beside: see streams.wire.signals.MonitorSignal."""
    known: dict[str, Any] = {
        "position": round(sample_position("canary", pending.source.key or pending.identity), 9),
        "draw": round(sample_position("labels", pending.identity), 9),
    }
    if pending.late:
        known["late"] = True
    if pending.ms is not None:
        known["ms"] = round(pending.ms, 2)
    if pending.decided_by is not None:
        known["role"] = pending.decided_by.role
    if pending.trial:
        known["trial"] = pending.trial
    if pending.failed_by is not None:
        failed = pending.failed_by
        known["trials"] = [trial_answer(failed.role, failed.served.classifier.version, 0.0, None, failed.trial)]
    return known
