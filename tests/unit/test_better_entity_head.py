"""Which head of names serves on an encoder that was not tuned with it: the simpler one, unless the other one is clearly
better on texts that chose nothing of either."""

import numpy as np
import pytest

from models.entities.gazetteer import Mention
from retrain.entities.rows import EntityRow
from retrain.entities.span_fitting import _Judging, cross_fitted, simplest_of
from retrain.entities.span_tuning import DealtEntities

LABELS = ("bad", "good")


def losses(mean: float, count: int, spread: float = 0.5, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    drawn = np.random.default_rng(seed).normal(0, spread, count)
    return np.asarray(mean + drawn - drawn.mean())


def test_few_mentions_keep_the_simpler_head_and_many_tell_it_from_a_better_one() -> None:
    for count, chosen in ((6, 0), (600, 1)):
        simple, other = losses(0.5, count, seed=1), losses(0.4, count, seed=2)
        assert simplest_of([simple, other], np.arange(count)) == chosen
    assert simplest_of([losses(0.4, 600), losses(0.5, 600)], np.arange(600)) == 0
    assert simplest_of([losses(3.0, 6, 0.1), losses(0.1, 6, 0.1, seed=1)], np.arange(6)) == 1, "few, but no doubt"


def test_mentions_of_one_text_are_no_evidence_apart() -> None:
    simple, other = np.repeat([1.0, 0.2, 1.0, 0.2], 50), np.repeat([0.5, 0.5, 0.5, 0.4], 50)
    assert simplest_of([simple, other], np.arange(200)) == 1
    assert simplest_of([simple, other], np.repeat(np.arange(4), 50)) == 0
    assert simplest_of([simple, other], np.zeros(200, dtype=np.int64)) == 0


def dealt(count: int, labels: tuple[str, ...] = LABELS) -> DealtEntities:
    """`count` tuning texts of two names, which a training row of each label stands before."""
    names = Mention(0, 5, "alder"), Mention(10, 15, "birch")
    training = tuple(EntityRow(f"alder and birch {label}", names, (label, label)) for label in LABELS)
    tuning = tuple(EntityRow(f"alder and birch {n}", names, labels[-2:][:: 1 if n % 2 else -1]) for n in range(count))
    return DealtEntities(training, tuning, tuple(sorted({*LABELS, *labels})))


def test_what_chose_a_head_does_not_judge_it() -> None:
    """Of many heads that say anything at all, the luckiest looks good on what chose it, and is worth nothing."""
    on = _Judging.of(dealt(10), seed=0)
    random = np.random.default_rng(0)
    draws = [[random.normal(0, 3, (20, 2)).astype(np.float32) for _ in range(15)] for _ in range(8)]
    luckiest = [max((each.argmax(1) == on.targets).mean() for each in lucky) for lucky in draws]
    assert np.mean(luckiest) > 0.62
    assert np.mean([cross_fitted(lucky, on).mean() for lucky in draws]) > 0.68, "half and half is 0.693"
    told = np.where(np.arange(2) == on.targets[:, None], 4.0, 0.0).astype(np.float32)
    assert cross_fitted([*draws[0][:3], told], on).mean() < 0.1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_texts_are_judged_without_an_error(count: int) -> None:
    on = _Judging.of(dealt(count), seed=0)
    flat = np.zeros((2 * count, 2), dtype=np.float32)
    assert cross_fitted([flat, flat], on) == pytest.approx(np.log(2))


def test_labels_that_no_head_could_learn_judge_none() -> None:
    on = _Judging.of(dealt(4, ("bad", "new")), seed=0)
    assert len(on.known) == 4 and {LABELS[target] for target in on.targets} == {"bad"}
    assert len(_Judging.of(dealt(4, ("new", "newer")), seed=0).known) == 0
