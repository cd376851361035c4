"""Streams whose texts depend on each other while nothing changes: (f) a news day in its own order, (h) day and night,
(i) conversations, (j) an outage of a known intent, (k) syndicated copies."""

from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures, pool_of
from bench.drift.figures import count_watched, rate_figures
from bench.drift.noise import said_again, syndicated
from bench.drift.playing import Played
from bench.drift.releases import Release
from bench.drift.rows.appearing import in_scope
from bench.drift.streams import (
    by_hour,
    conversations,
    first_blocks,
    in_order,
    outage,
    rows_by_label,
    stationary,
    with_copies,
)
from bench.drift.texts import LabelledSet, random_share, split_parts

NEWS_TRAINS: Final = 0.45
DAYS, EVENTS_PER_DAY, DEPTH = 6, 5_000, 0.9
MESSAGES: Final = (3, 5, 10)
CONVERSATION_EVERY: Final = 10_000  # stated in (i), so that its rate can be counted
CONVERSATION_EVENTS: Final = 100_000  # of each length and set
RUNS: Final = (40, 80, 120, 200)
RUN_BEFORE, RUN_AFTER = 3_500, 300
TOLD_WITHIN: Final = 15
STORIES, COPIES, COPIES_WITHIN = 5, 30, 60
COPY_EVENTS: Final = 2_500


def news_day(bed: Bed) -> Figures:
    """(f): a random 45 % of 36 hours trains, the rest comes in its own order; and shuffled, beside it."""
    texts = bed.set("uci_news")
    # by row, not by text: the same headline stands on both sides, as tomorrow's does
    trains = np.random.default_rng(0).random(len(texts)) < NEWS_TRAINS
    parts = split_parts(texts, trains)
    release = bed.releases.train(texts, parts.training)
    pool = pool_of(texts.take(parts.known))
    shown, watch = bed.show(release, pool.texts, pool.labels), bed.watch(release)
    stream = in_order(pool.known, texts.at_ms[parts.known])
    first = first_blocks([pool.labels[row] for row in stream.rows.tolist()])
    labels = [pool.labels[row] for row in stream.rows.tolist()]
    counted = {}
    for name, again in (("as_served", False), ("each_counted", True)):
        alarms = [told.event for told in watch.play(shown, stream, again=again).fired()]
        forgiven = {labels[event]: event for event in reversed(alarms) if first[event]}
        counted[name] = {
            "alarms": len(alarms),
            "not_a_first_block": len(alarms) - len(forgiven),
            "at": alarms[:50],
        }
        bed.progress("news", len(counted), 3)
    shuffled = watch.play(shown, stationary(pool.known, len(stream), 0), again=True)
    bed.progress("news", 3, 3)
    return counted | {"events": len(stream), "shuffled_alarms": len(shuffled.fired())}


def day_and_night(bed: Bed) -> Figures:
    """(h): six days of Banking77 and CLINC150 whose label shares rise and fall by 90 % once a day."""
    figures: Figures = {}
    for name in ("banking77", "clinc150"):
        texts, release = own_split(bed, name)
        shown = bed.show(release, texts.texts, texts.labels)
        by_label = rows_by_label(texts.labels, np.arange(len(texts)))
        seeds, watch = max(bed.plan.seeds // 10, 1), bed.watch(release, all_new=True)
        alarms: list[int] = []
        for seed in range(seeds):
            stream = by_hour(by_label, days=DAYS, events_per_day=EVENTS_PER_DAY, depth=DEPTH, seed=seed)
            played = watch.play(shown, stream, again=True)
            alarms += [told.event for told in played.fired()]
            bed.progress(f"day and night, {name}", seed + 1, seeds)
        figures[name] = {
            "events": seeds * DAYS * EVENTS_PER_DAY,
            "alarms_in_first_cycle": sum(event < EVENTS_PER_DAY for event in alarms),
            "alarms_later": sum(event >= EVENTS_PER_DAY for event in alarms),
        }
    return figures


def talks(bed: Bed) -> Figures:
    """(i): conversations of 3, 5 and 10 messages of one label, one after the other, at a stated one in 10,000."""
    figures: Figures = {}
    ready = []
    for name in ("banking77", "clinc150"):
        texts, release = own_split(bed, name)
        ready.append(
            (
                name,
                texts,
                bed.show(release, texts.texts, texts.labels),
                bed.watch(release, CONVERSATION_EVERY, all_new=True),
            )
        )
    for messages in MESSAGES:
        pools = []
        for name, texts, shown, watch in ready:
            by_label = rows_by_label(texts.labels, np.arange(len(texts)))
            for seed in range(3):
                stream = conversations(by_label, messages=messages, events=CONVERSATION_EVENTS // 3, seed=seed)
                played = watch.play(shown, stream, again=True)
                alarms = [told.event for told in played.fired()]
                pools.append(count_watched(f"{name}/{seed}", played.watched, alarms))
                bed.progress(f"{messages} messages", len(pools), 6)
        figures[str(messages)] = rate_figures(pools, CONVERSATION_EVERY)
    return figures


def outages(bed: Bed) -> Figures:
    """(j): 40 to 200 complaints of one known intent in a row, said by different people."""
    runs: list[Figures] = []
    for seed in range(bed.plan.seeds):
        name = ("banking77", "clinc150")[seed % 2]
        texts, release = own_split(bed, name)
        random = np.random.default_rng(seed)
        label = str(random.choice(sorted(set(texts.labels))))
        run = RUNS[seed // 2 % len(RUNS)]
        own = [text for text, of in zip(texts.texts, texts.labels, strict=True) if of == label]
        said = [said_again(str(random.choice(own)), random) for _ in range(run)]
        pool = pool_of(texts, LabelledSet(name, tuple(said), (label,) * run))
        stream = outage(pool.known, pool.new, before=RUN_BEFORE, run=run, after=RUN_AFTER, seed=seed)
        played = bed.watch(release).play(bed.show(release, pool.texts, pool.labels), stream)
        runs.append({"set": name, "label": label, "run": run} | _burst(played, label, stream.onset or 0))
        bed.progress("outages", seed + 1, bed.plan.seeds)
    return {
        "runs": len(runs),
        "told_as_burst": sum(run["burst_delay"] is not None and run["burst_delay"] <= TOLD_WITHIN for run in runs),
        "told_as_drift": sum(run["drift"] > 0 for run in runs),
        "bursts_elsewhere": sum(run["bursts_elsewhere"] for run in runs),
        "by_run": runs,
    }


def copies(bed: Bed) -> Figures:
    """(k): five stories a stream, each in 30 slightly altered copies within 60 events; no story trains or is known."""
    texts = bed.set("uci_news")
    trains = random_share(texts, NEWS_TRAINS, seed=1)
    parts = split_parts(texts, trains)
    release = bed.releases.train(texts, parts.training)
    known = texts.take(parts.known)
    one_each = known.take(np.sort(np.unique(np.array(known.stories), return_index=True)[1]))
    watch = bed.watch(release)
    alarms = alone = 0
    for seed in range(bed.plan.seeds):
        random = np.random.default_rng(seed)
        chosen = random.choice(len(known), STORIES, replace=False).tolist()
        written = [syndicated(known.texts[row], random) for row in chosen for _ in range(COPIES)]
        labels = tuple(known.labels[row] for row in chosen for _ in range(COPIES))
        pool = pool_of(one_each, LabelledSet("stories", tuple(written), labels))
        stories = np.split(pool.new, STORIES)
        stream = with_copies(pool.known, stories, events=COPY_EVENTS, within=COPIES_WITHIN, seed=seed)
        shown = bed.show(release, pool.texts, pool.labels)
        alarms += len(watch.play(shown, stream, again=True).fired())
        alone += len(watch.play(shown, stationary(pool.known, COPY_EVENTS, seed), again=True).fired())
        bed.progress("copies", seed + 1, bed.plan.seeds)
    return {
        "alarms": alarms,
        "events": COPY_EVENTS * bed.plan.seeds,
        "stories": STORIES * bed.plan.seeds,
        "alarms_without_copies": alone,
    }


def own_split(bed: Bed, name: str) -> tuple[LabelledSet, Release]:
    """A set's own test rows, to be shown, and a release of its others; without such rows a random half each."""
    texts = bed.set(name)
    texts = in_scope(texts) if name == "clinc150" else texts
    has_test_rows = "test" in texts.splits
    parts = split_parts(texts, ~texts.where("splits", ["test"]) if has_test_rows else random_share(texts, 0.5, seed=0))
    return texts.take(parts.known), bed.releases.train(texts, parts.training)


def _burst(played: Played, label: str, onset: int) -> Figures:
    """Whether and when a burst of this label was told, and what else was."""
    bursts = [told for told in played.told if "burst" in told.alert.rule and told.alert.state == "firing"]
    own = [
        told
        for told in bursts
        if told.event >= onset and label in (told.alert.summary, *map(str, told.alert.values.values()))
    ]
    return {
        "burst_delay": own[0].event - onset + 1 if own else None,
        "bursts_elsewhere": len(bursts) - len(own),
        "drift": sum(told.event >= onset for told in played.fired()),
    }
