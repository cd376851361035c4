"""What may stand in words for customers."""

from collections.abc import Sequence

from streams.application.names import meant_instead
from streams.routing.wording import places


def refuse_places_nobody_fills(
    where: str, words: str, filled_in: Sequence[str] = (), *, are_slots: bool = False
) -> None:
    """Raises ValueError on a `{NAME}` that a customer would be shown as it stands.

    where: the field. filled_in: names that are replaced. are_slots: whether those are the tables `[slots.NAME]`.
    """
    for name in places(words):
        if name in filled_in:
            continue
        if are_slots:
            raise ValueError(
                f"{where}: no value ever stands at {{{name}}}: there is no table [slots.{name}]"
                f"{meant_instead(name, filled_in)}"
            )
        raise ValueError(f"{where}: {{{name}}} would be shown as it stands: values are filled into [answers] alone")
