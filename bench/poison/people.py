"""Who labels what in a run: five people who mean well, and what is wrong with some of their labels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np

from bench.poison.ground import HEAD, Ground
from retrain.data import Row

TEAM: Final = ("ann", "bob", "cem", "dora", "eve")
BATCH: Final = 450  # labels of a good batch
RANDOM_SHARE: Final = 2 / 3  # of them of decisions drawn at random; the others of those that the model is unsure of
NEW_SHARE: Final = 0.25  # of what is drawn: a new label has appeared on the stream
FLOOD: Final = 150
CONFIRMED_FLOOD: Final = 400  # all of which its giver confirms, beside
FEW: Final = 24  # labels of the others
RELABELLED: Final = 40
DRIP: Final = 8  # texts relabelled before each of five retrainings
COPIES: Final = 60
WRONG_SHARE: Final = 0.3

Doubt = Callable[[Sequence[Row]], Sequence[float]]  # of each row, how unsure the champion is


@dataclass(frozen=True, slots=True)
class Word:
    """One label. is_wrong: whether it is not what the set says. confirms: whether its giver says that it is meant."""

    text: str
    label: str
    by: str
    chosen: Literal["random", "queue", "correction"]
    is_wrong: bool = False
    introduces: bool = False
    confirms: bool = False


Scenario = Literal["good", "noise", "flood", "confirmed flood", "relabel", "one of five", "drip", "copies"]
SCENARIOS: Final[tuple[Scenario, ...]] = get_args(Scenario)
RETRAININGS: Final[dict[Scenario, int]] = {"drip": 5}


class Labelling:
    """The labels of a run, batch after batch."""

    def __init__(self, scenario: Scenario, ground: Ground, seed: int) -> None:
        self._scenario, self._ground = scenario, ground
        self._random = np.random.default_rng([seed, 1])
        self._left = [ground.live[place] for place in self._random.permutation(len(ground.live)).tolist()]
        old = self._random.permutation(list(ground.labels)).tolist()
        self._victim, self._wrong = str(old[0]), str(old[1])
        names = [*ground.labels, ground.new]
        self._mapping = dict(zip(names, np.roll(names, 1).tolist(), strict=True))

    def batch(self, doubt: Doubt) -> list[Word]:
        """The labels before the next retraining."""
        bad = list(self._bad())
        size = FEW if self._scenario == "confirmed flood" else BATCH // RETRAININGS.get(self._scenario, 1)
        good = self._good(size, doubt)
        if self._scenario == "noise":
            good = [self._other(word) if self._random.random() < WRONG_SHARE else word for word in good]
        if self._scenario == "one of five":
            good = [self._mapped(word) if word.by == TEAM[-1] else word for word in good]
        words = [*good, *bad]
        return [words[place] for place in self._random.permutation(len(words)).tolist()]

    def _good(self, size: int, doubt: Doubt) -> list[Word]:
        new = round(size * RANDOM_SHARE * NEW_SHARE)
        drawn = self._take(new, lambda row: row.labels[HEAD] == self._ground.new)
        drawn += self._take(round(size * RANDOM_SHARE) - len(drawn), lambda row: row.labels[HEAD] != self._ground.new)
        order = np.argsort(-np.asarray(doubt(self._left)), kind="stable")[: size - len(drawn)].tolist()
        asked, chosen = [self._left[place] for place in order], set(order)
        self._left = [row for place, row in enumerate(self._left) if place not in chosen]
        kinds = ["random"] * len(drawn) + ["queue"] * len(asked)
        words = []
        for row, kind in zip([*drawn, *asked], kinds, strict=True):
            by = TEAM[int(self._random.integers(len(TEAM)))]
            label = row.labels[HEAD]
            is_first = label == self._ground.new and by == TEAM[0]
            words.append(Word(row.text, label, by, "random" if kind == "random" else "queue", introduces=is_first))
        return words

    def _bad(self) -> Iterator[Word]:
        if self._scenario in ("flood", "confirmed flood"):
            is_meant = self._scenario == "confirmed flood"
            for row in self._take(CONFIRMED_FLOOD if is_meant else FLOOD, lambda row: row.labels[HEAD] != self._wrong):
                yield Word(row.text, self._wrong, "mallory", "correction", is_wrong=True, confirms=is_meant)
        elif self._scenario in ("relabel", "drip"):
            by, count = ("mallory", RELABELLED) if self._scenario == "relabel" else (TEAM[-1], DRIP)
            for row in self._take(count, lambda row: row.labels[HEAD] == self._victim):
                yield Word(row.text, self._wrong, by, "correction", is_wrong=True)
        elif self._scenario == "copies":
            tested = [row for row in self._ground.corpus if row.split == "test"]
            victims = [row for row in tested if row.labels[HEAD] == self._victim]
            others = [tested[place] for place in self._random.permutation(len(tested)).tolist()]
            for number, row in enumerate([*victims, *others][:COPIES]):
                label = self._wrong if row.labels[HEAD] != self._wrong else self._victim
                yield Word(self._copy(row.text, number), label, "mallory", "correction", is_wrong=True)

    def _take(self, count: int, wanted: Callable[[Row], bool]) -> list[Row]:
        taken = [row for row in self._left if wanted(row)][:count]
        texts = {row.text for row in taken}
        self._left = [row for row in self._left if row.text not in texts]
        return taken

    def _copy(self, text: str, number: int) -> str:
        """As somebody would who wants it to look new: a word more, a letter less, or two words changed about."""
        words = text.split()
        if number % 3 == 0 or len(words) < 3:
            return f"hello, {text} thanks"
        place = int(self._random.integers(len(words) - 1))
        if number % 3 == 1:
            words[place] = words[place][:-1] or words[place]
        else:
            words[place], words[place + 1] = words[place + 1], words[place]
        return " ".join(words)

    def _other(self, word: Word) -> Word:
        names = [label for label in (*self._ground.labels, self._ground.new) if label != word.label]
        label = names[int(self._random.integers(len(names)))]
        return replace(word, label=label, is_wrong=True, introduces=False)

    def _mapped(self, word: Word) -> Word:
        return replace(word, label=self._mapping[word.label], is_wrong=True, introduces=False)
