"""What words mean beside their neighbours, and where sentences end."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from models.polarity.lexicon import Meaning, Token
from models.polarity.word_forms import words

NOUNS: Final = frozenset({"quantity", "matter", "restriction"})
_AWAITED: Final = frozenset({"plain", "feared", "hoped"})
_ENDS: Final = frozenset(".;!?\n")
_HAPPENS: Final = words(
    """come came materialise materialised materialize materialized happen happened occur occurred arrive arrived
    appear show repeat recur last hold follow needed required necessary warranted"""
)
_CLOSINGS: Final = words("""end ends ended close closes closed finish finished open opens opened""")
_SIZES: Final = {
    "large": 1,
    "big": 1,
    "great": 1,
    "high": 1,
    "much": 1,
    "many": 1,
    "small": -1,
    "low": -1,
    "little": -1,
}
_BEFORE_VERBS: Final = words("to will would can could may might must should did does do never also soon already")
_AFTER_NOUNS: Final = words("at of in for among are were is was and , .")
_PREDICATES: Final = frozenset({"negator", "failing", "transitive", "intransitive"})
_PLACES: Final = words("at in on near with above below up down")  # where an index closes
_ALSO_VERBS: Final = words("""curb curbs cap caps freeze freezes halt halts""")
_EMPTY_NEGATIONS: Final = frozenset({"only", "just", "doubt", "matter", "less", "fewer", "later", "wonder", "surprise"})


def in_context(tokens: list[Token]) -> list[Token]:
    """The tokens, with what a word means beside its neighbours: "less than 5" is no comparison, "did not come" is a
    direction."""
    for at, token in enumerate(tokens):
        if token.text == "as" and at + 2 < len(tokens) and tokens[at + 2].text == "as":  # "not as large as"
            token.meaning = tokens[at + 2].meaning = None
            token, at = tokens[at + 1], at + 1
            if token.text in _SIZES:
                token.meaning = Meaning("adjective", _SIZES[token.text], 0)
            continue
        if token.meaning is None and token.text not in ("over", *_HAPPENS):
            continue
        following = tokens[at + 1 : at + 5]
        if _says_nothing(token, following):
            token.meaning = None
        elif (other := _other_part_of_speech(tokens, at)) is not None:
            token.meaning = other
        elif token.text == "over" and _is_predicate(tokens, at):
            token.meaning = Meaning("adjective", -1, 0)
        elif token.text in _ALSO_VERBS and following and any(one.kind in NOUNS for one in following[:2]):
            token.meaning = Meaning("transitive", -1, -1)
        elif token.text in _HAPPENS and at and tokens[at - 1].kind in ("negator", "failing"):
            token.meaning, tokens[at - 1].meaning = Meaning("intransitive", -1, -1), None
    return tokens


def _other_part_of_speech(tokens: Sequence[Token], at: int) -> Meaning | None:
    """ "did not win", where "a win" is a noun; "delays at the plant", where "delays the plant" is a verb."""
    meaning = tokens[at].meaning
    before, after = (tokens[at - 1] if at else None), (tokens[at + 1] if at + 1 < len(tokens) else None)
    if meaning is None:
        return None
    if meaning.verb and before is not None and (before.text in _BEFORE_VERBS or before.kind in ("negator", "failing")):
        is_verb = before.text not in ("no", "without", "few", "none of", "zero", "free of", "lack of")
        return Meaning("happening", meaning.verb, meaning.verb) if is_verb else None
    if meaning.noun and (after is None or after.text in _AFTER_NOUNS or after.kind in _PREDICATES):
        return Meaning("quantity", meaning.noun)
    return None


def _says_nothing(token: Token, following: Sequence[Token]) -> bool:
    """Of a listed word that means something else beside what follows it."""
    next_text = following[0].text if following else ""
    if token.kind == "negator":
        return next_text in _EMPTY_NEGATIONS
    if token.text in ("top", "tops", "topped") or token.text.endswith("ahead of"):
        return not any(one.kind in _AWAITED for one in following)
    if token.text in _CLOSINGS:
        is_placed = next_text in _PLACES or (bool(following) and following[0].number is not None)
        return is_placed or (bool(following) and following[0].kind in ("adjective", "unmoved"))
    return token.kind == "adjective" and _bounds_a_number(token, following)


def _is_predicate(tokens: Sequence[Token], at: int) -> bool:
    """ "the strike is over", "cycle over for chemicals" """
    following = tokens[at + 1].text if at + 1 < len(tokens) else "."
    return following in (*_ENDS, ",", "for", "as", "and", "but") or (
        at > 0 and tokens[at - 1].text in ("is", "are", "was")
    )


def _bounds_a_number(token: Token, following: Sequence[Token]) -> bool:
    """ "more than 40 percent", "above 40": says how much, not where to."""
    if token.text in ("more", "less", "fewer", "greater", "larger", "higher", "lower"):
        if len(following) > 1 and following[0].text == "than":
            return following[1].number is not None or following[1].text in ("a", "half", "twice", "double")
        return False
    return (
        token.text in ("above", "below", "twice", "half", "up to")
        and bool(following)
        and following[0].number is not None
    )


def sentences(tokens: Sequence[Token]) -> list[range]:
    ends = [at for at in range(len(tokens)) if _ends_sentence(tokens, at)]
    edges = [-1, *ends, len(tokens)]
    return [range(first + 1, last) for first, last in pairwise(edges) if last - first > 1]


def _ends_sentence(tokens: Sequence[Token], at: int) -> bool:
    if tokens[at].text != ".":
        return tokens[at].text in _ENDS
    is_initial = at > 0 and len(tokens[at - 1].text) == 1 and tokens[at - 1].number is None  # "U.S."
    return not is_initial and (at + 1 == len(tokens) or tokens[at + 1].begin > tokens[at].end)
