"""Why each item of a list stands there, in words; and `headrace explain` of a decision that is a list."""

from collections.abc import Mapping
from typing import Any, Final

from headrace.output import print_json
from headrace.terminal import field, say, show_table
from models.figures import moment

_REASONS: Final = {
    "again": "touched lately",
    "together": "others touched it with {because}",
    "like": "reads like {because}",
    "popular": "popular now",
    "popular_in": "popular in {segment}",
    "exploration": "drawn, at {propensity:.3f}",
}


def reason(item: Mapping[str, Any], because: str | None = None) -> str:
    """Of an item as it stands in a decision. because: what the item that speaks for it is called, where that is known;
    else its id is told."""
    why = "popular_in" if item.get("segment") else str(item.get("why"))
    named = {**item, "because": because or item.get("because")}
    return _REASONS[why].format(**named) if why in _REASONS else why


def tell_list(decision: Mapping[str, Any], *, json: bool) -> None:
    """What a list followed, what became of the one before, and why each item stands in it."""
    items, extra = decision["items"], decision.get("extra") or {}
    before = extra.get("previous_list")
    if json:
        known = {name: decision.get(name) for name in ("id", "app", "version", "key", "at")}
        told = [{"place": place, **item, "reason": reason(item)} for place, item in enumerate(items, 1)]
        return print_json(known | {"previous_list": before, "items": told})
    what = "learnt of" if decision.get("action") == "none" else "a list for"
    say(f"{field(decision['id'])}: {what} {field(str(decision.get('key')))}, {field(moment(decision['at']))}")
    if before is not None:
        place = "was not in it" if before["rank"] is None else f"stood at place {before['rank']}"
        say(f"of the list before {field(str(before['taken']))} was taken, which {place}")
    if decision.get("action") == "none":
        return say("no list was asked for: [recommend] lists_for leaves out what its user did")
    if not items:
        return say("nothing was left to show")
    rows = [
        (place, field(item["item_id"]), f"{item['score']:.2f}", field(reason(item)))
        for place, item in enumerate(items, 1)
    ]
    show_table(("place", "item", "score", "why"), rows)
    return say("scores are log-odds, comparable within one list")
