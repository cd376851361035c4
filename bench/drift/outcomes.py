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
class Story:
    """What an alert says of what is new. words: for each of its first ones, whether it belongs to what is new and
    whether it is common. new_examples: of the examples, how many are new, and how many there are. share_error: the
    share told, less the stream's. onset_error: events that the onset told lies late."""

    words: tuple[tuple[str, bool, bool], ...] = ()
    new_examples: tuple[int, int] = (0, 0)
    share_error: float | None = None
    onset_error: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. delay: events from the onset to the alarm, both counted; None: missed. early: alarms before the
    onset. story: as it was told first. told_last: as it was told last, some hundred events later at the most."""

    delay: int | None
    early: int
    severity: str = ""
    story: Story | None = None
    told_last: Story | None = None
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
    last = played.last_words(after[0])
    if subject is None:
        return Outcome(delay, early, alert.severity, values=last.values)
    stories = story_of(alert, stream, subject), story_of(last, stream, subject)
    return Outcome(delay, early, alert.severity, *stories, last.values)


def story_of(alert: Alert, stream: Stream, subject: Subject) -> Story:
    """Judge what an alert says of what is new."""
    words = tuple(
        (word, belongs(word, subject.new, subject.known), is_common(word, subject.known))
        for word in alert.values.get("words", ())[:TOP_WORDS]
    )
    examples = [bool(stream.new[event_of(example["id"])]) for example in alert.evidence]
    share, onset = alert.values.get("share_after"), alert.values.get("onset_id")
    return Story(
        words,
        (sum(examples), len(examples)),
        None if share is None else float(share) - subject.share,
        None if not onset or stream.onset is None else event_of(onset) - stream.onset,
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
    for name, stories in {
        "names": [run.story for run in told if run.story],
        "names_told_last": [run.told_last for run in told if run.told_last],
    }.items():
        if stories:
            figures[name] = story_figures(stories)
    return figures


def story_figures(stories: Sequence[Story]) -> dict[str, Any]:
    """Over all runs that told something."""
    words = [sum(belonging for _, belonging, _ in story.words) for story in stories]
    return {
        "runs": len(stories),
        "words_belonging": median(words),
        "three_of_five": _share(count >= 3 for count in words),
        "with_a_common_word": _share(any(common for _, _, common in story.words) for story in stories),
        "examples_new": median([story.new_examples[0] for story in stories]),
        "eight_of_ten": _share(story.new_examples[0] >= 8 for story in stories),
        "share_error": median([abs(story.share_error) for story in stories if story.share_error is not None]),
        "onset_error": median([abs(story.onset_error) for story in stories if story.onset_error is not None]),
        "words": [" ".join(word for word, _, _ in story.words) for story in stories[::10]],
    }


def _share(flags: Any) -> float:
    values = list(flags)
    return round(float(np.mean(values)), 3) if values else 0.0
