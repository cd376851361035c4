"""What train does, and how it tells it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import field, say
from headrace.tools.evaluating.telling import tell_out_of_scope
from headrace.tools.pictures.telling import tell_pictures, tell_rejected_pictures
from headrace.training.from_file import TrainingRequest, prepare_folder, register_release, train, write_release
from headrace.training.pictures.folder import PictureOrder
from headrace.training.pictures.training import train_on_pictures
from headrace.wiring import Wiring
from models.figures import number_of
from retrain.job import PackedRelease
from retrain.preparation.label_doubts import label_doubts
from retrain.progress import Progress
from streams.application import Application

Training = Callable[[Wiring, ReleaseRegistry, Application, Progress], PackedRelease]


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a release goes: to a new folder, into the registry (promote: and to the workers), or nowhere."""

    output: Path | None = None
    register: bool = False
    promote: bool = False


def run_train(app: str, order: TrainingRequest, keeping: Keeping, *, json: bool) -> None:
    """Train a release, score it once on the test rows, keep it where wanted."""

    def training(
        wiring: Wiring, registry: ReleaseRegistry, application: Application, progress: Progress
    ) -> PackedRelease:
        trained = train(wiring, registry, application, order, progress)
        doubts.extend(label_doubts(trained.dataset))
        return trained

    doubts: list[str] = []
    report = _trained_and_kept(app, training, keeping)
    for words in doubts:
        say(field(words), error=True)
    _tell_training(report, json)
    if not json:
        _tell_where_it_is(app, report, keeping)


def run_train_pictures(app: str, order: PictureOrder, seed: int, keeping: Keeping, *, json: bool) -> None:
    """A successor of the champion that decides texts as it does, and pictures by this folder."""

    def training(
        wiring: Wiring, registry: ReleaseRegistry, application: Application, progress: Progress
    ) -> PackedRelease:
        return train_on_pictures(wiring, registry, application, order, seed, progress)

    report = _trained_and_kept(app, training, keeping)
    tell_rejected_pictures(report["pictures"])
    if json:
        return print_json(report)
    tell_pictures(report["pictures"])
    say(f"texts are decided as by version {report['parent']}")
    if report["fusion_ended"]:
        say("texts decide alone: they decided together with another network; train with --image-column for that")
    return _tell_where_it_is(app, report, keeping)


def _trained_and_kept(app: str, training: Training, keeping: Keeping) -> dict[str, Any]:
    """The training's report."""
    application = load_classifying_application(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if keeping.output is not None:
        prepare_folder(keeping.output)
    with stage_bars() as progress:
        trained = training(wiring, registry, application, progress)
    if keeping.register:
        return register_release(wiring, registry, application, trained, promote=keeping.promote)
    return trained.report if keeping.output is None else write_release(trained, keeping.output)


def _tell_training(report: dict[str, Any], json: bool) -> None:
    for rejected in report["rejected_rows"]:
        say(f"line {rejected['line']}: {field(rejected['reason'])}", error=True)
    if "pictures" in report:
        tell_rejected_pictures(report["pictures"])
    if json:
        return print_json(report)
    low, high = report["accuracy_ci95"]
    if "micro_f1" in (primary := next(iter(report["heads"].values()))):
        say(f"micro F1  {primary['micro_f1']:.4f}  (several labels for a text; accuracy: all of them right)")
    say(
        f"accuracy  {report['accuracy']:.4f}  (95 % between {low:.4f} and {high:.4f}, "
        f"{number_of(report['test_rows'], 'text')} "
        f"never trained on)"
    )
    say(f"macro F1  {report['macro_f1']:.4f}")
    for head, figures in list(report["heads"].items())[1:]:
        say(f"{head:<9} {figures['accuracy']:.4f}")
    for head, reason in report["not_trained"].items():
        say(f"{field(head)} is not learnt: {field(reason)}")
    tell_out_of_scope(report["oos"])
    if report["rejection"]:
        say(_rejection_in_words(report["rejection"]))
    if report["fast_path"]:
        fast = report["fast_path"]
        say(
            f"fast path: decides {100 * fast['coverage']:.1f} % of the texts without the encoder; accuracy without "
            f"it {fast['accuracy_full']:.4f}"
        )
    _tell_entities(report.get("entities"))
    _tell_augmentation(report.get("augmentation"))
    _tell_neutral_words(report.get("neutral_words"))
    _tell_polarity(report.get("polarity"))
    say(
        f"{report['train_rows']} texts trained in {report['seconds']:.0f} s, {report['model_bytes'] / 1e6:.1f} MB, "
        f"{number_of(len(report['rejected_rows']), 'row')} rejected"
    )
    if "pictures" in report:
        tell_pictures(report["pictures"])
    elif report.get("pictures_carried"):
        say("pictures are decided as by the champion")
    if "fusion" in report:
        say(report["fusion"]["words"])
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
    return None


def _tell_where_it_is(app: str, report: dict[str, Any], keeping: Keeping) -> None:
    if keeping.register:
        name = f"{report['model']}@{report['version']}"
        what_now = (
            f"it is the champion: the next `headrace up {app}` serves it"
            if report["promoted"]
            else f"`headrace models promote {name}` makes it the champion"
        )
        say(f"registered as {name}; {what_now}")
    elif keeping.output is not None:
        say(f"written to {keeping.output}")


def _tell_entities(entities: dict[str, Any] | None) -> None:
    """What is looked for, and how often what is said of it is read rightly."""
    if entities is None:
        return
    for rejected in entities["rejected_rows"]:
        say(f"entities, line {rejected['line']}: {field(rejected['reason'])}", error=True)
    words = f"entities: {entities['names']} looked for; trained on {number_of(entities['train_texts'], 'text')}"
    test = entities["test"]
    if test is not None:
        words += (
            f"; of {test['entities']} in texts never trained on, {test['accuracy']:.4f} judged rightly (macro F1 "
            f"{test['macro_f1']:.4f})"
        )
    found = entities.get("tagger")
    if found is not None:
        words += (
            f"; of {found['names']} names there {found['recall']:.4f} found by the tagger, of what it finds "
            f"{found['precision']:.4f} are names"
        )
    say(words)


def _tell_neutral_words(neutral: dict[str, int] | None) -> None:
    """What `--neutral-words` came to."""
    if neutral is not None:
        say(
            f"neutral words: {neutral['listed']} listed; {neutral['texts_read_otherwise']} of {neutral['texts']} "
            f"training texts are read otherwise than they are written"
        )


def _tell_polarity(polarity: dict[str, Any] | None) -> None:
    """What composes, by `--polarity` or the application."""
    if polarity is not None:
        say(
            f"good and bad are composed for {', '.join(polarity['heads'])}: "
            f"{number_of(polarity['listed'], 'word')} and phrases"
        )


def _tell_augmentation(augmentation: dict[str, Any] | None) -> None:
    """What each method gave where it was tried, and what is on."""
    if augmentation is None:
        return
    for trial in augmentation["trials"]:
        beside = f" beside {', '.join(trial['beside'])}" if trial["beside"] else ""
        say(
            f"augmentation by {trial['method']}{beside}: {trial['accuracy_before']:.4f} without, "
            f"{trial['accuracy_after']:.4f} with it, of {number_of(trial['texts'], 'text')} not trained on "
            f"({'on' if trial['method'] in augmentation['methods'] else 'off'})"
        )
    on = ", ".join(augmentation["methods"]) or "none: nothing helped beyond chance"
    say(f"augmentation: {on}; {number_of(augmentation['copies'], 'text')} made")


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
