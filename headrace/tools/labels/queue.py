"""The labelling queue: which decisions people are asked about, in which order, and why."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from connectors.ports import Document
from headrace.label_files import SECOND_OPINION
from headrace.tools.labels.choosing import Candidate, choose_for_labelling, members, unusually_unsure
from headrace.tools.labels.correcting import Known, Speaker, correct_one, give_one
from headrace.tools.labels.giving import GivenLabels
from headrace.tools.labels.pool import Pool, read_pool
from headrace.tools.labels.random_draw import days_of, drawn, first_drawn
from headrace.tools.labels.second_opinions import asked_again, to_ask, waiting
from headrace.wiring import Wiring
from retrain.text_keys import denser_tests, is_held_out
from streams.application import Application


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision in the queue. head: which question a person is asked. reason: why, in words. chosen, probability,
    stratum: as its label will say. asks_again: whether its only person is asked whether they mean what they said."""

    decision: Document
    head: str
    reason: str
    chosen: Literal["random", "queue"]
    probability: float | None = None
    asks_again: bool = False
    stratum: Literal["episode"] | None = None

    @property
    def subject(self) -> tuple[str, str]:
        """(decision id, head)."""
        return str(self.decision["id"]), self.head

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        answer = self.decision["labels"][self.head]
        return {
            "id": self.decision["id"],
            "text": self.decision["text"],
            "head": self.head,
            "label": answer["label"],
            "confidence": answer["probability"],
            "rejected": bool(answer.get("rejected", False)),
            "at": self.decision["at"],
            "reason": self.reason,
            "chosen": self.chosen,
        } | ({} if self.probability is None else {"probability": self.probability})


def labelling_queue(
    pool: Pool, app: Application, limit: int, taken: Collection[str] = (), by: str | None = None
) -> list[Asked]:
    """Up to `limit` questions: decisions drawn at random, then labels of any head that wait for a second opinion, then
    decisions of an open episode (in turns drawn at random and useful ones), then what the model is unsure of. All but
    second opinions ask about the primary head.

    taken: ids that somebody else looks at: what is like them is not asked about either. by: who is asked, where it is
    known: nobody is their own second person. What somebody has labelled is not asked about but for a second opinion,
    and for what was drawn: were the corrected ones left out of that, only those that seemed right would be counted.
    """
    head = app.head_names[0]
    done, labelled = pool.asked_at_random(head) | set(taken), pool.labelled(head)
    queue = [one for one in _random(pool, app) if one.decision["id"] not in done][:limit]
    queue = [*queue, *_second_opinions(pool, app, by, taken, {one.subject for one in queue})][:limit]
    busy = done | labelled | {one.decision["id"] for one in queue}
    looked_at = {one.id: one for one in pool.candidates}
    seen = [_candidate(pool, looked_at, one) for one in sorted(labelled | set(taken)) if one in pool.decisions]
    seen += [_candidate(pool, looked_at, str(one.decision["id"])) for one in queue]
    candidates = [one for one in pool.candidates if one.id not in busy]
    if pool.episode is not None:
        of_episode = _may_be_of_episode(pool, candidates)
        about = ", ".join(pool.episode.words[:3]) or "new texts"
        asked_of_it = pool.asked_at_random(head, "episode")
        at_random = [
            Asked(pool.decisions[identity], head, f"random, drift ({about})", "random", probability, stratum="episode")
            for identity, probability in episode_draw(pool, app).items()
            if identity not in done | asked_of_it
        ]
        useful = [
            Asked(pool.decisions[one.id], head, f"drift ({about})", "queue")
            for one in _choose(of_episode, limit - len(queue), seen)
        ]
        queue = _joined(queue, _in_order(at_random, useful, tests_suffice=pool.tests_suffice), limit)
        seen += [_candidate(pool, looked_at, str(one.decision["id"])) for one in queue]
        belong = {one.id for one in of_episode}
        candidates = [one for one in candidates if one.id not in belong]
    chosen = _choose(candidates, limit - len(queue), seen)
    return queue + [Asked(pool.decisions[one.id], head, _doubt(one), "queue") for one in chosen]


def random_draw(pool: Pool, app: Application) -> dict[str, float]:
    """Id to probability of all decisions in the pool that are drawn at random."""
    decided = [(identity, str(decision["decided_at"])) for identity, decision in pool.decisions.items()]
    return drawn(days_of(decided, is_whole=pool.is_whole), app.labelling)


def episode_draw(pool: Pool, app: Application) -> dict[str, float]:
    """The same of the texts of an open episode, of which more are drawn: whether a new release is better shows there.

    A text belongs to it by its embedding. Of those that the fast path decided only the audited ones have one, so these
    labels compare releases on texts that the n-grams are not sure of; and as they are seldom labelled to the last one,
    they say nothing of how often decisions are right. Texts that only test are drawn more densely than others: those
    that train are chosen better (`denser_tests`).
    """
    if pool.episode is None:
        return {}
    of_tests, of_others = denser_tests(app.labelling.episode_share)
    texts = _of_episode(pool, list(pool.candidates))
    return first_drawn({one.id: of_tests if is_held_out(one.text) else of_others for one in texts})


def add_label(wiring: Wiring, app: Application, identity: str, head: str, label: str, speaker: Speaker) -> GivenLabels:
    """Give a decision of the queue its label: as drawn at random where it was, else as asked for. Who is asked whether
    they mean what they said of it, confirms it so."""
    pool = read_pool(wiring, app)
    known, name = known_decisions(pool, app), head or app.head_names[0]
    decision = known.decisions.get(identity)
    if decision is None:  # older than what the queue looks at
        return correct_one(wiring, identity, head, label, speaker)
    is_doubted = (identity, name) in {(one.identity, one.head) for one in waiting(pool.doubts, pool.labels)}
    probability = None if is_doubted and name != app.head_names[0] else known.draws.get(identity)
    asked = speaker if probability is None else replace(speaker, chosen="random")
    asked = replace(asked, confirms=asked.confirms or (identity, name, speaker.by) in known.asked_again)
    return give_one(wiring, decision, head, label, asked, probability)


def known_decisions(pool: Pool, app: Application) -> Known:
    """For labels that come from elsewhere: what the queue asks about in any case. A text of an episode's draw may be
    labelled because the model doubted it; nobody can tell, so it does not count as drawn."""
    return Known(pool.decisions, random_draw(pool, app), asked_again(pool.doubts, pool.labels))


def _random(pool: Pool, app: Application) -> list[Asked]:
    return [
        Asked(pool.decisions[identity], app.head_names[0], "random", "random", probability)
        for identity, probability in random_draw(pool, app).items()
    ]


def _second_opinions(
    pool: Pool, app: Application, by: str | None, taken: Collection[str], queued: Collection[tuple[str, str]]
) -> Iterator[Asked]:
    """Without what the first person said: who reads that, agrees more easily."""
    draws = random_draw(pool, app)
    # What is older than the queue looks at must not take the place of what can be asked about.
    doubts = [doubt for doubt in pool.doubts if _can_be_asked(doubt, pool, taken) and _subject(doubt) not in queued]
    for identity, head, asks_again in to_ask(doubts, pool.labels, by):
        # the draw asks about the primary head alone: of another one this is asked because of the doubt
        probability = draws.get(identity) if head == app.head_names[0] else None
        chosen: Literal["random", "queue"] = "queue" if probability is None else "random"
        yield Asked(pool.decisions[identity], head, SECOND_OPINION, chosen, probability, asks_again)


def _can_be_asked(doubt: Mapping[str, Any], pool: Pool, taken: Collection[str]) -> bool:
    identity, head = _subject(doubt)
    return identity in pool.decisions and identity not in taken and head in pool.decisions[identity]["labels"]


def _subject(doubt: Mapping[str, Any]) -> tuple[str, str]:
    return str(doubt.get("decision_id")), str(doubt.get("head"))


def _candidate(pool: Pool, looked_at: Mapping[str, Candidate], identity: str) -> Candidate:
    """Of any decision in the pool; of one that is not looked at the text alone is known."""
    return looked_at.get(identity) or Candidate(identity, str(pool.decisions[identity]["text"]), 1.0)


def _choose(candidates: list[Candidate], limit: int, seen: list[Candidate]) -> list[Candidate]:
    """The most useful ones first; those last that only test, as such a label judges nothing where it was not drawn."""
    train = choose_for_labelling([one for one in candidates if not is_held_out(one.text)], limit, seen)
    tests = [one for one in candidates if is_held_out(one.text)]
    return [*train, *choose_for_labelling(tests, limit - len(train), [*seen, *train])]


def _in_order(at_random: Sequence[Asked], useful: Sequence[Asked], *, tests_suffice: bool) -> Iterator[Asked]:
    """Both kinds in turns, as those drawn at random judge what the useful ones teach; what teaches first where those
    that judge suffice. One that is drawn and useful is asked about as drawn, or it would be asked about twice."""
    if not tests_suffice:
        return (one for pair in itertools.zip_longest(at_random, useful) for one in pair if one is not None)
    drawn = {one.decision["id"]: one for one in at_random}
    train = (drawn.get(one.decision["id"], one) for one in useful if not is_held_out(str(one.decision["text"])))
    return itertools.chain(train, at_random, useful)


def _joined(queue: Iterable[Asked], more: Iterable[Asked], limit: int) -> list[Asked]:
    """Both, each decision once and as it comes first, `limit` at most."""
    by_decision: dict[str, Asked] = {}
    for one in itertools.chain(queue, more):
        by_decision.setdefault(str(one.decision["id"]), one)
    return list(itertools.islice(by_decision.values(), limit))


def _may_be_of_episode(pool: Pool, candidates: list[Candidate]) -> list[Candidate]:
    """Those of the episode, and those that may be of its corners: they may teach, but are never drawn."""
    since, before = _around_onset(pool, candidates)
    near = {one.id for one in (*members(since, before, _examples(pool)), *unusually_unsure(since, before))}
    return [one for one in since if one.id in near]


def _of_episode(pool: Pool, candidates: list[Candidate]) -> list[Candidate]:
    since, before = _around_onset(pool, candidates)
    return members(since, before, _examples(pool))


def _examples(pool: Pool) -> list[Candidate]:
    assert pool.episode is not None
    examples = set(pool.episode.examples)
    return [one for one in pool.candidates if one.id in examples]


def _around_onset(pool: Pool, candidates: list[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """(those since the onset, all of the pool's before it)."""
    assert pool.episode is not None
    onset = pool.episode.onset_at
    since = [one for one in candidates if str(pool.decisions[one.id]["at"]) >= onset]
    return since, [one for one in pool.candidates if str(pool.decisions[one.id]["at"]) < onset]


def _doubt(candidate: Candidate) -> str:
    if candidate.is_rejected:
        return "out of scope"
    return f"unsure ({candidate.confidence:.2f})" if candidate.confidence < 0.9 else "unlike others"
