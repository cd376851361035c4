"""A release's manifest as a model card: Markdown under metadata as the Hugging Face Hub reads it (Mitchell et al. 2019,
"Model cards for model reporting"). What a manifest does not say is left out, never left empty."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from headrace.pages import page_environment
from models.figures import number_of
from models.shares import wilson_interval
from retrain.cost import WATTS_PER_CORE
from retrain.training_data import CARD_ROLE, attach_file

FEW_TEXTS: Final = 20  # tested of a label: with fewer its figures say little
WEAK_RECALL: Final = 0.2  # of a label, below the head's accuracy
SHOWN_LABELS: Final = 40  # of a head, the worst ones
MINUTES_FROM: Final = 120.0  # seconds: longer times are told in minutes


def attach_card(manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    """Put the card of a packed release into it; after all else that its manifest says."""
    attach_file(manifest, blobs, CARD_ROLE, render_card(manifest).encode())


def render_card(manifest: Mapping[str, Any]) -> str:
    """The card's text. manifest: of any release, published or not."""
    environment = page_environment("headrace", "pages")
    environment.filters |= {"cell": _cell, "duration": _duration}
    card: str = environment.get_template("model_card.md.j2").render(
        metadata=Markup(_metadata(manifest)),
        manifest=manifest,
        heads=[_head(manifest, head) for head in manifest.get("heads", [])],
        limits=list(_limits(manifest)),
        training=manifest.get("training", {}),
        pictures=manifest.get("pictures"),
        fusion=manifest.get("fusion"),
        entities=manifest.get("entities"),
        tagger=manifest.get("entity_tagger"),
        base=_base(manifest),
        small=_compression(manifest.get("compression") or {}),
        watts_per_core=WATTS_PER_CORE,
        files={role: file for role, file in manifest.get("files", {}).items() if role != CARD_ROLE},
    )
    return card


def _metadata(manifest: Mapping[str, Any]) -> str:
    """YAML for the Hub: what any of its pages can be searched and compared by."""
    from huggingface_hub import EvalResult, ModelCardData  # a third of a second, for trainings only

    name = str(manifest["model"])
    data_name = f"{name}, data {str(manifest.get('training', {}).get('fingerprint', ''))[:12]}".removesuffix(", data ")
    results = [
        EvalResult(
            task_type="text-classification",
            task_name=head,
            dataset_type=name,
            dataset_name=data_name,
            dataset_config=head,
            dataset_split="test",
            metric_type=metric,
            metric_value=figures[key],
            metric_name=f"{head}: {metric}",
        )
        for head, figures in manifest.get("metrics", {}).items()
        for metric, key in (("accuracy", "accuracy"), ("f1", "macro_f1"))
        if figures.get(key) is not None
    ]
    base = _base(manifest)
    options: dict[str, Any] = {"base_model": base["published_as"]} if "published_as" in base else {}
    if results:
        options |= {"model_name": name, "eval_results": results, "metrics": ["accuracy", "f1"]}
    card = ModelCardData(
        library_name="headrace",
        pipeline_tag="text-classification",
        tags=["headrace", "onnx", "text-classification"],
        **options,
    )
    yaml: str = card.to_yaml()
    return yaml


def _base(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The encoder's name, its weights' hash and, of a packaged one, where it is published and its licence."""
    from connectors.encoders.known import ENCODERS

    source = manifest.get("encoder", {}).get("source") or {}
    package = ENCODERS.get(str(source.get("name")))
    if package is None or package.sha256["model.safetensors"] != source.get("weights_sha256"):
        return dict(source)
    return {**source, "published_as": package.published_as, "licence": package.licence}


def _head(manifest: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Any]:
    figures = manifest.get("metrics", {}).get(head["name"], {})
    per_label = sorted(figures.get("per_label", {}).items(), key=lambda one: (one[1]["f1"], one[0]))
    slices = [
        {"name": name, **values, "ci95": wilson_interval(values["accuracy"] * values["texts"], values["texts"])}
        for name, values in sorted(figures.get("per_slice", {}).items())
    ]
    is_told = figures.get("accuracy") is not None
    return {
        "name": head["name"],
        "labels": head["labels"],
        "figures": figures if is_told else None,
        "per_label": per_label[:SHOWN_LABELS],
        "more_labels": max(0, len(per_label) - SHOWN_LABELS),
        "slices": slices,
    }


def _limits(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What the figures do not carry, sentence by sentence."""
    tokens = manifest.get("encoder", {}).get("max_tokens")
    if tokens:
        yield f"Of a text the encoder reads the first {tokens} tokens; what stands behind them only counts as words."
    for head in manifest.get("heads", []):
        figures = manifest.get("metrics", {}).get(head["name"], {})
        per_label: Mapping[str, Mapping[str, float]] = figures.get("per_label", {})
        few = [label for label, values in per_label.items() if values["texts"] < FEW_TEXTS]
        if few:
            yield f"{head['name']}: fewer than {FEW_TEXTS} test texts each, figures that say little: {_list(few)}."
        least = (figures.get("accuracy") or 0.0) - WEAK_RECALL
        weak = [label for label, values in per_label.items() if values["recall"] < least and label not in few]
        if weak:
            points = f"{100 * WEAK_RECALL:.0f} points or more"
            yield f"{head['name']}: found {points} less often than the average: {_list(weak)}."
        if untested := [label for label in head["labels"] if label not in per_label]:
            yield f"{head['name']}: never tested: {_list(untested)}."
        if figures and head.get("out_of_scope") and not figures.get("oos"):
            yield f"{head['name']}: no known out-of-scope text was at hand, so how many are rejected was not measured."
    if pictures := manifest.get("pictures"):
        tested: Mapping[str, Mapping[str, float]] = pictures["metrics"]["per_label"]
        if few := [label for label, values in tested.items() if values["pictures"] < FEW_TEXTS]:
            yield f"Pictures: fewer than {FEW_TEXTS} test pictures each, figures that say little: {_list(few)}."
        yield (
            f"A picture is looked at as {pictures['size']} by {pictures['size']} pixels; what is smaller than one of "
            f"these is not seen. It always has one of these labels: what is none of them is not told apart."
        )
    yield "It was tested on texts like those it was trained on. Other sources, languages and times were not tested."


def _compression(done: Mapping[str, Any]) -> str:
    """What was taken out of the encoder of which version, and what it cost."""
    if not done:
        return ""
    compared = done["compared"]
    low, high = (100 * bound for bound in compared["accuracy_change_ci95"])
    names = done.get("entities")
    said = (
        f" F1 of what is said of names {100 * names['f1_change']:+.2f} points, on {names['names']} names."
        if names
        else ""
    )
    taught = f"taught by that release on {number_of(done['texts'], 'text')}, " if "distillation" in done else ""
    return (
        f"Made smaller out of version {done['parent']}: "
        f"{number_of(len(done['layers']), 'layer')}, {sum(done['heads'])} attention "
        f"heads and {sum(done['feed_forward_units'])} feed-forward units are left, {taught}INT8 by "
        f"{done['quantization']}. {compared['speed_ratio']} times as many texts a second; accuracy "
        f"{100 * compared['accuracy_change']:+.2f} points (95 % between {low:+.2f} and {high:+.2f}, the same "
        f"{number_of(compared['texts'], 'test text')}, all by the encoder).{said}"
    )


def _list(labels: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"


def _cell(value: object) -> str:
    """Text in a table's cell: on one line, and a bar begins no new cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_FROM else f"{seconds / 60:.0f} min"
