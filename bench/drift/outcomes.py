"""What one run of a changing stream came to, and all runs of a row together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.drift.figures import by_name, median
from bench.drift.names import TOP_WORDS, Corpus, belongs, is_common
from bench.drift.playing import Played, Told, event_of
from bench.drift.releases import Shown
from bench.drift.streams import Rows, Stream
from streams.wire.records import Alert

Doubles = NDArray[np.float64]


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
class Estimate:
    """accuracy: estimated since the onset. low, high: 90 %. truth: expected of the stream's events since its onset."""

    accuracy: float
    low: float
    high: float
    truth: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. delay: events from the onset to the alarm, both counted; None: missed. early: alarms before the
    onset. story, cost: as they were told first. story_last, cost_last: as they were told last, some hundred events
    later at the most."""

    delay: int | None
    early: int
    severity: str = ""
    story: Story | None = None
    story_last: Story | None = None
    cost: Estimate | None = None
    cost_last: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is new and what was known, to look words up in. share: of new texts after the onset."""

    new: Corpus
    known: Corpus
    share: float


def outcome_of(
    played: Played, stream: Stream, subject: Subject | None = None, expected: Doubles | None = None
) -> Outcome:
    """Judge a run whose stream has an onset. subject: None where nothing new is to be named. expected: of each of the
    pool's texts, the share of its like that the release decides rightly; None where costs are not judged."""
    onset = stream.onset if stream.onset is not None else len(stream)
    alarms = played.fired()
    early = sum(told.event < onset for told in alarms)
    after = [told for told in alarms if told.event >= onset]
    if not after:
        return Outcome(None, early)
    first, last = after[0], played.last_words(after[0])
    story, story_last = (None if subject is None else story_of(told.alert, stream, subject) for told in (first, last))
    cost, cost_last = (None if expected is None else cost_of(told, stream, expected) for told in (first, last))
    return Outcome(first.event - onset + 1, early, first.alert.severity, story, story_last, cost, cost_last)


def expected_right(shown: Shown, groups: Sequence[Rows]) -> Doubles:
    """Of each text, the share of its group that the release decides rightly; of a text in no group, whether it does."""
    expected = shown.right.astype(float)
    for rows in groups:
        expected[rows] = expected[rows].mean()
    return expected


def cost_of(told: Told, stream: Stream, expected: Doubles) -> Estimate | None:
    """What an alert says that the change costs; None where it says nothing."""
    cost = told.alert.values.get("cost")
    if cost is None:
        return None
    since = stream.rows[stream.onset or 0 : told.event + 1]
    low, high = cost["accuracy_range"]
    return Estimate(float(cost["accuracy"]), float(low), float(high), float(expected[since].mean()))


def story_of(alert: Alert, stream: Stream, subject: Subject) -> Story:
    """Judge what an alert says of what is new."""
    words = tuple(
        (word, belongs(word, subject.new, subject.known), is_common(word, subject.new, subject.known))
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
        "names_told_last": [run.story_last for run in told if run.story_last],
    }.items():
        if stories:
            figures[name] = story_figures(stories)
    return figures | cost_figures(told)


def cost_figures(told: Sequence[Outcome]) -> dict[str, Any]:
    """How far estimated accuracy lies from the truth, and how often its interval holds that."""
    figures = {}
    for name, estimates in {
        "cost": [run.cost for run in told if run.cost],
        "cost_told_last": [run.cost_last for run in told if run.cost_last],
    }.items():
        if estimates:
            errors = [estimate.accuracy - estimate.truth for estimate in estimates]
            figures[name] = {
                "runs": len(estimates),
                "truth": median([estimate.truth for estimate in estimates]),
                "error": median([abs(error) for error in errors]),
                "error_p90": round(float(np.quantile(np.abs(errors), 0.9)), 4),
                "bias": median(errors),
                "covered": _share(estimate.low <= estimate.truth <= estimate.high for estimate in estimates),
            }
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
