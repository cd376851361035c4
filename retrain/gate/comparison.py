"""Two models on the same texts, counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.figures import number_of
from retrain.evaluation.significance import paired_p_value
from retrain.paired_bounds import drop_bound

_HALF_OF_95 = 0.975


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same texts. only_champion, only_challenger: texts that just this one decided rightly. p_value:
    of the exact two-sided McNemar test."""

    texts: int
    champion_accuracy: float
    challenger_accuracy: float
    only_champion: int
    only_challenger: int
    p_value: float

    @property
    def gain(self) -> float:
        """Accuracy that the challenger has more, in [-1, 1]; 0 without texts."""
        return (self.only_challenger - self.only_champion) / self.texts if self.texts else 0.0

    @property
    def gain_ci95(self) -> tuple[float, float]:
        """Tango's interval of the gain."""
        lost, won = self.only_champion, self.only_challenger
        low, high = -drop_bound(lost, won, self.texts, _HALF_OF_95), drop_bound(won, lost, self.texts, _HALF_OF_95)
        return low, high

    @property
    def words(self) -> str:
        """All of it, for people."""
        low, high = self.gain_ci95
        return (
            f"{self.challenger_accuracy:.1%} against {self.champion_accuracy:.1%} on {number_of(self.texts, 'text')}, "
            f"{self.gain * 100:+.1f} points (95 %: {low * 100:+.1f} to {high * 100:+.1f}; "
            f"{self.only_challenger} better, {self.only_champion} worse)"
        )


def compare(champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_]) -> Comparison:
    """champion_right, challenger_right: by text, the same texts in the same order. Raises TrainingDataError for
    different ones.
    """
    if champion_right.shape != challenger_right.shape:
        raise TrainingDataError(
            f"compared {len(champion_right)} with "
            f"{number_of(len(challenger_right), 'text')}; score both on the same ones"
        )
    only_champion = int((champion_right & ~challenger_right).sum())
    only_challenger = int((challenger_right & ~champion_right).sum())
    p_value = paired_p_value(only_champion, only_challenger)
    texts = len(champion_right)
    shares = [float(right.mean()) if texts else 0.0 for right in (champion_right, challenger_right)]
    return Comparison(texts, shares[0], shares[1], only_champion, only_challenger, p_value)
