"""A broad new subject of more parts than an episode has places: each is expected once it was taken for a part."""

import numpy as np

from streams.monitor.drift.episode import Episode
from streams.monitor.episodes.members import SeenText
from streams.monitor.episodes.open_episodes import OpenEpisodes

DIMENSIONS, ONSET, PARTS, RARE = 32, 600, 9, 3
DIRECTIONS = {str(place): direction for place, direction in enumerate(np.eye(DIMENSIONS))}


def text(number: int, place: int | None) -> SeenText:
    """At a place, or a known one."""
    outside = np.zeros(DIMENSIONS) if place is None else DIRECTIONS[str(place)]
    surprisal = 0.5 if place is None else 5.0
    return SeenText(f"s@1-0-{number}", number, None, "a", surprisal, 1, outside.astype(np.float16))


def found(place: int, onset: int, detected: int) -> Episode:
    return Episode(
        onset, detected, ("both",), (), (), (), 0.0, 0.2, "", centre=str(place), detected_id=f"s@1-0-{place}"
    )


def broad() -> list[SeenText]:
    """Half of the texts since the onset are of the broad subject, each of its parts alike but one that ceases."""
    random, texts = np.random.default_rng(0), list[SeenText]()
    for number in range(2_400):
        place = int(random.integers(PARTS)) if number >= ONSET and random.random() < 0.5 else None
        texts.append(text(number, None if place == RARE and number > 800 else place))
    return texts


def opened(texts: list[SeenText]) -> OpenEpisodes:
    """All of its parts were tried."""
    open_ = OpenEpisodes(1.0 / DIMENSIONS, DIRECTIONS.get)
    open_.open(found(0, ONSET, ONSET + 40))
    (episode,) = open_
    open_.settle(episode, texts[:800])
    for part in range(1, PARTS):
        now = 900 + 100 * part
        candidate = found(part, now - 200, now)
        open_.try_out(candidate)
        assert open_.tried(now + 400, lambda: texts) is None and open_.may_open
    return open_


def test_of_more_parts_than_places_the_newest_is_expected_and_the_one_with_the_fewest_texts_goes() -> None:
    """The ninth was found again and again, each time for 400 events in which nothing else could open."""
    open_ = opened(broad())
    (episode,) = open_
    left = [str(place) for place in range(PARTS) if place != RARE]
    assert episode.places == left and list(episode.episode.part_centres) == left[1:] and episode.episode.parts == 7
    assert open_.is_known(found(PARTS - 1, 2_000, 2_100))
    assert open_.owner(DIRECTIONS[str(PARTS - 1)], 5.0) is episode and open_.owner(DIRECTIONS["20"], 5.0) is None


def test_beside_many_parts_another_subject_still_opens() -> None:
    texts = broad()
    open_ = opened(texts)
    texts += [text(number, 20 if number % 4 == 0 else number % PARTS) for number in range(2_400, 2_900)]
    candidate = found(20, 2_400, 2_440)
    assert not open_.is_known(candidate) and open_.may_open
    open_.try_out(candidate)
    told = open_.tried(2_840, lambda: texts)
    assert told is not None and told.centre == "20"
