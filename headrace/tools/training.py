"""What train and evaluate do, and how they tell it."""

from pathlib import Path
from typing import Any

from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.pages.curve import render_curve
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.settings import load_settings
from headrace.terminal import field, say, say_rejected, show_table
from headrace.training.from_file import (
    TrainingRequest,
    evaluation_rows,
    prepare_folder,
    train,
    train_and_register,
    write_release,
)
from headrace.wiring import Wiring
from models.bundle import parse_manifest
from models.errors import ConfigError
from retrain.evaluation.scoring import HeadMetrics
from retrain.evaluation.scoring import evaluate as score
from retrain.training_data import trained_texts
from streams.classify.release_loading import load_release


def run_train(
    app: str, order: TrainingRequest, *, output: Path | None, register: bool, promote: bool, json: bool
) -> None:
    """Train a release, score it once on the test rows, keep it where wanted."""
    application = load_classifying_application(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if output is not None:
        prepare_folder(output)
    with stage_bars() as progress:
        if register:
            report = train_and_register(wiring, registry, application, order, progress, promote=promote)
        else:
            trained = train(wiring, registry, application, order, progress)
            report = write_release(trained, output) if output is not None else trained.report
    _tell_training(app, report, json, registered=register, output=output)


def _tell_training(app: str, report: dict[str, Any], json: bool, *, registered: bool, output: Path | None) -> None:
    for rejected in report["rejected_rows"]:
        say(f"line {rejected['line']}: {field(rejected['reason'])}", error=True)
    if json:
        return print_json(report)
    low, high = report["accuracy_ci95"]
    say(
        f"accuracy  {report['accuracy']:.4f}  (95 % between {low:.4f} and {high:.4f}, {report['test_rows']} texts "
        f"never trained on)"
    )
    say(f"macro F1  {report['macro_f1']:.4f}")
    for head, figures in list(report["heads"].items())[1:]:
        say(f"{head:<9} {figures['accuracy']:.4f}")
    _tell_out_of_scope(report["oos"])
    say(_rejection_in_words(report["rejection"]))
    if report["fast_path"]:
        fast = report["fast_path"]
        say(
            f"fast path: decides {100 * fast['coverage']:.1f} % of the texts without the encoder; accuracy without "
            f"it {fast['accuracy_full']:.4f}"
        )
    say(
        f"{report['train_rows']} texts trained in {report['seconds']:.0f} s, {report['model_bytes'] / 1e6:.1f} MB, "
        f"{len(report['rejected_rows'])} rows rejected"
    )
    if report.get("proposed_encoder") is not None:
        name = report["proposed_encoder"]
        say(
            f'most texts are written in a script that the encoder does not read: put encoder = "{name}" into the '
            f"application's file and train again (`headrace encoders add {name}` fetches it)"
        )
    if report["serves"] != report["strategy"]:
        say(
            f"strategy {report['strategy']} did not decide clearly more of the tuning texts rightly: the "
            f"{report['serves']} one serves"
        )
    if registered:
        name = f"{report['model']}@{report['version']}"
        what_now = (
            f"it is the champion: the next `headrace up {app}` serves it"
            if report["promoted"]
            else f"`headrace models promote {name}` makes it the champion"
        )
        say(f"registered as {name}; {what_now}")
    elif output is not None:
        say(f"written to {output}")
    return None


def _rejection_in_words(rejection: dict[str, Any]) -> str:
    """What the threshold was chosen by, and what is expected of it on texts that the model has not seen."""
    expected = rejection["expected"]
    by = {
        "default": "as few as possible in scope",
        "cost": "by cost",
        "target error": "by target error",
        "cost and target error": "by cost and target error",
    }[rejection["chosen_by"]]
    if rejection["out_of_scope_from"] is not None:
        by += f" ({rejection['out_of_scope_from']}, {100 * rejection['oos_share']:.0f} % of the questions)"
    words = (
        f"left to people {by}: {100 * expected['to_people']:.1f} % of the questions expected; of those in scope "
        f"{100 * expected['in_scope_answered']:.1f} % are answered, "
        f"{100 * expected['error_of_answered']:.1f} % of these wrongly"
    )
    taken = expected["oos_answered"]
    return words if taken is None else f"{words}; of those out of scope {100 * taken:.1f} % are answered"


def run_evaluate(
    model: str,
    data: Path,
    *,
    text_column: str,
    label_column: str | None,
    split_column: str,
    oos_label: str | None,
    curve: bool,
    output: Path | None,
    json: bool,
) -> None:
    """Score a release on a labelled file. oos_label: None: the one that it was trained with. curve: write the page of
    accuracy against the share answered, to `output` or a file of the release's name."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    announced = hash_to_compare(wiring, name, version)
    classifier = load_release(registry, name, version, announced, threads=wiring.settings.threads)
    manifest = registry.manifest(name, version)
    dataset, known = evaluation_rows(
        data,
        list(classifier.heads),
        text_column,
        label_column,
        split_column,
        trained_on=trained_texts(manifest, registry.blobs_of(manifest)),
    )
    say_rejected(dataset.rejected)
    if known:
        say(f"{known} rows left out: the release was trained on their texts", error=True)
    with stage_bars() as progress:
        metrics = score(classifier, dataset.rows, oos_label=oos_label or _trained_with(manifest), progress=progress)
    heads = {head: evaluation.as_json() for head, evaluation in metrics.items()}
    if curve:
        page = output or Path(f"{name}-{version}-curve.html")
        curves = {head: evaluation.curve.as_json() for head, evaluation in metrics.items() if evaluation.curve}
        _write_page(page, render_curve(curves, release=f"{name}@{version}", data=data.name))
        say(f"accuracy against the share answered: {page}", error=json)
        heads = {head: figures | {"curve": curves[head]} for head, figures in heads.items()}
    if json:
        return print_json({"model": name, "version": version, "left_out_trained_rows": known, "heads": heads})
    for head, evaluation in metrics.items():
        _tell_evaluation(f"{name}@{version} {head}", evaluation)
    return None


def _trained_with(manifest: bytes) -> str | None:
    label: str | None = parse_manifest(manifest).get("training", {}).get("oos_label")
    return label


def _write_page(path: Path, page: str) -> None:
    """All of it or nothing. Raises ConfigError."""
    scratch = path.with_name(path.name + ".new")
    try:
        scratch.write_text(page, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); give --output another file") from error


def _tell_out_of_scope(oos: dict[str, Any] | None) -> None:
    """Nothing where no out-of-scope text is known."""
    if oos:
        say(
            f"out of scope: AUROC {oos['auroc']:.4f}, recall {oos['recall']:.4f}, in-scope accuracy after "
            f"rejection {oos['in_scope_accuracy']:.4f}"
        )


def _tell_evaluation(what: str, evaluation: HeadMetrics) -> None:
    low, high = evaluation.accuracy_ci95
    say(
        f"{what}: accuracy {evaluation.accuracy:.4f} ({low:.4f} to {high:.4f}), macro F1 "
        f"{evaluation.macro_f1:.4f}, {evaluation.texts} texts"
    )
    _tell_out_of_scope(evaluation.as_json()["oos"])
    if evaluation.fast_path is not None:
        fast = evaluation.fast_path
        say(
            f"fast path: decides {100 * fast.coverage:.1f} % of the texts; accuracy without it {fast.accuracy_full:.4f}"
        )
    worst_first = sorted(evaluation.per_label.items(), key=lambda labelled: labelled[1]["f1"])
    show_table(
        ("label", "texts", "precision", "recall", "F1"),
        [
            (label, f"{values['texts']:.0f}", *(f"{values[name]:.3f}" for name in ("precision", "recall", "f1")))
            for label, values in worst_first
        ],
    )
