"""A second new subject comes while the first one's episode is open, and the first one ceases: a domain of CLINC150,
then sports headlines of AG News."""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures
from bench.drift.figures import delay_figures, median
from bench.drift.playing import Played
from bench.drift.rows.appearing import in_scope
from bench.drift.streams import Rows, Stream, shuffled_rounds, steady_times
from bench.drift.texts import split_parts

FIRST_AT, SECOND_AT, CEASES_AT, END = 1_000, 2_500, 3_000, 4_600
SHARE: Final = 0.2
OTHER_TEXTS: Final = 600


def second_subject(bed: Bed) -> Figures:
    """One run a seed and domain."""
    texts, other = in_scope(bed.set("clinc150")), bed.set("agnews")
    sports = other.take(other.where("labels", ["Sports"]).nonzero()[0][:OTHER_TEXTS])
    runs: dict[str, list[Figures]] = {}
    for domain in sorted(set(texts.groups)):
        parts = split_parts(texts, ~texts.where("splits", ["test"]), texts.where("groups", [domain]))
        release = bed.releases.train(texts, parts.training)
        known, new = texts.take(parts.known), texts.take(parts.new)
        shown_texts = (*known.texts, *new.texts, *sports.texts)
        shown = bed.show(release, shown_texts, (*known.labels, *new.labels, *sports.labels))
        ends = np.cumsum([0, len(known), len(new), len(sports)])
        rows = [np.arange(first, end) for first, end in itertools.pairwise(ends.tolist())]
        watch = bed.watch(release)
        for seed in range(bed.plan.seeds):
            stream = two_subjects(rows[0], rows[1], rows[2], seed)
            runs.setdefault(domain, []).append(run_figures(watch.play(shown, stream)))
            bed.progress(domain, seed + 1, bed.plan.seeds)
    every = [run for of_domain in runs.values() for run in of_domain]
    return {
        "runs": len(every),
        "one_alert_for_each": sum(run["first"] == run["second"] == 1 and not run["early"] for run in every),
        "second_delay": delay_figures([run["second_delay"] for run in every]),
        "first_ended_after": median([run["ended_after"] for run in every if run["ended_after"] is not None]),
        "notes_on_signals": sum(run["notes"] for run in every),
        "domains": {domain: of_domain[0] for domain, of_domain in runs.items()},
    }


def two_subjects(known: Rows, first: Rows, second: Rows, seed: int) -> Stream:
    """A fifth of the stream is about the first subject from FIRST_AT to CEASES_AT, a fifth about the second from
    SECOND_AT on."""
    random, events = np.random.default_rng(seed), np.arange(END)
    of_first = np.where((events >= FIRST_AT) & (events < CEASES_AT), SHARE, 0.0)
    of_second = np.where(events >= SECOND_AT, SHARE, 0.0)
    place = random.random(END)
    subject = np.where(place < of_first, 1, np.where(place < of_first + of_second, 2, 0))
    rows = np.empty(END, np.int64)
    for number, texts in enumerate((known, first, second)):
        rows[subject == number] = shuffled_rounds(texts, int((subject == number).sum()), random)
    return Stream(rows, steady_times(END), subject > 0, onset=FIRST_AT)


def run_figures(played: Played) -> Figures:
    """Drift alerts before, of the first and of the second subject; events from its onset until the second one's; events
    from the first one's end until its alert's; symptoms told; notes on signals alone."""
    fired = [told.event for told in played.fired()]
    later = [event - SECOND_AT for event in fired if event >= SECOND_AT]
    ended = [one.event for one in played.told if one.alert.rule == "drift" and one.alert.state == "resolved"]
    return {
        "early": sum(event < FIRST_AT for event in fired),
        "first": sum(FIRST_AT <= event < SECOND_AT for event in fired),
        "second": len(later),
        "second_delay": later[0] + 1 if later else None,
        "ended_after": ended[0] - CEASES_AT if ended else None,
        "symptoms": len(_symptoms(played)),
        "notes": len(played.fired("drift_signal")),
    }


def _symptoms(played: Played) -> Sequence[tuple[str, str]]:
    told = [one.alert for one in played.told if one.alert.rule == "drift"]
    return sorted({(alert.fingerprint, symptom["name"]) for alert in told for symptom in alert.values["symptoms"]})
