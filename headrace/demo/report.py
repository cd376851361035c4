"""The count at the end of a demo: what came in, what was decided, lost and doubled, and what a release changed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from connectors.deadletters import read_origin
from headrace.demo.ledger import EXAMPLES, Ledger
from headrace.demo.scenario import LabelledText, TextStream
from headrace.process.builder import ProcessRoles
from headrace.wiring import Wiring
from models.classifier import Classifier
from retrain.gate.verdict import PAGE_ROLE
from streams import topics
from streams.application import Application
from streams.classify.release_loading import load_release
from streams.monitor.core import FoundEpisode
from streams.wire.records import decision_id


def measured(
    ledger: Ledger,
    built: ProcessRoles,
    wiring: Wiring,
    apps: Sequence[Application],
    streams: Mapping[str, TextStream],
    epoch: str,
) -> dict[str, Any]:
    """The contract's object. streams: by application, with the texts that were held out to compare releases."""
    _compare_releases(ledger, wiring, apps, streams)
    _write_pages(ledger, wiring)
    lost, duplicated, indexed, letters = _count(ledger, wiring, apps, epoch)
    totals = [monitor.counts for monitor in built.monitors.values()]
    accuracy = {app: round(s.accuracy, 4) for app, s in ledger.streams.items() if s.accuracy is not None}
    hit_rates = {name: round(r.recommender.quality.hit_rate, 4) for name, r in built.recommenders.items()}
    return {
        "events": ledger.events(),
        "decisions": sum(len(stream.decided) for stream in ledger.streams.values()),
        "indexed": indexed,
        "deadletters": letters,
        "accuracy": accuracy | hit_rates,
        "latency_ms": ledger.latency(),
        "drift": [_episode(ledger, found) for of_app in totals for found in of_app.episodes],
        "releases": ledger.swaps,
        "alerts": len(ledger.alerts),
        "lost": lost,
        "duplicated": duplicated,
        "corrections": ledger.corrections,
        "labels": dict(ledger.labelled),
        "entity_alert": next((one.summary for one in ledger.alerts if one.values.get("by") == "entities"), None),
        "new_item": None if ledger.new_item is None else asdict(ledger.new_item),
        "answered_from_bank": {
            "texts": len(ledger.from_bank),
            "examples": [asdict(one) for one in ledger.from_bank[:EXAMPLES]],
        },
        "mended": [
            {"app": one.app, "text": one.text, "was": one.was, "now": one.now} for one in ledger.mended[:EXAMPLES]
        ],
        "verdicts": [{"app": app, "words": words} for app, words in (built.job.verdicts if built.job else ())],
    }


def _compare_releases(
    ledger: Ledger, wiring: Wiring, apps: Sequence[Application], streams: Mapping[str, TextStream]
) -> None:
    """Both releases on the same held-out texts of after the onset."""
    registry, primary = wiring.registry(), {app.name: app.head_names[0] for app in apps if app.heads}
    for swap in ledger.swaps:
        app = swap["app"]
        held_out = streams[app].held_out_after_onset()
        for key, version in (("accuracy_before", swap["from"]), ("accuracy_after", swap["to"])):
            swap[key] = round(_accuracy(load_release(registry, app, version), held_out, primary[app]), 4)
        swap["held_out_texts"] = len(held_out)


def _write_pages(ledger: Ledger, wiring: Wiring) -> None:
    """Each release's verdict as a page beside the demo's store."""
    registry = wiring.registry()
    for swap in ledger.swaps:
        app, version = swap["app"], swap["to"]
        manifest = registry.manifest(app, version)
        page = json.loads(manifest)["files"].get(PAGE_ROLE)
        if page is not None:
            path = wiring.settings.home_path / f"verdict-{app}-{version}.html"
            path.write_bytes(registry.blobs_of(manifest)(page["sha256"]))
            swap["verdict_page"] = str(path)


def _count(ledger: Ledger, wiring: Wiring, apps: Sequence[Application], epoch: str) -> tuple[int, int, int, int]:
    """lost, duplicated, indexed, dead letters: confirmations against what stands in store and dead letters."""
    store, reader = wiring.store(), wiring.reader()
    try:
        confirmed = {identity for stream in ledger.streams.values() for identity in stream.truth}
        ids = [identity for app in apps for identity in store.ids(app.name)]
        origins: Iterable[Any] = (read_origin(record.headers) for record in reader.read(topics.DEAD_LETTERS_TOPIC))
        letters = {decision_id(origin.topic, epoch, origin.partition, origin.offset) for origin in origins}
        return len(confirmed - set(ids) - letters), len(ids) - len(set(ids)), len(ids), len(letters)
    finally:
        store.close()
        reader.close()


def _episode(ledger: Ledger, found: FoundEpisode) -> dict[str, Any]:
    """Numbers of the stream's events, whichever release served when they came."""
    episode = found.episode
    return {
        "app": found.app,
        "release": found.version,
        "onset_event": ledger.streams[found.app].onset_event,
        "detected_event": found.event,
        "estimated_onset": found.event - (episode.detected_event - episode.onset_event),
        "summary": episode.summary,
    }


def _accuracy(classifier: Classifier, texts: Sequence[LabelledText], head: str) -> float:
    decisions = classifier.classify_texts([text.text for text in texts])
    right = sum(
        decision.heads[head].label == text.labels[head] for decision, text in zip(decisions, texts, strict=True)
    )
    return right / len(texts)
