"""Whether an alert's weight goes by what a shift costs: shifts that cost accuracy, and shifts that do not."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.drift.bed import Bed, Figures
from bench.drift.figures import delay_figures
from bench.drift.playing import Played, Watch
from bench.drift.releases import Shown
from bench.drift.restyling import STYLES
from bench.drift.rows.appearing import AFTER, BEFORE, LINGER, domains
from bench.drift.rows.dependent import own_split
from bench.drift.rows.moving import topics
from bench.drift.streams import Rows, appearing
from streams.wire.records import Alert

STYLED_SETS: Final = ("clinc150", "banking77", "tfn_topic")
STYLED_TEXTS: Final = 600  # of a set, written each way
STYLED_SHARE: Final = 0.5  # of the texts after the onset
NEW_SHARE: Final = 0.2
KNOWN_SHARE: Final = 0.5  # of a domain that was one of ten
HARMLESS_BELOW, HARMFUL_FROM = 0.01, 0.03  # of accuracy; an alert that tells of less than 0.02 is a note
_RULES: Final = ("drift", "drift_signal")
NOTHING, NOTE, ALERT = "nothing", "note", "alert"
_HEAVIEST_FIRST: Final = (ALERT, NOTE, NOTHING)


@dataclass(frozen=True, slots=True)
class Shift:
    """From the onset on, `share` of the texts are of `changed`; all others are of `known`, as before."""

    name: str
    watch: Watch
    shown: Shown
    known: Rows
    changed: Rows
    share: float

    @property
    def fall(self) -> float:
        """Of the release's accuracy, by the labels that the texts have."""
        right = self.shown.right
        return self.share * float(right[self.known].mean() - right[self.changed].mean())


def notes_and_alerts(bed: Bed) -> Figures:
    """A shift that costs three points of accuracy or more is to be told as a warning or more, one that costs less than
    one point as a note or not at all."""
    rows: list[Figures] = []
    for shift in _shifts(bed):
        for seed in range(bed.plan.seeds):
            rows.append({"shift": shift.name, "fall": round(shift.fall, 4)} | words_told(_play(shift, seed)))
            bed.progress(shift.name, seed + 1, bed.plan.seeds)
    harmful = [row for row in rows if row["fall"] >= HARMFUL_FROM]
    harmless = [row for row in rows if row["fall"] < HARMLESS_BELOW]
    return {
        "harmful": len(harmful),
        "harmful_alerted": sum(row["heaviest"] == ALERT for row in harmful),
        "harmful_alerted_last": sum(row["last"] == ALERT for row in harmful),
        "harmful_delay": delay_figures([row["delay"] for row in harmful]),
        "harmless": len(harmless),
        "harmless_not_alerted": sum(row["heaviest"] != ALERT for row in harmless),
        "harmless_not_alerted_last": sum(row["last"] != ALERT for row in harmless),
        "between": len(rows) - len(harmful) - len(harmless),
        "shifts": rows,
    }


def _shifts(bed: Bed) -> Iterator[Shift]:
    for name in STYLED_SETS:
        yield from _restyled(bed, name)
    for scene in itertools.chain(domains(bed), topics(bed)):
        yield Shift(
            f"{scene.name} appears", bed.watch(scene.release), scene.shown, scene.pool.known, scene.pool.new, NEW_SHARE
        )
    yield from _risen(bed)


def _restyled(bed: Bed, name: str) -> Iterator[Shift]:
    """Half of a set's texts come in another style."""
    texts, release = own_split(bed, name)
    random = np.random.default_rng(0)
    written, labels, places = list(texts.texts), list(texts.labels), {}
    for style, restyle in STYLES.items():
        some = texts.take(random.permutation(len(texts))[:STYLED_TEXTS])
        places[style] = len(written) + np.arange(len(some))
        written += [restyle(text, random) for text in some.texts]
        labels += some.labels
    watch, shown = bed.watch(release), bed.show(release, written, labels)
    for style, changed in places.items():
        yield Shift(f"{name}, {style}", watch, shown, np.arange(len(texts)), changed, STYLED_SHARE)


def _risen(bed: Bed) -> Iterator[Shift]:
    """A domain that the release knows becomes half of the stream."""
    texts, release = own_split(bed, "clinc150")
    watch, shown = bed.watch(release), bed.show(release, texts.texts, texts.labels)
    for domain in sorted(set(texts.groups)):
        changed = np.flatnonzero(texts.where("groups", [domain]))
        yield Shift(f"more of {domain}", watch, shown, np.arange(len(texts)), changed, KNOWN_SHARE)


def _play(shift: Shift, seed: int) -> Played:
    stream = appearing(shift.known, shift.changed, before=BEFORE, after=AFTER, share=shift.share, seed=seed)
    return shift.watch.play(shift.shown, stream, again=True, until_drift_from=BEFORE, linger=LINGER)


def words_told(played: Played) -> Figures:
    """What was said of episodes since the onset, heaviest and last: nothing, a note or an alert. delay: events to
    the first alert. lost: of accuracy, as it was estimated last."""
    before = {told.alert.fingerprint for told in played.told if told.event < BEFORE}
    since = [told.alert for told in played.told if told.event >= BEFORE and told.alert.rule in _RULES]
    firing = [alert for alert in since if alert.state == "firing" and alert.fingerprint not in before]
    last = {alert.fingerprint: alert for alert in since if alert.fingerprint not in before}
    costs = [alert.values["cost"] for alert in firing if alert.values.get("cost")]
    alarms = [told.event for told in played.told if told.alert in firing and _weight(told.alert) == ALERT]
    return {
        "heaviest": min((_weight(alert) for alert in firing), key=_HEAVIEST_FIRST.index, default=NOTHING),
        "last": min(
            (_weight(alert) for alert in last.values() if alert.state == "firing"),
            key=_HEAVIEST_FIRST.index,
            default=NOTHING,
        ),
        "delay": alarms[0] - BEFORE + 1 if alarms else None,
        "lost": costs[-1]["lost"] if costs else None,
    }


def _weight(alert: Alert) -> str:
    return NOTE if alert.severity == "info" else ALERT
