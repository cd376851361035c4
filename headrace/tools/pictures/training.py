"""What `train --images` without a file of texts does, and how a picture part is told of."""

from pathlib import Path
from typing import Any

from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import field, say
from headrace.training.from_file import prepare_folder, register_release, write_release
from headrace.training.pictures.folder import PictureOrder
from headrace.training.pictures.training import train_on_pictures
from headrace.wiring import Wiring


def run_train_pictures(
    app: str, order: PictureOrder, seed: int, *, output: Path | None, register: bool, promote: bool, json: bool
) -> None:
    """A successor of the champion that decides texts as it does, and pictures by this folder."""
    application = load_classifying_application(app)
    wiring = Wiring(load_settings())
    registry = wiring.registry()
    if output is not None:
        prepare_folder(output)
    with stage_bars() as progress:
        trained = train_on_pictures(wiring, registry, application, order, seed, progress)
    report = trained.report
    if register:
        report = register_release(wiring, registry, application, trained, promote=promote)
    elif output is not None:
        report = write_release(trained, output)
    tell_rejected_pictures(report["pictures"])
    if json:
        return print_json(report)
    tell_pictures(report["pictures"])
    say(f"texts are decided as by version {report['parent']}")
    if register:
        name = f"{report['model']}@{report['version']}"
        say(
            f"registered as {name}; it is the champion: the next `headrace up {app}` serves it"
            if report["promoted"]
            else f"registered as {name}; `headrace models promote {name}` makes it the champion"
        )
    elif output is not None:
        say(f"written to {output}")
    return None


def tell_rejected_pictures(report: dict[str, Any]) -> None:
    """report: of `picture_report`."""
    for rejected in report["rejected"]:
        say(f"{field(rejected['name'])} does not train: {field(rejected['detail'])}", error=True)


def tell_pictures(report: dict[str, Any]) -> None:
    """report: of `picture_report`."""
    low, high = report["accuracy_ci95"]
    say(
        f"pictures  {report['accuracy']:.4f}  (95 % between {low:.4f} and {high:.4f}, {report['test']} pictures never "
        f"trained on), macro F1 {report['macro_f1']:.4f}, ECE {report['ece']:.4f}"
    )
    say(
        f"{report['train']} pictures of {len(report['labels'])} labels trained in {report['seconds']:.0f} s at "
        f"{report['size']} by {report['size']} pixels, {len(report['rejected'])} rejected, "
        f"{report['dropped_duplicates']} copies"
    )
