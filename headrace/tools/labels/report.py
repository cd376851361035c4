"""What the labels of an application say: how often decisions are right, who disagrees, how far the next model is."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.tools.labels.pool import Pool
from headrace.tools.labels.queue import random_draw
from retrain.evaluation import wilson_interval
from streams.application import Application
from streams.wire.records import Feedback

CONTESTED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Contested:
    """A decision on which people disagree. said: by whom, which label."""

    decision_id: str
    head: str
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabelReport:
    """chosen, people, labels: how many of each. asked, right: of the decisions drawn at random up to the last one that
    was asked about, how many are labelled, and how many of those were decided so. skipped: of them, without a label."""

    app: str
    head: str
    total: int
    chosen: Mapping[str, int]
    people: Mapping[str, int]
    labels: Mapping[str, int]
    asked: int
    right: int
    skipped: int
    contested: Sequence[Contested]

    @property
    def accuracy(self) -> tuple[float, float, float] | None:
        """Of decisions, with its 95 % interval; None where nobody was asked about any."""
        if not self.asked:
            return None
        low, high = wilson_interval(self.right, self.asked)
        return self.right / self.asked, low, high

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        accuracy = self.accuracy
        return {
            "app": self.app,
            "head": self.head,
            "labels": self.total,
            "chosen": dict(self.chosen),
            "people": dict(self.people),
            "by_label": dict(self.labels),
            "random": {
                "labelled": self.asked,
                "right": self.right,
                "skipped": self.skipped,
                "accuracy": None if accuracy is None else accuracy[0],
                "accuracy_ci95": None if accuracy is None else [accuracy[1], accuracy[2]],
            },
            "contested": [
                {"decision_id": one.decision_id, "head": one.head, "said": dict(one.said)} for one in self.contested
            ],
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"{self.total} labels of {self.app}: {_counts(self.chosen)}"
        yield f"by {_counts(self.people)}"
        if self.accuracy is None:
            yield "no decision drawn at random is labelled yet: nobody knows how often decisions are right"
        else:
            value, low, high = self.accuracy
            skipped = f", {self.skipped} skipped" if self.skipped else ""
            yield (
                f"{self.head} is right in {value:.1%} ({low:.1%} to {high:.1%}) of {self.asked} decisions drawn at "
                f"random{skipped}"
            )
        for one in self.contested[:CONTESTED_SHOWN]:
            words = ", ".join(f"{by}: {label}" for by, label in sorted(one.said.items()))
            yield f"contested: {one.decision_id} {one.head} ({words})"
        if len(self.contested) > CONTESTED_SHOWN:
            yield f"and {len(self.contested) - CONTESTED_SHOWN} contested more"


def label_report(pool: Pool, app: Application) -> LabelReport:
    """Of the primary head. pool: decisions and every opinion that stands."""
    head = app.head_names[0]
    of_head = [label for label in pool.labels if label.head == head]
    asked, right, skipped = _random_sample(pool, app, of_head)
    return LabelReport(
        app.name,
        head,
        len(of_head),
        Counter(label.chosen or "unknown" for label in of_head),
        Counter(label.by for label in of_head),
        Counter(label.label for label in of_head),
        asked,
        right,
        skipped,
        contested(pool.labels),
    )


def contested(labels: Sequence[Feedback]) -> list[Contested]:
    """Decisions of which people say different things, in the order of the first word on them."""
    said: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for label in labels:
        said[label.decision_id, label.head][label.by] = label.label
    return [Contested(*subject, words) for subject, words in said.items() if len(set(words.values())) > 1]


def _random_sample(pool: Pool, app: Application, labels: Sequence[Feedback]) -> tuple[int, int, int]:
    """(labelled, right, without a label) of the decisions drawn, in their order, up to the last one asked about.

    All of them, not those alone that were labelled because they were asked about: one that somebody had corrected
    before is not asked about again, and leaving it out would flatter the model.
    """
    last_word = {label.decision_id: label for label in labels}
    order = [identity for identity in random_draw(pool, app) if identity in pool.decisions]
    asked_about = [n for n, identity in enumerate(order) if getattr(last_word.get(identity), "chosen", "") == "random"]
    prefix = order[: asked_about[-1] + 1] if asked_about else []
    labelled = [identity for identity in prefix if identity in last_word]
    head = app.head_names[0]
    right = sum(pool.decisions[identity]["labels"][head]["label"] == last_word[identity].label for identity in labelled)
    return len(labelled), right, len(prefix) - len(labelled)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in Counter(counts).most_common()) or "none"
