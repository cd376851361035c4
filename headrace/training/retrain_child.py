"""The training process of a retrain job: an order in, a verdict out (`headrace.training.child_process`)."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from connectors.errors import RegistryUnavailable
from connectors.registry import FolderRegistry
from headrace.pages.model_card import attach_card
from headrace.pages.verdict import render_verdict
from headrace.releases.encoders import default_encoder, source_of_encoder
from headrace.settings import load_settings
from headrace.training.child_process import answer
from headrace.training.energy_counter import EnergyMeter
from headrace.training.run.asked_for import AskedFor, TakenOver
from headrace.wiring import Wiring
from models.bundle import unpack
from models.encoder.encoder import Encoder
from models.encoder.remembering import RememberingEncoder
from models.errors import TrainingDataError
from models.personal_data import mask_personal_data
from models.texts.reading import Reading
from retrain import training_data
from retrain.challenge import challenger_dataset, introduced_labels
from retrain.class_balance import newest_of_each_label
from retrain.data import Dataset
from retrain.entities.comparing import ReadsNames, compare_entities, rows_that_judge
from retrain.entities.release import carry_entities, entity_rows_of
from retrain.entities.rows import EntityRows
from retrain.feedback.policy import FeedbackPolicy
from retrain.feedback.sets import as_sets
from retrain.feedback.sifting import Sifted, sift
from retrain.gate.contest import contest
from retrain.gate.verdict import PAGE_ROLE, Verdict
from retrain.job import TrainedRelease, train_release
from retrain.pictures.release import carry_fusion, carry_pictures
from retrain.rejection.policy import RejectionPolicy
from streams.classify.release_loading import proved_manifest
from streams.clock import wall_clock_ms
from streams.wire.records import format_time

PUBLISH_SECONDS: Final = 300.0  # for which a registry that does not answer is asked again: training took longer
PAUSE_SECONDS: Final = 5.0


def main() -> None:
    """Take an order and answer it."""
    answer(run)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train a challenger on the champion's data and the corrections; publish it when it is better."""
    registry = FolderRegistry(order["registry"])
    model, version = order["model"], order["champion"]
    manifest = proved_manifest(registry, model, version, order["manifest_sha256"])
    described = json.loads(manifest)
    blob = registry.blobs_of(manifest)
    champion = unpack(manifest, blob, version=version, threads=order["threads"])
    # the gate compares how fast both are, and the challenger has its entities only when packed
    champion.entities = None
    reading = Reading.from_json(order.get("reading", {}))
    before = training_data.read_as_served(training_data.of_release(described, blob), reading)
    oos_label = described.get("training", {}).get("oos_label")
    known = RememberingEncoder(champion.encoder)  # sifting and training ask about the same texts
    order["labelled"] = as_sets(order["labelled"], before.several)
    sifted = _sifted(order, before, known, oos_label)
    challenge = challenger_dataset(before, sifted.labelled, introduced_labels(order["labelled"], before.several))
    dataset, left_out = newest_of_each_label(challenge.dataset, order["max_texts_per_label"])
    asked = {"oos_label": oos_label, "rejection": RejectionPolicy.of_manifest(described)}
    asked["neutral_words"], asked["polarity"] = champion.neutral_words, champion.polarity
    source = described.get("encoder", {}).get("source")
    entities = entity_rows_of(described, blob)
    before_it = AskedFor.of_manifest(described)
    trained, taken_over, otherwise = _trained(order, dataset, known, asked, source, before_it, entities)
    if trained.classifier.encoder is known:
        trained.classifier.encoder = champion.encoder  # the gate compares how fast both are
    carry_pictures(described, blob, trained.manifest, trained.blobs)
    carry_entities(described, blob, trained.manifest, trained.blobs, trained.classifier, trained.entity_head)
    fusion = carry_fusion(described, blob, trained.manifest, trained.blobs, trained.classifier, trained.dataset)
    packed = trained.manifest, trained.blobs.__getitem__
    said_of_names = compare_entities(
        ReadsNames.of(described, blob, champion),
        ReadsNames.of(*packed, trained.classifier),
        rows_that_judge((described, blob), packed),
    )
    sizes = training_data.served_bytes(described), training_data.served_bytes(trained.manifest)
    set_aside = sifted.report.words(order.get("given_as", model))
    textless = _textless(order["labelled"], before)
    dropped = "not taken over from the champion: " + "; ".join(taken_over.left_out) if taken_over.left_out else ""
    alone = "" if fusion is None or fusion.fusion is not None else fusion.words
    remarks = [words for words in (challenge.words, set_aside, left_out, otherwise, dropped, textless, alone) if words]
    verdict = contest(
        champion,
        trained.classifier,
        dataset,
        sizes,
        oos_label,
        look=order["look"],
        suspects={(head, label) for head, label in order.get("suspects", ())},
        left_out=remarks,
        mask=mask_personal_data if order["mask_personal_data"] else lambda text: text,
        entities=said_of_names,
    )
    reason = "; ".join((verdict.reason, *remarks))
    page = _page(order, verdict, reason)
    told = {"words": reason, "feedback": sifted.report.as_json(), "doubts": sifted.report.doubts()}
    if not verdict.passed:
        return told | {"version": None, "page": page, "stopped_labels": list(verdict.stopped_labels)}
    trained.manifest["gate"] = verdict.as_json(examples=False) | {"reason": reason}
    trained.manifest["retraining"] = {  # by its request one that is delivered again finds it
        "request": order["request"],
        "feedback": sifted.report.as_json(examples=False),
        "taken_over": taken_over.as_json(),
    }
    training_data.attach(trained.manifest, trained.blobs, trained.dataset)
    training_data.attach_file(trained.manifest, trained.blobs, PAGE_ROLE, page.encode())
    attach_card(trained.manifest, trained.blobs)
    return told | {"version": _publish(registry, model, trained.manifest, trained.blobs)}


def _page(order: dict[str, Any], verdict: Verdict, reason: str) -> str:
    return render_verdict(
        verdict.as_json(),
        app=order["model"],
        champion=order["champion"],
        request=order["request"],
        reason=reason,
        at=format_time(wall_clock_ms()),
    )


def _textless(labelled: Sequence[Mapping[str, Any]], before: Dataset) -> str:
    """How many labels could not be used, as nobody knows their text any more, or yet; empty where there are none."""
    known = {decision for row in before.rows for decision in row.decisions}
    absent = sum(not item.get("text") and item["id"] not in known for item in labelled)
    return f"{absent} labelled decisions are not in the store (any more, or yet) and did not train" if absent else ""


def _sifted(order: dict[str, Any], before: Dataset, encoder: Encoder, oos_label: str | None) -> Sifted:
    """The labels that count."""
    return sift(
        before,
        order["labelled"],
        encoder.embed,
        FeedbackPolicy(**order.get("feedback", {})),
        oos_label=oos_label,
        seed=order["seed"],
    )


def _trained(
    order: dict[str, Any],
    dataset: Dataset,
    encoder: Encoder,
    asked: dict[str, Any],
    source: dict[str, str] | None,
    before: AskedFor,
    entities: EntityRows | None,
) -> tuple[TrainedRelease, TakenOver, str]:
    """The challenger, what it took over, and why it was trained otherwise than the application asks, in words; empty
    where it was not.

    encoder: the champion's; source: where it is from. asked: `oos_label`, `rejection`, `neutral_words` and `polarity`,
    as of the champion. before: what else that was asked for. entities: its texts with labelled names. Other strategies
    than the quick one tune the configured encoder instead, which knows none of the texts; where they are too few for
    that, the quick one is better than none.
    """

    def train(
        strategy: str, encoder: Encoder, dataset: Dataset, source: dict[str, str] | None, wiring: Wiring | None
    ) -> tuple[TrainedRelease, TakenOver]:
        read_as = str if asked["neutral_words"] is None else asked["neutral_words"].read
        trainer, taken_over = TakenOver.by(strategy, before).trainer(wiring, entities, read_as)
        dataset, taken_over = taken_over.augmented(dataset, encoder, asked["oos_label"])
        names = {"strategy": strategy, "seed": order["seed"], "parent": order["champion"], "trainer": trainer} | asked
        trained = train_release(order["model"], dataset, encoder, **names, encoder_source=source, meter=EnergyMeter())
        taken_over.note(trained.manifest["training"], dataset)
        return trained, taken_over

    if order["strategy"] == "quick":
        return *train("quick", encoder, dataset, source, None), ""
    wiring = Wiring(load_settings(**order["settings"]))
    try:
        unread = replace(dataset, encoder_tuned_on=frozenset())
        configured = default_encoder(wiring).reading(encoder.long_texts), unread, source_of_encoder(wiring)
        return *train(order["strategy"], *configured, wiring), ""
    except TrainingDataError as error:
        return *train("quick", encoder, dataset, source, None), f"trained by the quick strategy: {error}"


def _publish(registry: FolderRegistry, model: str, manifest: Mapping[str, Any], blobs: Mapping[str, bytes]) -> str:
    deadline = time.monotonic() + PUBLISH_SECONDS
    while True:
        try:
            return registry.publish(model, manifest, blobs)
        except RegistryUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
