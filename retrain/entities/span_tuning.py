"""Tuning an encoder on what is said of each name: from labelled rows to spans, and to the head that serves."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder
from models.entities.head import EntityHead
from models.entities.judging import Asked, judge
from models.entities.span_head import SpanHead
from models.entities.stretches import stretches_of
from models.entities.views import ReadAs
from models.heads import Floats, Head
from retrain.entities.rows import EntityRow, EntityRows
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.spans import Spans
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.loop import FineTuned, TunedHead, fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained, Weights
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key

TUNING_SHARE: Final = 0.1  # of the training texts that name something: they choose when to stop, and calibrate
CALIBRATION_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class DealtEntities:
    """Training rows in two parts. training: with texts that have one label as a whole. tuning: all of them name
    something. labels: of both, sorted. tested: texts that test."""

    training: tuple[EntityRow, ...]
    tuning: tuple[EntityRow, ...]
    labels: tuple[str, ...]
    tested: tuple[str, ...] = ()

    @property
    def held(self) -> tuple[str, ...]:
        """Texts that no encoder may be tuned on."""
        return *self.tested, *(row.text for row in self.tuning)

    @classmethod
    def of(cls, rows: EntityRows, seed: int) -> "DealtEntities":
        """A seeded share of the training texts tunes; copies of a text stay together."""
        training = rows.part("train")
        keys = sorted({same_text_key(row.text) for row in training if row.mentions})
        count = max(1, round(len(keys) * TUNING_SHARE))
        chosen = {keys[one] for one in np.random.default_rng([seed, 1]).permutation(len(keys))[:count].tolist()}
        tunes = [row for row in training if same_text_key(row.text) in chosen]
        trains = [row for row in training if same_text_key(row.text) not in chosen]
        tested = tuple(row.text for row in rows.part("test"))
        return cls(tuple(trains), tuple(row for row in tunes if row.mentions), rows.labels, tested)

    def without(self, held: Collection[str], read_as: ReadAs) -> "DealtEntities":
        """With no training text of these keys, which are of texts as they are read."""
        training = tuple(row for row in self.training if same_text_key(read_as(row.text)) not in held)
        return replace(self, training=training)

    def judged(
        self, head: EntityHead | SpanHead, encoder: Encoder, read_as: ReadAs
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Probabilities of the tuning rows' entities, and the numbers of their labels, by the head."""
        asked = [Asked(row.text, row.mentions, row.mentions) for row in self.tuning]
        numbers = {label: number for number, label in enumerate(head.head.labels)}
        targets = [numbers.get(label, -1) for row in self.tuning for label in row.labels]
        return judge(head, encoder, asked, read_as), np.array(targets, dtype=np.int64)

    def numbered(self, read_as: ReadAs) -> tuple[LabelledTexts, LabelledTexts]:
        """Both parts as a tuning takes them: no head, only spans. read_as: how the release reads texts."""
        return _numbered(self.training, self.labels, read_as), _numbered(self.tuning, self.labels, read_as)


def _numbered(rows: Sequence[EntityRow], labels: Sequence[str], read_as: ReadAs) -> LabelledTexts:
    """A text without names is a span from end to end."""
    texts, spans = list[str](), list[tuple[int, int, int, int]]()
    for row in rows:
        if not row.mentions:
            texts.append(read_as(row.text))
            spans.append((len(texts) - 1, 0, len(texts[-1]), labels.index(row.labels[0])))
            continue
        said = dict(zip(row.mentions, row.labels, strict=True))
        for stretch, inside in stretches_of(row.text, row.mentions, row.mentions, read_as):
            texts.append(stretch.text)
            places = zip(inside, stretch.places, strict=True)
            spans += [(len(texts) - 1, *place, labels.index(said[mention])) for mention, place in places]
    return LabelledTexts(texts, {}, spans=_spans(spans))


def _spans(found: Sequence[tuple[int, int, int, int]]) -> Spans:
    return Spans(*np.array(found, dtype=np.int64).reshape(-1, 4).T)


def head_that_serves(tuned: TunedHead, dealt: DealtEntities, served: Encoder, read_as: ReadAs) -> SpanHead:
    """The tuned head on the file that serves, its temperature fitted anew on the tuning rows. served: the encoder, of
    the weights that were tuned with the head."""
    count = len(dealt.labels)
    plain = Head("entities", dealt.labels, tuned.dense, np.zeros((0, count), dtype=np.float32), tuned.bias, 1.0)
    return calibrated(plain, dealt, served, read_as)


def calibrated(plain: Head, dealt: DealtEntities, served: Encoder, read_as: ReadAs) -> SpanHead:
    """The head with its temperature fitted on the tuning rows, which it was not fitted on. plain: of temperature 1."""
    probabilities, targets = dealt.judged(SpanHead(plain), served, read_as)
    logits = np.log(np.maximum(probabilities, 1e-12))
    return SpanHead(replace(plain, temperature=fit_temperature(logits, targets))).rounded()


def with_entities(
    training: LabelledTexts, tuning: LabelledTexts, dealt: DealtEntities, read_as: ReadAs
) -> tuple[LabelledTexts, LabelledTexts]:
    """Both with the entities' texts behind them. Of training texts those are left out on which entities are judged:
    tuning rows, and what tests. A text that both parts have, with one label as a whole, is read once."""
    held = {same_text_key(read_as(text)) for text in dealt.held}
    known = [row for row, text in enumerate(training.texts) if same_text_key(text) not in held]
    training = training.of(np.array(known, dtype=np.int64))
    said = {read_as(row.text): row.labels[0] for row in dealt.training if not row.mentions}
    both = [
        (row, 0, len(text), dealt.labels.index(said[text])) for row, text in enumerate(training.texts) if text in said
    ]
    there = set(training.texts)
    apart = tuple(row for row in dealt.training if row.mentions or read_as(row.text) not in there)
    trains, tunes = replace(dealt, training=apart).numbered(read_as)
    return replace(training, spans=_spans(both)).and_more(trains), tuning.and_more(tunes)


@dataclass(frozen=True, slots=True)
class TunedToEntities:
    """encoder: that serves. head: that reads it. tuned: what the tuning found."""

    encoder: Encoder
    head: SpanHead
    tuned: FineTuned


def tune_to_entities(
    start: Pretrained,
    rows: EntityRows,
    open_encoder: Callable[[Weights, Sequence[str]], Encoder],
    read_as: ReadAs = str,
    *,
    plan: FineTuning | None = None,
    seed: int = 0,
    around: Around | None = None,
    progress: Progress = no_progress,
) -> TunedToEntities:
    """An encoder for nothing but what is said of entities. open_encoder: from weights and texts to calibrate by to the
    encoder that serves. Raises ConfigError when the `train` extra is missing."""
    dealt = DealtEntities.of(rows, seed)
    training, tuning = dealt.numbered(read_as)
    options: dict[str, Any] = {"seed": seed, "plan": plan, "around": around, "progress": progress}
    tuned = fine_tune(start, training, tuning, **options)
    assert tuned.spans is not None
    served = open_encoder(tuned.weights, training.texts[:: max(1, len(training) // CALIBRATION_TEXTS)])
    return TunedToEntities(served, head_that_serves(tuned.spans, dealt, served, read_as), tuned)
