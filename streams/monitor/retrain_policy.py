"""Which texts are worth a person's time, and when there are labels enough to train again.

Source of the choice: uncertainty weighted by distance to what is chosen already, Sener and Savarese (2018),
"Active learning for convolutional neural networks: a core-set approach" (greedy k-centre), with the weights
of Zhdanov (2019), "Diverse mini-batch active learning", arXiv 1901.05954.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class RetrainState:
    """Labels that came in since the release that serves: how many of each."""

    labels: Counter[str] = field(default_factory=Counter)

    def add(self, label: str) -> None:
        """Count one more."""
        self.labels[label] += 1

    @property
    def total(self) -> int:
        """All labels together."""
        return sum(self.labels.values())


@dataclass(frozen=True, slots=True)
class RetrainPolicy:
    """When to ask for a better model.

    after_episode: labels that are enough once drift was found. without_episode: labels that are enough by
    themselves. per_label: how often a label must have come to count as learnable; after an episode, at least
    one must have.
    """

    after_episode: int = 40
    without_episode: int = 500
    per_label: int = 8

    def is_due(self, state: RetrainState, *, has_episode: bool) -> bool:
        """Whether the labels so far are enough."""
        if state.total >= self.without_episode:
            return True
        learnable = any(count >= self.per_label for count in state.labels.values())
        return has_episode and learnable and state.total >= self.after_episode

    def missing(self, state: RetrainState, *, has_episode: bool) -> Mapping[str, int]:
        """What is still wanted, for people to see: `labels` in all, `of_one_label` of the most frequent
        one."""
        wanted = self.after_episode if has_episode else self.without_episode
        most = max(state.labels.values(), default=0)
        return {
            "labels": max(wanted - state.total, 0),
            "of_one_label": max(self.per_label - most, 0) if has_episode else 0,
        }
