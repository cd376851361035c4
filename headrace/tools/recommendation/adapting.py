"""What `headrace recommend --adapt` does, and how it tells it."""

from pathlib import Path

from headrace.applications import load_application
from headrace.output import print_json, stage_bars
from headrace.settings import load_settings
from headrace.terminal import field, say
from headrace.tools.recommendation.asking import events_of
from headrace.training.item_map import adapt, note_look, release_map
from headrace.wiring import Wiring


def run_adapt(app: str, data: Path | None, seed: int, *, register: bool, json: bool) -> None:
    """Learn a map of the items' embeddings, judge it, release it where it passed and that is wanted."""
    wiring, application = Wiring(load_settings()), load_application(app)
    with stage_bars() as progress:
        adapted = adapt(wiring, application, events_of(wiring, application, data), seed, progress)
    version, is_counted = None, False
    if register:
        version = release_map(wiring, application, adapted)
    else:
        is_counted = note_look(wiring, application, adapted, "tried")
    if json:
        return print_json(adapted.report | {"version": version})
    for check in (adapted.report["gate"] or {}).get("checks", []):
        say(field(f"{check['outcome']:<8} {check['name']}: {check['words']}"))
    say(field(adapted.words))
    if version is not None:
        say(f"{application.name}@{version} is registered (headrace models history {application.name})")
    elif adapted.item_map is not None:
        say("nothing was registered: --register does that")
    if is_counted:
        say(f"this look at the later events counts (headrace models history {application.name})")
    return None
