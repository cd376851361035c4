"""A log without users and items of few interactions: its k-core, as published figures have it ("5-core")."""

from dataclasses import replace

import numpy as np

from bench.recommendation.files.log import Log
from models.errors import ConfigError


def core_of(log: Log, least: int) -> Log:
    """The largest part in which every user touched so many items, and so many users touched every item. Raises
    ConfigError where that is nothing."""
    kept = np.ones(len(log.users), bool)
    _, pair_of = np.unique(log.users * log.shape[1] + log.items, return_inverse=True)
    while True:
        _, first = np.unique(np.where(kept, pair_of, -1), return_index=True)
        once = first[kept[first]]
        of_user = np.bincount(log.users[once], minlength=log.shape[0])
        of_item = np.bincount(log.items[once], minlength=log.shape[1])
        stays = kept & (of_user[log.users] >= least) & (of_item[log.items] >= least)
        if stays.sum() == kept.sum():
            break
        kept = stays
    if not kept.any():
        raise ConfigError(f"no users and items with {least} interactions each are left: give a smaller --core")
    users, user_of = np.unique(log.users[kept], return_inverse=True)
    items, item_of = np.unique(log.items[kept], return_inverse=True)
    return replace(
        log,
        users=user_of,
        items=item_of,
        days=None if log.days is None else log.days[kept],
        actions=tuple(action for action, stays in zip(log.actions, kept.tolist(), strict=True) if stays),
        user_ids=tuple(log.user_ids[place] for place in users.tolist()),
        item_ids=tuple(log.item_ids[place] for place in items.tolist()),
        texts=tuple(log.texts[place] for place in items.tolist()),
    )
