"""Surges of stories: news in its own order, into which surges of companies are put; and what is no surge."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bench.drift.bed import Bed, Figures
from bench.drift.news import (
    COMPANIES,
    HOUR_MS,
    HOURS_OF_WEEK,
    companies_in,
    faster,
    is_opening,
    opening_weeks,
    redated,
    unlike,
    with_companies,
    with_inserted,
    without,
)
from bench.drift.noise import syndicated
from bench.drift.playing import Told, Watch, event_of
from bench.drift.releases import HEAD, Shown
from bench.drift.rows.dependent import NEWS_TRAINS
from bench.drift.streams import START_MS, Rows, Stream, in_order, rows_by_label
from bench.drift.texts import split_parts
from streams.rule_specs import StoriesRule

RULE: Final = StoriesRule(kind="stories", by=(HEAD, "symbols"))
SURGES: Final = 12  # of a stream, one each half hour
FIRST_HOUR: Final = 25  # of the stream; of its first day nothing is said
STORIES: Final = (8, 15)  # of a surge, the least and the most
WINDOWS_MINUTES: Final = (5, 60)
SELDOM: Final = 6  # times that a company with a surge is spoken of in the stream, at the most
UNLIKE: Final = 0.7  # cosine above which two texts of a surge would be one story's
COPIES, COPIES_MINUTES = 30, 10
QUIET_HOURS: Final = tuple(range(FIRST_HOUR, FIRST_HOUR + 8))  # in which something happens that is no surge
YEAR_2029_MS: Final = 1_861_920_000_000  # its first of January
WEEKS: Final = 3
OPENS_WITH: Final = "business"


@dataclass(frozen=True, slots=True)
class Surge:
    """events: of the stream, that tell it. end_ms: when its window ends."""

    company: str
    minutes: int
    events: frozenset[int]
    end_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """What a release says of all texts, the stream in its own order, and texts that name one company alone, which is
    seldom heard of there; of each at least as many as a surge has at the most. copies: of one such text, for each
    seed."""

    shown: Shown
    watch: Watch
    stream: Stream
    of_company: dict[str, Rows]
    copies: list[Rows]

    @property
    def first_ms(self) -> int:
        """When the stream begins."""
        return int(self.stream.at_ms[0])


def stories_rise(bed: Bed) -> Figures:
    """Surges found in their windows, alerts that are of none; and alerts more than without, where all doubles, an hour
    is missing, a story is copied, a record is dated 2029, or a week begins."""
    news = _news(bed)
    before = news.watch.play(news.shown, news.stream).fired(RULE.title)
    natural = [_group(told) for told in before]
    runs: list[Figures] = []
    more: Counter[str] = Counter()
    for seed in range(bed.plan.seeds):
        runs.append(_run(news, natural, seed))
        for name, stream in _no_surges(news, seed):
            told = news.watch.play(news.shown, stream).fired(RULE.title)
            more[name] += (Counter(map(_group, told)) - Counter(natural)).total()
        bed.progress("surges", seed + 1, bed.plan.seeds)
    return surge_figures(runs) | {
        "of_the_stream_itself": natural,
        "alerts_more": dict(more),
        "weeks": _weeks(bed, news),
        "runs": runs,
    }


def surge_figures(runs: Sequence[Figures]) -> Figures:
    """Over all streams. precision: of all alerts, those that are of a surge that was put in; precision_of_others:
    the same where what the stream tells without them is left out."""
    put_in, found, once, named, alerts, own, natural = (
        sum(run[name] for run in runs) for name in ("put_in", "found", "once", "named", "alerts", "own", "natural")
    )
    return {
        "put_in": put_in,
        "recall": round(found / put_in, 4),
        "told_once": once,
        "named_by_the_company": named,
        "precision": round(own / max(alerts, 1), 4),
        "precision_of_others": round(own / max(alerts - natural, 1), 4),
        "found_of_minutes": {
            str(minutes): sum(run["found_of_minutes"][str(minutes)] for run in runs) for minutes in WINDOWS_MINUTES
        },
    }


def judged(surges: Sequence[Surge], told: Sequence[Told], at_ms: Sequence[int], natural: Sequence[str]) -> Figures:
    """One stream. An alert is of the surge whose events most of its evidence is of. natural: groups of which the
    stream tells without any."""
    of: list[list[Told]] = [[] for _ in surges]
    others: list[str] = []
    for one in told:
        events = {event_of(_identity(example)) for example in one.alert.evidence}
        shares = [len(events & surge.events) / max(len(events), 1) for surge in surges]
        best = int(np.argmax(shares))
        if shares[best] > 0.5:
            of[best].append(one)
        else:
            others.append(_group(one))
    in_time = [
        [one for one in alerts if at_ms[one.event] <= surge.end_ms] for surge, alerts in zip(surges, of, strict=True)
    ]
    return {
        "put_in": len(surges),
        "found": sum(map(bool, in_time)),
        "once": sum(len(alerts) == 1 for alerts in of),
        "named": sum(
            bool(alerts) and _group(alerts[0]) == f"symbols {surge.company}"
            for surge, alerts in zip(surges, of, strict=True)
        ),
        "alerts": len(told),
        "own": sum(map(len, of)),
        "natural": (Counter(others) & Counter(natural)).total(),
        "others": others,
        "missed": [surge.company for surge, alerts in zip(surges, in_time, strict=True) if not alerts],
        "found_of_minutes": {
            str(minutes): sum(
                bool(alerts) for surge, alerts in zip(surges, in_time, strict=True) if surge.minutes == minutes
            )
            for minutes in WINDOWS_MINUTES
        },
    }


def _news(bed: Bed) -> News:
    """The release is (f)'s: a random 45 % of the rows train. All of them are shown."""
    headlines, others = bed.set("uci_news"), bed.set("agnews")
    parts = split_parts(headlines, np.random.default_rng(0).random(len(headlines)) < NEWS_TRAINS)
    release = bed.releases.train(headlines, parts.training)
    heard = [companies_in(text) for text in headlines.texts]
    seldom = {name for name in COMPANIES if sum(name in of for of in heard) <= SELDOM}
    # of one company each: with two, two groups rise, and either may be told
    alone = {(name,) for name in seldom}
    told = others.take(np.flatnonzero([companies_in(text) in alone for text in others.texts]))
    random = np.random.default_rng(0)
    chosen = [told.texts[row] for row in random.choice(len(told), bed.plan.seeds).tolist()]
    copies = [syndicated(text, random) for text in chosen for _ in range(COPIES)]
    labels = (*headlines.labels, *[""] * (len(told) + len(copies)))
    shown = with_companies(bed.show(release, (*headlines.texts, *told.texts, *copies), labels))
    ends = np.cumsum([len(headlines), len(told), len(copies)])
    of_company = {}
    for name in sorted(seldom):
        rows = [row for row in range(ends[0], ends[1]) if shown.signals[row].symbols == (name,)]
        rows_unlike = unlike(np.array(rows, np.int64), shown.embeddings, UNLIKE)
        if len(rows_unlike) >= STORIES[1]:
            of_company[name] = rows_unlike
    stream = in_order(np.arange(len(headlines)), headlines.at_ms)
    of_story = np.split(np.arange(ends[1], ends[2]), bed.plan.seeds)
    return News(shown, bed.watch(release, rules=(RULE,)), stream, of_company, of_story)


def _run(news: News, natural: Sequence[str], seed: int) -> Figures:
    stream, surges = _with_surges(news, seed)
    told = news.watch.play(news.shown, stream).fired(RULE.title)
    return judged(surges, told, stream.at_ms.tolist(), natural)


def _with_surges(news: News, seed: int) -> tuple[Stream, list[Surge]]:
    """One each half hour, in five minutes and in an hour by turns."""
    random = np.random.default_rng(seed)
    chosen = random.choice(sorted(news.of_company), SURGES, replace=False).tolist()
    windows = [WINDOWS_MINUTES[number % len(WINDOWS_MINUTES)] for number in range(SURGES)]
    begins = [news.first_ms + FIRST_HOUR * HOUR_MS + number * HOUR_MS // 2 for number in range(SURGES)]
    rows, times = [], []
    for company, minutes, begin in zip(chosen, windows, begins, strict=True):
        own = random.choice(news.of_company[company], int(random.integers(STORIES[0], STORIES[1] + 1)), replace=False)
        times.append(np.sort(begin + random.integers(0, minutes * 60_000, len(own))))
        rows.append(own)
    stream, places = with_inserted(news.stream, np.concatenate(rows), np.concatenate(times))
    events = np.split(places, np.cumsum([len(own) for own in rows])[:-1])
    return stream, [
        Surge(company, minutes, frozenset(own.tolist()), begin + minutes * 60_000)
        for company, minutes, own, begin in zip(chosen, windows, events, begins, strict=True)
    ]


def _no_surges(news: News, seed: int) -> Iterator[tuple[str, Stream]]:
    """What happens at an hour of the second day, another one for each seed, and is no surge."""
    random = np.random.default_rng(seed)
    at_ms = news.first_ms + QUIET_HOURS[seed % len(QUIET_HOURS)] * HOUR_MS
    yield "all_doubles", faster(news.stream, at_ms)
    yield "missing_hour", without(news.stream, at_ms, at_ms + HOUR_MS)
    times = np.sort(at_ms + random.integers(0, COPIES_MINUTES * 60_000, COPIES))
    yield "copies", with_inserted(news.stream, news.copies[seed], times)[0]
    yield "dated_2029", redated(news.stream, int(np.searchsorted(news.stream.at_ms, at_ms)), YEAR_2029_MS)


def _weeks(bed: Bed, news: News) -> Figures:
    """Weeks made of the same headlines. Alerts while a week begins, of the first and of later ones; and others."""
    by_label = rows_by_label(news.shown.labels, news.stream.rows)
    told: list[tuple[int, str]] = []
    events, streams = 0, max(bed.plan.seeds // 5, 1)
    for seed in range(streams):
        stream = opening_weeks(by_label, OPENS_WITH, weeks=WEEKS, seed=seed)
        fired = news.watch.play(news.shown, stream).fired(RULE.title)
        told += [(int(stream.at_ms[one.event] - START_MS) // HOUR_MS, _group(one)) for one in fired]
        events += len(stream)
        bed.progress("weeks", seed + 1, streams)
    opening = [hour for hour, _ in told if is_opening(hour)]
    return {
        "streams": streams,
        "events": events,
        "openings": streams * WEEKS,
        "first_openings_told": sum(hour < 2 * HOURS_OF_WEEK for hour in opening),
        "later_openings_told": sum(hour >= 2 * HOURS_OF_WEEK for hour in opening),
        "others": [group for hour, group in told if not is_opening(hour)],
    }


def _group(told: Told) -> str:
    return str(told.alert.values["group"])


def _identity(example: Any) -> str:
    return str(example["id"] if isinstance(example, dict) else example)
