"""Champions and challengers that are made up: only what they decide rightly, text by text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data import Row
from retrain.evaluation.scoring import HeadMetrics

Right = NDArray[np.bool_]
ACCURACY = 0.9  # of each champion


@dataclass(frozen=True, slots=True)
class Change:
    """How a challenger differs on one head. changed: share of its answers that are right only now or only before. gain:
    accuracy that it has more, as a share. ruined: a label whose recall falls to `ruined_recall`."""

    changed: float = 0.0
    gain: float = 0.0
    ruined: str | None = None
    ruined_recall: float = 0.25


@dataclass(frozen=True, slots=True)
class World:
    """labels: how many each head has, the primary one first. corpus_texts: test rows of the corpus. live_texts: random
    labels of live texts that judge, at each look. biased_texts: labels of live texts that people gave because the
    champion was wrong, at each look. new_share: of the live texts, whose label the champion does not know; new_recall:
    of the challengers on those."""

    labels: Mapping[str, int]
    corpus_texts: int
    live_texts: Sequence[int] = ()
    biased_texts: Sequence[int] = ()
    new_share: float = 0.0
    new_recall: float = 0.9


class Draw:
    """One champion with its test texts. `looks` many challengers come, one after the other."""

    def __init__(self, world: World, random: np.random.Generator) -> None:
        self._world, self._random = world, random
        live = max(world.live_texts, default=0)
        biased = max(world.biased_texts, default=0)
        texts = world.corpus_texts + live + biased
        is_live = np.arange(texts) >= world.corpus_texts
        self.is_biased = np.arange(texts) >= world.corpus_texts + live
        self._is_new = is_live & (random.random(texts) < world.new_share)
        primary = next(iter(world.labels))
        self.labels = {
            head: np.array([f"label {code}" for code in random.permutation(texts) % count], dtype=object)
            for head, count in world.labels.items()
        }
        self.labels[primary][self._is_new] = "new"
        self.champion: dict[str, Right] = {}
        for head in world.labels:
            right = random.random(texts) < ACCURACY
            right[self.is_biased] = random.random(int(self.is_biased.sum())) < 0.15  # 85 of 100 correct an error
            self.champion[head] = right & ~self._is_new if head == primary else right
        self.rows = [
            Row(
                f"text {n}",
                {head: self.labels[head][n] for head in world.labels},
                "test",
                origin="feedback" if is_live[n] else "corpus",
            )
            for n in range(texts)
        ]

    def judging(self, look: int, *, biased_judge: bool = False) -> NDArray[np.int64]:
        """Which texts judge at a look, the first being 1."""
        world = self._world
        live = world.live_texts[look - 1] if world.live_texts else 0
        chosen = [np.arange(world.corpus_texts + live)]
        if biased_judge:
            first = world.corpus_texts + max(world.live_texts, default=0)
            chosen.append(first + np.arange(world.biased_texts[look - 1]))
        return np.concatenate(chosen)

    def challenger(self, changes: Mapping[str, Change]) -> dict[str, Right]:
        """Its results. Each challenger draws anew which answers change: as many chances as there can be."""
        results = {}
        primary = next(iter(self._world.labels))
        for head, champion in self.champion.items():
            change = changes.get(head, Change())
            accuracy = ACCURACY
            loses = self._random.random(len(champion)) < (change.changed - change.gain) / 2 / accuracy
            wins = self._random.random(len(champion)) < (change.changed + change.gain) / 2 / (1 - accuracy)
            right = np.where(champion, ~loses, wins)
            if head == primary:
                learnt = self._random.random(len(champion)) < self._world.new_recall
                right = np.where(self._is_new, learnt, right)
            if change.ruined is not None:
                keeps = self._random.random(len(champion)) < change.ruined_recall
                right = np.where(self.labels[head] == change.ruined, keeps, right)
            results[head] = right
        return results


def metrics(head: str, right: Right) -> HeadMetrics:
    """As `evaluate` gives them, with figures that the gate does not read left empty."""
    texts = len(right)
    return HeadMetrics(
        head=head,
        texts=texts,
        accuracy=float(right.mean()),
        accuracy_ci95=(0.0, 1.0),
        macro_f1=0.0,
        ece=0.0,
        per_label={},
        per_slice={},
        oos=None,
        right=right,
        rows=np.arange(texts),
        rejected=np.zeros(texts, dtype=bool),
        probabilities=np.full(texts, 0.9),
        strange_rows=np.zeros(0, dtype=np.int64),
        strange_rejected=np.zeros(0, dtype=bool),
        decided=np.full(texts, "", dtype=object),
    )
