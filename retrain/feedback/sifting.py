"""Which labels count in a retraining: each is judged anew from the corpus and all that people say by now.

Nothing is remembered between retrainings, so what is set aside comes back as soon as a second person says the same, and
what is taken back by its giver is gone. What two people say of one text counts; the rest passes five sieves.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from retrain.data import Dataset
from retrain.feedback import policy as reasons
from retrain.feedback.caps import over_the_cap
from retrain.feedback.evidence import Evidence
from retrain.feedback.opinions import TextLabel, copied_texts, text_labels, too_many_copies
from retrain.feedback.policy import FeedbackPolicy
from retrain.feedback.relabelling import Direction, directions, is_new
from retrain.feedback.report import FeedbackReport, SetAside
from retrain.feedback.table import Embed, TextTable
from retrain.feedback.team import Team, Vouched
from retrain.text_keys import is_held_out, text_key


@dataclass(frozen=True, slots=True)
class Sifted:
    """labelled: for `retrain.challenge.challenger_dataset`, without what was set aside."""

    labelled: list[dict[str, Any]]
    report: FeedbackReport


def sift(
    before: Dataset,
    labelled: Sequence[Mapping[str, Any]],
    embed: Embed,
    policy: FeedbackPolicy | None = None,
    *,
    oos_label: str | None = None,
    seed: int = 0,
) -> Sifted:
    """The labels that count.

    before: what the champion was trained on. labelled: as for `challenger_dataset`, with `said` as for `text_labels`.
    embed: unit-length embeddings of texts. oos_label: of the primary head; its texts are like nothing, so that texts
    say nothing about it.
    """
    texts = {decision: row.text for row in before.rows for decision in row.decisions}
    items = [dict(item) | {"text": item.get("text") or texts.get(item["id"])} for item in labelled]
    items = [item for item in items if item["text"]]
    opinions = text_labels(items)
    team = Team.of(opinions)  # of who has one a second person's word is wanted, not their own again
    opinions = [replace(one, is_confirmed=one.is_confirmed and team.is_nearly_alone(one.people[0])) for one in opinions]
    aside: list[SetAside] = []
    relabelled: list[Direction] = []
    for number, head in enumerate(before.heads):
        of_head = [one for one in opinions if one.head == head]
        sieves = _Sieves(before, head, of_head, embed, policy or FeedbackPolicy(), team, seed)
        of_this = sieves.set_aside(oos_label if number == 0 else None)
        aside += (replace(one, again=_again(one, team)) for one in of_this)
        relabelled += sieves.relabelled
    gone = {(one.label.head, one.label.key) for one in aside}
    taken = sum((one.head, one.key) not in gone for one in opinions)
    report = FeedbackReport(taken, len(team.people), aside, relabelled)
    return Sifted(list(_kept(items, opinions, gone)), report)


def _again(one: SetAside, team: Team) -> str | None:
    """Whose own second word makes it count: nobody's over the cap, which is on how much one person says."""
    label = one.label
    is_theirs = len(label.people) == 1 and not label.others and not label.is_confirmed
    if is_theirs and one.reason in reasons.CONFIRMABLE and team.is_nearly_alone(label.people[0]):
        return label.people[0]
    return None


def _kept(
    items: Iterable[dict[str, Any]], opinions: Iterable[TextLabel], gone: set[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Items with the labels that count, as most people give them."""
    counts = {(one.head, one.key): one for one in opinions if (one.head, one.key) not in gone}
    for item in items:
        key = text_key(item["text"])
        kept = {head: counts[head, key] for head in item["labels"] if (head, key) in counts}
        if kept:
            people = {head: list(one.people) for head, one in kept.items()}
            yield item | {"labels": {head: one.label for head, one in kept.items()}, "people": people}


class _Sieves:
    """Those of one head."""

    def __init__(
        self,
        before: Dataset,
        head: str,
        labels: Sequence[TextLabel],
        embed: Embed,
        policy: FeedbackPolicy,
        team: Team,
        seed: int,
    ) -> None:
        corpus = [*(row for row in before.rows if row.origin == "corpus"), *before.set_aside]
        self._tested = {text_key(row.text) for row in corpus if row.split == "test"}
        self._corpus = [row for row in corpus if row.split != "test" and head in row.labels]
        self._own = {text_key(row.text) for row in corpus if row.split != "test"}
        self._head, self._labels, self._embed, self._policy = head, labels, embed, policy
        self._firsts = copied_texts(labels)
        self._team, self._seed = team, seed
        # of sets hardly two are alike: what other texts of one say, and how much one person may teach it, means nothing
        self._gives_sets = head in before.several
        self.relabelled: list[Direction] = []

    def set_aside(self, oos_label: str | None) -> list[SetAside]:
        """Everything that does not count, each for the first reason that speaks against it."""
        aside = [SetAside(one, reasons.CONTESTED) for one in self._labels if one.is_contested]
        alone = [one for one in self._labels if not one.is_contested and not self._is_agreed(one)]
        trains = [one for one in alone if self._trains(one)]
        aside += [SetAside(one, reasons.COPY) for one in too_many_copies(trains, self._firsts)]
        if not self._gives_sets:
            aside += self._doubted(oos_label, _without(alone, aside))
        # who labels alone has nobody beside them, and their labels no other limit than the gate
        corpus = Counter(row.labels[self._head] for row in self._corpus)
        kept = [one for one in _without(self._labels, aside) if self._trains(one)]
        shares = self._policy.label_share, self._policy.total_share
        vouched = Vouched(self._labels)
        caps = over_the_cap(kept, corpus, *shares, self._team, vouched, by_label=not self._gives_sets)
        return aside + [SetAside(one, reasons.OVER_THE_CAP) for one in caps]

    def _is_agreed(self, one: TextLabel) -> bool:
        """Whether two people say so; of one who labels (nearly) alone, whether they said it again when asked."""
        return len(one.people) > 1 or one.is_confirmed

    def _trains(self, one: TextLabel) -> bool:
        return one.key in self._own or (one.key not in self._tested and not is_held_out(one.text))

    def _doubted(self, oos_label: str | None, alone: Sequence[TextLabel]) -> Iterator[SetAside]:
        """What the texts themselves speak against."""
        if not self._corpus or not self._labels:
            return
        table = TextTable.of(self._head, self._corpus, self._labels, self._firsts, self._embed, oos_label)
        judged = [one for one in self._labels if one.key in table.rows]
        by_corpus = table.by_corpus(self._seed) if judged else None
        if by_corpus is None:
            return
        ways = directions(judged, [table.rows[one.key] for one in judged], by_corpus)
        by_all = None
        if not ways or any(way.after not in by_corpus.labels for way in ways):
            by_all = table.by_all(self._training(alone), self._seed)
        self.relabelled += (way for way in ways if by_all is None or not is_new(way, table, by_corpus, by_all))
        gone = [SetAside(one, reasons.RELABELLING, way.before) for way in self.relabelled for one in way.texts]
        yield from gone
        rest = _without(alone, gone)
        if gone:
            by_all = table.by_all(self._training(rest), self._seed)
        if by_all is not None:
            yield from self._unlikely(rest, table, by_all)

    def _unlikely(self, labels: Sequence[TextLabel], table: TextTable, by_all: Evidence) -> Iterator[SetAside]:
        for one in labels:
            row = table.rows.get(one.key)
            if row is not None and self._trains(one):
                usual = by_all.usual[by_all.labels.index(one.label)]
                if by_all.of(one.label, row) < self._policy.unlikely * usual:
                    yield SetAside(one, reasons.UNLIKELY, by_all.best(row))

    def _training(self, alone: Sequence[TextLabel]) -> list[TextLabel]:
        """What trains: what several people say, and these."""
        agreed = (one for one in self._labels if self._is_agreed(one) and not one.is_contested)
        return [one for one in (*agreed, *alone) if self._trains(one)]


def _without(labels: Sequence[TextLabel], aside: Sequence[SetAside]) -> list[TextLabel]:
    gone = {one.label.key for one in aside}
    return [one for one in labels if one.key not in gone]
