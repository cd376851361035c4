"""What people say of each text: one word a person and text, however often the text and the word come."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from retrain.text_keys import NearCopies, text_key

MAX_COPIES: Final = 10  # of a text with a word or a letter changed, that one person labels alike


@dataclass(frozen=True, slots=True)
class TextLabel:
    """What people say one text is, for one head.

    key: `retrain.text_keys.text_key` of the text. people: who say so, who said it first before the others. others: what
    other people say, person to label. decisions: ids of the decisions with this text, oldest word first. is_confirmed:
    its one person was asked whether it is meant, and said it again.
    """

    head: str
    key: str
    text: str
    label: str
    people: tuple[str, ...]
    others: Mapping[str, str]
    decisions: tuple[str, ...]
    is_confirmed: bool = False

    @property
    def is_contested(self) -> bool:
        """Whether no label has more people behind it than each other one."""
        return bool(self.others) and max(Counter(self.others.values()).values()) >= len(self.people)


def text_labels(items: Iterable[Mapping[str, Any]]) -> list[TextLabel]:
    """One for each head and text, in the order of the first word on it.

    items: `id`, `text`, `labels` by head, and where known `by` (head to person) and `said` (head to a list of `by`,
    `label`, `confirms`, `first_ms`, since when they say so, where known: all people's words on that decision, the
    newest last); the newest word on a text last. A person who says different things of one text is taken at the last
    word; who says the same again takes nothing back: neither that it is meant, nor that they said it first. Most people
    decide; where as many say something else, the text is contested.
    """
    words: dict[tuple[str, str], dict[str, _Word]] = defaultdict(dict)
    places = itertools.count()
    texts: dict[str, str] = {}
    decisions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        key = text_key(item["text"])
        texts.setdefault(key, item["text"])
        for head in item["labels"]:
            decisions[head, key].append(str(item["id"]))
            spoken = words[head, key]
            for word in said(item, head):
                spoken[word["by"]] = _Word.of(word, next(places)).after(spoken.pop(word["by"], None))
    return [
        _label(head, key, texts[key], list(spoken.values()), tuple(decisions[head, key]))
        for (head, key), spoken in words.items()
    ]


@dataclass(frozen=True, slots=True)
class _Word:
    """What a person says of a text. first: since when (milliseconds since 1970, where known) and in which place; at
    equal times the place says who was first."""

    by: str
    label: str
    first: tuple[float, int]
    confirms: bool

    @classmethod
    def of(cls, word: Mapping[str, Any], place: int) -> Self:
        """Of an item."""
        return cls(word["by"], word["label"], (word.get("first_ms", 0.0), place), bool(word.get("confirms")))

    def after(self, before: Self | None) -> Self:
        """With what the same person said before."""
        if before is None or before.label != self.label:
            return self
        return replace(self, first=min(self.first, before.first), confirms=self.confirms or before.confirms)


def said(item: Mapping[str, Any], head: str) -> Sequence[Mapping[str, Any]]:
    """All people's words on one decision and head; of an item without them, the one that counts."""
    words: Sequence[Mapping[str, Any]] = item.get("said", {}).get(head, ())
    return words or [{"by": item.get("by", {}).get(head, ""), "label": item["labels"][head]}]


def _label(head: str, key: str, text: str, spoken: Sequence[_Word], decisions: tuple[str, ...]) -> TextLabel:
    votes = Counter(word.label for word in spoken)
    most = max(votes.values())
    label = next(word.label for word in reversed(spoken) if votes[word.label] == most)
    agree = sorted((word for word in spoken if word.label == label), key=lambda word: word.first)
    others = {word.by: word.label for word in spoken if word.label != label}
    confirmed = any(word.confirms for word in agree)
    people = tuple(word.by for word in agree)
    return TextLabel(head, key, text, label, people, others, decisions, is_confirmed=confirmed)


def copied_texts(labels: Iterable[TextLabel]) -> dict[str, str]:
    """Key of each text to that of the first one of which it is nearly a copy; its own where it is the first."""
    seen, firsts = NearCopies(()), {}
    for one in labels:
        if one.key not in firsts:
            firsts[one.key] = seen.copied(one.text) or one.key
            if firsts[one.key] == one.key:
                seen.add(one.text)
    return firsts


def too_many_copies(labels: Iterable[TextLabel], firsts: Mapping[str, str]) -> Iterator[TextLabel]:
    """Those of which one person has labelled so many near copies alike already that one more teaches nothing but its
    weight. firsts: of `copied_texts`."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in labels:
        if len(one.people) == 1:
            alike = one.people[0], one.label, firsts[one.key]
            counts[alike] += 1
            if counts[alike] > MAX_COPIES:
                yield one
