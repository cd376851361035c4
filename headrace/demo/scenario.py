"""The story's texts: what the first release may train on, what customers say, and what nobody has seen yet.

Every corpus is cut in two by seed: one part trains the release, the other is what the stream draws from, so that no
streamed text was trained on. What an agent labels may train the next release, and is then never streamed again. A share
of the texts is never labelled: on those the releases before and after are compared.

The numbers leave enough labels for a second request, should the first challenger be refused, and enough texts of the
new subjects among those that judge: simulated on ten seeds, 37 to 46 of them judge at ENOUGH_LABELS.
"""

import csv
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TRAIN_SHARE = 0.5
NEW_SUBJECT_SHARE = 0.4  # of the support stream, from the onset on
BETWEEN_SHARE: Final = 0.03  # of the texts, while some are put between others: too few to be a drift
HELD_OUT_SHARE = 0.15  # of the texts that are streamed, never labelled
# An item of the shop that appears while users touch others: its words alone say who may like it.
NEW_ITEM: Final = {
    "item_id": "i241",
    "title": "Monitor light bar",
    "description": "Clips above the screen and lights the desk, not your eyes. Dial on a cable, warm to cold.",
    "tags": "desk lighting office monitor",
}
# What a customer may ask that no label is for: only the bank of answers knows of it.
BANK_QUESTIONS: Final = (
    "could you gift wrap it for my sister",
    "is it ok if i bring my dog along to the shop?",
    "Will somebody take our old fridge along when you deliver?",
    "do you deliver to switzerland",
    "Is there someone who connects the cooker for us?",
    "Where can I download the manual of my coffee machine?",
    "do you match prices of other shops",
    "can I pick up an online order in a store",
    "The flat is on the fourth floor, can the movers bring the washing machine up?",
    "how do i unsubscribe from your newsletter",
)
BANK_QUESTION_EVERY: Final = 150  # events of the support stream
NEW_ITEM_SHARE: Final = 0.5  # of the shop's events, before it appears
ONSET_SHARE = 0.25  # of the support stream
# A company that does not exist, which the demo's list of names has beside the shipped ones, and what happens to it.
TROUBLED: Final = {"id": "brackwater", "name": "Brackwater Mining", "aliases": "Brackwater", "tickers": ""}
TROUBLE_SHARE: Final = 0.2  # of the news, before it is in trouble
TROUBLE: Final = (
    ("commodities", "Brackwater Mining halts output at its largest pit after a wall collapses"),
    ("earnings", "Brackwater Mining warns that profit will miss forecasts as shipments stop"),
    ("analyst_rating", "Two brokers cut Brackwater Mining to 'sell' and slash their targets"),
    ("legal_regulation", "Safety inspectors open a criminal case against Brackwater Mining"),
    ("management", "Chief executive of Brackwater Mining quits with immediate effect amid the crisis"),
    ("deals", "Buyer walks away from its agreed purchase of Brackwater Mining's copper unit"),
    ("markets", "Brackwater Mining shares plunge 31%, their worst day on record"),
    ("commodities", "Customers cancel contracts with Brackwater Mining for fear of shortages"),
    ("earnings", "Brackwater Mining scraps its dividend to save cash and books a heavy loss"),
    ("legal_regulation", "Brackwater Mining fined for hiding cracks from regulators"),
    ("analyst_rating", "Rating of Brackwater Mining slashed to junk as lenders lose faith"),
    ("markets", "Bonds of Brackwater Mining collapse on fears of a default"),
    ("deals", "Brackwater Mining forced to sell its best mine at a steep loss"),
    ("management", "Finance chief follows the boss out of Brackwater Mining; auditors resign as well"),
)


@dataclass(frozen=True, slots=True)
class LabelledText:
    """labels: head to label, what a person would say."""

    text: str
    labels: dict[str, str]
    is_new: bool = False
    is_held_out: bool = False


@dataclass(frozen=True, slots=True)
class Pools:
    """train: for the first release. known, new: what the stream draws from."""

    train: tuple[LabelledText, ...]
    known: tuple[LabelledText, ...]
    new: tuple[LabelledText, ...] = ()


def read_texts(path: Path, heads: Sequence[str], *, is_new: bool = False) -> list[LabelledText]:
    """A shipped corpus."""
    with path.open(encoding="utf-8", newline="") as file:
        return [LabelledText(row["text"], {head: row[head] for head in heads}, is_new) for row in csv.DictReader(file)]


def split_pools(texts: Sequence[LabelledText], new: Sequence[LabelledText], primary: str, rng: random.Random) -> Pools:
    """Cut by label, so that every label trains and streams."""
    by_label: dict[str, list[LabelledText]] = defaultdict(list)
    for text in texts:
        by_label[text.labels[primary]].append(text)
    train: list[LabelledText] = []
    known: list[LabelledText] = []
    for label in sorted(by_label):
        group = by_label[label]
        rng.shuffle(group)
        cut = round(len(group) * TRAIN_SHARE)
        train += group[:cut]
        known += group[cut:]
    return Pools(tuple(train), tuple(_held_out(known, rng)), tuple(_held_out(new, rng)))


def _held_out(texts: Sequence[LabelledText], rng: random.Random) -> list[LabelledText]:
    shuffled = list(texts)
    rng.shuffle(shuffled)
    cut = round(len(shuffled) * HELD_OUT_SHARE)
    return [LabelledText(t.text, t.labels, t.is_new, n < cut) for n, t in enumerate(shuffled)]


class TextStream:
    """Draws the stream's texts. Each pool is walked in shuffled rounds, so a text comes back as late as possible."""

    def __init__(self, pools: Pools, rng: random.Random) -> None:
        self.pools, self._rng = pools, rng
        self._rounds: dict[bool, list[LabelledText]] = {False: [], True: []}
        self.trained: set[str] = set()
        self.has_drifted = False
        self._between: list[LabelledText] = []

    def put_between(self, texts: Sequence[LabelledText]) -> None:
        """Have these come next, in their order, among many of the pools."""
        self._between = list(reversed(texts))

    def next(self) -> LabelledText:
        """The next text."""
        if self._between and self._rng.random() < BETWEEN_SHARE:
            return self._between.pop()
        is_new = self.has_drifted and self._rng.random() < NEW_SUBJECT_SHARE
        while True:
            if not self._rounds[is_new]:
                pool = self.pools.new if is_new else self.pools.known
                fresh = [text for text in pool if text.text not in self.trained]
                self._rng.shuffle(fresh)
                self._rounds[is_new] = fresh
            text = self._rounds[is_new].pop()
            if text.text not in self.trained:
                return text

    def held_out_after_onset(self) -> list[LabelledText]:
        """What the releases before and after are compared on: never labelled, in the stream's own mixture."""
        new = [text for text in self.pools.new if text.is_held_out]
        known = [text for text in self.pools.known if text.is_held_out]
        wanted = min(len(known), round(len(new) * (1 - NEW_SUBJECT_SHARE) / NEW_SUBJECT_SHARE))
        return new + known[:wanted]
