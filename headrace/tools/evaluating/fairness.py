"""What a release decides of counterfactual texts."""

from collections.abc import Sequence
from pathlib import Path

from headrace.word_lists import read_swaps
from models.classifier import Classifier
from models.decision import Classification
from models.errors import TrainingDataError
from models.figures import number_of
from retrain.data import Row
from retrain.evaluation.fairness import Fairness, fairness_of
from retrain.evaluation.swaps import counterfactuals
from retrain.progress import Progress

_BATCH_TEXTS = 256


def measure_fairness(
    classifier: Classifier, rows: Sequence[Row], word_list: Path | None, seed: int, progress: Progress
) -> dict[str, list[Fairness]]:
    """By head. word_list None: the one that ships with Headrace. Raises ConfigError, TrainingDataError where no text
    can be swapped."""
    texts = list(dict.fromkeys(row.text for row in rows))
    pairs = [pair for swaps in read_swaps(word_list) for pair in counterfactuals(texts, swaps, seed)]
    if not pairs:
        raise TrainingDataError(
            f"none of the {number_of(len(texts), 'text')} holds a word of the list, and "
            "no carrier of it fits them; give "
            f"--fairness-list another list"
        )
    asked = list(dict.fromkeys(text for pair in pairs for text in (pair.before, pair.after)))
    given = decisions_of(classifier, asked, progress, "swapping words")
    return {
        head: fairness_of(pairs, {text: one.heads[head] for text, one in given.items()}, seed)
        for head in classifier.heads
    }


def decisions_of(
    classifier: Classifier, texts: Sequence[str], progress: Progress, stage: str
) -> dict[str, Classification]:
    """What the release decides of each text, as it serves."""
    given: dict[str, Classification] = {}
    for start in range(0, len(texts), _BATCH_TEXTS):
        batch = list(texts[start : start + _BATCH_TEXTS])
        given |= zip(batch, classifier.classify_texts(batch), strict=True)
        progress(stage, start + len(batch), len(texts))
    return given
