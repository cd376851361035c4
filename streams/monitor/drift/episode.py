"""What changed, in words: the story of a drift episode from the texts before and after its onset."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from models.figures import moment, moments, readable
from models.words.counts import WordCounts
from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.cost import Cost, estimated_cost, events_per_hour, restored_cost
from streams.monitor.episodes.examples import Example, choose_examples
from streams.monitor.episodes.members import SeenText, onset_range
from streams.monitor.episodes.moves import Move, Segment, moved_labels, segments
from streams.monitor.episodes.naming import name_of, telling_words
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.episodes.weighted_history import WeightedHistory
from streams.monitor.episodes.writing.mistyped import most_are_mistyped
from streams.monitor.episodes.writing.restyled import Decided, are_restyled

__all__ = ["Episode", "Example", "SeenText", "describe_episode", "episode_state", "restored_episode"]

_LABELS: Final = 3
_LEAST_SHARE: Final = 0.02  # of new texts, when asking whether one of them is new
_CARRIED_ON: Final = ("parts", "part_centres", "symptoms", "split_from")  # of the story so far
_LATER: Final = 400  # texts by which the onset may be later than the sum's last zero


@dataclass(frozen=True, slots=True)
class Place:
    """An event: its number, its name, its source's time."""

    event: int
    id: str
    at: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One cause of drift, told when it is found and told better when more of it was seen.

    onset_event: estimate of the first event of the change. detected_event: the one at which it was certain enough.
    detectors: those that fired first, then those that support them. labels: what the model calls the new texts, with
    the share of them, largest first. words, phrases: in the new texts, and hardly elsewhere; phrases are two words
    each. examples: up to ten texts. share_before, share_after: estimated share of texts that look new;
    share_range: where the second lies with 95 %. onset_id, onset_at: name and time of the event at the onset.
    onset_between: events between which the onset lies with 95 %. told_event: the newest that this story knows of.
    name: what to call the subject, "" where no word stands out. rose, fell: labels whose share moved. segments: where
    it happens. detected_id: names the event at which it was found, and by that the episode.
    detected_at: that event's time. cost: what it costs, by the texts. centre: where its texts lie together, as
    `Reference.place_of` gives it; "" where nobody knows. parts: subjects that came with it, beside its own;
    part_centres: where the texts of these lie. symptoms: other signals that changed with it. split_from: `detected_id`
    of the episode that told its texts before, until they were clearly of another subject. is_mistyped: most of the new
    texts are known ones typed badly. is_restyled: they are known ones written another way.
    """

    onset_event: int
    detected_event: int
    detectors: tuple[str, ...]
    labels: tuple[tuple[str, float], ...]
    words: tuple[str, ...]
    examples: tuple[Example, ...]
    share_before: float
    share_after: float
    summary: str
    onset_id: str = ""
    onset_at: str = ""
    share_range: tuple[float, float] = (0.0, 1.0)
    onset_between: tuple[Place, ...] = ()
    told_event: int = 0
    name: str = ""
    rose: tuple[Move, ...] = ()
    fell: tuple[Move, ...] = ()
    segments: tuple[Segment, ...] = ()
    detected_id: str = ""
    phrases: tuple[str, ...] = ()
    cost: Cost | None = None
    centre: str = ""
    detected_at: str = ""
    parts: int = 0
    part_centres: tuple[str, ...] = ()
    symptoms: tuple[Symptom, ...] = ()
    split_from: str = ""
    is_mistyped: bool = False
    is_restyled: bool = False


def episode_state(episode: Episode) -> dict[str, Any]:
    """For JSON; `restored_episode` takes it."""
    return asdict(episode)


def restored_episode(state: Mapping[str, Any]) -> Episode:
    """What `episode_state` gave, after JSON. Raises KeyError or TypeError for anything else."""
    parts = {"onset_between": Place, "rose": Move, "fell": Move, "segments": Segment, "symptoms": Symptom}
    return Episode(
        **dict(state)
        | {
            "detectors": tuple(state["detectors"]),
            "labels": tuple((label, share) for label, share in state["labels"]),
            "words": tuple(state["words"]),
            "phrases": tuple(state.get("phrases", ())),
            "part_centres": tuple(state.get("part_centres", ())),
            "share_range": tuple(state["share_range"]),
            "examples": tuple(Example(**example) for example in state["examples"]),
        }
        | {"cost": restored_cost(state.get("cost"))}
        | {name: tuple(kind(**part) for part in state.get(name, ())) for name, kind in parts.items()}
    )


def describe_episode(
    history: Sequence[SeenText],
    since: int,
    detectors: tuple[str, ...],
    spread: float = 1.0,
    background: WordCounts | None = None,
    told: Episode | None = None,
    place_of: Callable[[Doubles], str] = lambda _: "",
) -> Episode:
    """Tell the episode whose first text is the `since`-th from the end of `history`, which is in order of arrival.

    spread: variance of a reference text's part outside the span along a given direction. background: words of the
    release's own texts. told: the story so far, of an episode that is found already; its onset and detection stay, and
    its share is estimated on texts after the detection, which nothing was chosen by. place_of: `Reference.place_of`.
    """
    texts = WeightedHistory.of(history, min(max(since, 1), len(history)), detectors, spread)
    first, newest = texts.after[0], texts.after[-1]
    found = _found(newest, told)
    share, share_range = texts.share_since(found.event)
    new, odds = texts.new(max(share, _LEAST_SHARE))
    said, said_before = _said(new), _said(texts.before)
    usual = WordCounts.of(said_before)
    words = telling_words(said, usual, background)
    is_mistyped = most_are_mistyped(said, said_before, usual, background)
    is_restyled = not is_mistyped and are_restyled(_decided(new), _decided(texts.before))
    rose, fell = moved_labels((seen.label for seen in texts.before), (seen.label for seen in texts.after))
    episode = Episode(
        onset_event=first.event_number,
        detected_event=found.event,
        detectors=detectors,
        labels=_labels(new),
        words=tuple(word.term for word in words if not word.is_pair),
        phrases=tuple(word.term for word in words if word.is_pair),
        examples=choose_examples(new, odds),
        share_before=round(texts.share_before(max(share, _LEAST_SHARE)), 3),
        share_after=round(share, 3),
        summary="",
        onset_id=first.id,
        onset_at=first.at,
        share_range=share_range,
        onset_between=_onset_between(texts, share),
        told_event=newest.event_number,
        name=name_of(words, said),
        rose=rose,
        fell=fell,
        segments=segments([seen.fields for seen in new], [seen.fields for seen in _others(texts, new)]),
        detected_id=found.id,
        cost=_cost(texts, found.event, share, share_range, is_subject=not (is_mistyped or is_restyled)),
        centre=_centre(new, place_of),
        detected_at=found.at,
        is_mistyped=is_mistyped,
        is_restyled=is_restyled,
        **({} if told is None else {name: getattr(told, name) for name in _CARRIED_ON}),
    )
    return replace(episode, summary=_summary(episode))


def _found(newest: SeenText, told: Episode | None) -> Place:
    """The event at which it was certain enough."""
    if told is not None:
        return Place(told.detected_event, told.detected_id, told.detected_at)
    return Place(newest.event_number, newest.id, newest.at)


def _cost(
    texts: WeightedHistory, detected_event: int, share: float, share_range: tuple[float, float], *, is_subject: bool
) -> Cost:
    before, after = texts.before, texts.later(detected_event)
    confidence, tails = (
        (np.array([getattr(seen, name) for seen in before]), np.array([getattr(seen, name) for seen in after]))
        for name in ("confidence", "surprisal")
    )
    per_hour = events_per_hour([seen.at for seen in after])
    return estimated_cost(confidence, tails, share, share_range, per_hour, texts.weights, is_subject=is_subject)


def _said(texts: Iterable[SeenText]) -> list[str]:
    """What they say, copies once."""
    return [seen.text for seen in texts if seen.text and seen.copies == 1]


def _decided(texts: Iterable[SeenText]) -> list[Decided]:
    """Labels and confidences, copies once."""
    return [(seen.label, seen.confidence) for seen in texts if seen.copies == 1]


def _onset_between(texts: WeightedHistory, share: float) -> tuple[Place, ...]:
    onset, both = len(texts.before), [*texts.before, *texts.after]
    last = min(onset + _LATER, len(both) - 1)
    # What rises slowly began long before it was certain.
    rows = onset_range(np.concatenate(texts.odds), max(share, _LEAST_SHARE), 0, last)
    earliest, latest = min(rows[0], onset), max(rows[1], onset)
    return tuple(Place(both[row].event_number, both[row].id, both[row].at) for row in (earliest, latest))


def _centre(new: Sequence[SeenText], place_of: Callable[[Doubles], str]) -> str:
    vectors = [seen.outside.astype(np.float64) for seen in new if seen.outside is not None]
    return place_of(np.mean(vectors, axis=0)) if vectors else ""


def _labels(new: Sequence[SeenText]) -> tuple[tuple[str, float], ...]:
    counts = Counter(seen.label for seen in new).most_common(_LABELS)
    return tuple((label, round(count / len(new), 3)) for label, count in counts)


def _others(texts: WeightedHistory, new: Sequence[SeenText]) -> list[SeenText]:
    chosen = {seen.event_number for seen in new}
    return [seen for seen in (*texts.before, *texts.after) if seen.event_number not in chosen]


def _onset(episode: Episode) -> str:
    """When it began, and between which times or events that lies."""
    ends = [place.at or f"event {place.event}" for place in episode.onset_between]
    between = f"between {moments(*ends, link='and')}" if len(ends) == 2 and moment(ends[0]) != moment(ends[1]) else ""
    if not episode.onset_at:
        return f"event {episode.onset_event}" + (f" ({between})" if between else "")
    return f"{moment(episode.onset_at)} ({'; '.join(filter(None, (f'event {episode.onset_event}', between)))})"


def _summary(episode: Episode) -> str:
    low, high = episode.share_range
    about = f'"{episode.name}", ' if episode.name else ""
    what = f"about {about}something the model never learnt"
    if episode.is_mistyped:
        what = "typed badly, most of them"
    elif episode.is_restyled:
        marked = f', with "{episode.name}"' if episode.name else ""
        what = f"written another way{marked}, about what the model knows"
    sentences = [
        f"Since about {_onset(episode)}, noticed at event {episode.detected_event}, {low:.0%} to {high:.0%} of the "
        f"texts are {what}."
    ]
    named = [f"{readable(label)} ({share:.0%})" for label, share in episode.labels]
    sentences.append(
        f"The model calls them {' or '.join([', '.join(named[:-1]), named[-1]] if len(named) > 1 else named)}."
    )
    if episode.detectors == (FAST_AUDITS,):
        sentences.append("The fast path decides them; its audits found them.")
    if episode.words:
        sentences.append(f"New words: {', '.join((*episode.words, *episode.phrases[:3]))}.")
    moves = [
        f"{readable(move.name)} from {move.before:.0%} to {move.after:.0%}" for move in (*episode.rose, *episode.fell)
    ]
    if moves:
        sentences.append(f"Labels moved: {', '.join(moves)}.")
    if episode.segments:
        where = [f"{one.field} {one.value} ({one.inside:.0%}, else {one.elsewhere:.0%})" for one in episode.segments]
        sentences.append(f"Mostly in {', '.join(where)}.")
    if episode.cost is not None:
        sentences.insert(1, episode.cost.in_words())
    return " ".join(sentences)
