"""What one run of a changing stream came to, and all runs of a row together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.drift.figures import by_name, median
from bench.drift.names import TOP_WORDS, Corpus, belongs, is_common
from bench.drift.playing import Played, event_of
from bench.drift.streams import Stream
from streams.wire.records import Alert


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. delay: events from the onset to the alarm, both counted; None: missed. early: alarms before the
    onset. words: for each of the alert's first words, whether it belongs to what is new and whether it is common.
    new_examples: of the alert's examples, how many are new, and how many there are. share_error: the share told, less
    the stream's. onset_error: events that the onset told lies late."""

    delay: int | None
    early: int
    words: tuple[tuple[str, bool, bool], ...] = ()
    new_examples: tuple[int, int] = (0, 0)
    share_error: float | None = None
    onset_error: int | None = None
    severity: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is new and what was known, to look words up in. share: of new texts after the onset."""

    new: Corpus
    known: Corpus
    share: float


def outcome_of(played: Played, stream: Stream, subject: Subject | None = None) -> Outcome:
    """Judge a run whose stream has an onset. subject: None where nothing new is to be named."""
    onset = stream.onset if stream.onset is not None else len(stream)
    alarms = played.fired()
    early = sum(told.event < onset for told in alarms)
    after = [told for told in alarms if told.event >= onset]
    if not after:
        return Outcome(None, early)
    alert, delay = after[0].alert, after[0].event - onset + 1
    if subject is None:
        return Outcome(delay, early, severity=alert.severity, values=alert.values)
    words = tuple(
        (word, belongs(word, subject.new, subject.known), is_common(word, subject.known))
        for word in alert.values.get("words", ())[:TOP_WORDS]
    )
    examples = [bool(stream.new[event_of(example["id"])]) for example in alert.evidence]
    share = alert.values.get("share_after")
    onset_event = _onset(alert)
    return Outcome(
        delay,
        early,
        words,
        (sum(examples), len(examples)),
        None if share is None else float(share) - subject.share,
        None if onset_event is None else onset_event - onset,
        alert.severity,
        alert.values,
    )


def row_figures(runs: Mapping[str, Sequence[Outcome]], *, before: int) -> dict[str, Any]:
    """Delay, early alarms, names, share and onset over all runs. runs: by group (a domain). before: events before each
    onset."""
    everything = [run for group in runs.values() for run in group]
    told = [run for run in everything if run.delay is not None]
    figures = {
        "delay": by_name({name: [run.delay for run in group] for name, group in runs.items()}),
        "early_alarms": sum(run.early for run in everything),
        "early_events": before * len(everything),
        "severity": {
            name: sum(run.severity == name for run in told) for name in sorted({run.severity for run in told})
        },
    }
    named = [run for run in told if run.words or run.new_examples[1]]
    if named:
        words = [sum(belonging for _, belonging, _ in run.words) for run in named]
        figures["names"] = {
            "runs": len(named),
            "words_belonging": median(words),
            "three_of_five": _share(count >= 3 for count in words),
            "with_a_common_word": _share(any(common for _, _, common in run.words) for run in named),
            "examples_new": median([run.new_examples[0] for run in named]),
            "eight_of_ten": _share(run.new_examples[0] >= 8 for run in named),
            "share_error": median([abs(run.share_error) for run in named if run.share_error is not None]),
            "onset_error": median([abs(run.onset_error) for run in named if run.onset_error is not None]),
            "words": [" ".join(word for word, _, _ in run.words) for run in named[::10]],
        }
    return figures


def _onset(alert: Alert) -> int | None:
    """From 0, as streams count; monitors count from 1."""
    identity = alert.values.get("onset_id")
    return event_of(identity) if identity else None


def _share(flags: Any) -> float:
    values = list(flags)
    return round(float(np.mean(values)), 3) if values else 0.0
