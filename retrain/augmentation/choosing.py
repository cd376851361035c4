"""Which methods of augmentation help, measured on texts that the model in question has not seen, nor their copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.encoder.encoder import Encoder
from models.ngrams import find_ngrams, share_without_spaces
from retrain.augmentation.copies import copies_of, with_copies
from retrain.augmentation.methods import Method
from retrain.crossfit import CrossFit, Features
from retrain.data import Dataset
from retrain.fitting.copies import CountedCopies
from retrain.paired_bounds import SIDE, drop_bound
from retrain.progress import Progress, no_progress
from retrain.strategies.quick import count_copies, embed_texts, head_features, head_task

MOST_TEXTS: Final = 10_000  # which train in the trials; more do not change what helps, only how long it takes


@dataclass(frozen=True, slots=True)
class Trial:
    """What a method gave beside those that were on already. copies: texts that it made. won, lost: texts that are
    decided rightly only with it, only without it, of `texts`. gain_low: lower bound of what it adds to accuracy."""

    method: str
    beside: tuple[str, ...]
    copies: int
    texts: int
    before: float
    after: float
    won: int
    lost: int
    gain_low: float

    @property
    def helps(self) -> bool:
        """Beyond chance."""
        return self.gain_low > 0

    def as_json(self) -> dict[str, Any]:
        """For a release's manifest and a training's report."""
        return {
            "method": self.method,
            "beside": list(self.beside),
            "copies": self.copies,
            "texts": self.texts,
            "accuracy_before": round(self.before, 4),
            "accuracy_after": round(self.after, 4),
            "won": self.won,
            "lost": self.lost,
            "gain_low": round(self.gain_low, 4),
            "helps": self.helps,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """methods: those that are on. trials: all that were made, in their order. dataset: with the copies of `methods`."""

    methods: tuple[str, ...]
    trials: tuple[Trial, ...]
    dataset: Dataset


def choose_methods(
    encoder: Encoder,
    dataset: Dataset,
    methods: Sequence[Method],
    *,
    seed: int = 0,
    oos_label: str | None = None,
    progress: Progress = no_progress,
) -> Choice:
    """Try each method; switch the best on where it helps, then try the others beside it, until none helps.

    A method helps where the lower bound of its gain is above 0: paired, over all texts that are judged, at a
    confidence of 95 % for all methods of a round together (Bonferroni). What is judged: 200 tuning rows or more; else
    every training row, by a head fitted on the other folds and their copies. Raises TrainingDataError.
    """
    bench = _Bench(encoder, _at_most(dataset, seed), seed, oos_label, progress)
    made = {method.name: bench.copies(method) for method in methods}
    confidence = 1 - (1 - SIDE) / max(1, len(methods))
    chosen: list[str] = []
    trials: list[Trial] = []
    right = bench.right([])
    in_play = list(made)
    while in_play:
        candidates = {}
        for name in in_play:
            with_it = bench.right([made[each] for each in (*chosen, name)])
            trial = _trial(name, tuple(chosen), _count(made[name]), right, with_it, confidence)
            trials.append(trial)
            candidates[name] = (trial, with_it)
        helping = [name for name, (trial, _) in candidates.items() if trial.helps]
        if not helping:
            break
        best = max(helping, key=lambda name: candidates[name][0].after)
        chosen.append(best)
        right = candidates[best][1]
        in_play = [name for name in helping if name != best]  # what gave nothing alone is not tried beside others
    on = [method for method in methods if method.name in chosen]
    return Choice(tuple(chosen), tuple(trials), with_copies(dataset, on, seed, progress, oos_label))


def _count(made: CountedCopies | None) -> int:
    return 0 if made is None else len(made.of)


def _trial(
    name: str,
    beside: tuple[str, ...],
    copies: int,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    confidence: float,
) -> Trial:
    won, lost, texts = int((after & ~before).sum()), int((before & ~after).sum()), len(before)
    low = -drop_bound(lost, won, texts, confidence)
    return Trial(name, beside, copies, texts, float(before.mean()), float(after.mean()), won, lost, low)


class _Bench:
    """The primary head of a data set, fitted with these copies or those."""

    def __init__(
        self, encoder: Encoder, dataset: Dataset, seed: int, oos_label: str | None, progress: Progress
    ) -> None:
        self._encoder, self._dataset, self._seed, self._progress = encoder, dataset, seed, progress
        self._oos_label = oos_label
        dataset.require_single_labels("--augment auto", dataset.heads[:1])
        rows = [row for row in dataset.rows if row.split != "test"]
        texts = [row.text for row in rows]
        self._dense = share_without_spaces([row.text for row in rows if row.split == "train"]) > 0.5
        self._task = head_task(dataset.heads[0], rows, oos_label, seed, None, without_spaces=self._dense)
        self._counts, self._embeddings = find_ngrams(texts).counted(), embed_texts(encoder, texts, progress)
        with threadpool_limits(1):
            self._policy, _ = CrossFit(self._task, self._features([]), seed, progress).choose()

    def copies(self, method: Method) -> CountedCopies | None:
        """Made of the training texts that a class learns."""
        augmented = with_copies(self._dataset, [method], self._seed, self._progress, self._oos_label)
        rows = [row for row in augmented.rows if row.split != "test"]
        return count_copies(self._encoder, *copies_of(rows, self._dataset), self._progress)

    def right(self, made: Sequence[CountedCopies | None]) -> NDArray[np.bool_]:
        """Whether each judged text is decided rightly by a head that learnt these copies beside the others' texts."""
        features = self._features([copies for copies in made if copies is not None])
        with threadpool_limits(1):  # the folds run side by side; BLAS threads would stand in each other's way
            cross = CrossFit(self._task, features, self._seed, self._progress)
            judged = cross.on_tuning(self._policy) if self._task.is_tuned else cross.held_out(self._policy)
        return judged.right

    def _features(self, made: Sequence[CountedCopies]) -> Features:
        task, copies = self._task, CountedCopies.joined(made)
        return head_features(
            self._embeddings, self._counts, task.rows, len(task.labels), copies, without_spaces=self._dense
        )[1]


def _at_most(dataset: Dataset, seed: int) -> Dataset:
    """The dataset with MOST_TEXTS training rows."""
    training = np.flatnonzero([row.split == "train" for row in dataset.rows])
    if len(training) <= MOST_TEXTS:
        return dataset
    dropped = set(np.random.default_rng(seed).permutation(training)[MOST_TEXTS:].tolist())
    return replace(dataset, rows=tuple(row for number, row in enumerate(dataset.rows) if number not in dropped))
