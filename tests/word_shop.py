"""A shop made for tests: what an encoder sees first in an item is its kind, what its users go by is its maker."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import UserEvent

KINDS, MAKERS = 12, 10


@dataclass(frozen=True)
class WordShop:
    """vectors: float32 (items, dimensions), mostly of the kind. events: in the order of time."""

    item_ids: list[str]
    vectors: NDArray[np.float32]
    events: list[UserEvent]


def word_shop(*, by_maker: bool, users: int = 300, items: int = 360, touches: int = 24, seed: int = 0) -> WordShop:
    """by_maker: users touch items of two makers of theirs, else any."""
    draw = np.random.default_rng(seed)
    kinds, makers = draw.integers(KINDS, size=items), draw.integers(MAKERS, size=items)
    loud, quiet = draw.standard_normal((KINDS, 48)), draw.standard_normal((MAKERS, 48))
    vectors = (loud[kinds] + 0.35 * quiet[makers] + 0.3 * draw.standard_normal((items, 48))).astype(np.float32)
    own = draw.integers(MAKERS, size=(users, 2))
    events = []
    for _ in range(touches):
        for user in draw.permutation(users):
            pool = np.flatnonzero(np.isin(makers, own[user])) if by_maker else np.arange(items)
            events.append(UserEvent(f"u{user}", f"i{draw.choice(pool)}", "click"))
    return WordShop([f"i{place}" for place in range(items)], vectors, events)


# What the encoder sees first is the thing, and then where it belongs; one word of five is what these users go by.
_KINDS = ("chair", "lamp", "kettle", "blanket", "clock", "mirror", "basket", "teapot", "rug", "shelf", "candle", "vase")
_PLACES = ("hallway", "kitchen", "bedroom", "garden", "bathroom", "office", "nursery", "attic")
_MOODS = ("calm", "bright", "stern", "merry", "quiet", "bold", "shy", "proud")


def write_word_shop(folder: Path, *, by_mood: bool, users: int = 200, touches: int = 10, seed: int = 0) -> Path:
    """The same in words, as files; returns the application's, `shop.toml`. events.csv lies beside it."""
    draw = np.random.default_rng(seed)
    items, moods = ["item_id,title,description"], []
    chosen = draw.permutation(list(product(_KINDS, _PLACES, _MOODS)))[:240]
    for place, (kind, room, mood) in enumerate(chosen):
        items.append(f"i{place},{kind.capitalize()} for the {room},A {kind} that suits every {room} in a {mood} house")
        moods.append(_MOODS.index(mood))
    own, events = draw.integers(len(_MOODS), size=users), ["user_id,item_id,action"]
    for _ in range(touches):
        for user in draw.permutation(users):
            pool = np.flatnonzero(np.array(moods) == own[user]) if by_mood else np.arange(len(moods))
            events.append(f"u{user},i{draw.choice(pool)},click")
    (folder / "items.csv").write_text("\n".join(items), encoding="utf-8")
    (folder / "events.csv").write_text("\n".join(events), encoding="utf-8")
    shop = folder / "shop.toml"
    shop.write_text(
        'name = "shop"\nkind = "recommend"\ntopic = "clicks"\ncatalog = "items.csv"\n'
        '[source]\nkey = "/user_id"\nuser = "/user_id"\nitem = "/item_id"\naction = "/action"\n',
        encoding="utf-8",
    )
    return shop
