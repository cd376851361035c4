"""One run: labels come, challengers are trained, the gate decides, and what it releases is measured on clean texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bench.poison.ground import HEAD, Ground
from bench.poison.heads import Trainer, on_embeddings
from bench.poison.people import RETRAININGS, Labelling, Scenario, Word
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from retrain.challenge import challenger_dataset
from retrain.data import Dataset, Row
from retrain.evaluation.scoring import evaluate
from retrain.feedback.sifting import Sifted, sift
from retrain.gate.judging import judge
from retrain.gate.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Retraining:
    """released: by the gate. reason: its words. lost_overall, lost_most: accuracy on clean texts of the corpus's
    labels that the challenger has lost against the first champion, in points, in all and on the label that lost most
    (negative: won). new: its accuracy on the new label. wrong_trained: wrong labels that trained. wrong, good: wrong
    and good labels so far; good_aside: good ones among those set aside."""

    released: bool
    reason: str
    lost_overall: float
    lost_most: float
    lost_label: str
    new: float
    wrong: int
    wrong_trained: int
    good: int
    good_aside: int
    set_aside: dict[str, int] = field(default_factory=dict)


def run(
    scenario: Scenario,
    ground: Ground,
    encoder: Encoder,
    seed: int,
    *,
    train: Trainer = on_embeddings,
    hygiene: bool = True,
) -> list[Retraining]:
    """All retrainings of one run. hygiene: False lets every label count, to see what the gate alone does."""
    labelling, words = Labelling(scenario, ground, seed), list[Word]()
    data = Dataset((HEAD,), ground.corpus)
    champion = first = train(data, encoder, seed)
    done, look, suspects = [], 1, set[tuple[str, str]]()
    for _ in range(RETRAININGS.get(scenario, 1)):
        words += labelling.batch(partial(_doubt, champion))
        labelled = [_item(number, word) for number, word in enumerate(words)]
        sifted = sift(data, labelled, encoder.embed, seed=seed) if hygiene else None
        challenge = challenger_dataset(data, labelled if sifted is None else sifted.labelled)
        challenger = train(challenge.dataset, encoder, seed)
        verdict = _judged(champion, challenger, challenge.dataset, look, suspects)
        done.append(_retraining(verdict, ground, (first, challenger), words, challenge.dataset, sifted))
        look += 1
        suspects |= set(verdict.stopped_labels)
        if verdict.passed:
            look, suspects = 1, set()
            champion, data = challenger, challenge.dataset
    return done


def _judged(
    champion: Classifier, challenger: Classifier, data: Dataset, look: int, suspects: set[tuple[str, str]]
) -> Verdict:
    """As a retraining asks the gate, but for bytes and speed: both are made of the same parts."""
    tested = data.part("test")
    before, after = evaluate(champion, tested), evaluate(challenger, tested)
    known = {name: frozenset(head.labels) for name, head in champion.heads.items()}
    return judge(before, after, tested, HEAD, look=look, known=known, suspects=suspects)


def _doubt(champion: Classifier, rows: Sequence[Row]) -> list[float]:
    return [-answer.heads[HEAD].probability for answer in champion.classify_texts([row.text for row in rows])]


def _item(number: int, word: Word) -> dict[str, Any]:
    return {
        "id": f"poison@0-0-{number}",
        "text": word.text,
        "labels": {HEAD: word.label},
        "by": {HEAD: word.by},
        "chosen": {HEAD: word.chosen},
        "said": {HEAD: [{"by": word.by, "label": word.label, "confirms": word.confirms}]},
        "introduces": [HEAD] if word.introduces else [],
    }


def _retraining(
    verdict: Verdict,
    ground: Ground,
    models: tuple[Classifier, Classifier],
    words: Sequence[Word],
    data: Dataset,
    sifted: Sifted | None,
) -> Retraining:
    before, after = (_recall(model, ground) for model in models)
    lost = {label: 100 * (before[label] - after[label]) for label in ground.labels}
    most = max(lost, key=lambda label: lost[label])
    texts = {label: sum(row.labels[HEAD] == label for row in ground.clean) for label in ground.labels}
    overall = float(np.average([lost[label] for label in texts], weights=list(texts.values())))
    wrong = {word.text for word in words if word.is_wrong}
    trained = {(row.text, row.labels[HEAD]) for row in data.rows if row.split != "test" and row.origin == "feedback"}
    kept = set() if sifted is None else {item["text"] for item in sifted.labelled}
    good = [word for word in words if not word.is_wrong]
    return Retraining(
        verdict.passed,
        verdict.reason,
        overall,
        lost[most],
        most,
        after[ground.new],
        len(wrong),
        len({word.text for word in words if word.is_wrong and (word.text, word.label) in trained}),
        len(good),
        0 if sifted is None else sum(word.text not in kept for word in good),
        {} if sifted is None else sifted.report.counts,
    )


def _recall(model: Classifier, ground: Ground) -> dict[str, float]:
    answers = model.classify_texts([row.text for row in ground.clean])
    right: dict[str, list[bool]] = {}
    for row, answer in zip(ground.clean, answers, strict=True):
        right.setdefault(row.labels[HEAD], []).append(answer.heads[HEAD].label == row.labels[HEAD])
    return {label: float(np.mean(each)) for label, each in right.items()}
