"""All runs, one after the other, and what came of them."""

from collections.abc import Callable, Sequence
from typing import Any

from bench.bed import cpu_name
from bench.kills.judging import Outcome, violations
from bench.kills.scene import Scene
from bench.kills.story import shipped, story_pools, training_rows
from headrace.releases.encoders import default_encoder
from headrace.wiring import Wiring
from models.errors import HeadraceError
from retrain.job import train_release

Progress = Callable[[str, int, int], None]


def run(wiring: Wiring, seeds: Sequence[int], kills: int, progress: Progress) -> dict[str, Any]:
    """Each seed once, with `kills` kills at random points of the loop. Raises ConfigError, ConnectorError."""
    app, pools = shipped(), story_pools(0)
    first = train_release(app.name, training_rows(pools, app.head_names), default_encoder(wiring), progress=progress)
    runs: list[dict[str, Any]] = []
    for number, seed in enumerate(seeds):
        progress("runs", number, len(seeds))
        with Scene(wiring, app, first, pools, seed) as scene:
            try:
                outcome, wrong = scene.play(kills), []
            except HeadraceError as error:
                outcome, wrong = None, [str(error)]
            runs.append({"seed": seed, "killed": dict(scene.killed)} | _described(outcome, wrong))
    progress("runs", len(seeds), len(seeds))
    return {"passed": not any(one["violations"] for one in runs), "runs": runs, "cpu": cpu_name()}


def _described(outcome: Outcome | None, wrong: Sequence[str]) -> dict[str, Any]:
    if outcome is None:
        return {"violations": list(wrong)}
    return {
        "violations": violations(outcome),
        "episodes": sum(alert.rule == "drift" and alert.state == "firing" for alert in outcome.alerts),
        "requests": len(outcome.requests),
        "champion": outcome.champion,
        "alerts": [[alert.rule, alert.state] for alert in outcome.alerts],
        "told": [[told.fingerprint[:12], told.state] for told in outcome.told],
        "events": len(outcome.sent),
    }
