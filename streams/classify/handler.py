"""From source records to decisions, signals and dead letters: what the classify agent does, without Kafka.

Its steps run off the event loop, each in a thread of its own; `Classifier` is thread-safe. A decision depends on the
release and the text alone: who is audited, which release is tried out beside the champion and what stood in the cache
change nothing in it. Only lateness does (the application's `deadline_seconds`), and then the decision says so.
"""

import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.ports import PictureSource
from models.classifier import Classifier
from models.decision import Classification
from models.errors import MessageError, ModelError
from models.slots.finding import SlotFinder
from streams.application import Application
from streams.classify.decision_records import WORDLESS, DecisionRecords, may_be_wordless
from streams.classify.fast_path_guard import FastPathGuard
from streams.classify.model_failures import ModelFailures
from streams.classify.pictures.deciding import PictureDecider
from streams.classify.release_batch import BatchState, Pending, ReleaseBatch
from streams.classify.sampling import (
    ALL_SIGNALS_PER_SECOND,
    AUDIT_SHARE,
    AUDITS_PER_SECOND,
    SIGNALS_PER_SECOND,
    Sample,
    sample_position,
)
from streams.classify.serving import ServedRelease, Serving, ServingPlan, Trial
from streams.clock import wall_clock_ms
from streams.conversations.memory import ConversationMemory, Past
from streams.engine.delivery import Delivery, Outcome, Step
from streams.engine.offset_tracker import Partition
from streams.routing.answers import Bank
from streams.routing.replies import Replier
from streams.wire.outcomes import dead_letter, passed_over
from streams.wire.records import decision_id, format_time
from streams.wire.signals import failure_record, trial_answer
from streams.wire.source_records import PassedOver, SourceReader, SourceText

log = logging.getLogger(__name__)

ALWAYS_FAST = -1.0  # lowers every threshold of the fast path below any probability


class ClassifyHandler:
    """Decides batches of one application's records. Told of each assignment (a role's PartitionHolder).

    epochs: of each topic it reads. of_history: its records may be of any age, so their times are not compared with the
    clock. partitions: of all topics it reads, together; 0: nobody shares them. picture_source: where pictures are
    fetched from; None: nowhere. slot_finder: of the application's slots; None: none are looked for. past: what
    was decided of partitions before; None: nothing is known of it. bank: of answers; None: none is asked.
    """

    def __init__(
        self,
        app: Application,
        serving: Serving,
        epochs: Mapping[str, str],
        now_ms: Callable[[], int] = wall_clock_ms,
        signal_sample: Sample | None = None,
        audit_sample: Sample | None = None,
        *,
        of_history: bool = False,
        partitions: int = 0,
        picture_source: PictureSource | None = None,
        slot_finder: SlotFinder | None = None,
        past: Past | None = None,
        bank: Bank | None = None,
    ) -> None:
        self._app, self._serving, self._epochs, self._now_ms = app, serving, epochs, now_ms
        self._of_history, self._partitions = of_history, partitions
        self.reader = SourceReader.of(app)
        self._replier, self._bank = Replier(app, slot_finder, bank), bank
        self.conversations: ConversationMemory | None = None
        if app.conversations is not None:
            window = app.conversations.window_records
            self.conversations = ConversationMemory(window, epochs, past or (lambda partitions: ()))
        self._signal_sample = signal_sample or Sample(SIGNALS_PER_SECOND)
        self._audit_sample = audit_sample or Sample(AUDITS_PER_SECOND, AUDIT_SHARE)
        self.retreat = FastPathGuard()
        self.failures = ModelFailures()
        self.pictures = None if app.source.picture is None else PictureDecider(app, picture_source)
        self._is_stray_told = False

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """One monitor follows all workers: each shows it a share of what it can take, by its share of the
        partitions."""
        if self.conversations is not None:
            self.conversations.assigned(partitions)
        if self._partitions:
            ours = len(partitions) / self._partitions
            self._signal_sample.limit(min(SIGNALS_PER_SECOND, ours * ALL_SIGNALS_PER_SECOND))

    async def released(self) -> None:
        """Nothing is to be put down: what is known of conversations stands in the decisions."""

    @property
    def steps(self) -> Sequence[Step]:
        """In this order, each for one batch at a time; a batch may be in one while the next is in the one before."""
        seeing: Sequence[Step] = () if self.pictures is None else (("pictures", self.see),)
        return (("prepare", self.prepare), *seeing, ("encode", self.encode), ("decide", self.decide))

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """Parse, look the texts up, hash their n-grams, and tokenise those that the encoder must see. Records that
        hold no text become dead letters here, or are passed over."""
        plan = self._serving.plan
        pending = self._parse(batch, plan.champion.classifier)
        worded = [text for text in pending if text.classification is not WORDLESS]
        of_canary = [text for text in worded if plan.acting is not None and _takes(plan.acting, text)]
        others = [text for text in worded if text.decided_by is None] if of_canary else worded
        unknown = [text for text in others if not _is_known(plan.champion, text)]
        state = BatchState(plan.champion, [*self._champion_shares(plan.champion, unknown)], plan.acting)
        state.shares += self._trial_shares(plan, worded)
        for text in pending:
            text.batch = state

    def see(self, batch: Sequence[Delivery]) -> None:
        """Read and decide the pictures beside the texts, of an application that has some."""
        state = _state_of(batch)
        if state is not None and self.pictures is not None:
            self.pictures.decide(state.champion, _pending(batch))

    def encode(self, batch: Sequence[Delivery]) -> None:
        """Run the encoder. It computes without Python's lock, so the steps before and after it go on meanwhile."""
        state = _state_of(batch)
        for share in state.shares if state is not None else ():
            share.embed(self.failures)

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Run the heads and build the records to send. Raises ConnectorError where it cannot be read what conversations
        were before an assignment, or what stands in the bank of answers."""
        state = _state_of(batch)
        if state is None:
            return
        if self.conversations is not None:
            self.conversations.rebuild()
        if self._bank is not None:
            self._bank.rebuild()
        for share in state.shares:
            if share.trial is None:
                self._decide_share(share)
            elif share.trial.acts:
                self._decide_in_place_of(state.champion, share)
        records = DecisionRecords(
            self._app,
            self.reader,
            self._replier,
            self._now_ms(),
            self._signal_sample.of(len(batch)),
            self.conversations,
        )
        self._tell_strays(_pending(batch))
        for pending in _pending(batch):
            if self.pictures is not None and (refusal := self.pictures.refusal(pending)) is not None:
                pending.delivery.result, pending.classification = dead_letter(pending.delivery, refusal), None
            if pending.classification is not None:
                served = state.champion if pending.decided_by is None else pending.decided_by.served
                pending.delivery.result = records.outcome(pending, pending.classification, served.classifier)
        for share in state.shares:
            if share.trial is not None and not share.trial.acts:
                self._try_out(share, share.trial, records)
        state.shares.clear()  # they refer back to the texts; such cycles stay until the collector runs

    def _tell_strays(self, batch: Sequence[Pending]) -> None:
        """Once, of messages that belong to no conversation; a dispatcher counts them."""
        if self.conversations is None or self._is_stray_told or all(one.source.key is not None for one in batch):
            return
        self._is_stray_told = True
        key = self._app.source.key
        where = "no key in Kafka" if key is None else f"nothing at [source] key = {key!r}, nor a key in Kafka"
        what = (
            "no customer is told anything about it, and nobody is handed it" if self._app.hand_over else "it is alone"
        )
        log.warning(
            "%s: a message has %s: it belongs to no conversation, so %s, as with all others like it",
            self._app.name,
            where,
            what,
        )

    def _parse(self, batch: Sequence[Delivery], champion: Classifier) -> list[Pending]:
        now_ms = self._now_ms()
        can_be_fast = champion.fast_path is not None and self._app.when_late == "fast"
        wordless = may_be_wordless(self._app)
        parsed = []
        for delivery in batch:
            try:
                source = self.reader.parse(
                    delivery.value,
                    delivery.key,
                    delivery.timestamp_ms,
                    None if self._of_history else now_ms,
                    wordless=wordless,
                )
                if isinstance(source, PassedOver):
                    delivery.result = passed_over(source)
                    continue
                late = self._is_late(source, now_ms)
                if late and not can_be_fast:
                    seconds = (now_ms - source.written_ms) / 1000
                    raise MessageError("late", f"taken {seconds:.1f} s after it was written")
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)
                continue
            identity = decision_id(delivery.topic, self._epochs[delivery.topic], delivery.partition, delivery.offset)
            delivery.result = pending = Pending(delivery, source, identity, late)
            if not source.text.strip():
                pending.classification, pending.path = WORDLESS, "fast"
            parsed.append(pending)
        return parsed

    def _is_late(self, source: SourceText, now_ms: int) -> bool:
        deadline_seconds = self._app.deadline_seconds
        return deadline_seconds is not None and now_ms - source.written_ms > deadline_seconds * 1000

    def _champion_shares(self, served: ServedRelease, texts: Sequence[Pending]) -> Iterator[ReleaseBatch]:
        classifier = served.classifier
        threshold_increase = self.retreat.threshold_increase(classifier)
        fast = self._app.fast_path == "on" and classifier.fast_path is not None
        audited_share = self._audit_sample.of(len(texts))
        for late in (False, True):
            chosen = [pending for pending in texts if pending.late == late]
            if chosen:
                share = ReleaseBatch(served, chosen, fast or late, ALWAYS_FAST if late else threshold_increase)
                audited = (
                    None if late else [sample_position("audit", pending.identity) < audited_share for pending in chosen]
                )
                share.prepare(self.failures, audited)
                yield share

    def _trial_shares(self, plan: ServingPlan, texts: Sequence[Pending]) -> Iterator[ReleaseBatch]:
        for trial in plan.trials:
            chosen = [
                pending
                for pending in texts
                if pending.decided_by is trial or (not trial.acts and _takes_key(trial, pending))
            ]
            if chosen:
                share = ReleaseBatch(trial.served, chosen, self._app.fast_path == "on", trial=trial)
                share.prepare(self.failures)
                yield share

    def _decide_share(self, share: ReleaseBatch) -> None:
        classifier, cache = share.served.classifier, share.served.cache
        answers = share.classify(self.failures)
        self.retreat.observe(classifier, [answer.agrees for answer in answers if isinstance(answer, Classification)])
        for pending, answer in zip(share.texts, answers, strict=True):
            if isinstance(answer, ModelError):
                pending.delivery.result = outcome = dead_letter(
                    pending.delivery, MessageError("model_error", str(answer))
                )
                at = format_time(pending.source.at_ms)
                outcome.signal = failure_record(
                    pending.identity, at, classifier.version, pending.source.text, "model_error", pending.trial
                )
                continue
            pending.classification, pending.path, pending.ms = answer, answer.path, share.ms_per_text
            if cache is not None and not pending.late:
                cache.put(pending.source.text, answer)

    def _decide_in_place_of(self, champion: ServedRelease, share: ReleaseBatch) -> None:
        """A canary decides its keys. What it fails on, however badly, the champion decides: nobody's event is lost to a
        release on trial."""
        try:
            answers = share.classify(self.failures)
        except Exception as error:
            answers = [ModelError(str(error))] * len(share.texts)
        failed = []
        for pending, answer in zip(share.texts, answers, strict=True):
            if isinstance(answer, ModelError):
                pending.failed_by, pending.decided_by = pending.decided_by, None
                failed.append(pending)
            else:
                pending.classification, pending.path, pending.ms = answer, answer.path, share.ms_per_text
        if failed:
            again = ReleaseBatch(champion, failed, self._app.fast_path == "on")
            again.prepare(self.failures)
            again.embed(self.failures)
            self._decide_share(again)

    def _try_out(self, share: ReleaseBatch, trial: Trial, records: DecisionRecords) -> None:
        """What a release on trial says goes to a topic of its own, marked and without an action. Whatever goes wrong
        there must not touch the champion's decisions."""
        classifier, answers = share.served.classifier, list[Classification]()
        if share.prepared is not None and share.embeddings is not None:  # else it failed, and that is counted
            try:
                with share.timed():
                    answers = classifier.classify(share.prepared, share.embeddings)
            except Exception as error:
                name = f"{trial.role} {classifier.model}@{classifier.version}"
                self.failures.add("trial", name, len(share.texts), error)
        for pending, answer in itertools.zip_longest(share.texts, answers):
            outcome = pending.delivery.result
            if not isinstance(outcome, Outcome) or pending.classification is None:
                continue
            if outcome.signal is not None:
                said = trial_answer(trial.role, classifier.version, share.ms_per_text, answer, trial.trial)
                outcome.signal.setdefault("trials", []).append(said)
            if answer is not None:
                outcome.records.append(records.trial_record(pending, answer, classifier, trial))
                outcome.trial_agrees[trial.role] = _same_labels(answer, pending.classification)


def _takes(canary: Trial, pending: Pending) -> bool:
    """Whether a canary decides a text in the champion's place; if so, that is noted. A late text is the champion's."""
    if pending.late or not _takes_key(canary, pending):
        return False
    pending.decided_by = canary
    return True


def _takes_key(trial: Trial, pending: Pending) -> bool:
    return trial.takes(pending.source.key or pending.identity)


def _pending(batch: Sequence[Delivery]) -> list[Pending]:
    """The texts of a batch that are not decided yet."""
    return [delivery.result for delivery in batch if isinstance(delivery.result, Pending)]


def _state_of(batch: Sequence[Delivery]) -> BatchState | None:
    """What the steps hand on: it hangs on the texts, so a batch without any has none."""
    return next((pending.batch for pending in _pending(batch)), None)


def _is_known(served: ServedRelease, pending: Pending) -> bool:
    """Look the text up; what is kept becomes the answer."""
    if served.cache is None or pending.late:
        return False
    known = served.cache.get(pending.source.text)
    if known is None:
        return False
    if known.embedding is not None:  # no sample of anything, so apart from the answer
        pending.remembered, known = known.embedding, replace(known, embedding=None)
    pending.classification, pending.path = known, "cache"
    return True


def _same_labels(first: Classification, second: Classification) -> bool:
    """Whether two releases say the same; heads that only one of them has do not count."""
    return all(head.label == second.heads[name].label for name, head in first.heads.items() if name in second.heads)
