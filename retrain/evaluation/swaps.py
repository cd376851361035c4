"""Counterfactual texts: the same text with another name, gender word, place or dialect word. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from models.languages import language_of
from models.words.listed_words import FoundWord, ListedWords, is_possessive, put

MAX_TEXTS: Final = 500  # of a kind that are swapped; more say little more and cost their time
CARRIED_TEXTS: Final = 100
GROUPS_EACH: Final = 4  # that come in, of each text


@dataclass(frozen=True, slots=True)
class Swaps:
    """What is put in place of what. groups: by name, words any of which may stand for any of another one; or sets: two
    words each that stand for each other. sides: names of the first and of the second words. carriers: sentences with
    {word} and {text}, for texts that hold none of the words. keep: phrases that hold a word and are none. one_way: only
    second words are put in place of first ones."""

    kind: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sets: tuple[tuple[str, str], ...] = ()
    sides: tuple[str, str] = ("first", "second")
    carriers: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    one_way: bool = False


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """before: a text, after: the same with other words. base: which text of its kind it was made of; those of one base
    are not independent. group: of the words that came in. carried: whether a carrier brought the word in."""

    kind: str
    base: int
    before: str
    after: str
    group: str
    carried: bool


def counterfactuals(texts: Sequence[str], swaps: Swaps, seed: int = 0) -> list[Counterfactual]:
    """Of texts that hold a listed word, at most MAX_TEXTS by chance, and of CARRIED_TEXTS others with a carrier."""
    finder = ListedWords(_first_words(swaps) if swaps.one_way else _all_words(swaps), swaps.keep)
    random = np.random.default_rng(seed)
    order = [texts[number] for number in random.permutation(len(texts)).tolist()]
    holding = [text for text in order if finder.find(text)]
    bases = [(text, False) for text in holding[:MAX_TEXTS]]
    bases += [(text, True) for text in _carried(order, finder, swaps, random)]
    made = []
    for base, (text, carried) in enumerate(bases):
        found = finder.find(text)
        swapped = _by_groups(text, found, swaps, base) if swaps.groups else _by_sets(text, found, swaps)
        made += [Counterfactual(swaps.kind, base, text, other, group, carried) for group, other in swapped]
    return [one for one in made if one.before != one.after]


def _carried(texts: Sequence[str], finder: ListedWords, swaps: Swaps, random: np.random.Generator) -> Iterator[str]:
    """Texts without a listed word, in a carrier that is written as they are, with a word drawn by chance."""
    words = [word for group in swaps.groups.values() for word in group]
    scripts = {language_of(carrier.replace("{word}", "").replace("{text}", ""), {}) for carrier in swaps.carriers}
    if not words or not scripts:
        return
    fitting = (text for text in texts if not finder.find(text) and language_of(text, {}) in scripts - {None})
    for number, text in enumerate(itertools.islice(fitting, CARRIED_TEXTS)):
        carrier = swaps.carriers[number % len(swaps.carriers)]
        yield carrier.replace("{word}", words[int(random.integers(len(words)))]).replace("{text}", text)


def _by_groups(text: str, found: Sequence[FoundWord], swaps: Swaps, turn: int) -> Iterator[tuple[str, str]]:
    """With words of some groups that the text's words are not of, by turns; the same word becomes the same again."""
    group_of = {word.casefold(): group for group, words in swaps.groups.items() for word in words}
    place_of = {word.casefold(): place for words in swaps.groups.values() for place, word in enumerate(words)}
    present = {group_of[one.word] for one in found}
    others = [group for group in swaps.groups if group not in present]
    for step in range(min(GROUPS_EACH, len(others))):
        group = others[(turn * GROUPS_EACH + step) % len(others)]
        words = swaps.groups[group]
        instead = {one.word: words[place_of[one.word] % len(words)] for one in found}
        yield group, put(text, found, lambda one, instead=instead: instead[one.word])  # type: ignore[misc]


def _by_sets(text: str, found: Sequence[FoundWord], swaps: Swaps) -> Iterator[tuple[str, str]]:
    """Once, with each word's counterpart."""
    counterpart, side = dict[str, str](), dict[str, int]()
    for first, second in swaps.sets:
        for word, other, number in ((first, second, 1), (second, first, 0)):
            counterpart.setdefault(word.casefold(), other)
            side.setdefault(word.casefold(), number)

    def instead(one: FoundWord) -> str:
        if one.word == "her" and {"him", "his"} <= counterpart.keys():
            return "his" if is_possessive(text, one.end) else "him"
        if one.word == "his" and "hers" in counterpart and not is_possessive(text, one.end):
            return "hers"
        return counterpart[one.word]

    group = swaps.sides[side[found[0].word]]
    yield group, put(text, found, instead)


def _all_words(swaps: Swaps) -> list[str]:
    return [word for words in (*swaps.groups.values(), *swaps.sets) for word in words]


def _first_words(swaps: Swaps) -> list[str]:
    return [first for first, _ in swaps.sets]
