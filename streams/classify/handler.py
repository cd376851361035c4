"""From source records to decisions, signals and dead letters: what the classify agent does, without Kafka.

Its steps run off the event loop, each in a thread of its own; `Classifier` is thread-safe. A decision depends on the
release and the text alone: who is audited, which release is tried out beside the champion and what stood in the cache
change nothing in it. Only lateness does (the application's `deadline_seconds`), and then the decision says so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.classifier import Classifier, Prepared
from models.decision import Classification
from models.errors import MessageError, ModelError
from streams.application import Application
from streams.classify.actions import action_for
from streams.classify.fast_path_guard import FastPathGuard
from streams.classify.sampling import AUDIT_SHARE, AUDITS_PER_SECOND, SIGNALS_PER_SECOND, Sample, sample_position
from streams.classify.serving import ServedRelease, Serving, ServingPlan, Trial
from streams.engine.delivery import Delivery, Outcome, OutRecord, Step
from streams.wire.outcomes import dead_letter, head_record, wall_clock_ms
from streams.wire.records import decision_id, format_time
from streams.wire.signals import signal_record
from streams.wire.source_records import SourceReader, SourceText, cut_text

log = logging.getLogger(__name__)

ALWAYS_FAST = -1.0  # lowers every threshold of the fast path below any probability


@dataclass(slots=True)
class Pending:
    """A text between the steps. place: between 0 and 1, by a hash of the id. late: past the application's deadline."""

    source: SourceText
    identity: str
    sample_position: float
    late: bool = False
    found: Classification | None = None
    path: str = "full"


@dataclass(slots=True)
class ReleaseBatch:
    """The texts of a batch that one release decides. trial: None for the champion's. embeddings: None where the
    encoder has not run, or failed."""

    served: ServedRelease
    deliveries: list[Delivery]
    prepared: Prepared
    trial: Trial | None = None
    embeddings: NDArray[np.float32] | None = None


@dataclass(slots=True)
class BatchState:
    """A batch between the steps. champion: the one that decides it, whatever is swapped in meanwhile."""

    champion: ServedRelease
    shares: list[ReleaseBatch]


class ClassifyHandler:
    """Decides batches of one application's records. epochs: of each topic it reads."""

    def __init__(
        self,
        app: Application,
        serving: Serving,
        epochs: Mapping[str, str],
        now_ms: Callable[[], int] = wall_clock_ms,
        signal_sample: Sample | None = None,
        audit_sample: Sample | None = None,
    ) -> None:
        self._app, self._serving, self._epochs, self._now_ms = app, serving, epochs, now_ms
        self._reader = SourceReader(app.source)
        self._signal_sample = signal_sample or Sample(SIGNALS_PER_SECOND)
        self._audit_sample = audit_sample or Sample(AUDITS_PER_SECOND, AUDIT_SHARE)
        self._work: dict[int, BatchState] = {}
        self.retreat = FastPathGuard()

    @property
    def steps(self) -> Sequence[Step]:
        """In this order, each for one batch at a time; a batch may be in one while the next is in the one before."""
        return (("prepare", self.prepare), ("encode", self.encode), ("decide", self.decide))

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """Parse, look the texts up, hash their n-grams, and tokenise those that the encoder must see. Records that
        hold no text become dead letters here."""
        plan = self._serving.plan
        pending = self._parse(batch, plan.champion.classifier)
        unknown = [each for each in pending if not _is_known(plan.champion, each.result)]
        shares = [*self._champion_shares(plan.champion, unknown), *_trial_shares(plan, pending)]
        self._work[id(batch[0])] = BatchState(plan.champion, shares)

    def encode(self, batch: Sequence[Delivery]) -> None:
        """Run the encoder. It computes without Python's lock, so the steps before and after it go on meanwhile."""
        for share in self._work[id(batch[0])].shares:
            try:
                share.embeddings = share.served.classifier.embed(share.prepared)
            except Exception:
                log.warning(
                    "the encoder fails on a batch of %d texts; they are tried one by one", len(share.deliveries)
                )

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Run the heads and build the records to send."""
        work = self._work.pop(id(batch[0]))
        for share in work.shares:
            if share.trial is None:
                self._decide_share(share)
        pending = [(each, each.result) for each in batch if isinstance(each.result, Pending)]
        self._finish(batch, pending, work.champion.classifier)
        sources = {id(delivery): each for delivery, each in pending}
        for share in work.shares:
            if share.trial is not None:
                self._try_out(share, share.trial, sources)

    def _parse(self, batch: Sequence[Delivery], champion: Classifier) -> list[Delivery]:
        now_ms, deadline_ms = self._now_ms(), (self._app.deadline_seconds or 0) * 1000
        can_be_fast = champion.fast_path is not None and self._app.when_late == "fast"
        pending = []
        for delivery in batch:
            try:
                source = self._reader.parse(delivery.value, delivery.key, delivery.timestamp_ms)
                late = bool(deadline_ms) and now_ms - delivery.timestamp_ms > deadline_ms
                if late and not can_be_fast:
                    raise MessageError(
                        "late", f"taken {(now_ms - delivery.timestamp_ms) / 1000:.1f} s after it was written"
                    )
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)
                continue
            identity = decision_id(delivery.topic, self._epochs[delivery.topic], delivery.partition, delivery.offset)
            delivery.result = Pending(source, identity, sample_position(identity), late)
            pending.append(delivery)
        return pending

    def _champion_shares(self, served: ServedRelease, deliveries: Sequence[Delivery]) -> list[ReleaseBatch]:
        classifier = served.classifier
        threshold_increase = self.retreat.threshold_increase(classifier)
        fast = self._app.fast_path == "on" and classifier.fast_path is not None
        audited_share = self._audit_sample.of(len(deliveries))
        shares = []
        for late in (False, True):
            chosen = [each for each in deliveries if each.result.late == late]
            if chosen:
                prepared = classifier.tokenize(
                    [each.result.source.text for each in chosen],
                    fast=fast or late,
                    audited=None if late else [each.result.sample_position < audited_share for each in chosen],
                    threshold_increase=ALWAYS_FAST if late else threshold_increase,
                )
                shares.append(ReleaseBatch(served, chosen, prepared))
        return shares

    def _decide_share(self, share: ReleaseBatch) -> None:
        classifier, cache = share.served.classifier, share.served.cache
        try:
            found: list[Classification | ModelError] = list(classifier.classify(share.prepared, share.embeddings))
        except Exception:
            found = _one_by_one(classifier, share.deliveries)
        self.retreat.observe(classifier, [each.agrees for each in found if isinstance(each, Classification)])
        for delivery, classification in zip(share.deliveries, found, strict=True):
            if isinstance(classification, ModelError):
                delivery.result = dead_letter(delivery, MessageError("model_error", str(classification)))
                continue
            delivery.result.found, delivery.result.path = classification, classification.path
            if cache is not None and not delivery.result.late:
                cache.put(delivery.result.source.text, classification)

    def _finish(
        self, batch: Sequence[Delivery], pending: Sequence[tuple[Delivery, Pending]], classifier: Classifier
    ) -> None:
        """Each pending delivery's result becomes its outcome."""
        shown = self._signal_sample.of(len(batch))
        decided_ms = self._now_ms()
        decided_at = format_time(decided_ms)
        for delivery, each in pending:
            if isinstance(delivery.result, Pending) and each.found is not None:
                delivery.result = self._outcome(delivery, each, each.found, classifier, decided_ms, decided_at, shown)

    def _outcome(
        self,
        delivery: Delivery,
        pending: Pending,
        found: Classification,
        classifier: Classifier,
        decided_ms: int,
        decided_at: str,
        shown: float,
    ) -> Outcome:
        source = pending.source
        decision = self._decision(pending, found, classifier, decided_at)
        decision["latency_ms"] = latency_ms = max(decided_ms - delivery.timestamp_ms, 0)
        decision["action"] = action_for(self._app, found)
        key = source.key.encode() if source.key is not None else delivery.key
        signal = None
        if pending.sample_position < shown:
            signal = signal_record(pending.identity, decision["at"], classifier.version, found, source)
        return Outcome(
            records=[OutRecord(self._app.decisions_topic, key, orjson.dumps(decision))],
            signal=signal,
            latency_seconds=latency_ms / 1000,
            path=pending.path,
            agrees=found.agrees if pending.path == "fast" else None,
        )

    def _decision(
        self, pending: Pending, found: Classification, classifier: Classifier, decided_at: str
    ) -> dict[str, Any]:
        source = pending.source
        text = cut_text(source.text)
        extra = self._reader.extra(source)
        if len(text) < len(source.text):
            extra["headrace_text_cut"] = True
        if pending.late:
            extra["headrace_late"] = True
        return {
            "id": pending.identity,
            "app": self._app.name,
            "model": classifier.model,
            "version": classifier.version,
            "path": found.path,
            "at": format_time(source.at_ms),
            "decided_at": decided_at,
            "latency_ms": 0,
            "labels": {name: head_record(head) for name, head in found.heads.items()},
            "action": "none",
            "text": text,
            "key": source.key,
            "extra": extra,
        }

    def _try_out(self, share: ReleaseBatch, trial: Trial, sources: Mapping[int, Pending]) -> None:
        """What a release on trial says goes to a topic of its own, marked and without an action. Whatever goes wrong
        there must not touch the champion's decisions."""
        classifier = share.served.classifier
        try:
            found = classifier.classify(share.prepared, share.embeddings)
        except Exception:
            log.exception("%s %s@%s fails; the champion goes on", trial.role, classifier.model, classifier.version)
            return
        decided_at = format_time(self._now_ms())
        for delivery, classification in zip(share.deliveries, found, strict=True):
            pending = sources.get(id(delivery))
            if not isinstance(delivery.result, Outcome) or pending is None or pending.found is None:
                continue
            decision = self._decision(pending, classification, classifier, decided_at) | {"role": trial.role}
            key = pending.source.key.encode() if pending.source.key is not None else delivery.key
            delivery.result.records.append(OutRecord(self._app.trials_topic, key, orjson.dumps(decision)))
            delivery.result.trial_agrees[trial.role] = _same_labels(classification, pending.found)


def _is_known(served: ServedRelease, pending: Pending) -> bool:
    """Look the text up; what is found becomes the answer."""
    if served.cache is None or pending.late:
        return False
    known = served.cache.get(pending.source.text)
    if known is None:
        return False
    pending.found, pending.path = known, "cache"
    return True


def _trial_shares(plan: ServingPlan, pending: Sequence[Delivery]) -> list[ReleaseBatch]:
    shares = []
    for trial in plan.trials:
        chosen = [each for each in pending if trial.takes(each.result.source.key or each.result.identity)]
        if chosen:
            prepared = trial.served.classifier.tokenize([each.result.source.text for each in chosen])
            shares.append(ReleaseBatch(trial.served, chosen, prepared, trial))
    return shares


def _one_by_one(classifier: Classifier, deliveries: Sequence[Delivery]) -> list[Classification | ModelError]:
    """A batch that failed, text by text: one bad text must not take its neighbours along. Raises ModelError when
    every one fails: then it is the model, and a broken model must not drain a topic into the dead letters."""
    found: list[Classification | ModelError] = []
    for delivery in deliveries:
        try:
            found += classifier.classify_texts([delivery.result.source.text])
        except Exception as error:
            found.append(ModelError(f"{type(error).__name__}: {error}"))
    if all(isinstance(one, ModelError) for one in found):
        raise ModelError(f"{classifier.model}@{classifier.version} fails on every text: {found[0]}")
    return found


def _same_labels(one: Classification, other: Classification) -> bool:
    """Whether two releases say the same; heads that only one of them has do not count."""
    return all(head.label == other.heads[name].label for name, head in one.heads.items() if name in other.heads)
