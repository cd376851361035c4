"""Which words of a text find an answer, by occlusion on the score that a bank orders its questions by, and how sure the
bank would be of each of the answers behind the first. Values in, values out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.answers.ranking import confidence
from models.decision import Path
from models.explanation.asking import Doubles
from models.explanation.occlusion import Occlusion, OutOfTime, Search, occlude
from models.explanation.parts import Part, without


@dataclass(frozen=True, slots=True)
class Standing:
    """What a bank has for a text. score: of the question that is explained; where the text does not find it at all, the
    lowest that it finds. first: the first entry's id, "" where nothing is found. confidence: in that one, 0 to 1."""

    score: float
    first: str
    confidence: float


Asks = Callable[[Sequence[str]], Sequence[Standing]]


@dataclass(frozen=True, slots=True)
class Loss:
    """Without the parts of these numbers the bank would answer otherwise: its first entry would be this one."""

    without: tuple[int, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class FoundBy:
    """occlusion: parts, what the question's score loses without each alone, and their order. without: what the bank has
    for the text without each part alone; empty where there was no time. loss: the first step of the order at which the
    entry would not be given any more; None where none is, and where it is not given anyway. asked: how many texts the
    bank was asked about. is_cut: by a deadline."""

    occlusion: Occlusion
    without: tuple[Standing, ...] = ()
    loss: Loss | None = None
    asked: int = 0
    is_cut: bool = False


class _Scores:
    """A bank as occlusion asks it: one column, the score."""

    path: Final[Path] = "full"

    def __init__(self, asks: Asks) -> None:
        self._asks, self._known = asks, dict[str, Standing]()

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Shape (texts, 1)."""
        return np.array([[one.score] for one in self.standings(texts)], dtype=np.float64).reshape(len(texts), 1)

    def standings(self, texts: Sequence[str]) -> list[Standing]:
        """Each different text is asked about once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._asks(new), strict=True))
        return [self._known[text] for text in texts]

    def support(self, logits: Doubles) -> Doubles:
        """Shape (texts,)."""
        column: Doubles = logits[:, 0]
        return column

    def __len__(self) -> int:
        return len(self._known)


def find_words(
    asks: Asks, text: str, parts: Sequence[Part], least: float, out_of_time: OutOfTime = lambda: False
) -> FoundBy:
    """Look for the parts of a text that an answer is found by.

    asks: what the bank has for texts. parts: of the text, at least one. least: the confidence from which on an answer
    is given. out_of_time: asked between two batches. Raises what `asks` raises.
    """
    scores = _Scores(asks)
    search = Search(scores, scores, text, out_of_time)
    occlusion = occlude(search, parts)
    if np.isnan(occlusion.effects).any():
        return FoundBy(occlusion, asked=len(scores), is_cut=True)
    alone = [without(text, occlusion.parts, [number]) for number in range(len(occlusion.parts))]
    loss = _first_loss(scores, text, occlusion, least)
    return FoundBy(occlusion, tuple(scores.standings(alone)), loss, len(scores), search.is_cut)


def _first_loss(scores: _Scores, text: str, occlusion: Occlusion, least: float) -> Loss | None:
    (whole,) = scores.standings([text])
    if whole.confidence < least:
        return None
    for count in range(1, occlusion.steps + 1):
        removed = occlusion.order[:count]
        (left,) = scores.standings([without(text, occlusion.parts, removed)])
        if left.first != whole.first or left.confidence < least:
            return Loss(tuple(removed), left)
    return None


def confidences(scores: Sequence[float], without_answer: Sequence[float]) -> list[float]:
    """How sure a bank would be of each question, were those before it not there: in the order of `scores`.

    scores: of the questions, falling. without_answer: as in `models.answers.ranking.confidence`.
    """
    behind = [*scores[1:], scores[-1]] if scores else []
    return [confidence(score + score - after, without_answer) for score, after in zip(scores, behind, strict=True)]
