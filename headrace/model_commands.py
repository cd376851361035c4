"""What train, evaluate, classify and models do, and how they tell it; `headrace.commands.training` holds their options."""

import json as json_module
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from connectors.ports import ReleaseRegistry
from headrace.applications import load_application
from headrace.models_home import announce_if_up, champion_or_first, known_release, manifest_hashes, tell
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.training import TrainingOrder, evaluation_rows, train, train_and_register, write_release
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.decision import Classification
from models.errors import ConfigError, ConnectorError
from retrain.evaluation import evaluate as score
from streams.actions import action_for
from streams.application import Application
from streams.outcomes import head_record, wall_clock_ms
from streams.records import Release, clean_text, format_time
from streams.releases import load_release

CLASSIFY_TEXTS = 256


def split_name(name: str, registry: ReleaseRegistry) -> tuple[str, str]:
    """`support@2`, or `support` for its champion. Raises ConfigError saying what there is."""
    model, _, version = name.partition("@")
    if model not in registry.models():
        raise ConfigError(f"there is no model {model!r}; there are: {', '.join(registry.models()) or 'none yet (headrace train APP --register)'}")
    found = version or registry.champion(model) or registry.versions(model)[-1]
    if found not in registry.versions(model):
        raise ConfigError(f"{model} has no version {found}; it has: {', '.join(registry.versions(model))}")
    return model, found


def run_train(app: str, order: TrainingOrder, *, output: Path | None, register: bool, json: bool) -> None:
    """Train a release, score it once on the test rows, keep it where wanted."""
    application = _classifying(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    with stage_bars() as progress:
        if register:
            report = train_and_register(wiring, registry, application, order, progress)
        else:
            trained = train(wiring, registry, application, order, progress)
            report = write_release(trained, output) if output is not None else trained.report
    _tell_training(report, json, registered=register, output=output)


def _tell_training(report: dict[str, Any], json: bool, *, registered: bool, output: Path | None) -> None:
    for rejected in report["rejected_rows"]:
        print(f"line {rejected['line']}: {rejected['reason']}", file=sys.stderr)
    if json:
        return print_json(report)
    low, high = report["accuracy_ci95"]
    print(f"accuracy  {report['accuracy']:.4f}  (95 % between {low:.4f} and {high:.4f}, {report['test_rows']} texts never trained on)")
    print(f"macro F1  {report['macro_f1']:.4f}")
    for head, figures in list(report["heads"].items())[1:]:
        print(f"{head:<9} {figures['accuracy']:.4f}")
    if report["oos"]:
        oos = report["oos"]
        print(f"out of scope: AUROC {oos['auroc']:.4f}, recall {oos['recall']:.4f}, in-scope accuracy after rejection {oos['in_scope_accuracy']:.4f}")
    if report["fast_path"]:
        fast = report["fast_path"]
        print(f"fast path: decides {100 * fast['coverage']:.1f} % of the texts without the encoder; accuracy without it {fast['accuracy_full']:.4f}")
    print(f"{report['train_rows']} texts trained in {report['seconds']:.0f} s, {report['model_bytes'] / 1e6:.1f} MB, {len(report['rejected_rows'])} rows rejected")
    if registered:
        print(f"registered as {report['model']}@{report['version']}; the next `headrace up {report['model']}` serves it")
    elif output is not None:
        print(f"written to {output}")
    return None


def run_evaluate(
    model: str,
    data: Path,
    *,
    text_column: str,
    label_column: str | None,
    split_column: str,
    oos_label: str | None,
    json: bool,
) -> None:
    """Score a release on a labelled file."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    classifier = load_release(registry, name, version, threads=wiring.settings.threads)
    rows = evaluation_rows(data, list(classifier.heads), text_column, label_column, split_column)
    with stage_bars() as progress:
        metrics = score(classifier, rows, oos_label=oos_label, progress=progress)
    if json:
        return print_json({"model": name, "version": version, "heads": {head: found.as_json() for head, found in metrics.items()}})
    for head, found in metrics.items():
        low, high = found.accuracy_ci95
        print(f"{name}@{version} {head}: accuracy {found.accuracy:.4f} ({low:.4f} to {high:.4f}), macro F1 {found.macro_f1:.4f}, {found.texts} texts")
        if found.fast_path is not None:
            fast = found.fast_path
            print(f"fast path: decides {100 * fast.coverage:.1f} % of the texts; accuracy without it {fast.accuracy_full:.4f}")
        table = Table("label", "texts", "precision", "recall", "F1")
        for label, values in sorted(found.per_label.items(), key=lambda each: each[1].get("f1", 0.0)):
            table.add_row(label, *(_figure(values.get(name)) for name in ("support", "precision", "recall", "f1")))
        Console().print(table)
    return None


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value != int(value) or value <= 1 else f"{int(value)}"


def run_classify(app: str, texts: list[str] | None, model: str | None) -> None:
    """Decide texts, as JSON lines."""
    application = _classifying(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if model is None:
        with stage_bars() as progress:
            model = f"{application.name}@{champion_or_first(wiring, registry, application, progress)}"
    name, version = split_name(model, registry)
    classifier = load_release(registry, name, version, threads=wiring.settings.threads)
    for batch in _batches(texts if texts else (line.decode("utf-8", "replace").rstrip("\n") for line in sys.stdin.buffer)):
        for decision in _decide(application, classifier, batch):
            sys.stdout.buffer.write(orjson.dumps(decision) + b"\n")
        sys.stdout.flush()


def _decide(app: Application, classifier: Classifier, texts: list[str]) -> Iterator[dict[str, Any]]:
    for text, found in zip(texts, classifier.classify_texts(texts), strict=True):
        yield {
            "app": app.name,
            "model": classifier.model,
            "version": classifier.version,
            "path": found.path,
            "labels": {name: head_record(head) for name, head in found.heads.items()},
            "action": action_for(app, found),
            **_answer(app, found),
            "text": text,
        }


def _answer(app: Application, found: Classification) -> dict[str, str]:
    """The application's ready answer to the primary label, where it has one and the label may act."""
    primary = found.heads[app.head_names[0]]
    answer = None if primary.rejected else app.answers.get(primary.label)
    return {} if answer is None else {"answer": answer}


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lines typed by hand are answered one by one; a pipe is taken in batches."""
    size = 1 if sys.stdin.isatty() else CLASSIFY_TEXTS
    batch: list[str] = []
    for text in texts:
        if text.strip():
            batch.append(clean_text(text))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def list_models(json: bool) -> None:
    """Models and versions; * serves."""
    registry = Wiring(load_settings()).registry()
    rows = []
    for model in registry.models():
        for version in registry.versions(model):
            manifest = json_module.loads(registry.manifest(model, version))
            first: dict[str, Any] = next(iter(manifest.get("metrics", {}).values()), {})
            rows.append(
                {
                    "model": model,
                    "version": version,
                    "champion": registry.champion(model) == version,
                    "strategy": manifest.get("strategy"),
                    "parent": manifest.get("parent"),
                    "accuracy": first.get("accuracy"),
                    "train_rows": manifest.get("training", {}).get("train_rows"),
                }
            )
    if json:
        return print_json({"models": rows})
    table = Table("model", "", "strategy", "parent", "accuracy", "trained on")
    for row in rows:
        mark = "*" if row["champion"] else ""
        table.add_row(f"{row['model']}@{row['version']}", mark, str(row["strategy"]), str(row["parent"] or ""), f"{row['accuracy']}", f"{row['train_rows']} texts")
    Console().print(table)
    return None


def show_model(model: str) -> None:
    """A release's manifest, without its golden texts."""
    registry = Wiring(load_settings()).registry()
    manifest = json_module.loads(registry.manifest(*split_name(model, registry)))
    manifest.pop("golden", None)
    print_json(manifest)


def verify_model(model: str, json: bool) -> None:
    """Every hash and every golden text of a release."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    load_release(registry, name, version, threads=wiring.settings.threads)
    print_json({"model": name, "version": version, "ok": True}) if json else print(f"{name}@{version} is as it was published")


def promote_model(model: str, json: bool) -> None:
    """Serve this version from now on; running workers hear of it through model.releases."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    name, version = split_name(model, registry)
    load_release(registry, name, version, threads=wiring.settings.threads)  # a release that does not load must not be announced
    _make_champion(wiring, registry, name, version, json, by="promote")


def rollback_model(name: str, json: bool) -> None:
    """Serve again what served before the champion; where no broker tells, the version that was published before it."""
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, champion = split_name(name, registry)
    version = _before(wiring, registry, model, champion)
    load_release(registry, model, version, threads=wiring.settings.threads)
    _make_champion(wiring, registry, model, version, json, by="rollback")


def _before(wiring: Wiring, registry: ReleaseRegistry, model: str, champion: str) -> str:
    try:
        known = known_release(wiring, model)
    except ConnectorError:
        known = None
    if known is not None and known.champion == champion and known.previous in registry.versions(model):
        assert known.previous is not None
        return known.previous
    versions = registry.versions(model)
    older = versions[: versions.index(champion)]
    if not older:
        raise ConfigError(f"{model}@{champion} is the first version; there is nothing to go back to (headrace models list)")
    return older[-1]


def _make_champion(wiring: Wiring, registry: ReleaseRegistry, name: str, version: str, json: bool, *, by: str) -> None:
    registry.promote(name, version)
    told = announce_if_up(wiring, registry, name, version, by=by)
    if json:
        return print_json({"model": name, "version": version, "announced": told})
    print(f"{name}@{version} is the champion" + ("; running workers have been told" if told else "; no broker answers, the next start serves it"))
    return None


def try_model(name: str, *, canary: float | None, shadow: bool, end: bool, json: bool) -> None:
    """Let a version decide beside the champion: marked, in `trials.<app>`, and never acting."""
    if sum((canary is not None, shadow, end)) != 1:
        raise ConfigError("say one of --canary SHARE, --shadow and --end")
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    model, version = split_name(name, registry)
    known = known_release(wiring, model)
    if known is None:
        raise ConfigError(f"nothing of {model} was announced yet: start `headrace up {model}` (or a worker) first")
    changes: dict[str, Any] = {"canary": None, "share": None, "shadow": None}
    if not end:
        load_release(registry, model, version, threads=wiring.settings.threads)
        kept = {"canary": known.canary, "share": known.share, "shadow": known.shadow}
        changes = kept | ({"shadow": version} if shadow else {"canary": version, "share": canary})
    hashes = manifest_hashes(registry, model, {known.champion, changes["canary"], changes["shadow"]})
    release = known.model_copy(
        update={
            **changes,
            "manifest_sha256": hashes,
            "revision": known.revision + 1,
            "by": "try",
            "at": format_time(wall_clock_ms()),
        }
    )
    tell(wiring, release)
    if json:
        return print_json({"model": model, "champion": release.champion, "canary": release.canary, "share": release.share, "shadow": release.shadow})
    print(_trials_in_words(release))
    return None


def _trials_in_words(release: Release) -> str:
    looking_on = []
    if release.canary is not None:
        looking_on.append(f"{release.model}@{release.canary} on {release.share:.0%} of the keys")
    if release.shadow is not None:
        looking_on.append(f"{release.model}@{release.shadow} on every event")
    said = " and ".join(looking_on)
    if not said:
        return f"{release.model}@{release.champion} decides alone"
    return f"{release.model}@{release.champion} decides; {said} looks on: trials.{release.model} has what it says"


def _classifying(name: str) -> Application:
    application = load_application(name)
    if application.kind != "classify":
        raise ConfigError(f"{application.name} ranks items and has no labels to train; its lists learn from clicks by themselves")
    return application
