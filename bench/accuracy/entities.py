"""What a text says of each entity, draw by draw: a release's head beside TF-IDF of masked texts where spans are given,
and, where they are to be found, with a list of names and with the tagger."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from bench.accuracy.found_entities import MEASURES, WAYS, RememberingStates, cpu_ms_a_text, measure_found
from headrace.releases.encoders import default_encoder, encoder_source
from headrace.training.fine_tuning import kept_trainings
from headrace.wiring import Wiring
from models.encoder.encoder import Encoder
from models.encoder.quantization import quantize_encoder
from models.entities.views import views_of
from retrain.entities.fitting import TrainedEntities, score_entities, train_entities
from retrain.entities.rows import EntityRow, EntityRows, read_entity_rows, split_entity_rows, with_test_part
from retrain.entities.span_tuning import tune_to_entities
from retrain.entities.tagging import train_tagger
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Pretrained, Weights

Progress = Callable[[str, int, int], None]
DRAWS: Final = 5


@dataclass(frozen=True, slots=True)
class EntityFigures:
    """accuracy: share judged rightly, which is micro-F1 where the spans are given. macro_f1: over labels.
    mixed_macro_f1: of the entities of texts that say different things of different ones; None without any."""

    accuracy: float
    macro_f1: float
    mixed_macro_f1: float | None


def measure(
    wiring: Wiring, data: Path, draws: int, progress: Progress, *, find: bool = False, tuned: FineTuning | None = None
) -> dict[str, Any]:
    """A file of labelled entities, its texts dealt anew in each draw: a fifth tests, the others train. find: the spans
    are to be found as well. tuned: how an encoder is tuned to the entities of each draw; None: it stays as it is."""
    plain = default_encoder(wiring)
    encoder: Encoder = RememberingStates(plain)  # the draws have the same texts
    rows, found = read_entity_rows(data).rows, []
    for draw in range(draws):
        progress("draws", draw, draws)
        dealt = split_entity_rows(with_test_part(rows, draw), name=str(data))
        if tuned is None:
            trained = train_entities(encoder, dealt, str, seed=draw, progress=progress)
        else:
            plain, trained = _tuned(wiring, dealt, tuned, draw, progress)
            encoder = RememberingStates(plain)
        metrics = trained.metrics
        assert metrics is not None  # a fifth of the texts tests
        own = EntityFigures(metrics.accuracy, metrics.macro_f1, metrics.mixed_macro_f1)
        counts = {"entities": metrics.entities, "mixed_entities": metrics.mixed_entities}
        drawn: dict[str, Any] = {"draw": draw, **counts, "headrace": asdict(own), "tf_idf": asdict(_floor(dealt))}
        drawn["head"] = trained.choices
        if find:
            tagger = train_tagger(encoder, dealt, seed=draw, progress=progress)
            drawn |= {"found": measure_found(encoder, dealt, trained.head, tagger.tagger), "choices": tagger.choices}
        found.append(drawn)
    progress("draws", draws, draws)
    strategy = "quick" if tuned is None else "full"
    report = {"data": data.name, "encoder": encoder.sha256, "strategy": strategy, "draws": found, "mean": _mean(found)}
    if find:
        report["mean_found"] = _mean([one["found"] for one in found], WAYS, MEASURES)
        report["cpu_ms_a_text"] = cpu_ms_a_text(plain, tagger.tagger, [row.text for row in dealt.part("test")])
    return report


def _tuned(
    wiring: Wiring, dealt: EntityRows, plan: FineTuning, seed: int, progress: Progress
) -> tuple[Encoder, TrainedEntities]:
    """An encoder tuned on the training rows, in INT8, and its head, scored once on the test rows."""
    source = encoder_source(wiring)

    def open_encoder(weights: Weights, texts: Sequence[str]) -> Encoder:
        tokens = source.max_tokens
        int8 = quantize_encoder(weights, source.config, source.tokenizer_json, texts, max_tokens=tokens)
        return Encoder.from_bytes(
            int8, source.tokenizer_json, max_tokens=tokens, threads=wiring.settings.threads or None
        )

    start = Pretrained(source.read_weights(), source.config, source.tokenizer_json)
    around = Around(kept_trainings(wiring))
    found = tune_to_entities(start, dealt, open_encoder, plan=plan, seed=seed, around=around, progress=progress)
    around.checkpoints.forget()
    metrics = score_entities(found.head, found.encoder, dealt.part("test"), str, progress)
    choices = {"tuning_losses": found.tuned.losses, "tuning_scores": found.tuned.scores, "kept": found.tuned.best}
    return found.encoder, TrainedEntities(found.head, metrics, choices)


def _floor(rows: EntityRows) -> EntityFigures:
    """TF-IDF of words and pairs of the text with its names masked, and a linear support vector machine."""
    texts, labels = _masked(rows.part("train"))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    model.fit(texts, labels)
    tested, given = _masked(rows.part("test"))
    decided, true = np.asarray(model.predict(tested)), np.array(given)
    mixed = np.array([row.is_mixed for row in rows.part("test") for _ in row.labels])
    of_mixed = float(f1_score(true[mixed], decided[mixed], average="macro")) if mixed.any() else None
    return EntityFigures(float((true == decided).mean()), float(f1_score(true, decided, average="macro")), of_mixed)


def _masked(rows: Sequence[EntityRow]) -> tuple[list[str], list[str]]:
    texts = [views_of(row.text, row.mentions, mention).context for row in rows for mention in row.mentions]
    return texts, [label for row in rows for label in row.labels]


def _mean(
    draws: Sequence[dict[str, Any]],
    lines: Sequence[str] = ("headrace", "tf_idf"),
    measures: Sequence[str] = EntityFigures.__slots__,
) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation over the draws, of each line."""
    table: dict[str, dict[str, float | None]] = {}
    for who in lines:
        line: dict[str, float | None] = {}
        for name in measures:
            values = [draw[who][name] for draw in draws if draw[who][name] is not None]
            line[name] = round(float(np.mean(values)), 4) if values else None
            line[f"{name}_sd"] = round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None
        table[who] = line
    return table
