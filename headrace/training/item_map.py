"""`headrace recommend --adapt`: a map of the items' embeddings, learnt of what users touched, judged, released."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

import numpy as np

from connectors.errors import BrokerUnavailable
from connectors.ports import Record
from headrace.process.recommender import recommender_of
from headrace.releases.candidates import proposed
from headrace.releases.item_maps import map_of, standing_version
from headrace.releases.looks import COMPARED_WITH, look_of
from headrace.releases.release_log import next_release
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError, ConnectorError
from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.adapting.release import MapNotes, pack_map
from models.recommendation.events import UserEvent
from models.recommendation.recommender import Recommender
from retrain.gate.verdict import Verdict
from retrain.progress import Progress
from retrain.recommendation.map_judging import Shop, judge_map
from retrain.recommendation.map_training import Trained, train_map
from retrain.recommendation.touches import hold_out, touches_of
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.recommend.handler import RecommendHandler
from streams.wire.records import Release, ReleaseStep, format_time

log = logging.getLogger(__name__)

LEAST_TOUCHES: Final = 500
_NONE: Final = "the encoder"  # what a first map is compared with
_LIBRARIES: Final = ("numpy", "scipy", "safetensors")


@dataclass(frozen=True, slots=True)
class Adapted:
    """report: of the training and the gate, JSON. words: of the gate. item_map: what passed; None where nothing did.
    notes: for its manifest. compared_with: version, or None: the embeddings as the encoder made them. request: names
    the challenger: the same events and seed again are the same one."""

    report: dict[str, Any]
    words: str
    item_map: ItemMap | None
    notes: MapNotes
    compared_with: str | None
    request: str


def adapt(wiring: Wiring, app: Application, records: Iterable[Record], seed: int, progress: Progress) -> Adapted:
    """Train a map on events and judge it against what serves. Publishes nothing. Raises ConfigError where the
    application ranks no items, or there are too few events."""
    _refuse_others(app)
    progress("catalogue", 0, 1)
    recommender, encoder, version = recommender_of(wiring, app)
    topic = app.recommend.catalog_topic
    changes = [] if topic is None else list(all_records(wiring, topic))
    handler = RecommendHandler(app, recommender, version, {}, catalogue=lambda: changes, embed=encoder.embed)
    handler.follow_catalogue()
    progress("catalogue", 1, 1)
    events, _ = handler.read_events(records, progress)
    standing = standing_version(wiring, app.name)  # once: what is compared with is what is named
    compared_with = None if standing is None else standing[0]
    champion = map_of(wiring, app.name, standing, encoder)  # None too where the standing one is for another encoder
    request = _request(app, recommender, events, seed)
    look = _look(wiring, app, compared_with, request)
    found, verdict = _trained_and_judged(recommender, events, champion, look, seed, progress)
    is_released = verdict is not None and verdict.passed
    words = verdict.reason if verdict is not None else _no_map(found)
    report: dict[str, Any] = {
        "app": app.name,
        "events": len(events),
        "items": len(recommender.catalogue),
        "trained_on_items": found.items,
        "steps": found.steps,
        "validation_ndcg": {str(steps): round(ndcg, 4) for steps, ndcg in found.figures.items()},
        "compared_with": compared_with,
        "passed": is_released,
        "reason": words,
        "gate": None if verdict is None else verdict.as_json(examples=False),
    }
    told = ("events", "items", "trained_on_items", "steps", "validation_ndcg")
    notes = MapNotes(
        encoder.sha256,
        parent=report["compared_with"],
        training={name: report[name] for name in told} | {"seed": seed, "catalogue": version},
        gate=report["gate"],
        libraries={library: importlib.metadata.version(library) for library in _LIBRARIES},
    )
    passed = found.item_map if is_released else None
    return Adapted(report, words, passed, notes, compared_with, request)


def release_map(wiring: Wiring, app: Application, adapted: Adapted) -> str | None:
    """Publish what passed and announce it, as `[release]` says; note what was refused. Returns the version, None where
    there is none. Before the first map of an application one is published that changes nothing: a rollback leads there.

    Raises BrokerUnavailable where Kafka does not answer, RegistryError."""
    item_map, notes = adapted.item_map, adapted.notes
    if item_map is None:
        note_look(wiring, app, adapted, "refused")
        return None
    registry, before = wiring.registry(), adapted.compared_with
    if before is None:
        base = MapNotes(notes.encoder_sha256, training={"steps": 0}, libraries=notes.libraries)
        before = registry.publish(app.name, *pack_map(app.name, ItemMap.identity(item_map.dimensions), base))
    version = registry.publish(app.name, *pack_map(app.name, item_map, replace(notes, parent=before)))
    try:
        serves = _announce(wiring, app, adapted, before, version)
    except BrokerUnavailable:
        if wiring.settings.broker != "embedded":
            raise
        serves = app.release.approval != "ask"  # no embedded broker runs: the next start announces what is noted
        if not serves:
            if adapted.compared_with is None:
                registry.promote(app.name, before)
            log.warning(
                "nobody could be asked, as no broker runs: `headrace models promote %s@%s` once it does",
                app.name,
                version,
            )
    if serves:
        registry.promote(app.name, version)
    return version


def _announce(wiring: Wiring, app: Application, adapted: Adapted, before: str, version: str) -> bool:
    """before: what the version follows. Returns whether it serves."""
    registry, log_of_releases = wiring.registry(), wiring.release_log()
    standing = log_of_releases.standing(app.name)
    if standing is None:

        def begin(release: Release | None) -> Release:
            return next_release(registry, app.name, before, release, by="start")

        standing = log_of_releases.announce_if(app.name, None, begin)
    if standing.release.champion != before:
        raise ConfigError(
            f"{standing.release.champion} serves by now, and {app.name}@{version} was compared with {before}: run it "
            f"again"
        )

    def change(release: Release | None) -> Release:
        assert release is not None
        return proposed(registry, version, release, app.release, reason=adapted.words, by="train")

    return bool(log_of_releases.announce_if(app.name, standing, change).release.champion == version)


def _trained_and_judged(
    recommender: Recommender,
    events: list[UserEvent],
    champion: ItemMap | None,
    look: int,
    seed: int,
    progress: Progress,
) -> tuple[Trained, Verdict | None]:
    """None: no map was better on validation items, so that nothing was judged."""
    catalogue = recommender.catalogue
    touches = touches_of(events, catalogue.ids)
    if len(touches.at) < LEAST_TOUCHES:
        raise ConfigError(
            f"{len(touches.at)} events of known users and items are too few to learn of: {LEAST_TOUCHES} are needed"
        )
    held = hold_out(touches, len(catalogue), seed)
    vectors = np.ascontiguousarray(catalogue.columns.T)
    found = train_map(vectors, held.train(touches), seed=seed, progress=progress)
    if found.item_map is None:
        return found, None

    def make(item_map: ItemMap | None) -> Recommender:
        recommender.forget()
        recommender.adapt(item_map)
        return recommender

    return found, judge_map(Shop(vectors, events, touches, held, make), champion, found.item_map, look, progress)


def _look(wiring: Wiring, app: Application, compared_with: str | None, request: str) -> int:
    try:
        steps = wiring.release_log().history.steps(app.name)
    except BrokerUnavailable:
        return 1  # an embedded broker's history is gone with it
    return look_of(steps, compared_with or _NONE, request)


def _request(app: Application, recommender: Recommender, events: Sequence[UserEvent], seed: int) -> str:
    """Of all that the gate's figures hang on: the events, the items as they are now, and the rules by which lists are
    made. Who tries `lists_for` or `repeats` until one passes looks as often."""
    catalogue = recommender.catalogue
    rules = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in _fields(recommender)}
    items = list(zip(catalogue.ids, catalogue.texts, catalogue.shown.tolist(), strict=True))
    digest = hashlib.sha256(repr((seed, rules, items)).encode())
    for event in events:
        digest.update(repr((event.user_id, event.item_id, event.action)).encode())
    return f"{app.name}@{digest.hexdigest()[:16]}"


def _fields(recommender: Recommender) -> Iterator[tuple[str, Any]]:
    policy = recommender.policy
    return ((one.name, getattr(policy, one.name)) for one in fields(policy))


def note_look(wiring: Wiring, app: Application, adapted: Adapted, kind: Literal["refused", "tried"]) -> bool:
    """Each challenger of one champion must be more clearly better than those before it, so they are counted, whether
    their release was asked for or not: who tries seeds until one passes looks as often. Returns whether it stands in
    the history; where no broker runs there is none."""
    was_judged = adapted.report["gate"] is not None
    if kind == "tried" and not was_judged:
        return False
    step = ReleaseStep(
        kind=kind,
        model=app.name,
        reason=adapted.words,
        figures={COMPARED_WITH: adapted.compared_with or _NONE} if was_judged else {},
        by="train",
        at=format_time(wall_clock_ms()),
        request=adapted.request,
    )
    try:
        wiring.release_log().history.note(step)
    except ConnectorError as error:
        log.info("the gate's look is not in the history: %s", error)
        return False
    return True


def _refuse_others(app: Application) -> None:
    if app.kind != "recommend":
        raise ConfigError(f'{app.name} labels texts, it ranks no items: give an application of kind = "recommend"')
    if app.release.steps != ("champion",):
        raise ConfigError(
            f'[release] steps of {app.name}: a map of embeddings serves at once, or waits where approval = "ask"; '
            f"shadow and canary are steps of classifiers: take the line out"
        )


def _no_map(found: Trained) -> str:
    if not found.figures:
        return f"not released: {found.items} items that users touched are too few to learn of"
    tried = max(ndcg for steps, ndcg in found.figures.items() if steps)
    return (
        f"not released: on items held out of the training no map was better than what the encoder says "
        f"(NDCG@10 {tried:.4f} against {found.figures[0]:.4f})"
    )
