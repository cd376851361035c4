"""Which releases decide now. Reading the plan is one attribute access, so a swap falls between two batches."""

from dataclasses import dataclass, replace
from typing import Literal

from models.classifier import Classifier
from models.text_cache import TextCache
from streams.classify.sampling import sample_position

TrialRole = Literal["canary", "shadow"]


@dataclass(frozen=True, slots=True)
class ServedRelease:
    """A release in service, with the answers to texts that it has seen lately."""

    classifier: Classifier
    cache: TextCache | None = None

    @classmethod
    def of(cls, classifier: Classifier, cache_texts: int, *, keeps_embeddings: bool = False) -> "ServedRelease":
        """cache_texts: how many answers are remembered; 0: none. keeps_embeddings: with what the encoder saw."""
        return cls(classifier, TextCache(cache_texts, keeps_embeddings=keeps_embeddings) if cache_texts else None)


@dataclass(frozen=True, slots=True)
class Trial:
    """A release that decides beside the champion, for comparison: what it says is marked and does not act, but where
    `acts`: then it decides in the champion's place.

    A shadow decides every event; a canary those of a share of the keys, always the same ones. trial: the candidate's
    stage that this is measured for (streams.wire.records.Candidate); empty: none, as where somebody tries it out.
    """

    role: TrialRole
    served: ServedRelease
    share: float = 1.0
    acts: bool = False
    trial: str = ""

    def takes(self, key: str) -> bool:
        """Whether an event with this key (its id, where it has none) is decided as well."""
        return self.share >= 1.0 or sample_position("canary", key) < self.share


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Who decides: the champion acts, trials look on; but for a canary that acts on its share of the keys."""

    champion: ServedRelease
    trials: tuple[Trial, ...] = ()

    @property
    def acting(self) -> Trial | None:
        """The canary that decides in the champion's place, where there is one."""
        return next((trial for trial in self.trials if trial.acts), None)


class Serving:
    """Holds the plan of one application. Batches take it once and keep it to their end, so that a replaced release goes
    out of memory with its last batch."""

    def __init__(self, classifier: Classifier, cache_texts: int = 0, *, keeps_embeddings: bool = False) -> None:
        """See ServedRelease."""
        self._cache_texts, self._keeps_embeddings = cache_texts, keeps_embeddings
        self.plan = ServingPlan(self._served(classifier))

    @property
    def current(self) -> Classifier:
        """The champion."""
        return self.plan.champion.classifier

    def swap(self, classifier: Classifier, trials: tuple[Trial, ...]) -> None:
        """Let `classifier` decide from the next batch on, and these, and no others, look on: in one step, or a batch in
        between would compare a canary that has become the champion with itself."""
        self.plan = ServingPlan(self._served(classifier), trials)

    def set_trials(self, trials: tuple[Trial, ...]) -> None:
        """From the next batch on these, and no others, look on."""
        self.plan = replace(self.plan, trials=trials)

    def _served(self, classifier: Classifier) -> ServedRelease:
        return ServedRelease.of(classifier, self._cache_texts, keeps_embeddings=self._keeps_embeddings)
