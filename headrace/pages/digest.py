"""What moved on a day, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.pages import page_environment
from streams.monitor.trends.windows import BY_ENTITY, BY_SYMBOL

MOST_GROUPS: Final = 30
MOST_STORIES: Final = 10
COLOURS: Final = 6  # the page has
# where moods are called so: what is bad in red, what is good in blue, which eyes that tell red from green badly see too
KNOWN_COLOURS: Final = {"negative": 5, "neutral": 1, "positive": 0}


@dataclass(frozen=True, slots=True)
class Bar:
    """A group as it is drawn. stories, usual: their lengths, of 100; usual is None where no day before is known. moods:
    label, share, and where its part begins and how long it is, of 100."""

    group: Mapping[str, Any]
    stories: float
    usual: float | None
    moods: Sequence[tuple[str, Mapping[str, Any], float, float]]


def render_digest(digest: Mapping[str, Any]) -> str:
    """The page's HTML. digest: what `headrace digest --json` prints."""
    groups = digest["groups"][:MOST_GROUPS]
    longest = max([1.0, *(max(group["stories"], group["usual"] or 0) for group in groups)])
    moods = sorted({mood for group in groups for mood in group["moods"]})
    largest = {story["id"]: story for group in digest["groups"] for story in group["top"]}
    page: str = (
        page_environment("headrace", "pages")
        .get_template("digest.html.j2")
        .render(
            digest=digest,
            known_names=(BY_SYMBOL, BY_ENTITY),
            bars=[_bar(group, longest) for group in groups],
            colours=_colours(moods),
            largest=sorted(largest.values(), key=lambda story: (-story["weight"], story["at"]))[:MOST_STORIES],
        )
    )
    return page


def _colours(moods: Sequence[str]) -> dict[str, int]:
    """Of each mood, by its number on the page."""
    if set(moods) <= KNOWN_COLOURS.keys():
        return {mood: KNOWN_COLOURS[mood] for mood in moods}
    return {mood: number % COLOURS for number, mood in enumerate(moods)}


def _bar(group: Mapping[str, Any], longest: float) -> Bar:
    moods, begins = [], 0.0
    for label, mood in group["moods"].items():
        moods.append((label, mood, round(begins, 2), round(100 * mood["share"], 2)))
        begins += 100 * mood["share"]
    usual = None if group["usual"] is None else round(100 * group["usual"] / longest, 2)
    return Bar(group, round(100 * group["stories"] / longest, 2), usual, moods)
