"""Averages of weights: over the steps of one training, and over trainings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class MovingAverage:
    """Exponential moving average of a model's state. Source: Polyak and Juditsky, 1992; Tarvainen and Valpola, 2017."""

    def __init__(self, torch: Any, state: Mapping[str, Any], decay: float) -> None:
        """state: where it starts, by name; it is kept and changed."""
        self._torch, self._decay = torch, decay
        self.state = dict(state)

    def follow(self, state: Mapping[str, Any], step: int) -> None:
        """Take in the state after a step (from 1). The first steps count more: the start is soon forgotten."""
        share = 1 - min(self._decay, step / (step + 10))
        for name, value in self.state.items():
            if value.is_floating_point():
                value.lerp_(state[name], share)
            else:
                value.copy_(state[name])


def greedy_soup(
    states: Sequence[Mapping[str, Any]], losses: Sequence[float], loss_of: Callable[[Mapping[str, Any]], float]
) -> tuple[Mapping[str, Any], int]:
    """The average of several trainings' states: the best one first, each other one taken in where the loss on the
    tuning texts does not rise by it. Returns it and how many are in it.

    loss_of: a state's. All states have the same names. Source: Wortsman et al., Model soups, 2022, recipe 1.
    """
    order = sorted(range(len(states)), key=lambda number: losses[number])
    soup, inside, best = states[order[0]], 1, losses[order[0]]
    for number in order[1:]:
        tried = {
            name: value + (states[number][name] - value) / (inside + 1) if value.is_floating_point() else value
            for name, value in soup.items()
        }
        loss = loss_of(tried)
        if loss <= best:
            soup, inside, best = tried, inside + 1, loss
    return soup, inside
