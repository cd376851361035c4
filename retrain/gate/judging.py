"""The gate: is the challenger better than the champion, on the same held-out texts? Pure, answers in words.

A challenger passes when its primary head decides more of the texts rightly, beyond what a bet may win by luck; when no
head is worse, on the corpus's texts and on live ones, nor what is said of names; when no label is ruined and no group
of texts clearly worse; and when all else that a release is for stays inside its limits. Everything is looked at,
whatever the first answer is: the verdict is what a person reads who must decide.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.figures import in_few_digits, number_of
from retrain.data import Row
from retrain.entities.comparing import EntityComparison
from retrain.evaluation.scoring import HeadMetrics
from retrain.gate.comparison import Comparison, compare
from retrain.gate.entities import entity_check
from retrain.gate.evidence import Evidence, level_of, weigh
from retrain.gate.head_checks import (
    CORPUS,
    HeadPair,
    group_checks,
    label_changes,
    label_checks,
    no_worse_checks,
    on_known_labels,
)
from retrain.gate.limits import Footprint, limit_checks
from retrain.gate.no_worse import no_worse_level
from retrain.gate.policy import GatePolicy
from retrain.gate.verdict import Check, LabelChange, Verdict
from retrain.text_keys import key_hash, labels_for


def judge(
    champion: Mapping[str, HeadMetrics],
    challenger: Mapping[str, HeadMetrics],
    rows: Sequence[Row],
    primary: str,
    *,
    look: int = 1,
    policy: GatePolicy | None = None,
    footprints: tuple[Footprint, Footprint] | None = None,
    known: Mapping[str, Collection[str]] | None = None,
    suspects: Collection[tuple[str, str]] = (),
    entities: EntityComparison | None = None,
) -> Verdict:
    """The gate's word on two results of `evaluate`. rows: those that both were given. look: how many challengers this
    champion has met with this one. footprints: what both take, the champion's first. known: by head, the labels that
    the champion can decide; without, those that it decides rightly at least once. A label that it does not know counts
    as an error of its: that is what a new label is about. suspects: (head, label) that held up an earlier challenger
    of this champion (`Verdict.stopped_labels`). entities: both on texts with labelled names; None where the champion
    says nothing of names.

    Raises TrainingDataError where both were scored on different texts.
    """
    policy = policy or GatePolicy()
    heads = [primary, *sorted((champion.keys() & challenger.keys()) - {primary})]
    pairs = {head: HeadPair.of(champion[head], challenger[head], rows) for head in heads}
    overall, evidence = _gain(pairs[primary], look, policy)
    live = pairs[primary].on(pairs[primary].is_live)
    labels = {head: pair.changes((known or {}).get(head)) for head, pair in pairs.items()}
    level, next_level = no_worse_level(look, policy.alpha), no_worse_level(look + 1, policy.alpha)
    checks = [_gain_check(primary, overall, evidence, live)]
    for pair in pairs.values():
        checks += no_worse_checks(pair, level, next_level, is_primary=pair.head == primary)
    if entities is not None:
        checks.append(entity_check(entities, level))
    for head, pair in pairs.items():
        of_head = {label for name, label in suspects if name == head}
        checks += [*label_checks(head, labels[head], of_head), *group_checks(pair, policy.significance)]
    checks += limit_checks([(pair.champion, pair.challenger) for pair in pairs.values()], policy, footprints)
    known_labels = {head: on_known_labels(pair, labels[head]) for head, pair in pairs.items()}
    return _verdict(primary, overall, evidence, checks, labels, look, level_of(look, policy.alpha), known_labels)


def judge_texts(
    champion_right: NDArray[np.bool_],
    challenger_right: NDArray[np.bool_],
    labels: Sequence[str] | NDArray[np.object_],
    head: str = "the head",
    policy: GatePolicy | None = None,
) -> Verdict:
    """The same on bare results of one head, by text in the order in which they came: better, and no label ruined."""
    policy = policy or GatePolicy()
    overall = compare(champion_right, challenger_right)
    evidence = weigh(champion_right, challenger_right, alpha=policy.alpha)
    changes = label_changes(champion_right, challenger_right, np.asarray(labels, dtype=object), None)
    checks = [_gain_check(head, overall, evidence), *label_checks(head, changes)]
    return _verdict(head, overall, evidence, checks, {head: changes}, 1, level_of(1, policy.alpha), {})


def _gain(pair: HeadPair, look: int, policy: GatePolicy) -> tuple[Comparison, Evidence]:
    """In the order of the texts' hashes: that of a file may have to do with the results. Where both are right, or both
    wrong, the place does not matter."""
    champion, challenger = pair.champion.right, pair.challenger.right
    differs = champion != challenger
    place = [key_hash(row.text) if is_bet_on else "" for row, is_bet_on in zip(pair.rows, differs, strict=True)]
    order = np.array(sorted(range(len(place)), key=place.__getitem__), dtype=np.int64)
    evidence = weigh(champion[order], challenger[order], look, policy.alpha, pair.is_live[order])
    return compare(champion, challenger), evidence


def _gain_check(head: str, overall: Comparison, evidence: Evidence, live: Comparison | None = None) -> Check:
    reached, needed = float(np.exp(min(evidence.log_peak, 700.0))), float(np.exp(evidence.log_needed))
    figures: dict[str, float | int | str | None] = {
        "texts": overall.texts,
        "evidence": reached,
        "needed": needed,
        "more_labels": labels_for(evidence.more_texts),
    }
    seen = f"{overall.words}{_of_live(overall, live)}"
    counted = f"{seen}, evidence {in_few_digits(reached)} of {in_few_digits(needed)}"
    if evidence.suffices:
        return Check(f"{head} is better", "passed", seen, figures)
    if overall.only_challenger <= overall.only_champion and evidence.more_texts is None:
        return Check(f"{head} is better", "refused", f"the challenger is not better, {overall.words}", figures)
    if evidence.more_texts is None:
        return Check(f"{head} is better", "refused", f"the gain may be chance, {counted}", figures)
    more = f"{figures['more_labels']} more labels drawn at random"
    words = f"too few texts to say, {counted}; {more}, if it goes on so"
    return Check(f"{head} is better", "refused", words, figures)


def _of_live(overall: Comparison, live: Comparison | None) -> str:
    if live is None or live.texts in (0, overall.texts):
        return ""
    return (
        f"; of {number_of(live.texts, 'live one')} {live.challenger_accuracy:.1%} against {live.champion_accuracy:.1%}"
    )


def _verdict(
    primary: str,
    overall: Comparison,
    evidence: Evidence,
    checks: Sequence[Check],
    labels: Mapping[str, Sequence[LabelChange]],
    look: int,
    level: float,
    known: Mapping[str, Comparison],
) -> Verdict:
    return Verdict(
        passed=all(check.outcome != "refused" for check in checks),
        reason="; ".join(_reason(primary, overall, checks)),
        primary=primary,
        overall=overall,
        look=look,
        level=level,
        more_texts=evidence.more_texts,
        checks=tuple(checks),
        labels=labels,
        known=known,
    )


def _reason(primary: str, overall: Comparison, checks: Sequence[Check]) -> Iterator[str]:
    refused = [check for check in checks if check.outcome == "refused"]
    if refused:
        first = refused[0]
        but = "" if first is checks[0] else f"{primary} is better, {overall.words}, but "
        yield f"not released: {but}{first.words}"
        if len(refused) > 1:
            yield "and: " + ", ".join(check.name for check in refused[1:4]) + (", …" if len(refused) > 4 else "")
        return
    yield f"better: {checks[0].words}"
    if few := [check for check in checks if check.outcome == "too few"]:
        corpus = [check for check in few if check.figures.get("where") == CORPUS]
        if others := [check for check in few if check not in corpus]:
            more = max(int(check.figures.get("more_labels") or 0) for check in others)
            would = f": {number_of(more, 'more label')} drawn at random would tell" if more else ""
            yield f"too few texts to say that {_names(others)}{would}"
        if corpus:
            yield f"the corpus has too few test texts to say that {_names(corpus)}"
    yield from (check.words for check in checks if check.name == "fast path")


def _names(checks: Sequence[Check]) -> str:
    return ", ".join(check.name for check in checks[:3]) + (", …" if len(checks) > 3 else "")
