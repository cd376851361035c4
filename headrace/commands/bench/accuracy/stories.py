"""bench stories: how well items are folded into stories, on a labelled feed."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench stories --data feed.csv --json"


def stories(
    data: Annotated[Path, typer.Option(help="CSV: text, timestamp, story_id, in the order in which items came")],
    memory_items: Annotated[
        int,
        typer.Option(
            min=0, help="to give to the monitor's part beside it, for its time, memory and kept state; 0: none"
        ),
    ] = 0,
    memory_per_second: Annotated[int, typer.Option(min=1, help="of those, of event time")] = 100,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """How well items are folded into their stories (B-cubed), beside single-pass TF-IDF centroids with a window of 24
    hours whose threshold the first third chooses. The rest is scored, in its own order and mixed. No Kafka."""
    from bench.accuracy.stories import measure
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = measure(Wiring(load_settings()), data, memory_items, progress, memory_per_second=memory_per_second)
    if json:
        return print_json(report)
    print(f"{'':<12}{'':<10}{'precision':<11}{'recall':<11}{'F1':<11}clusters")
    for order in ("own_order", "mixed"):
        for who in ("headrace", "tf_idf"):
            line = report[order][who]
            cells = "".join(f"{line[name]:<11.4f}" for name in ("precision", "recall", "f1"))
            print(f"{order:<12}{who:<10}{cells}{line['clusters']}")
    if (memory := report["memory"]) is not None:
        first, *_, last = memory["resident_bytes"]
        print(f"memory: {first} bytes after a tenth of {memory['items']} items, {last} at the end")
        kept = ", ".join(f"{size} bytes of {name}" for name, size in memory["state_bytes"].items())
        print(f"the monitor's part: {memory['microseconds_per_item']} µs an item; kept: {kept}")
    return None
