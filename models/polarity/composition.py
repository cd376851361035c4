"""What a text says is good or bad: signs of words, multiplied where one acts on another and added where they stand side
by side.

A direction takes the quantity that it changes: "costs rose" is bad, "narrowed its loss" is good. A negator or a failure
turns the next thing in its clause: "failed to lift sales", "did not default". Of two clauses the one behind "but"
counts, and the one behind "although" does not. Two numbers that are compared are a direction.

Source: Malo, Sinha, Korhonen, Wallenius, Takala, Good Debt or Bad Debt: Detecting Semantic Orientations in Economic
Texts (2014): quantities and directions, read as a line of phrases; Moilanen and Pulman, Sentiment Composition (2007):
reversal and dominance; Kennedy and Inkpen, Sentiment Classification of Movie Reviews Using Contextual Valence Shifters
(2006): negators and diminishers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.polarity.context import NOUNS, in_context, sentences
from models.polarity.lexicon import Lexicon, Token
from models.polarity.number_pairs import NumberPair, number_pairs
from models.polarity.word_forms import words

DIRECTIONS: Final = frozenset({"transitive", "intransitive", "adjective"})
_HAPPENINGS: Final = frozenset({"happening", "phrase"})
_PREPOSITIONS: Final = words(
    """on by for from at to after before with under over against than despite during into until since per between
    among because when while"""
)
_UNITS: Final = words("""$ € £ ¥ % basis points point percent pc bps million billion trillion euros dollars pounds""")
_LEVELS: Final = words("""low high lowest highest record above below beneath behind""") | {
    f"{kind} {side}" for kind in ("record", "all-time", "multi-year") for side in ("high", "low")
}
_REACH: Final = 6  # tokens that a negator or a happening reaches over
_NEAR: Final = 4  # tokens to the subject of what a negator turns: "hardly any of the shares were sold"
_SILENT: Final = 0.4  # what says nothing by itself says the opposite where it is denied: "will not leave"
_BEING: Final = words("is are was were has have been now still")
_ALONE: Final = 0.6  # weight of a direction that is not said of anything known
_BARE: Final = 0.7
_QUALITY: Final = 0.6


@dataclass(slots=True)
class Claim:
    """One thing said. kind: of the word that it stands on, or "number". value: its sign times how much it counts.
    words: what it is composed of, in the order of the text. turned: whether a negator or a failure turned it."""

    at: int
    kind: str
    value: float
    words: tuple[int, ...]
    turned: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What is composed of a text. score: above 0 is good. claims: in the order of the text. is_unmoved: whether it says
    that nothing changed, or that what was awaited came."""

    score: float
    claims: tuple[Claim, ...] = ()
    is_unmoved: bool = False
    tokens: tuple[Token, ...] = field(default=(), repr=False)

    def said(self, claim: Claim) -> str:
        """The words that a claim stands on: "loss narrowed"."""
        return " ".join(self.tokens[at].text for at in claim.words)


def compose(lexicon: Lexicon, text: str) -> Reading:
    """Read a text. Anything may stand in it; words that are not listed say nothing."""
    tokens = in_context(lexicon.read(text))
    claims: list[Claim] = []
    for sentence in sentences(tokens):
        claims += _Sentence(tokens, sentence).claims()
    score = sum(claim.value * claim.weight for claim in claims)
    is_unmoved = any(token.kind == "unmoved" for token in tokens) or any(claim.kind == "equal" for claim in claims)
    return Reading(score, tuple(claims), is_unmoved, tuple(tokens))


class _Sentence:
    """Composes one sentence: which direction takes which noun, what is turned, which clause counts."""

    def __init__(self, tokens: Sequence[Token], places: range) -> None:
        self._tokens, self._places = tokens, places
        self._taken: set[int] = set()
        self._lessened: set[int] = set()  # happenings of which there are fewer
        self._claims: list[Claim] = []
        self._segment_of = self._segments()

    def claims(self) -> list[Claim]:
        """In the order of the text."""
        self._directions()
        self._compare_numbers()
        self._happenings()
        self._bare()
        self._claims.sort(key=lambda claim: claim.at)
        self._await()
        self._turn()
        self._weigh()
        return self._claims

    def _kind(self, at: int) -> str:
        return self._tokens[at].kind if at in self._places else ""

    def _sign(self, at: int) -> int:
        meaning = self._tokens[at].meaning
        return 0 if meaning is None else meaning.sign

    def _segments(self) -> dict[int, int]:
        """The number of the clause that each token stands in: commas and conjunctions end one."""
        number, of = 0, {}
        for at in self._places:
            text, kind = self._tokens[at].text, self._tokens[at].kind
            if text in (",", ":", "-", "—", "–", "(", ")", "and") or kind in ("but", "although", "reason", "despite"):
                number += 1
            of[at] = number
        return of

    # Directions

    def _directions(self) -> None:
        chain: list[int] = []
        for at in self._places:
            if self._kind(at) not in DIRECTIONS or at in self._taken:
                continue
            chain.append(at)
            if self._continues(at):
                continue
            self._claim_direction(chain)
            chain = []

    def _continues(self, at: int) -> bool:
        """Whether the next direction acts on the same thing: "stop falling", "rising faster", "fell less"."""
        for beyond in range(at + 1, at + 4):
            if beyond not in self._places or self._segment_of[beyond] != self._segment_of[at]:
                return False
            kind = self._kind(beyond)
            if kind in DIRECTIONS:
                if self._tokens[beyond].text not in _LEVELS:
                    return True
                self._taken.add(beyond)  # "fell below", "slipped to a low": said twice
            elif kind or self._tokens[beyond].text in _PREPOSITIONS - {"to"} or self._tokens[beyond].number is not None:
                return False
        return False

    def _claim_direction(self, chain: Sequence[int]) -> None:
        sign = 1
        for at in chain:
            sign *= self._sign(at)
        noun = self._noun_behind(chain[-1])
        if noun is None or (noun > chain[-1] + 2 and self._is_compound(chain)):
            noun = self._noun_before(chain[0])
        if noun is not None and (self._rules_a_happening(chain, noun, sign) or self._is_ruled(chain, noun)):
            return
        if noun is not None:
            of = self._noun_sign(noun)
            if sign < 0 < of and noun < chain[0] and self._meant_alone(chain) > 0:
                of = -of  # "stocks were spared": it is they who escape
            if self._kind(noun) == "restriction" and self._tokens[chain[-1]].text.startswith(("lift", "tighten")):
                sign = -sign
            self._taken.add(noun)
            self._claims.append(Claim(chain[0], "direction", float(sign * of), tuple(sorted((*chain, noun)))))
        elif self._lessen_happening(chain) or self._changes_claim(chain, sign):
            return
        else:
            value = self._alone(chain, sign)
            self._claims.append(Claim(chain[0], "alone", value, tuple(chain)))
        self._taken.update(chain)

    def _is_compound(self, chain: Sequence[int]) -> bool:
        """ "a tariff cut", "the dividend increase" """
        first = self._tokens[chain[0]]
        is_noun = first.text.endswith(("cut", "cuts", "increase", "increases", "hike", "hikes", "freeze", "end"))
        return is_noun and self._kind(chain[0] - 1) in NOUNS and chain[0] - 1 not in self._taken

    def _is_ruled(self, chain: Sequence[int], noun: int) -> bool:
        """ "lost its largest customer": what happens to it counts, not its size."""
        first = chain[0]
        if noun < first or any(self._kind(at) != "adjective" for at in chain):
            return False
        before = range(max(first - _REACH, self._places.start), first)
        is_ruled = any(
            self._kind(at) in _HAPPENINGS and self._segment_of[at] == self._segment_of[first] for at in before
        )
        if is_ruled:
            self._taken.update((*chain, noun))
            self._lessen_happening(chain)
        return is_ruled

    def _lessen_happening(self, chain: Sequence[int]) -> bool:
        """ "lost fewer customers", "earned less": what happens, turned."""
        first = chain[0]
        if self._tokens[first].text not in ("less", "fewer", "smaller"):
            return False
        for at in range(first - 1, max(first - 4, self._places.start - 1), -1):
            if self._kind(at) in _HAPPENINGS and self._segment_of[at] == self._segment_of[first]:
                self._lessened.add(at)
                self._taken.update(chain)
                return True
        return False

    def _changes_claim(self, chain: Sequence[int], sign: int) -> bool:
        """ "the decline in sales is slowing", "costs grew at the slowest pace": said of what was said before."""
        if not self._claims or self._claims[-1].kind != "direction":
            return False
        claim, first = self._claims[-1], chain[0]
        if self._segment_of[claim.at] != self._segment_of[first] or max(claim.words) >= first:
            return False
        between = {self._tokens[at].text for at in range(max(claim.words) + 1, first)}
        after = self._tokens[chain[-1] + 1].text if chain[-1] + 1 in self._places else ""
        if not (between and between <= _BEING) and after not in ("pace", "rate", "speed"):
            return False
        claim.value, claim.words = claim.value * sign, tuple(sorted((*claim.words, *chain)))
        self._taken.update(chain)
        return True

    def _rules_a_happening(self, chain: Sequence[int], noun: int, sign: int) -> bool:
        """ "fewer customers defaulted": how many say how good what happens is."""
        if self._tokens[chain[0]].text not in ("fewer", "less", "more", "fewest", "most") or noun < chain[0]:
            return False
        for at in (noun + 1, noun + 2):
            if self._kind(at) == "happening":
                self._claims.append(Claim(chain[0], "direction", float(sign * self._sign(at)), (*chain, noun, at)))
                self._taken.update((*chain, noun, at))
                return True
        return False

    def _alone(self, chain: Sequence[int], sign: int) -> float:
        """Of a direction that nothing known goes with. What was feared or hoped says what it is of."""
        for beyond in range(chain[-1] + 1, min(chain[-1] + 6, self._places.stop)):
            before = self._tokens[beyond - 1]
            if self._kind(beyond) in ("feared", "hoped") and (before.text in ("than", "as") or beyond == chain[-1] + 1):
                return float(sign if self._kind(beyond) == "hoped" else -sign)
        return _ALONE * self._meant_alone(chain)

    def _meant_alone(self, chain: Sequence[int]) -> int:
        """ "stop falling" is good as falling is bad."""
        sign = 1
        for at in chain[:-1]:
            sign *= self._sign(at)
        meaning = self._tokens[chain[-1]].meaning
        if len(chain) > 1 and meaning is not None and meaning.alone == 0:
            return sign * meaning.sign
        return sign * (0 if meaning is None else meaning.alone)

    def _noun_sign(self, noun: int) -> int:
        """Of neighbouring nouns the bad one counts: "cost growth"."""
        sign, at = self._sign(noun), noun - 1
        if self._kind(at) == "quality" and self._kind(noun) != "matter":  # "withdrew its negative outlook"
            self._taken.add(at)
            return self._sign(at)
        while self._kind(at) in NOUNS:
            sign = min(sign, self._sign(at))
            self._taken.add(at)
            at -= 1
        return sign

    def _noun_behind(self, at: int) -> int | None:
        """What the direction at this place changes, where it stands behind it."""
        direction = self._tokens[at]
        is_free = direction.kind != "intransitive" or direction.text.endswith("ing")
        reach = 5 if direction.kind == "transitive" else 3
        opened = is_free
        left = reach + (0 if is_free else 2)
        for beyond in range(at + 1, self._places.stop):
            token = self._tokens[beyond]
            left -= token.number is None and token.text not in _UNITS
            if left < 0 or beyond not in self._places or self._tokens[beyond].text in (",", "(", ":"):
                return None
            if token.text in ("in", "of") and token.kind == "":
                opened = True
            elif (
                (token.number is not None and direction.kind != "transitive")
                or token.text in _PREPOSITIONS
                or token.kind in ("reason", "but", "although", "despite", "unmoved")
            ):
                return None
            elif self._is_noun(beyond) and beyond not in self._taken:
                if not opened:
                    return None
                return self._last_of_compound(beyond)
            elif token.kind in DIRECTIONS or token.kind in _HAPPENINGS:
                return None
        return None

    def _is_noun(self, at: int) -> bool:
        kind = self._kind(at)
        return kind in NOUNS or (kind == "plain" and self._sign(at) != 0) or (kind == "quality" and self._modifies(at))

    def _modifies(self, at: int) -> bool:
        """ "less severe", "more profitable" """
        return self._tokens[at - 1].kind == "adjective" if at - 1 in self._places else False

    def _last_of_compound(self, at: int) -> int:
        while self._kind(at + 1) in NOUNS:
            at += 1
        return at

    def _noun_before(self, at: int) -> int | None:
        """The subject: the nearest noun before the direction, in its clause or the one before it."""
        earliest = self._segment_of[at] - 1
        for before in range(at - 1, self._places.start - 1, -1):
            kind = self._kind(before)
            if self._segment_of[before] < earliest or kind in ("but", "although", "despite"):
                return None
            if before not in self._taken and (kind in NOUNS or (kind == "plain" and self._is_subject(before))):
                is_across = self._segment_of[before] != self._segment_of[at]
                return (
                    None
                    if is_across and kind == "matter" and self._tokens[at].kind == "adjective"
                    else self._head_of(before)
                )
        return None

    def _is_subject(self, at: int) -> bool:
        """ "guidance was withdrawn", not "below guidance" """
        if self._sign(at) == 0 or at - 1 not in self._places:
            return self._sign(at) != 0
        before = self._tokens[at - 1]
        return before.kind not in DIRECTIONS and before.text not in ("than", "as", "vs", "of", "with", "'s")

    def _head_of(self, at: int) -> int:
        """ "loss of customers": the first of two nouns that "of" joins; "sales at Calder Debt" stays as it is."""
        for before in range(at - 1, max(at - 4, self._places.start - 1), -1):
            if self._tokens[before].text == "of" and self._kind(before - 1) in NOUNS and before - 1 not in self._taken:
                self._taken.add(at)
                return before - 1
            if self._kind(before):
                break
        return at

    # Numbers

    def _compare_numbers(self) -> None:
        moved = {self._segment_of[at] for claim in self._claims for at in claim.words}
        for pair in number_pairs(self._tokens, self._places):
            segments = range(self._segment_of[pair.first], self._segment_of[pair.second] + 1)
            if any(segment in moved for segment in segments):
                continue  # "rose to 5 from 4": said already
            self._claim_numbers(pair)

    def _claim_numbers(self, pair: NumberPair) -> None:
        noun = self._noun_before(pair.first)
        if noun is None:
            noun = next((at for at in range(pair.first, pair.second) if self._kind(at) in NOUNS), None)
        if pair.sign == 0:
            self._claims.append(Claim(pair.first, "equal", 0.0, (pair.first, pair.second)))
        elif noun is None:
            self._claims.append(Claim(pair.first, "number", _BARE * pair.sign, (pair.first, pair.second)))
        else:
            value = float(pair.sign * self._noun_sign(noun))
            self._taken.add(noun)
            self._claims.append(Claim(pair.first, "number", value, tuple(sorted((noun, pair.first, pair.second)))))

    # What happens, and what is there

    def _happenings(self) -> None:
        for at in self._places:
            if self._kind(at) in _HAPPENINGS and at not in self._taken:
                sign = -self._sign(at) if at in self._lessened else self._sign(at)
                self._claims.append(Claim(at, self._kind(at), float(sign), (at,)))
                self._taken.add(at)
                for beyond in range(at + 1, min(at + 1 + _REACH, self._places.stop)):
                    if self._segment_of[beyond] != self._segment_of[at]:
                        break
                    if self._kind(beyond) in NOUNS or self._kind(beyond) == "quality":
                        self._taken.add(beyond)  # it rules what it happens to

    def _bare(self) -> None:
        for at in self._places:
            kind = self._kind(at)
            if at in self._taken:
                continue
            if kind in ("matter", "restriction"):
                self._claims.append(Claim(at, "matter", _BARE * self._sign(at), (at,)))
            elif kind == "quality":
                self._claims.append(Claim(at, "quality", _QUALITY * self._sign(at), (at,)))
            elif kind == "quantity" and self._is_denied(at):
                self._claims.append(Claim(at, "quantity", _BARE * self._sign(at), (at,)))

    def _is_denied(self, at: int) -> bool:
        """Whether a negator stands right before a quantity: "no debt"."""
        return any(
            self._kind(before) in ("negator", "failing") for before in range(max(at - 3, self._places.start), at)
        )

    # Scope

    def _turn(self) -> None:
        """Each negator turns the next claim of its clause; a failure without one is bad."""
        failures = []
        for at in self._places:
            if self._kind(at) not in ("negator", "failing"):
                continue
            claim = self._next_claim(at)
            if claim is not None:
                silent = _SILENT * self._sign(claim.words[-1]) if claim.kind == "alone" and not claim.value else 0.0
                claim.value, claim.turned = -(claim.value or silent), not claim.turned
                claim.words = tuple(sorted({at, *claim.words}))
            elif self._kind(at) == "failing":
                failures.append(Claim(at, "failing", -_BARE, (at,), True))
        self._claims = sorted([*self._claims, *failures], key=lambda claim: claim.at)

    def _next_claim(self, at: int) -> Claim | None:
        for claim in self._claims:
            is_near = claim.at <= at + _REACH or at < min(claim.words) <= at + _NEAR
            if at < claim.at and is_near and self._segment_of[claim.at] == self._segment_of[at]:
                return claim
        return None

    def _weigh(self) -> None:
        for at in self._places:
            kind = self._kind(at)
            if kind == "but":
                for claim in self._claims:
                    claim.weight *= 0.3 if claim.at < at else 1.0
            elif kind == "although":
                end = next((b for b in range(at, self._places.stop) if self._tokens[b].text == ","), self._places.stop)
                self._lessen(at, end, 0.1)
            elif kind == "despite":
                following = [claim for claim in self._claims if max(claim.words) > at]
                if following:
                    following[0].weight *= 0.0
            elif kind == "reason":
                self._lessen(at, self._places.stop, 0.5)
            elif kind == "unreal":
                self._lessen(at, self._places.stop, 0.4)

    def _await(self) -> None:
        """ "had braced for worse", "had hoped for more": what did not come."""
        for claim in self._claims:
            before = [self._kind(at) for at in range(max(claim.at - 3, self._places.start), claim.at)]
            if claim.kind in ("quality", "matter", "alone") and {"feared", "hoped"} & {*before}:
                sign = self._sign(claim.at) if claim.kind == "alone" else claim.value
                claim.value = 0.5 * (1.0 if "feared" in before else -1.0) * (abs(sign) > 0)

    def _lessen(self, first: int, last: int, factor: float) -> None:
        for claim in self._claims:
            if first < claim.at < last:
                claim.weight *= factor
