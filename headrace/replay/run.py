"""`headrace replay`: what would these releases have decided on a stretch of a topic? Nothing live is touched: the
reader is in no group, nothing is written to Kafka or to the store."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.kafka.client import KafkaAdmin
from headrace.applications import columns_of
from headrace.process.garbage import spared_collector
from headrace.releases.announcing import hash_to_compare
from headrace.releases.encoders import half_graphs
from headrace.releases.names import split_name
from headrace.replay.banks import NOW, THEN, ReplayBank, bank_history, live_decisions
from headrace.replay.collecting import Replayed, take
from headrace.replay.figures import comparison_figures, release_figures
from headrace.replay.labels import TrueLabels, is_file, labels_from_file, labels_from_topic
from headrace.replay.live_decisions import LiveDecisions
from headrace.replay.pipeline import MODEL_ERROR, Decided, decide_records, replay_handler
from headrace.tools.answers.history import BankHistory
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.errors import ConfigError
from streams.application import Application
from streams.classify.handler import ClassifyHandler
from streams.classify.release_loading import load_release
from streams.replay.answers import Answers
from streams.replay.stretch import Place, Stretch, choose_stretch
from streams.wire.records import decision_id

log = logging.getLogger(__name__)

Progress = Callable[[int, int, int], None]  # events, offsets done, offsets in all


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay. model, against: NAME@VERSION; changes are told from `against` to `model`. start, end: None:
    from the oldest record, to the end as it stands at the start. labels: a file or a topic. decisions: write them to
    this file. bank: `then` or `now`, which bank of answers is asked."""

    topic: str
    app: Application
    model: str | None = None
    against: str | None = None
    start: Place | None = None
    end: Place | None = None
    labels: str | None = None
    decisions: Path | None = None
    bank: str = THEN


def replay(
    wiring: Wiring, order: ReplayRequest, progress: Progress = lambda *_: None
) -> tuple[dict[str, Any], Replayed]:
    """The report (docs/replay.md) and what it was made of.

    Raises ConfigError for a topic, release or label file that is not there, WrongStretch, ConnectorError, ModelError.
    """
    if order.app.kind != "classify":
        raise ConfigError(
            f"{order.app.name} ranks items, only decisions with labels can be replayed: `headrace recommend --logged` "
            f"plays its events with other settings"
        )
    with ExitStack() as stack:
        admin = wiring.admin()
        stack.callback(admin.close)
        epoch = topic_epoch(admin, order.topic)
        stretch = stretch_of(admin, order)
        tell_gone(order.topic, stretch)
        classifiers = load_classifiers(wiring, order)
        releases = tuple(f"{classifier.model}@{classifier.version}" for classifier in classifiers)
        labels = true_labels(wiring, order, decision_id(order.topic, epoch, 0, 0).removesuffix("0-0"))
        before = _before(wiring, order, stretch, epoch, releases[0], progress)
        handlers = [_handler(order, classifier, epoch, stretch, before) for classifier in classifiers]
        heads = [head for head in order.app.head_names if all(head in classifier.heads for classifier in classifiers)]
        replayed = Replayed(releases, Answers(heads, releases))
        sink = stack.enter_context(order.decisions.open("wb")) if order.decisions else None
        reader = wiring.reader()
        stack.callback(reader.close)
        stack.enter_context(spared_collector())
        started = time.monotonic()
        records = reader.read(order.topic, stretch.starts, stretch.ends)
        for batch in counted(decide_records(records, handlers, order.app.decisions_topic), stretch, progress):
            take(batch, replayed, order.app, labels, sink, before.live)
        seconds = time.monotonic() - started
        left = admin.offsets(order.topic)
    cut = {
        p: first
        for p, (first, _) in left.items()
        if p in stretch.starts and first > stretch.starts[p] and p not in stretch.gone
    }
    for partition, first in cut.items():
        log.warning(
            "%s[%d]: the oldest messages went while it was replayed; it begins at offset %d now",
            order.topic,
            partition,
            first,
        )
    report = _report(order, stretch, labels, replayed, seconds, cut)
    return report | {"answers": _answers(order, replayed, before)}, replayed


@dataclass(slots=True)
class _Before:
    """What a replay reads before its stretch. banks: of each release, as they are asked."""

    history: BankHistory | None = None
    live: LiveDecisions | None = None
    banks: list[ReplayBank] = field(default_factory=list)


def _before(
    wiring: Wiring, order: ReplayRequest, stretch: Stretch, epoch: str, release: str, progress: Progress
) -> _Before:
    """Nothing for an application whose decisions depend on their text alone."""
    app = order.app
    if app.answer_bank is None and app.conversations is None:
        return _Before()
    history = bank_history(wiring, app)
    prefix = decision_id(order.topic, epoch, 0, 0).removesuffix("0-0")
    return _Before(history, live_decisions(wiring, app, stretch, prefix, release, history, progress))


def _handler(
    order: ReplayRequest, classifier: Classifier, epoch: str, stretch: Stretch, before: _Before
) -> ClassifyHandler:
    live, bank = before.live, None
    if before.history is not None:
        bank = ReplayBank(before.history, None if order.bank == NOW else live)
        before.banks.append(bank)
    past = () if live is None else live.before
    handler = replay_handler(order.app, classifier, order.topic, epoch, past=lambda partitions: past, bank=bank)
    if handler.conversations is not None:
        handler.conversations.assigned([(order.topic, partition) for partition in stretch.starts])
    return handler


def _answers(order: ReplayRequest, replayed: Replayed, before: _Before) -> dict[str, Any] | None:
    """What was answered, of --model. None for an application that asks no bank."""
    if before.history is None:
        return None
    gone = before.banks[0].gone
    if gone:
        log.warning(
            "%d events asked a bank of answers that its topic does not tell any more, and are not answered here; "
            "`headrace replay --bank now` asks the bank as it stands now",
            gone.total(),
        )
    return {
        "bank": order.bank,
        "from_bank": replayed.given["bank"],
        "ready": replayed.given["ready"],
        "banks": dict(sorted(replayed.banks.items())),
        "gone": dict(sorted(gone.items())),
        "live": {"compared": replayed.compared, "same": replayed.same},
    }


def topic_epoch(admin: KafkaAdmin, topic: str) -> str:
    """Raises ConfigError where there is no such topic."""
    state = admin.describe([topic]).get(topic)
    if state is None:
        raise ConfigError(f"there is no topic {topic}; `headrace doctor` lists what an application needs")
    return state.epoch


def stretch_of(admin: KafkaAdmin, order: ReplayRequest) -> Stretch:
    """Which offsets are replayed. Raises WrongStretch."""
    bounds = admin.readable_offsets(order.topic)
    starts, ends = (_offsets(admin, order, place, bounds) for place in (order.start, order.end))
    return choose_stretch(bounds, starts, ends, by_time=order.start is not None and order.start.time_ms is not None)


def _offsets(
    admin: KafkaAdmin, order: ReplayRequest, place: Place | None, bounds: Mapping[int, tuple[int, int]]
) -> dict[int, int] | None:
    if place is None:
        return None
    if place.offset is not None:
        return dict.fromkeys(bounds, place.offset)
    assert place.time_ms is not None
    return admin.offsets_at(order.topic, place.time_ms)


def tell_gone(topic: str, stretch: Stretch) -> None:
    """Say what of the stretch has left the topic."""
    if stretch.gone:
        where = ", ".join(
            f"[{partition}] begins at offset {first}" for partition, first in sorted(stretch.gone.items())
        )
        log.warning("the oldest messages of %s are gone (retention): %s; what is left is replayed", topic, where)
    if not stretch.offsets:
        log.warning("nothing stands in this stretch of %s", topic)


def load_classifiers(wiring: Wiring, order: ReplayRequest) -> list[Classifier]:
    """The releases that decide, proved. Raises ConfigError for one that the application cannot use."""
    registry = wiring.registry()
    names = [split_name(order.model or order.app.name, registry)]
    if order.against is not None:
        names.append(split_name(order.against, registry))
        if names[0] == names[1]:
            raise ConfigError(f"--model and --against are both {names[0][0]}@{names[0][1]}: give two releases")
    settings = wiring.settings
    classifiers = [
        load_release(
            registry,
            *name,
            hash_to_compare(wiring, *name),
            threads=settings.threads,
            device=settings.device,
            half=half_graphs(wiring),
        )
        for name in names
    ]
    for classifier in classifiers:
        if order.app.head_names[0] not in classifier.heads:
            raise ConfigError(
                f"{classifier.model}@{classifier.version} has no head {order.app.head_names[0]!r}, which "
                f"{order.app.name} asks for; "
                f"it has: {', '.join(classifier.heads)}"
            )
    return classifiers


def true_labels(wiring: Wiring, order: ReplayRequest, prefix: str) -> TrueLabels | None:
    """Labels from the file or topic that was asked for. prefix: what ids of the topic begin with."""
    if order.labels is None:
        return None
    if is_file(order.labels):
        return labels_from_file(Path(order.labels), order.app.heads, prefix, columns_of(order.app))
    reader = wiring.reader()
    try:
        return labels_from_topic(reader, order.labels, order.app.head_names, prefix)
    finally:
        reader.close()


def counted(batches: Iterable[list[Decided]], stretch: Stretch, progress: Progress) -> Iterator[list[Decided]]:
    """Tells how far it is: by offsets, because a compacted topic has fewer records than those."""
    reached, events = dict(stretch.starts), 0
    progress(0, 0, stretch.offsets)
    for batch in batches:
        yield batch
        events += len(batch)
        for event in batch:
            reached[event.record.partition] = event.record.offset + 1
        done = sum(offset - stretch.starts[partition] for partition, offset in reached.items())
        progress(events, done, stretch.offsets)
    progress(events, stretch.offsets, stretch.offsets)


def _report(
    order: ReplayRequest,
    stretch: Stretch,
    labels: TrueLabels | None,
    replayed: Replayed,
    seconds: float,
    cut: Mapping[int, int],
) -> dict[str, Any]:
    answers, releases = replayed.answers, replayed.releases
    model = releases[0]
    report: dict[str, Any] = {
        "topic": order.topic,
        "app": order.app.name,
        "model": model,
        "events": replayed.events,
        "changed": None,
        "metrics": _metrics(replayed, model),
        "against": None,
        "labels": labels.report() if labels is not None else None,
        "stretch": {str(p): [start, stretch.ends[p]] for p, start in sorted(stretch.starts.items())},
        "offsets_without_event": stretch.offsets - replayed.events,
        "gone": [
            {"partition": p, "first_offset": first} for p, first in sorted((dict(stretch.gone) | dict(cut)).items())
        ],
        "examples": {kind: examples.listed() for kind, examples in sorted(replayed.examples.items())},
        "seconds": round(seconds, 3),
        "events_per_second": round(replayed.events / seconds, 1) if seconds > 0 else 0.0,
    }
    if len(releases) > 1:
        compared = comparison_figures(answers, releases[1], model)
        report["changed"] = compared["changed"]
        report["against"] = compared | {"metrics": _metrics(replayed, releases[1])}
    return report


def _metrics(replayed: Replayed, release: str) -> dict[str, Any]:
    failed = replayed.failed.get(release, 0)
    return release_figures(replayed.answers, release) | {
        "decided": len(replayed.answers) - failed,
        "passed_over": dict(replayed.passed_over.most_common()),
        "dead_letters": dict(replayed.dead_letters.most_common()) | ({MODEL_ERROR: failed} if failed else {}),
        "paths": dict(replayed.paths.get(release, {})),
        "labels_sha256": replayed.answers.fingerprint(release),
    }
