"""All detectors at one measured rate of false alarms: tuned on stationary streams, judged on others."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from bench.drift.bed import Bed, Figures
from bench.drift.figures import delay_figures
from bench.drift.peers.order import Case, Order, write_order
from bench.drift.peers.own_labels import SHIPPED, alarms_of, tuned
from bench.drift.peers.tuning import bisect
from bench.drift.releases import Release, Shown
from bench.drift.streams import Rows, Stream, stationary, steady_times

EVERY: Final = 2_000
TUNING_EVENTS: Final = 200_000  # stationary ones, all cases together
OURS: Final = "headrace"
OWN_RANGE: Final = (200_000.0, 50.0)  # of false_alarm_every: fewer alarms, more alarms
ROUGH: Final = 40_000
LIMIT_SECONDS: Final = 3_600
ROOT: Final = Path(__file__).parents[3]

# module, its arguments, the library that must be there
PEERS: Final[Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "adwin": ("river_confidence", ("adwin", "confidence"), "river"),
    "kswin": ("river_confidence", ("kswin", "confidence"), "river"),
    "evidently": ("evidently_windows", (), "evidently"),
    "driftlens": ("driftlens_windows", (), "driftlens"),
    "mmd": ("alibi_online", ("mmd",), "alibi_detect"),
    "lsdd": ("alibi_online", ("lsdd",), "alibi_detect"),
}
ON_LABELS: Final = {"adwin": ("adwin", "wrong"), "kswin": ("kswin", "wrong")}


@dataclass(frozen=True, slots=True)
class Entry:
    """One release with its texts, and the streams to be judged. known: rows of which stationary streams are made."""

    name: str
    release: Release
    shown: Shown
    known: Rows
    streams: tuple[Stream, ...]


def race(
    bed: Bed, entries: Sequence[Entry], peers: Sequence[str], pythons: Sequence[str], *, on_labels: bool = False
) -> Figures:
    """Delays of every detector on the entries' streams. Those whose libraries are nowhere are left out, with the
    reason. on_labels: every event has a label given at random; detectors hear whether the decision was wrong."""
    each = TUNING_EVENTS // len(entries)
    tuning = [stationary(entry.known, each, seed=9_000 + number) for number, entry in enumerate(entries)]
    figures: Figures = {"streams": sum(len(entry.streams) for entry in entries)}
    figures[f"every {EVERY}th"] = _judged(entries, [[_each_kth(stream) for stream in e.streams] for e in entries])
    figures["never"] = _judged(entries, [[[] for _ in entry.streams] for entry in entries])
    if OURS in peers:
        figures[OURS] = _ours_on_labels(entries, tuning) if on_labels else _ours(bed, entries, tuning)
    order = Order(tuple(_case(entry, stream) for entry, stream in zip(entries, tuning, strict=True)), EVERY)
    for number, peer in enumerate(one for one in peers if one != OURS):
        module, arguments, library = PEERS[peer]
        if on_labels:
            if peer not in ON_LABELS:
                continue
            arguments = ON_LABELS[peer]
        figures[peer] = _run(order, module, arguments, library, pythons, entries)
        bed.progress("peers", number + 1, len(peers))
    return figures | {"first": _first(figures)}


def _ours(bed: Bed, entries: Sequence[Entry], tuning: Sequence[Stream]) -> Figures:
    """The live monitor, its stated rate set so that the measured one is that of all others."""

    def alarms(every: float, events: int) -> int:
        count, each = 0, events // len(entries)
        for entry, stream in zip(entries, tuning, strict=True):
            part = Stream(stream.rows[:each], steady_times(min(each, len(stream))), stream.new[:each])
            watch = bed.watch(entry.release, round(every), all_new=True)
            count += len(watch.play(entry.shown, part, again=True).fired())
            bed.progress(f"tuning {OURS}", count, count)
        return count

    setting, count = bisect(alarms, *OWN_RANGE, events=TUNING_EVENTS, every=EVERY, rough=ROUGH)
    judged = []
    for entry in entries:
        watch = bed.watch(entry.release, round(setting))
        plays = [watch.play(entry.shown, s, again=True, until_drift_from=s.onset) for s in entry.streams]
        judged.append([[told.event for told in played.fired()] for played in plays])
    told = {"setting": round(setting), "tuned_every": _every(count, TUNING_EVENTS)}
    return told | _judged(entries, judged)


def _ours_on_labels(entries: Sequence[Entry], tuning: Sequence[Stream]) -> Figures:
    """Its signal `errors`: at the measured rate of all others, and as it is shipped."""
    wrong = [wrong_events(entry.shown, stream) for entry, stream in zip(entries, tuning, strict=True)]
    setting, count = tuned(wrong, events=TUNING_EVENTS, every=EVERY, rough=ROUGH)

    def judged(every: float) -> Figures:
        return _judged(entries, [[alarms_of(wrong_events(e.shown, s), every) for s in e.streams] for e in entries])

    told = {"setting": round(setting), "tuned_every": _every(count, TUNING_EVENTS), "as_shipped": judged(SHIPPED)}
    return told | judged(setting)


def _case(entry: Entry, tuning: Stream) -> Case:
    shown, arrays = entry.shown, entry.release.arrays
    return Case(
        entry.name,
        np.asarray(arrays["reference_embeddings"], np.float32),
        np.asarray(arrays["reference_confidence"], np.float32),
        shown.embeddings,
        shown.confidence,
        tuning.rows,
        tuple(stream.rows for stream in entry.streams),
        wrong_events(shown, tuning),
        tuple(wrong_events(shown, stream) for stream in entry.streams),
    )


def wrong_events(shown: Shown, stream: Stream) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether the release is wrong at each event, by what its label means then."""
    labels, decided = (np.array(column)[stream.rows] for column in (shown.labels, shown.decided))
    if stream.onset is not None:
        for label, meaning in stream.swapped.items():
            own = np.array(shown.labels)[stream.rows] == label
            own[: stream.onset] = False
            labels = np.where(own, meaning, labels)
    wrong: np.ndarray[Any, np.dtype[np.bool_]] = labels != decided
    return wrong


def _run(
    order: Order,
    module: str,
    arguments: Sequence[str],
    library: str,
    pythons: Sequence[str],
    entries: Sequence[Entry],
) -> Figures:
    answer = _ask(order, module, arguments, library, pythons)
    if isinstance(answer, str):
        return {"left_out": answer}
    told = {"setting": answer["setting"], "tuned_every": _every(answer["tuned_alarms"], answer["tuned_events"])}
    return told | _judged(entries, answer["alarms"])


def verdicts(order: Order, module: str, library: str, pythons: Sequence[str]) -> list[bool] | str:
    """Of each stream of the only case, whether a peer fired; or why it did not take part."""
    answer = _ask(order, module, (), library, pythons)
    return answer if isinstance(answer, str) else [bool(alarms) for alarms in answer["alarms"][0]]


def _ask(
    order: Order, module: str, arguments: Sequence[str], library: str, pythons: Sequence[str]
) -> dict[str, Any] | str:
    """What a peer says; or why it does not."""
    python = next((python for python in pythons if _has(python, library)), None)
    if python is None:
        return f"no interpreter with {library}: name one by --python"
    with tempfile.TemporaryDirectory(prefix="headrace-drift-peer-") as folder:
        write_order(order, Path(folder))
        command = [python, "-P", "-m", f"bench.drift.peers.{module}", folder, *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
            )
        except subprocess.TimeoutExpired:
            return f"not done within {LIMIT_SECONDS} s"
        except subprocess.CalledProcessError as error:
            return str((error.stderr.strip().splitlines() or ["it failed"])[-1])[:300]
    return dict(orjson.loads(done.stdout.splitlines()[-1]))


def _has(python: str, library: str) -> bool:
    return subprocess.run([python, "-c", f"import {library}"], capture_output=True, check=False).returncode == 0


def _judged(entries: Sequence[Entry], alarms: Sequence[Sequence[Sequence[int]]]) -> Figures:
    delays, early, before = [], 0, 0
    for entry, streams in zip(entries, alarms, strict=True):
        for stream, fired in zip(entry.streams, streams, strict=True):
            onset = stream.onset or 0
            early += sum(event < onset for event in fired)
            before += onset
            delays.append(next((event - onset + 1 for event in fired if event >= onset), None))
    return {"delay": delay_figures(delays), "judged_every": _every(early, before)}


def _each_kth(stream: Stream) -> list[int]:
    """Alarms that know nothing; where the first comes is drawn by the stream."""
    first = int(np.random.default_rng(stream.rows[:8].tolist()).integers(EVERY))
    return list(range(first, len(stream), EVERY))


def _first(figures: Figures) -> str:
    """Whose median delay is the shortest."""
    medians = {name: of["delay"]["median"] for name, of in figures.items() if isinstance(of, dict) and "delay" in of}
    known = {name: median for name, median in medians.items() if median is not None}
    return min(known, key=lambda name: known[name]) if known else "none"


def _every(alarms: int, events: int) -> int | None:
    return round(events / alarms) if alarms else None
