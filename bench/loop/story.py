"""What a run is made of: a release that never heard of a domain, and a stream in which that domain appears."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.drift.texts import Flags, LabelledSet, Rows, at_most, split_parts
from models.errors import ConfigError

OUT_OF_SCOPE: Final = "oos"


@dataclass(frozen=True, slots=True)
class Story:
    """training: rows of the first release. stream: rows in the order in which they come; from `onset` on those of the
    new domain are among them. known, new: rows that judge releases; none of them trains or streams. is_new: of all
    rows."""

    texts: LabelledSet
    domain: str
    training: Rows
    stream: Rows
    onset: int
    known: Rows
    new: Rows
    is_new: Flags

    @property
    def stream_new(self) -> Rows:
        """The rows of the new domain that stream, each once."""
        return np.unique(self.stream[self.is_new[self.stream]])

    def of(self, rows: Rows) -> list[tuple[str, str]]:
        """Text and label of rows, in their order."""
        return [(self.texts.texts[row], self.texts.labels[row]) for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class StoryPlan:
    """events: of the whole stream. share: of the new domain after the onset. per_label: training texts. judged: known
    texts that judge, at most."""

    events: int = 3_500
    onset: int = 500
    share: float = 0.2
    per_label: int = 40
    judged: int = 1_000


def tell_story(texts: LabelledSet, seed: int, plan: StoryPlan) -> Story:
    """The story of a seed: domain number `seed` (of the sorted ones) is held back. The set needs domains and test rows.

    Raises ConfigError where there is no such domain, or too few texts for so many events without a text twice.
    """
    domains = sorted(set(texts.groups) - {OUT_OF_SCOPE, ""})
    if not domains:
        raise ConfigError(f"{texts.name} has no domains; give a set that has")
    domain, rng = domains[seed % len(domains)], np.random.default_rng(seed)
    in_scope = np.array(texts.labels) != OUT_OF_SCOPE
    is_new = np.array(texts.groups) == domain
    tests = np.array(texts.splits) == "test"
    parts = split_parts(texts, _some_of_each(texts, in_scope & ~tests & ~is_new, plan.per_label, seed), is_new)
    known = parts.known[in_scope[parts.known] & ~tests[parts.known]]
    new = parts.new[~tests[parts.new]]
    return Story(
        texts,
        domain,
        parts.training,
        _stream(known, new, plan, rng),
        plan.onset,
        at_most(parts.known[in_scope[parts.known] & tests[parts.known]], plan.judged, seed),
        parts.new[tests[parts.new]],
        is_new,
    )


def _some_of_each(texts: LabelledSet, rows: Flags, count: int, seed: int) -> Flags:
    chosen = np.zeros(len(texts), bool)
    labels = np.array(texts.labels)
    for label in np.unique(labels[rows]):
        chosen[at_most(np.flatnonzero(rows & (labels == label)), count, seed)] = True
    return chosen


def _stream(known: Rows, new: Rows, plan: StoryPlan, rng: np.random.Generator) -> Rows:
    """Each text once: a text that comes again says nothing new, to a detector or to a person."""
    comes_new = rng.random(plan.events) < plan.share
    comes_new[: plan.onset] = False
    wanted = (int((~comes_new).sum()), int(comes_new.sum()))
    if wanted[0] > len(known) or wanted[1] > len(new):
        raise ConfigError(
            f"{plan.events} events need {wanted[0]} known and {wanted[1]} new texts; there are {len(known)} and "
            f"{len(new)}: ask for fewer events, or fewer training texts a label"
        )
    stream = np.empty(plan.events, np.int64)
    stream[~comes_new] = rng.permutation(known)[: wanted[0]]
    stream[comes_new] = rng.permutation(new)[: wanted[1]]
    return stream


def on_the_mix(known: Sequence[bool], new: Sequence[bool], share: float) -> float:
    """Accuracy where `share` of the texts are of the new domain."""
    return float((1 - share) * np.mean(known) + share * np.mean(new))
