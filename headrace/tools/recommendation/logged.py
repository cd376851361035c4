"""`headrace recommend --logged`: what this file's settings would have got in the drawn places of the decisions that
stand in the topic."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.ports import Record
from headrace.process.recommender import recommender_of
from headrace.process.source_topics import source_states
from headrace.releases.item_maps import served_map
from headrace.tools.recommendation.asking import Progress
from headrace.topic_records import all_records, decisions_of
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError, ModelError
from models.recommendation.events import UserEvent
from models.recommendation.off_policy import Drawn, estimates
from streams.application import Application
from streams.recommend.handler import RecommendHandler, user_event
from streams.wire.records import decision_id
from streams.wire.source_records import PassedOver

_PRIOR: Final = 20.0  # draws that a share of items counts as, beside an item's own


@dataclass(frozen=True, slots=True)
class LoggedDraw:
    """The first drawn item of a list, and whether it was what its user took next."""

    item_id: str
    propensity: float
    taken: bool


def estimate(wiring: Wiring, app: Application, progress: Progress) -> dict[str, Any]:
    """`{app, draws, effective, logged, ips, self_normalised, doubly_robust}`, each estimate `{value, low, high}`.
    Raises ConfigError."""
    if app.kind != "recommend":
        raise ConfigError(f'{app.name} labels texts, it ranks no items: give an application of kind = "recommend"')
    if not app.recommend.exploration:
        raise ConfigError(f"{app.name} draws no items: [recommend] exploration must be 1 at the least")
    draws = logged_draws(decisions_of(all_records(wiring, app.decisions_topic)))
    recommender, encoder, version = recommender_of(wiring, app)
    topic = app.recommend.catalog_topic
    changes = [] if topic is None else list(all_records(wiring, topic))
    served = served_map(wiring, app.name, encoder)
    handler = RecommendHandler(
        app, recommender, version, {}, catalogue=lambda: changes, embed=encoder.embed, wanted_map=lambda: served
    )
    handler.follow_map()
    handler.follow_catalogue()
    admin = wiring.admin()
    try:
        epochs = {name: state.epoch for name, state in source_states(admin, [app]).items()}
    finally:
        admin.close()
    records = [record for source in app.source_topics for record in all_records(wiring, source)]
    records.sort(key=lambda record: record.timestamp_ms)
    return {"app": app.name, **estimated(rows_of(handler, records, epochs, draws, progress))}


def logged_draws(decisions: Iterable[Mapping[str, Any]]) -> dict[str, LoggedDraw]:
    """By the decision's id; of users who did something afterwards. Raises ConfigError where a drawn item has no
    propensity."""
    waiting: dict[str, tuple[str, Mapping[str, Any]]] = {}
    draws: dict[str, LoggedDraw] = {}
    seen: set[str] = set()
    for decision in decisions:
        if decision["id"] in seen:  # a repeat
            continue
        seen.add(decision["id"])
        user, items = str(decision.get("key")), decision.get("items") or []
        if user in waiting:
            name, item = waiting.pop(user)
            after = (decision.get("extra") or {}).get("previous_list") or {}
            if not isinstance(item.get("propensity"), float | int) or item["propensity"] <= 0:
                raise ConfigError(f"{name}: its drawn item has no propensity above 0, so nothing can be estimated")
            draws[name] = LoggedDraw(item["item_id"], float(item["propensity"]), after.get("taken") == item["item_id"])
        drawn = next((item for item in items if item.get("why") == "exploration"), None)
        if drawn is not None:
            waiting[user] = str(decision["id"]), drawn
    return draws


def rows_of(
    handler: RecommendHandler,
    records: Sequence[Record],
    epochs: Mapping[str, str],
    draws: Mapping[str, LoggedDraw],
    progress: Progress,
) -> NDArray[np.float64]:
    """The fields of `Drawn`, (draws, 5), of those whose events are among the records. Takes all events in. How often an
    item is taken is foretold by the other half of the draws."""
    halves = [list(draws.values())[1 - half :: 2] for half in range(2)]
    shares = [_shares(half) for half in halves]
    half_of = {name: number % 2 for number, name in enumerate(draws)}
    recommender, rows = handler.recommender, list[tuple[float, ...]]()
    for number, record in enumerate(records):
        if number % 500 == 0:
            progress("playing events", number, len(records))
        event = _event(handler, record)
        if event is None:
            continue
        recommender.observe(event)
        name = decision_id(record.topic, epochs[record.topic], record.partition, record.offset)
        if draw := draws.get(name):
            share, chances = shares[half_of[name]], recommender.chances(event.user_id)
            expected = sum(chance * share(item) for item, chance in chances.items())
            of_item = chances.get(draw.item_id, 0.0)
            rows.append((float(draw.taken), draw.propensity, of_item, share(draw.item_id), expected))
    progress("playing events", len(records), len(records))
    return np.array(rows, np.float64).reshape(-1, 5)


def estimated(rows: NDArray[np.float64]) -> dict[str, Any]:
    """Of what `rows_of` gave. Raises ConfigError."""
    try:
        return asdict(estimates(Drawn(*rows.T)))
    except ModelError as error:
        raise ConfigError(str(error)) from error


def _event(handler: RecommendHandler, record: Record) -> UserEvent | None:
    try:
        event = handler.reader.parse_event(record.value, record.key, record.timestamp_ms)
        return None if isinstance(event, PassedOver) else user_event(event, handler.app)
    except MessageError:
        return None  # it is in the dead letters


def _shares(draws: Sequence[LoggedDraw]) -> Callable[[str], float]:
    """How often an item is taken where it is drawn, drawn to that of all."""
    overall = (sum(draw.taken for draw in draws) + 1.0) / (len(draws) + 2.0)
    taken, count = Counter[str](), Counter[str]()
    for draw in draws:
        taken[draw.item_id] += draw.taken
        count[draw.item_id] += 1
    return lambda item: (taken[item] + _PRIOR * overall) / (count[item] + _PRIOR)
