"""What of a record is masked before anything is made of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from streams.application import Application

Mask = Callable[[str], str]


def record_mask(app: Application) -> Mask | None:
    """What an application's `[privacy]` makes of a text; None where it is kept as it is."""
    if not app.privacy.mask:
        return None
    from models.personal_data import mask_personal_data

    return partial(mask_personal_data, regions=app.privacy.regions)


def masked_value(value: Any, mask: Mask) -> Any:
    """A JSON value with all its texts masked, those that name a field as well."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(name): masked_value(inner, mask) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked_value(inner, mask) for inner in value]
    return value
