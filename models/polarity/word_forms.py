"""English inflection, as far as lists of words need it."""

from typing import Final


def words(listed: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(listed.split())


_VOWELS: Final = "aeiou"
_DOUBLED: Final = words(
    """ban cap chip clip cut dim dip drag drop fit flop hit jam lag nab nod outfit pad plan plug rip rob sag sap
    scrap shed skid skip slam slip spur stem step stop strip thin top trim wrap zap"""
)


def verb_forms(listed: str) -> set[str]:
    """All forms of a verb or of a phrase that begins with one: `fall/fell/fallen short`. Behind slashes stand irregular
    forms, each with the rest of the phrase where it has one; a verb without any is regular."""
    base, *irregular = listed.split("/")
    first, _, rest = base.partition(" ")
    rest = f" {rest}" if rest else ""
    told = [form if " " in form or not rest else form + rest for form in irregular]
    past = [] if irregular else [_past(first) + rest]
    return {base, _third_person(first) + rest, _gerund(first) + rest, *past, *told}


def noun_forms(listed: str) -> set[str]:
    """Singular and plural of a noun or of a phrase that ends with one."""
    base, *irregular = listed.split("/")
    return {base, *(irregular or [_third_person(base)])}


def _third_person(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _past(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ied"
    return (word + word[-1] if word in _DOUBLED else word) + "ed"


def _gerund(word: str) -> str:
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and len(word) > 2:
        return word[:-1] + "ing"
    return (word + word[-1] if word in _DOUBLED else word) + "ing"
