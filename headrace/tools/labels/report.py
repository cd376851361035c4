"""What the labels of an application say: how often decisions are right, who disagrees, how far the next model is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.tools.labels.contested import Contested, ContestedPair, contested_decisions, contested_pairs
from headrace.tools.labels.pool import Pool
from headrace.tools.labels.queue import random_draw
from headrace.tools.labels.second_opinions import waiting
from models.figures import number_of
from models.shares import weighted_share
from retrain.feedback.policy import REASONS
from streams.application import Application
from streams.wire.records import Feedback

CONTESTED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class LabelReport:
    """chosen, people, labels: how many of each. asked: decisions that were drawn at random and asked about. right: the
    share of decisions that they say is right, each counted by how seldom its like was drawn; None where none was.
    right_ci95: its 95 % interval. to_ask: drawn, and not asked about yet. pairs: of labels that judge no challenger, as
    people disagree about them. waiting: reason to how many labels of all heads do not count until somebody says the
    same; waiting_heads: head to how many; asked_again: who may do so themselves, as hardly anybody labels beside
    them."""

    app: str
    head: str
    total: int
    chosen: Mapping[str, int]
    people: Mapping[str, int]
    labels: Mapping[str, int]
    asked: int
    right: float | None
    right_ci95: tuple[float, float]
    to_ask: int
    contested: Sequence[Contested]
    pairs: Sequence[ContestedPair] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    waiting_heads: Mapping[str, int] = field(default_factory=dict)
    asked_again: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "app": self.app,
            "head": self.head,
            "labels": self.total,
            "chosen": dict(self.chosen),
            "people": dict(self.people),
            "by_label": dict(self.labels),
            "random": {
                "asked": self.asked,
                "to_ask": self.to_ask,
                "accuracy": self.right,
                "accuracy_ci95": None if self.right is None else list(self.right_ci95),
            },
            "contested": [
                {"decision_id": one.decision_id, "head": one.head, "said": dict(one.said)} for one in self.contested
            ],
            "contested_pairs": [
                {"head": pair.head, "labels": list(pair.labels), "decisions": pair.disagree, "share": pair.share}
                for pair in self.pairs
            ],
            "waiting": dict(self.waiting),
            "waiting_heads": dict(self.waiting_heads),
            "asked_again": list(self.asked_again),
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"{number_of(self.total, 'label')} of {self.app}: {_counts(self.chosen)}"
        yield f"by {_counts(self.people)}"
        if self.right is None:
            yield "no decision drawn at random is labelled yet: nobody knows how often decisions are right"
        else:
            low, high = self.right_ci95
            yield (
                f"{self.head} is right in {self.right:.1%} of decisions ({low:.1%} to {high:.1%}), by {self.asked} "
                f"drawn at random; {self.to_ask} more are drawn"
            )
        if self.waiting:
            others = set(self.waiting_heads) - {self.head}
            heads = f" ({', '.join(f'{n} of {head}' for head, n in self.waiting_heads.items())})" if others else ""
            count = f"{sum(self.waiting.values())} do not count yet{heads}"
            yield f"{count}: {_reasons(self.waiting)}; {self._what_is_needed()}"
        for one in self.contested[:CONTESTED_SHOWN]:
            words = ", ".join(f"{by}: {label}" for by, label in sorted(one.said.items()))
            yield f"contested: {one.decision_id} {one.head} ({words})"
        if len(self.contested) > CONTESTED_SHOWN:
            yield f"and {len(self.contested) - CONTESTED_SHOWN} contested more"
        for pair in self.pairs:
            yield (
                f"people disagree about {pair.head}: {' or '.join(pair.labels)}, on "
                f"{number_of(pair.disagree, 'decision')} "
                f"({pair.share:.0%} of those that several labelled): until they agree, these labels judge no challenger"
            )

    def _what_is_needed(self) -> str:
        ways = "(`headrace labels next`, `labels add`, or `labels import` of what `labels export` wrote)"
        if not self.asked_again:
            return f"another person must say the same {ways}"
        names = ", ".join(self.asked_again)
        return f"another person must say the same, or {names} again {ways}; `headrace correct --confirm` takes a file"


def label_report(pool: Pool, app: Application) -> LabelReport:
    """Of the primary head; contested labels, and those that wait for a second word, of all heads. pool: decisions and
    every opinion that stands."""
    head = app.head_names[0]
    of_head = [label for label in pool.labels if label.head == head]
    asked, right, interval, to_ask = _random_sample(pool, app, of_head)
    open_doubts = list(waiting(pool.doubts, pool.labels))
    return LabelReport(
        app.name,
        head,
        len(of_head),
        Counter(label.chosen or "unknown" for label in of_head),
        Counter(label.by for label in of_head),
        Counter(label.label for label in of_head),
        asked,
        right,
        interval,
        to_ask,
        contested_decisions(pool.labels),
        contested_pairs(pool.labels),
        Counter(str(one.doubt.get("reason")) for one in open_doubts),
        Counter(one.head for one in open_doubts),
        sorted({one.again for one in open_doubts if one.again is not None}),
    )


def _random_sample(
    pool: Pool, app: Application, labels: Sequence[Feedback]
) -> tuple[int, float | None, tuple[float, float], int]:
    """(asked, share that is right, its interval, drawn and not asked yet) of the decisions drawn at random.

    Days are drawn from at different rates, so a decision counts by one over its probability. What people said last of a
    decision is the truth about it.
    """
    head, draws = app.head_names[0], random_draw(pool, app)
    last_word = {label.decision_id: label.label for label in labels}
    at_random = pool.asked_at_random(head)
    asked = [identity for identity in draws if identity in at_random]
    if not asked:
        return 0, None, (0.0, 1.0), len(draws)
    is_right = [pool.decisions[identity]["labels"][head]["label"] == last_word[identity] for identity in asked]
    share, interval = weighted_share(is_right, [draws[identity] for identity in asked])
    return len(asked), share, interval, len(draws) - len(asked)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({REASONS.get(name, name)})" for name, count in Counter(counts).most_common())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in Counter(counts).most_common()) or "none"
