"""One application, twice: undisturbed, and with each of its roles killed in mid-work."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from bench.faults.ground import release_of
from bench.faults.waiting import TimedOut
from bench.kills.roles.judging import Seen, violations
from bench.kills.roles.stage import Model, Stage
from bench.kills.roles.traffic import acts, records
from headrace.applications import file_of, load_application
from headrace.tools.conversations.desk import held_conversations
from headrace.wiring import Wiring
from streams.clock import wall_clock_ms

Progress = Callable[[str, int, int], None]
EVENTS: Final = 300
RATE: Final = 60.0
ACTS: Final = ("taken", "answered", "handed_back")


def run(
    wiring: Wiring,
    name_or_path: str,
    seed: int,
    kills: int,
    progress: Progress,
    keep: Path | None = None,
    roles: Collection[str] = (),
    kafka_cache: Path | None = None,
) -> dict[str, Any]:
    """kills: of each role. keep: a folder for what runs write; None: one for the moment. roles: that take part; none:
    all. kafka_cache: where the program of a Kafka is kept, one of which is started for each run; None: embedded
    brokers. Raises HeadraceError where a run does not come to its end."""
    file = file_of(name_or_path)
    app, model = load_application(name_or_path), None
    if app.kind == "classify":
        model = Model(*release_of(wiring, app, progress))
    sent, outcomes = records(app, EVENTS, seed, wall_clock_ms()), list[Seen]()
    with tempfile.TemporaryDirectory(prefix="headrace-kills-", ignore_cleanup_errors=True) as folder:
        for number, (name, times) in enumerate((("undisturbed", 0), ("killed", kills))):
            progress("runs", number, 2)
            with Stage(wiring, file, (keep or Path(folder)) / name, model, roles, kafka_cache) as stage:
                killed = _play(stage, sent, random.Random(f"{seed} {name}"), times)
                outcomes.append(stage.seen())
    progress("runs", 2, 2)
    undisturbed, disturbed = outcomes
    wrong = violations(disturbed, undisturbed, killed["notifier"])
    return {"passed": not wrong, "app": app.name, "seed": seed, "killed": dict(killed), "violations": wrong} | {
        "events": len(disturbed.source),
        "decisions": len(disturbed.decisions),
        "replayed": len(disturbed.replayed),
        "answers": len(disturbed.answers),
        "conversations": len(disturbed.held),
        "stories": len(disturbed.stories),
        "windows": len(disturbed.trends),
        "alerts": len(disturbed.alerts),
        "told": len(disturbed.told),
    }


def _play(stage: Stage, sent: Sequence[tuple[bytes, bytes]], rng: random.Random, kills: int) -> Counter[str]:
    """Write all, and kill each role so often while it has work; people act in between. Returns who was killed."""
    stage.start()
    killed: Counter[str] = Counter()
    due = [role for _ in range(kills) for role in rng.sample(stage.roles, len(stage.roles))]
    phases = 1 if stage.app.hand_over is None else 1 + len(ACTS)
    for phase in range(phases):
        if phase:
            _act(stage, ACTS[phase - 1])
        share = sent[phase * len(sent) // phases : (phase + 1) * len(sent) // phases]
        roles = due[phase * len(due) // phases : (phase + 1) * len(due) // phases]
        _write_and_kill(stage, share, roles, rng, killed)
        stage.settle()
    for process in stage.processes.values():
        if code := process.stop():
            raise TimedOut(f"{process.name} left with code {code}: {process.tail()}")
    return killed


def _write_and_kill(
    stage: Stage, sent: Sequence[tuple[bytes, bytes]], roles: Sequence[str], rng: random.Random, killed: Counter[str]
) -> None:
    publisher = stage.wiring.publisher()
    try:
        for part in range(len(roles) + 1):
            for key, value in sent[part * len(sent) // (len(roles) + 1) : (part + 1) * len(sent) // (len(roles) + 1)]:
                publisher.send(stage.app.topic, value, key)
                publisher.flush()
                time.sleep(1 / RATE)
            if part < len(roles):
                process = stage.processes[roles[part]]
                time.sleep(rng.uniform(0.0, 0.4))
                process.kill()
                killed[process.name] += 1
                process.start()
                process.wait_ready()
    finally:
        publisher.close()


def _act(stage: Stage, act: str) -> None:
    publisher = stage.wiring.publisher()
    try:
        for change in acts(held_conversations(stage.wiring, stage.app), act, wall_clock_ms()):
            publisher.send(stage.app.changes_topic, change.encode(), change.conversation.encode())
        publisher.flush()
    finally:
        publisher.close()
    stage.settle()
