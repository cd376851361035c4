"""Why a release says of each name what it says: which words that stands on, by occlusion, and what its relevance rests
on.

No decision hangs on a name itself, which the head never sees, so names stay and the words around them are taken out, as
far to either side as the head reads. Each name is one character that no text has while words are taken out, and is put
back before the release is asked: so it is known where the name is, whatever went.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.classifier import Classifier
from models.decision import EntityAnswer, Path
from models.entities.gazetteer import Mention
from models.entities.judging import Asked, judge
from models.entities.reader import EntityReader
from models.entities.relevance import Relevance, why_relevant
from models.entities.views import REACH_CHARACTERS
from models.explanation.asking import Doubles, Question
from models.explanation.occlusion import Occlusion, OutOfTime, Search, occlude
from models.explanation.parts import Part, Unit, split_parts
from models.heads import Floats

_STAND_INS: Final = range(0xF0000, 0xFFFFE)  # for private use, and more than a text has characters
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class SaidOtherwise:
    """Without the parts of these numbers the text says `sentiment` of the name."""

    without: tuple[int, ...]
    sentiment: str
    probability: float


@dataclass(frozen=True, slots=True)
class EntityExplanation:
    """answer: as the decision has it. rival: what is second most probable, with its probability. occlusion: its parts
    are places of `text`. without: (parts,), the probability without each part alone; NaN of what there was no time for.
    change: the first step of the order at which something else is said; None where none is. beside: how many other
    entities are named. asked: how many texts were asked about."""

    text: str
    answer: EntityAnswer
    rival: tuple[str, float]
    occlusion: Occlusion
    without: Doubles
    change: SaidOtherwise | None
    relevance: Relevance
    beside: int
    asked: int
    is_cut: bool

    def part_text(self, number: int) -> str:
        """The part as it stands in the text."""
        part = self.occlusion.parts[number]
        return self.text[part.start : part.end]

    def as_json(self) -> dict[str, Any]:
        """JSON without times, so that the same text gives the same bytes."""
        answer, change = self.answer, self.change
        return {
            "id": answer.id,
            "name": answer.name,
            "span": [answer.start, answer.end],
            "sentiment": answer.sentiment,
            "probability": _rounded(answer.probability),
            "rival": {"sentiment": self.rival[0], "probability": _rounded(self.rival[1])},
            "parts": [self._part(number) for number in range(len(self.occlusion.parts))],
            "change": None
            if change is None
            else {
                "without": list(change.without),
                "words": [self.part_text(number) for number in change.without],
                "sentiment": change.sentiment,
                "probability": _rounded(change.probability),
            },
            "relevance": self._relevance(),
            "asked": self.asked,
            "cut": self.is_cut,
        }

    @property
    def relevance_words(self) -> str:
        """What the relevance rests on, in a sentence."""
        rests = self.relevance
        below = [
            number if rests.has_title else number + 1 for number in rests.sentences if number or not rests.has_title
        ]
        places = ["the title"] if rests.in_title else []
        if below:
            places.append(f"sentence{'s' if len(below) > 1 else ''} {', '.join(map(str, below))}")
        where = " and ".join(places) + (" below it" if rests.in_title and below else "")
        times = "once" if rests.mentions == 1 else f"{rests.mentions} times"
        others = "nothing else is named" if not self.beside else f"{self.beside} more named beside it"
        return (
            f"relevance {rests.value:.4f} = prominence {rests.prominence:.4f} × share {rests.share:.4f}: "
            f"named {times}, in {where}; {others}"
        )

    def _part(self, number: int) -> dict[str, Any]:
        part, effect = self.occlusion.parts[number], float(self.occlusion.effects[number])
        left = float(self.without[number])
        return {
            "text": self.part_text(number),
            "start": part.start,
            "end": part.end,
            "words": part.words,
            "place": self.occlusion.order.index(number) + 1,
            "effect": None if np.isnan(effect) else _rounded(effect),
            "probability_without": None if np.isnan(left) else _rounded(left),
        }

    def _relevance(self) -> dict[str, Any]:
        rests = self.relevance
        return {
            "value": rests.value,
            "prominence": _rounded(rests.prominence),
            "share": _rounded(rests.share),
            "mentions": rests.mentions,
            "has_title": rests.has_title,
            "in_title": rests.in_title,
            "sentences": list(rests.sentences),
            "named_beside": self.beside,
            "words": self.relevance_words,
        }


def explain_entities(
    classifier: Classifier, text: str, unit: Unit = "words", *, out_of_time: OutOfTime = lambda: False
) -> list[EntityExplanation] | None:
    """One for each entity that the text names, in their order; None of a release that looks for none. text: as it was
    given. unit, out_of_time: as for `explain`. Raises ModelError."""
    reader = classifier.entities
    if reader is None:
        return None
    found = reader.find([text], classifier.as_read_one)
    (answers,), (named,) = found.read(classifier.encoder), found.named
    relevance = why_relevant(text, named.mentions)
    return [
        _explained(classifier, reader, _Skeleton.of(text, named.mentions), of_one, answer, relevance, unit, out_of_time)
        for of_one, answer in zip(named.entities, answers, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Skeleton:
    """A text with one character in place of each name. text: so. names: what each of these stands for, by it."""

    text: str
    whole: str
    names: Mapping[str, Mention]

    @classmethod
    def of(cls, whole: str, mentions: Sequence[Mention]) -> "_Skeleton":
        """mentions: in order, no two overlapping."""
        taken = set(whole)
        free = (one for one in map(chr, _STAND_INS) if one not in taken)
        names = dict(zip(free, mentions, strict=False))  # there are more of these than names
        pieces, at = list[str](), 0
        for stand_in, one in names.items():
            pieces += [whole[at : one.start], stand_in]
            at = one.end
        return cls("".join([*pieces, whole[at:]]), whole, names)

    def restored(self, text: str) -> tuple[str, list[Mention]]:
        """With the names, and where these are now. text: of this one, with words taken out."""
        pieces, mentions, length = list[str](), list[Mention](), 0
        for character in text:
            name = self.names.get(character)
            piece = character if name is None else self.whole[name.start : name.end]
            if name is not None:
                mentions.append(Mention(length, length + len(piece), name.id))
            pieces.append(piece)
            length += len(piece)
        return "".join(pieces), mentions

    def parts_near(self, mentions: Sequence[Mention], unit: Unit, classifier: Classifier) -> list[Part]:
        """What may be taken out: what holds no name, as far from one of these as the head reads."""
        places = [self.place_of(one) for one in mentions]
        return [
            part
            for part in split_parts(self.text, unit, classifier.vocabulary)
            if not self.names.keys() & set(self.text[part.start : part.end])
            and any(part.end > at - REACH_CHARACTERS and part.start < at + REACH_CHARACTERS for at in places)
        ]

    def place_of(self, mention: Mention) -> int:
        """Of a name's stand-in."""
        return self.text.index(next(one for one, name in self.names.items() if name == mention))

    def in_whole(self, occlusion: Occlusion) -> Occlusion:
        """With its parts at their places in the whole text."""
        lengths = [name.end - name.start if (name := self.names.get(one)) else 1 for one in self.text]
        starts = [0, *np.cumsum(lengths).tolist()]
        parts = tuple(Part(starts[part.start], starts[part.end], part.words) for part in occlusion.parts)
        return Occlusion(parts, occlusion.effects, occlusion.order, occlusion.steps)


@dataclass
class _Said:
    """`models.explanation.occlusion.Asked`: what is said of one entity where words of the text are missing."""

    classifier: Classifier
    reader: EntityReader
    skeleton: _Skeleton
    read: Sequence[int]  # which of the text's mentions decide, by their numbers
    asked: int = 0
    _known: dict[str, Floats] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Names are read by the encoder, whichever path the text takes."""
        return "full"

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.reader.head.head.labels

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Logarithms of the mean probabilities over the entity's mentions, float64 (texts, labels)."""
        return np.log(np.maximum(self.probabilities(texts), 1e-12))

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """Calibrated, float64 (texts, labels)."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._computed(new), strict=True))
            self.asked += len(new)
        rows = [self._known[text] for text in texts]
        return np.array(rows, dtype=np.float64).reshape(len(texts), len(self.labels))

    def _computed(self, texts: Sequence[str]) -> Floats:
        asked = []
        for text in texts:
            whole, mentions = self.skeleton.restored(text)
            asked.append(Asked(whole, mentions, [mentions[number] for number in self.read]))
        found = judge(self.reader.head, self.classifier.encoder, asked, self.classifier.as_read_one)
        means: Floats = found.reshape(len(texts), len(self.read), -1).mean(axis=1)
        return means


def _explained(
    classifier: Classifier,
    reader: EntityReader,
    skeleton: _Skeleton,
    read: Sequence[Mention],
    answer: EntityAnswer,
    relevance: Mapping[str, Relevance],
    unit: Unit,
    out_of_time: OutOfTime,
) -> EntityExplanation:
    numbers = {mention: number for number, mention in enumerate(skeleton.names.values())}
    said = _Said(classifier, reader, skeleton, [numbers[one] for one in read])
    column = said.labels.index(answer.sentiment)
    search = Search(said, Question(column), skeleton.text, out_of_time, frozenset(skeleton.names))
    occlusion = occlude(search, skeleton.parts_near(read, unit, classifier))
    (whole,) = said.probabilities([skeleton.text])
    second = int(np.where(np.arange(len(whole)) == column, -1.0, whole).argmax())
    return EntityExplanation(
        skeleton.whole,
        answer,
        (said.labels[second], float(whole[second])),
        skeleton.in_whole(occlusion),
        _without_each(said, search, occlusion, column),
        _first_change(said, search, occlusion, column),
        relevance[answer.id],
        len(relevance) - 1,
        said.asked,
        search.is_cut,
    )


def _without_each(said: _Said, search: Search, occlusion: Occlusion, column: int) -> Doubles:
    """All of them are known where the effects are."""
    if np.isnan(occlusion.effects).any():
        return occlusion.effects
    alone = [search.without(occlusion.parts, [number]) for number in range(len(occlusion.parts))]
    probabilities: Doubles = said.probabilities(alone)[:, column]
    return probabilities


def _first_change(said: _Said, search: Search, occlusion: Occlusion, column: int) -> SaidOtherwise | None:
    """The first of the steps taken at which something else is said."""
    for count in range(1, occlusion.steps + 1):
        removed = occlusion.order[:count]
        (probabilities,) = said.probabilities([search.without(occlusion.parts, removed)])
        best = int(probabilities.argmax())
        if best != column:
            return SaidOtherwise(tuple(removed), said.labels[best], float(probabilities[best]))
    return None


def _rounded(value: float) -> float:
    return round(value, _DIGITS) + 0.0  # no negative zero
