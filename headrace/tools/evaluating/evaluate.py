"""`headrace evaluate`: how good a release is on a labelled file, or a folder of labelled pictures."""

from dataclasses import dataclass
from pathlib import Path

from headrace.output import print_json, stage_bars
from headrace.pages.curve import render_curve
from headrace.pages.evaluation import render_evaluation
from headrace.pages.files import write_page
from headrace.settings import load_settings
from headrace.terminal import say
from headrace.tools.evaluating.fairness import measure_fairness
from headrace.tools.evaluating.loading import LabelledFile, LoadedRelease, load, read_rows
from headrace.tools.evaluating.pictures import (
    pictures_as_json,
    score_beside_rows,
    score_folder,
    tell_fusion,
    tell_left_out,
)
from headrace.tools.evaluating.robustness import measure_robustness
from headrace.tools.evaluating.telling import tell_evaluation
from headrace.wiring import Wiring
from retrain.evaluation.fairness import Fairness
from retrain.evaluation.report import HeadReport
from retrain.evaluation.robustness import Robustness
from retrain.evaluation.scoring import evaluate
from retrain.pictures.scoring import HEAD, ScoredFusion, ScoredPictures
from streams.clock import wall_clock_ms
from streams.wire.records import format_time


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """What is wanted. file: labelled texts. images: a folder of labelled pictures; one of both is given. oos_label
    None: the one that the release was trained with. curve: the page of accuracy against the share answered, to
    `curve_page` or a file of the release's name. report: the page of all figures. robustness: type the texts badly, and
    attack some. fairness: swap words that no decision should hang on: of `fairness_list`, or Headrace's own. seed: of
    what is drawn at random."""

    file: LabelledFile | None
    oos_label: str | None = None
    curve: bool = False
    curve_page: Path | None = None
    report: Path | None = None
    robustness: bool = False
    fairness: bool = False
    fairness_list: Path | None = None
    seed: int = 0
    images: Path | None = None


@dataclass(frozen=True, slots=True)
class ScoredTexts:
    """reports: by head. left_out: rows whose texts the release was trained on. pictures, fusion: of the pictures beside
    the rows; None where nobody asks, or the release does not fuse them."""

    reports: dict[str, HeadReport]
    left_out: int = 0
    pictures: ScoredPictures | None = None
    fusion: ScoredFusion | None = None


def run_evaluate(model: str, order: EvaluationOrder, *, json: bool) -> None:
    """Score a release on labelled texts, labelled pictures or both, and tell it."""
    wiring = Wiring(load_settings())
    release = load(wiring, wiring.registry(), model)
    texts = ScoredTexts({}) if order.file is None else _score_texts(release, order.file, order)
    pictures = texts.pictures
    if order.images is not None:
        with stage_bars() as progress:
            pictures = score_folder(release, order.images, order.seed, progress)
    reports = texts.reports if pictures is None else texts.reports | {HEAD: pictures.report}
    if pictures is not None:
        tell_left_out(pictures)
    if texts.fusion is not None:
        reports[f"{texts.fusion.report.metrics.head} by text and picture"] = texts.fusion.report
    heads = {head: report.as_json() for head, report in texts.reports.items()}
    given = (None if order.file is None else order.file.path, order.images)
    of = " and ".join(path.name for path in given if path is not None)
    if order.report is not None:
        at = format_time(wall_clock_ms())
        whole = render_evaluation(reports, release=release.name, data=of, left_out=texts.left_out, at=at)
        write_page(order.report, whole, "--report")
        say(f"the evaluation as a page: {order.report}", error=json)
    if order.curve:
        page = order.curve_page or Path(f"{release.model}-{release.version}-curve.html")
        curves = {head: one.metrics.curve.as_json() for head, one in texts.reports.items() if one.metrics.curve}
        write_page(page, render_curve(curves, release=release.name, data=of), "--output")
        say(f"accuracy against the share answered: {page}", error=json)
        heads = {head: figures | {"curve": curves[head]} for head, figures in heads.items()}
    if json:
        whose = {"model": release.model, "version": release.version, "left_out_trained_rows": texts.left_out}
        seen = {} if pictures is None else {HEAD: pictures_as_json(pictures)}
        seen |= {} if texts.fusion is None else {"fusion": texts.fusion.as_json()}
        return print_json(whose | {"heads": heads} | seen)
    for head, report in reports.items():
        tell_evaluation(f"{release.name} {head}", report, "pictures" if report.metrics.head == HEAD else "texts")
    if texts.fusion is not None:
        tell_fusion(texts.fusion)
    return None


def _score_texts(release: LoadedRelease, file: LabelledFile, order: EvaluationOrder) -> ScoredTexts:
    classifier = release.classifier
    dataset, known = read_rows(file, list(classifier.heads), release.trained_on, classifier.several, release.columns)
    with stage_bars() as progress:
        oos_label = order.oos_label or release.oos_label
        metrics = evaluate(release.classifier, dataset.rows, oos_label=oos_label, progress=progress)
        fairness, robustness = dict[str, list[Fairness]](), dict[str, Robustness]()
        if order.fairness:
            fairness = measure_fairness(release.classifier, dataset.rows, order.fairness_list, order.seed, progress)
        if order.robustness:
            robustness = measure_robustness(release.classifier, dataset.rows, oos_label, order.seed, progress)
        pictures, fusion = None, None
        if file.picture_column is not None:
            pictures, fusion = score_beside_rows(release, file.path, dataset.rows, oos_label, order.seed, progress)
    reports = {
        head: HeadReport.of(
            evaluation, dataset.rows, order.seed, fairness=fairness.get(head), robustness=robustness.get(head)
        )
        for head, evaluation in metrics.items()
    }
    return ScoredTexts(reports, known, pictures, fusion)
