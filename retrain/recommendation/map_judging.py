"""The gate for a map of the items' embeddings: does it find what users touch next, in what came after its training?

Three things are looked at, each with both maps on the same events in the order of time. Items whose touches neither
map has seen (drawn ones, and those that are new), ranked among each other by likeness to what the user touched before:
there the new map must be better, by the gate's own bet (`retrain.gate.evidence`), on users, as what one user touches
hangs together. And the lists that the live recommender makes with either map: of all that was taken, and of what was
new to the user, no smaller share may have stood in them (`retrain.gate.no_worse`). What he had before is told apart: it
shares the places with what is new to him, so one may lose what the other wins.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.adapting.item_map import ItemMap, unit_rows
from models.recommendation.events import UserEvent
from models.recommendation.recommender import Recommender
from retrain.gate.comparison import Comparison, compare
from retrain.gate.evidence import Evidence, level_of, weigh
from retrain.gate.no_worse import Outcome, no_worse, no_worse_level
from retrain.gate.verdict import Check, Verdict
from retrain.progress import Progress, no_progress
from retrain.recommendation.touches import HeldOut, Touches
from retrain.text_keys import key_hash

LISTED_MAX: Final = 4_000  # of the last events, those whose lists are made
COLD: Final = "items that nobody touched, found by their words"
_LENGTH: Final = 10
_RECENT: Final = 50
_DECAY: Final = 0.8
_MOST: Final = 0.2  # of the cold items, that a place among the first may be
_TOLD_EVERY: Final = 200


@dataclass(frozen=True, slots=True)
class Shop:
    """What both maps are judged on. vectors: unit rows of the items as the encoder has them, (items, dimensions).
    events: all of them, in the order of time; `touches` names them. make: a live recommender of these items, as it was
    before the first event, with a map or none."""

    vectors: NDArray[np.float32]
    events: Sequence[UserEvent]
    touches: Touches
    held: HeldOut
    make: Callable[[ItemMap | None], Recommender]


@dataclass(slots=True)
class ColdHits:
    """By user: takes of cold items that stood among the first, and all takes."""

    hits: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    takes: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def rate(self) -> float:
        """Share of takes."""
        takes = sum(self.takes.values())
        return sum(self.hits.values()) / takes if takes else 0.0


def judge_map(
    shop: Shop, champion: ItemMap | None, challenger: ItemMap, look: int = 1, progress: Progress = no_progress
) -> Verdict:
    """champion: what serves; None: the embeddings as they are. look: how many challengers it has met with this one."""
    maps = (champion, challenger)
    before, after = (cold_hits(shop, one) for one in maps)
    users = sorted(after.takes, key=lambda user: key_hash(shop.touches.user_ids[user]))  # an order that means nothing
    won = np.array([after.hits[user] > before.hits[user] for user in users], bool)
    lost = np.array([after.hits[user] < before.hits[user] for user in users], bool)
    evidence, overall = weigh(lost, won, look), compare(lost, won)
    checks = [_cold_check(before, after, overall, evidence)]
    listed = [
        _listed(shop, one, name, progress) for one, name in zip(maps, ("lists before", "lists after"), strict=True)
    ]
    is_new = np.array([new for new, _ in listed[0]], bool)
    rights = [np.array([right for _, right in one], bool) for one in listed]
    for name, chosen in (("lists", np.ones_like(is_new)), ("lists, new to the user", is_new)):
        checks.append(_list_check(name, compare(rights[0][chosen], rights[1][chosen]), look))
    checks.append(_list_check("lists, touched before", compare(rights[0][~is_new], rights[1][~is_new]), None))
    refused = [check for check in checks if check.outcome == "refused"]
    told = [f"{check.name}: {check.words}" for check in refused or checks]
    return Verdict(
        passed=not refused,
        reason=("not released: " if refused else "better: ") + "; ".join(told),
        primary=COLD,
        overall=overall,
        look=look,
        level=level_of(look),
        more_texts=evidence.more_texts,
        checks=tuple(checks),
    )


def cold_hits(shop: Shop, item_map: ItemMap | None) -> ColdHits:
    """Each user's first touch of each cold item after the training, if he touched something before: does it stand among
    the ten cold items (a fifth of them where they are few) that are most like his last fifty items?"""
    held, touches = shop.held, shop.touches
    vectors = shop.vectors if item_map is None else item_map.of(shop.vectors)
    cold = np.flatnonzero(held.cold)
    length = max(1, min(_LENGTH, int(len(cold) * _MOST)))
    found, seen = ColdHits(), dict[int, dict[int, None]]()
    for user, item, at in zip(touches.users.tolist(), touches.items.tolist(), touches.at.tolist(), strict=True):
        own = seen.setdefault(user, {})
        if at >= held.start and held.cold[item] and item not in own and own:
            recent = np.fromiter(own, np.int64)[-_RECENT:]
            profile = np.power(_DECAY, np.arange(len(recent) - 1, -1, -1), dtype=np.float32) @ vectors[recent]
            likeness = vectors[cold] @ unit_rows(profile[None])[0]
            likeness[np.isin(cold, recent)] = -np.inf
            mine = likeness[np.searchsorted(cold, item)]
            found.hits[user] += int((likeness > mine).sum()) < length
            found.takes[user] += 1
        own.pop(item, None)
        own[item] = None
    return found


def _listed(shop: Shop, item_map: ItemMap | None, stage: str, progress: Progress) -> list[tuple[bool, bool]]:
    """Of what was clicked or bought after the training by users with a list: was it new to them, and did it stand in
    their list?"""
    events = shop.events
    start = max(shop.held.start, len(events) - LISTED_MAX)
    recommender = shop.make(item_map)
    recommender.replay(events[:start], is_whole=True)
    found = []
    for number, event in enumerate(events[start:]):
        if number % _TOLD_EVERY == 0:
            progress(stage, number, len(events) - start)
        feedback = recommender.observe(event).feedback
        if feedback is not None:
            found.append((feedback.is_new, feedback.rank is not None))
    progress(stage, len(events) - start, len(events) - start)
    return found


def _cold_check(before: ColdHits, after: ColdHits, users: Comparison, evidence: Evidence) -> Check:
    takes, items = sum(after.takes.values()), len(after.takes)
    log_peak = min(evidence.log_peak, 700.0)
    figures: dict[str, float | int | str | None] = {
        "takes": takes,
        "users": items,
        "before": before.rate,
        "after": after.rate,
        "evidence": math.exp(log_peak),
        "needed": math.exp(evidence.log_needed),
    }
    words = (
        f"{after.rate:.1%} of {takes} were among the first against {before.rate:.1%}; {users.only_challenger} users "
        f"better served, {users.only_champion} worse; evidence {math.exp(log_peak):.3g} of "
        f"{math.exp(evidence.log_needed):.3g}"
    )
    is_better = evidence.suffices and after.rate > before.rate
    return Check(COLD, "passed" if is_better else "refused", words, figures)


def _list_check(name: str, pair: Comparison, look: int | None) -> Check:
    """look: None where it is told, and decides nothing."""
    figures: dict[str, float | int | str | None] = {
        "takes": pair.texts,
        "before": pair.champion_accuracy,
        "after": pair.challenger_accuracy,
        "won": pair.only_challenger,
        "lost": pair.only_champion,
    }
    if not pair.texts:
        return Check(name, "too few", "there were none", figures)
    outcome: Outcome = "passed"
    if look is not None:
        outcome = no_worse(pair, no_worse_level(look), no_worse_level(look + 1)).outcome
    low, high = pair.gain_ci95
    words = (
        f"{pair.challenger_accuracy:.1%} of {pair.texts} stood in the list against {pair.champion_accuracy:.1%} "
        f"({pair.gain * 100:+.1f} points, 95 %: {low * 100:+.1f} to {high * 100:+.1f})"
    )
    return Check(name, outcome, words, figures)
