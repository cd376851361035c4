"""Why each item of a list stands there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.catalogue import Catalogue
from models.recommendation.listing.features import Known
from models.recommendation.popularity import Popularity
from models.recommendation.ranking import ListedItem, Why
from models.recommendation.users import History

_NOTABLE: Final = 0.2  # so much more popular, as a logarithm, is a reason


def explained(
    places: NDArray[np.int64], scores: NDArray[np.float32], history: History, catalogue: Catalogue, known: Known
) -> list[ListedItem]:
    """Why each item stands there, and by which of the user's: the one that speaks for it most. scores: of each."""
    own, ids, columns = history.items, catalogue.ids, catalogue.columns
    segments = _popular_in(places, history.segments, known.popularity)
    if not len(own):
        return [
            ListedItem(ids[place], rounded(score), "popular", segment=segment)
            for place, score, segment in zip(places.tolist(), scores, segments, strict=True)
        ]
    weights = known.together.go_with(places, own)
    likeness = columns[:, places].T @ columns[:, own]
    most, likest = own[weights.argmax(axis=1)].tolist(), own[likeness.argmax(axis=1)].tolist()
    listed, recent = [], set(own.tolist())
    for number, place in enumerate(places.tolist()):
        why: Why = "popular"
        because: int | None = None
        if place in recent:
            why, because = "again", place
        elif weights[number].max() > 0:
            because = most[number]
            why = "together" if known.together.touched_together(place, because) else "like"
        elif (before := known.following.came_after(place, own)) is not None:
            why, because = "together", before
        elif likeness[number].max() > 0:
            why, because = "like", likest[number]
        name = None if because is None else ids[because]
        segment = segments[number] if why == "popular" else None
        listed.append(ListedItem(ids[place], rounded(scores[number]), why, name, segment=segment))
    return listed


def rounded(score: np.floating) -> float:
    """As scores are told."""
    return round(float(score), 4)


def _popular_in(places: NDArray[np.int64], segments: NDArray[np.int32], popularity: Popularity) -> list[str | None]:
    """For each item the user's segment in which it is most popular beyond what it is overall; None: in none."""
    lift = popularity.lift(segments, places)
    if not len(lift):
        return [None] * len(places)
    best, most = lift.argmax(axis=0).tolist(), lift.max(axis=0).tolist()
    return [
        popularity.name(int(segments[place])) if much > _NOTABLE else None
        for place, much in zip(best, most, strict=True)
    ]
