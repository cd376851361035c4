"""What a question to the store means, and what it does not."""

from connectors.cjk import phrases

EVERYTHING = "*"
_OPERATORS = ("AND", "OR", "NOT")


def question(query: str) -> str:
    """What is looked for; nothing for `*`, which asks for all."""
    return "" if query.strip() == EVERYTHING else query


def notes(query: str) -> list[str]:
    """What a person should know of a question that is taken otherwise than it may be meant."""
    if query.strip() in ("", EVERYTHING):
        return []
    parts = query.split()
    unsearched = [part for part in parts if not phrases(part)]
    said = []
    if len(unsearched) == len(parts):
        said.append(f"there is no word in {query!r} to look for: emoji and signs are not searched; `*` shows all")
    elif unsearched:
        said.append(f"not looked for: {' '.join(unsearched)} (emoji and signs are not searched)")
    if operators := [part for part in parts if part in _OPERATORS]:
        said.append(f"{', '.join(operators)} is looked for as a word: all words must occur, there are no operators")
    return said
