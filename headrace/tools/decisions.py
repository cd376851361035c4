"""All that is known of one decision: what was decided, by which release, and what people said of it since."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.errors import TopicMismatch
from connectors.ports import DecisionStore, Record, ReleaseRegistry
from headrace.tools.recommendation.reasons import reason
from headrace.tools.releases.sheet import strategy_in_words
from headrace.wiring import Wiring
from models.errors import ConfigError, ConnectorError, HeadraceError
from models.figures import moment
from streams.topics import FEEDBACK_TOPIC
from streams.wire.feedback import Opinions
from streams.wire.records import Feedback, decision_fault


@dataclass(frozen=True, slots=True)
class KnownDecision:
    """decision: as it stands in the store. release: facts of its manifest; None where the registry lacks it. labels:
    every standing opinion, oldest first; None where no broker answered."""

    decision: Mapping[str, Any]
    release: Mapping[str, Any] | None
    labels: tuple[Feedback, ...] | None

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "decision": dict(self.decision),
            "release": None if self.release is None else dict(self.release),
            "labels": None if self.labels is None else [label.model_dump() for label in self.labels],
        }


def know_decision(wiring: Wiring, identity: str, app: str | None = None) -> KnownDecision:
    """Asks store, registry and broker. Raises ConfigError where the store does not have the decision."""
    store = wiring.store()
    try:
        decision = find_decision(store, identity, app)
    finally:
        store.close()
    return KnownDecision(decision, release_facts(wiring.registry(), decision), _labels(wiring, identity))


def _labels(wiring: Wiring, identity: str) -> tuple[Feedback, ...] | None:
    try:
        reader = wiring.reader()
    except ConnectorError:
        return None
    try:
        return standing_labels(reader.read(FEEDBACK_TOPIC), identity)
    except TopicMismatch:
        return ()  # nobody has labelled anything yet
    except ConnectorError:
        return None
    finally:
        reader.close()


def find_decision(store: DecisionStore, identity: str, app: str | None = None) -> dict[str, Any]:
    """The decision of this id. Raises ConfigError with the places where else to look, and for a document that no worker
    has written."""
    decision = store.get([identity], app).get(identity)
    if decision is None:
        topic = identity.partition("@")[0] or "TOPIC"
        raise ConfigError(
            f"no decision {identity!r} is in the store: ids look like support.chats@0a1b2c3d-0-17 (`headrace search "
            f"--json` shows them); a record that could not be decided is in `headrace deadletters list --topic {topic}`"
        )
    if fault := decision_fault(decision):
        raise ConfigError(f"what the store has as {identity!r} was written by no worker: {fault}")
    return decision


def release_facts(registry: ReleaseRegistry, decision: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the manifest says of the release that decided; None where the registry does not have it any more."""
    try:
        manifest = json.loads(registry.manifest(decision["model"], decision["version"]))
    except HeadraceError:
        return None
    facts = {name: manifest.get(name) for name in ("strategy", "serves", "parent", "created")}
    metrics = {head: values.get("accuracy") for head, values in manifest.get("metrics", {}).items()}
    return {**facts, "accuracy": metrics, "is_champion": registry.champion(decision["model"]) == decision["version"]}


def standing_labels(records: Iterable[Record], identity: str) -> tuple[Feedback, ...]:
    """Every label that stands for a decision, oldest first: one for each head and person."""
    opinions = Opinions(lambda decision_id: decision_id.partition("|")[0] == identity)
    for record in records:
        opinions.take(record)
    return tuple(opinion.feedback for opinion in sorted(opinions, key=lambda opinion: opinion.rank))


def lines(known: KnownDecision) -> Iterator[tuple[str, str]]:
    """For a person: name and value, in the order of interest."""
    decision = known.decision
    yield "id", str(decision["id"])
    yield "text", str(decision["text"])
    for head, answer in (decision.get("labels") or {}).items():
        yield head, _answer(answer)
    if story := decision.get("story_id"):
        yield "story", f"{story}, novelty {decision.get('novelty', 0.0):.2f}"
    for entity in decision.get("entities") or ():
        yield "entity", _entity(entity)
    for item in decision.get("items") or ():
        yield "item", f"{item['item_id']} {item['score']:.2f}, {reason(item)}"
    yield "action", leads_to(decision)[0]
    if asked := decision.get("ask"):
        yield "asks", str(asked["text"])
    if answer := decision.get("answer"):
        yield "answer", str(answer["text"])
        yield "answer found by", _found_by(answer)
    if bank := decision.get("bank"):
        yield "bank asked", str(bank)
    yield "key", str(decision.get("key"))
    yield "happened", moment(str(decision["at"]))
    yield "decided", f"{moment(decision['decided_at'])}, {decision['latency_ms']} ms after its record"
    if "items" in decision:
        yield "catalogue", f"its file as version {decision['version']}"
    else:
        yield "release", f"{decision['model']}@{decision['version']}, path {decision['path']}{_release(known.release)}"
    for name, value in (decision.get("extra") or {}).items():
        yield f"extra {name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for label in known.labels or ():
        yield "label", f"{label.head}: {label.label}, by {label.by}, {moment(label.at)}"
    if known.labels is None:
        yield "label", "unknown: no broker answers"


def _entity(entity: Mapping[str, Any]) -> str:
    """What is said of it, and how much the text is about it."""
    about = f", relevance {entity['relevance']:.2f}" if "relevance" in entity else ""
    found = f", found by the {entity['found']}" if entity.get("found") else ""
    return f"{entity['name']}: {entity['sentiment']} {entity['probability']:.2f}{about}{found}"


def leads_to(decision: Mapping[str, Any]) -> tuple[str, ...]:
    """What follows from a decision, for a person: where it goes, and what the one who wrote is told."""
    action, answer = str(decision.get("action")), decision.get("answer")
    if asked := decision.get("ask"):
        action = f"asks for {asked['slot']}" if asked.get("slot") else "asks which of two matters"
    if not isinstance(answer, Mapping):
        return (action,)
    if answer.get("id") is None:
        return action, f"answered: ready answer of {answer.get('label')}"
    source = f" ({answer['source']})" if answer.get("source") else ""
    confidence = answer.get("confidence")
    sure = "" if confidence is None else f" {confidence:.2f}"
    return (f"answered: {answer['id']}{source}{sure}",)


def _answer(answer: Mapping[str, Any]) -> str:
    words = f"{answer['label']}, probability {answer['probability']:.2f}"
    if answer.get("oos_score") is not None:
        words += f", out-of-scope score {answer['oos_score']:.2f}"
    return words + (", rejected: the label is a guess and does not act" if answer.get("rejected") else "")


def _release(release: Mapping[str, Any] | None) -> str:
    if release is None:
        return ", not in this registry"
    accuracy = ", ".join(f"{head} {value:.3f}" for head, value in release["accuracy"].items() if value is not None)
    champion = "the champion now" if release["is_champion"] else "not the champion now"
    return f", {strategy_in_words(release)}, {champion}" + (
        f", accuracy on held-out texts: {accuracy}" if accuracy else ""
    )


def _found_by(answer: Mapping[str, Any]) -> str:
    if "id" not in answer:
        return f"the ready answer of {answer.get('label')}"
    source = f", from {answer['source']}" if answer.get("source") else ""
    return f'"{answer.get("question")}" of the bank ({answer["id"]}{source}), confidence {answer.get("confidence"):.2f}'
