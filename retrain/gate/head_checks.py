"""What one head must keep: its accuracy on each kind of text, its labels, its groups of texts."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.figures import number_of
from models.label_sets import is_among, labels_of
from retrain.data import Row
from retrain.evaluation.scoring import HeadMetrics
from retrain.evaluation.slices import slices_of
from retrain.gate.comparison import Comparison, compare
from retrain.gate.label_losses import (
    DOUBTFUL,
    MAX_RECALL_LOSS,
    SOUND,
    SURE,
    is_doubtful,
    loss_probabilities,
    texts_that_clear,
)
from retrain.gate.no_worse import MARGIN, NoWorse, no_worse
from retrain.gate.policy import MIN_GROUP_TEXTS
from retrain.gate.verdict import Check, LabelChange
from retrain.text_keys import labels_for

_ALLOWED: Final = f"{MAX_RECALL_LOSS * 100:.0f} points"
CORPUS, LIVE, TOGETHER = "the corpus's texts", "live texts", "all texts"

Right = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeadPair:
    """Champion and challenger on the texts that one head was scored on. rows: those, in the order of both."""

    champion: HeadMetrics
    challenger: HeadMetrics
    rows: Sequence[Row]

    @staticmethod
    def of(champion: HeadMetrics, challenger: HeadMetrics, rows: Sequence[Row]) -> "HeadPair":
        """rows: those that `evaluate` was given. Raises TrainingDataError where both were scored on different texts."""
        if not np.array_equal(champion.rows, challenger.rows):
            raise TrainingDataError(
                "champion and challenger were scored on different texts; score both on the same ones"
            )
        return HeadPair(champion, challenger, [rows[index] for index in challenger.rows])

    @property
    def head(self) -> str:
        """Its name."""
        return self.challenger.head

    @property
    def labels(self) -> NDArray[np.object_]:
        """What people say of each text."""
        return np.array([row.labels.get(self.head, "") for row in self.rows], dtype=object)

    @property
    def gives_several(self) -> bool:
        """Whether the head gives a text several labels: then `labels` are sets."""
        return self.challenger.micro_f1 is not None

    def changes(self, known: Collection[str] | None) -> "tuple[LabelChange, ...]":
        """See `label_changes`. Of sets each label by itself: a text counts for each that people say, and is right for
        one where that is given, whatever else is."""
        if not self.gives_several:
            return label_changes(self.champion.right, self.challenger.right, self.labels, known)
        wanted = [(place, label) for place, text in enumerate(self.labels) for label in labels_of(text)]
        before, after = (
            np.array([is_among(label, str(metrics.decided[place])) for place, label in wanted], dtype=bool)
            for metrics in (self.champion, self.challenger)
        )
        return label_changes(before, after, np.array([label for _, label in wanted], dtype=object), known)

    @property
    def is_live(self) -> Right:
        """Which of the texts came live; the others are the corpus's."""
        return np.array([row.origin == "feedback" for row in self.rows], dtype=bool)

    def on(self, member: Right) -> Comparison:
        """Both on some of the texts."""
        return compare(self.champion.right[member], self.challenger.right[member])


def no_worse_checks(pair: HeadPair, level: float, next_level: float, *, is_primary: bool) -> Iterator[Check]:
    """One for the corpus's texts and one for live ones, where there are any; and for both together, which say more than
    either, but of the primary head, which must be better on them. level, next_level: see `no_worse`."""
    members = {CORPUS: ~pair.is_live, LIVE: pair.is_live}
    members = {where: member for where, member in members.items() if member.any()}
    if len(members) > 1 and not is_primary:
        members[TOGETHER] = np.ones(len(pair.rows), dtype=bool)
    for where, member in members.items():
        comparison = pair.on(member)
        answer = no_worse(comparison, level, next_level)
        yield Check(
            f"{pair.head} is no worse on {where}",
            answer.outcome,
            _in_words(pair.head, where, comparison, answer),
            {
                "where": where,
                "texts": comparison.texts,
                "loss": -comparison.gain,
                "loss_bound": answer.bound,
                "margin": MARGIN,
                "more_labels": _more_labels(where, answer),
            },
        )


def _in_words(head: str, where: str, comparison: Comparison, answer: NoWorse) -> str:
    if not comparison.only_champion and not comparison.only_challenger:
        said = f"{head} on {where}: all {comparison.texts} as right or wrong as before"
    else:
        said = f"{head} on {where}: {comparison.words}"
    labels = _more_labels(where, answer)
    more = "" if labels is None else f": {number_of(labels, 'more label')} drawn at random"
    if answer.outcome == "passed":
        bound = round(answer.bound * 100, 1) + 0.0  # a loss, and never -0.0; below 0 it is a gain
        how = f"gains at least {-bound:.1f}" if bound < 0 else f"loses at most {bound:.1f}"
        return f"{said}; it {how} points"
    if answer.outcome == "too few":
        few = "the corpus has too few test texts" if where == CORPUS else "too few texts"
        return f"{said}; {few} to say that it loses at most {MARGIN * 100:g} point{more}"
    return f"{said}; it may lose {answer.bound * 100:.1f} points, {MARGIN * 100:g} is allowed{more}"


def _more_labels(where: str, answer: NoWorse) -> int | None:
    """None on the corpus's texts: no label adds to them."""
    return None if where == CORPUS else labels_for(answer.more_texts)


def label_changes(
    champion_right: Right, challenger_right: Right, labels: NDArray[np.object_], known: Collection[str] | None
) -> tuple[LabelChange, ...]:
    """By label, the greatest loss first. known: the labels that the champion can decide; None: those that it decides
    rightly at least once. What it does not know it cannot lose."""
    names = sorted(set(labels.tolist()))
    members = [labels == name for name in names]
    texts = np.array([int(member.sum()) for member in members], dtype=np.int64)
    lost = np.array([int((champion_right & ~challenger_right)[member].sum()) for member in members], dtype=np.int64)
    won = np.array([int((challenger_right & ~champion_right)[member].sum()) for member in members], dtype=np.int64)
    before = np.array([float(champion_right[member].mean()) for member in members])
    is_known = before > 0 if known is None else np.array([name in known for name in names], dtype=bool)
    probable = np.full(len(names), np.nan)
    probable[is_known] = loss_probabilities(texts[is_known], lost[is_known], won[is_known])
    changes = [
        LabelChange(
            name,
            int(texts[n]),
            float(before[n]),
            float(before[n] + (won[n] - lost[n]) / texts[n]),
            int(lost[n]),
            int(won[n]),
            float(probable[n]) if is_known[n] else None,
        )
        for n, name in enumerate(names)
    ]
    return tuple(sorted(changes, key=lambda change: (change.after - change.before, change.label)))


def label_checks(head: str, changes: Sequence[LabelChange], suspects: Collection[str] = ()) -> Iterator[Check]:
    """One for each label that is probably ruined, or may well be; one that says there is none. suspects: labels that
    held up an earlier challenger of the same champion."""
    judged = [change for change in changes if change.loss_probability is not None]
    checks = (_label_check(head, judged, place, change.label in suspects) for place, change in enumerate(judged))
    refused = [check for check in checks if check is not None]
    yield from refused
    if judged and not refused:
        worst = max(judged, key=lambda change: change.loss_probability or 0.0)
        words = f"no label of {head} loses more than {_ALLOWED}; most probably {worst.label}"
        yield Check(f"labels of {head}", "passed", f"{words}, {worst.loss_probability:.0%}", {"labels": len(judged)})


def _label_check(head: str, judged: Sequence[LabelChange], place: int, is_suspect: bool) -> Check | None:
    """Of one label; None where it may be released."""
    change = judged[place]
    probability = change.loss_probability or 0.0
    waits = probability > SOUND if is_suspect else is_doubtful(change.lost, change.won, probability)
    if probability <= SURE and not waits:
        return None
    figures: dict[str, float | int | str | None] = {"head": head, "label": change.label, "texts": change.texts}
    figures["loss_probability"] = probability
    fall = (
        f"{head}={change.label} falls from {change.before:.2f} to {change.after:.2f} on "
        f"{number_of(change.texts, 'text')}: with"
    )
    words = f"{fall} {probability:.0%} it loses more than {_ALLOWED}"
    if probability <= SURE:
        texts, lost, won = (
            np.array([getattr(one, name) for one in judged], dtype=np.int64) for name in ("texts", "lost", "won")
        )
        figures["more_texts"] = more = texts_that_clear(texts, lost, won, place, SOUND if is_suspect else DOUBTFUL)
        words += ", too few texts to say" + (", and it held up a challenger before" if is_suspect else "")
        words += (
            "" if more is None else f"; {number_of(more, 'more test text')} of it that are decided as before would do"
        )
    return Check(f"{head}={change.label}", "refused", words, figures)


def group_checks(pair: HeadPair, significance: float) -> Iterator[Check]:
    """One for each group of texts (a slice column's value, a length) that is clearly worse; one that says there is
    none. significance: shared between the groups."""
    members = {
        name: member
        for name, member in slices_of(pair.rows).items()
        if not name.startswith("origin=") and member.sum() >= MIN_GROUP_TEXTS
    }
    groups = {name: pair.on(member) for name, member in members.items()}
    worse = [name for name, group in groups.items() if group.gain < 0 and group.p_value < significance / len(groups)]
    for name in worse:
        words = f"{pair.head} is worse on {name}: {groups[name].words}, p = {groups[name].p_value:.2g}"
        yield Check(f"{pair.head} on {name}", "refused", words, {"texts": groups[name].texts})
    if groups and not worse:
        words = f"{pair.head} is clearly worse on none of {len(groups)} groups of texts"
        yield Check(f"groups of texts of {pair.head}", "passed", words, {"groups": len(groups)})


def on_known_labels(pair: HeadPair, changes: Sequence[LabelChange]) -> Comparison:
    """Both on the texts whose labels the champion knows: what was forgotten for what was learnt."""
    known = {change.label for change in changes if change.loss_probability is not None}
    split = labels_of if pair.gives_several else lambda label: (label,)
    return pair.on(np.array([known.issuperset(split(label)) for label in pair.labels], dtype=bool))
