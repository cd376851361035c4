"""What moves slowly: (c) a topic's share grows, (d) typing noise rises."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from sklearn.isotonic import IsotonicRegression

from bench.drift.bed import Bed, Figures, Pool, pool_of, pool_of_parts
from bench.drift.figures import delay_figures, median
from bench.drift.outcomes import Outcome, cost_figures, expected_right, outcome_of, row_figures
from bench.drift.releases import Shown
from bench.drift.rows.appearing import LINGER, Scene
from bench.drift.rows.dependent import own_split
from bench.drift.streams import Rows, Stream, growing, rising
from bench.drift.texts import LabelledSet, random_share, split_parts
from models.words.typing_noise import typed_badly

BEFORE: Final = 2_000
TOPICS: Final = ("Politics", "Earnings", "Fed | Central Banks", "Stock Movement")  # of about 1,000 texts each
RAMP, AT_END = 5_000, 500
FIRST_SHARE, LAST_SHARE = 0.01, 0.20
NOISY_SETS: Final = ("banking77", "clinc150")
NOISE_RAMP: Final = 3_000
NOISE_STEPS: Final = 16  # of one percent of the letters each
NOISY_TEXTS: Final = 400  # of a step
FALL: Final = 0.05  # of accuracy, before which (d) is to be told


def topic_grows(bed: Bed) -> Figures:
    """(c): a topic that the release never learnt is 1 % of the stream from the beginning, then grows to 20 %."""
    runs: dict[str, list[Outcome]] = {}
    shares: list[float] = []
    seeds = max(bed.plan.seeds // len(TOPICS), 1)
    for scene in topics(bed):
        watch, subject = bed.watch(scene.release), scene.subject(LAST_SHARE)
        runs[scene.name] = []
        for seed in range(seeds):
            stream = growing_topic(scene.pool, seed)
            played = watch.play(scene.shown, stream, until_drift_from=0, linger=LINGER)
            alarms = played.fired()
            shares.append(_share_at(alarms[0].event) if alarms else 1.0)
            runs[scene.name].append(outcome_of(played, stream, subject, scene.expected))
            bed.progress(f"{scene.name} grows", seed + 1, seeds)
    told = {"share_at_alarm": median(shares), "before_6_percent": round(float(np.mean(np.array(shares) < 0.06)), 3)}
    return told | row_figures(runs, before=BEFORE)


def topics(bed: Bed) -> Iterator[Scene]:
    """Financial news without one topic, a random half of which trains; streams of the other half, and of all texts of
    that topic."""
    texts = bed.set("tfn_topic")
    for topic in TOPICS:
        parts = split_parts(texts, random_share(texts, 0.5, seed=0), texts.where("labels", [topic]))
        release, pool = bed.releases.train(texts, parts.training), pool_of_parts(texts, parts)
        yield Scene(topic, release, pool, bed.show(release, pool.texts, pool.labels))


def growing_topic(pool: Pool, seed: int) -> Stream:
    """A stream of (c)."""
    return growing(
        pool.known,
        pool.new,
        before=BEFORE,
        ramp=RAMP,
        after=AT_END,
        start=FIRST_SHARE,
        end=LAST_SHARE,
        seed=seed,
    )


def noise_rises(bed: Bed) -> Figures:
    """(d): up to 15 % of the letters are mistyped, a little more with each of 3,000 texts."""
    figures: Figures = {}
    for name in NOISY_SETS:
        texts, release = own_split(bed, name)
        shown = bed.show(release, *noisy_pool(texts))
        watch, seeds = bed.watch(release), max(bed.plan.seeds // len(NOISY_SETS), 1)
        streams = [noisy_stream(len(texts), seed) for seed in range(seeds)]
        expected = expected_right(shown, [np.arange(len(texts)), *noisy_steps(len(texts))])
        outcomes: list[Outcome] = []
        for number, stream in enumerate(streams, start=1):
            played = watch.play(shown, stream, again=True, until_drift_from=BEFORE, linger=LINGER)
            outcomes.append(outcome_of(played, stream, expected=expected))
            bed.progress(f"noise, {name}", number, seeds)
        fell = events_to_fall(shown, streams)
        delays = [run.delay for run in outcomes]
        figures[name] = {
            "delay": delay_figures(delays),
            "accuracy_has_fallen_after": fell,
            "told_before": round(float(np.mean([d is not None and (fell is None or d < fell) for d in delays])), 3),
            "early_alarms": sum(run.early for run in outcomes),
        } | cost_figures([run for run in outcomes if run.delay is not None])
    return figures


def noisy_pool(texts: LabelledSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts as they are, then 400 of them at each step of noise."""
    random = np.random.default_rng(0)
    written, labels = list(texts.texts), list(texts.labels)
    for step in range(NOISE_STEPS):
        for row in random.permutation(len(texts))[:NOISY_TEXTS].tolist():
            written.append(typed_badly(texts.texts[row], step / 100, random))
            labels.append(texts.labels[row])
    known = pool_of(LabelledSet(texts.name, tuple(written), tuple(labels)))
    return known.texts, known.labels


def noisy_stream(clean: int, seed: int) -> Stream:
    """clean: texts of a noisy pool that are as they were; the others follow them, step by step."""
    return rising(np.arange(clean), noisy_steps(clean), before=BEFORE, ramp=NOISE_RAMP, seed=seed)


def noisy_steps(clean: int) -> list[Rows]:
    """Each step's rows of a noisy pool."""
    return [clean + step * NOISY_TEXTS + np.arange(NOISY_TEXTS) for step in range(NOISE_STEPS)]


def events_to_fall(shown: Shown, streams: Sequence[Stream]) -> int | None:
    """Events from the onset until accuracy, over all streams, has fallen by five points; None: it never does. A curve
    that only falls is fitted (Barlow et al. 1972, isotonic regression)."""
    right = shown.right
    before = np.mean([right[stream.rows[: stream.onset]].mean() for stream in streams])
    curve = np.mean([right[stream.rows[stream.onset or 0 :]] for stream in streams], axis=0)
    fitted = IsotonicRegression(increasing=False).fit_transform(np.arange(len(curve)), curve)
    below = np.flatnonzero(fitted <= before - FALL)
    return int(below[0]) if len(below) else None


def _share_at(event: int) -> float:
    """Of the growing topic, at an event."""
    return float(np.interp(event - BEFORE, [0, RAMP], [FIRST_SHARE, LAST_SHARE]))
