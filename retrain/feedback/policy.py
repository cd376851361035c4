"""How much of people's labels is believed."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FeedbackPolicy:
    """label_share, total_share: in (0, 1), the most that one person's labels may be of a label's training texts, and of
    all. unlikely: a label is, whose probability is below this share of what is usual for it."""

    label_share: float = 0.5
    total_share: float = 1 / 3
    unlikely: float = 0.1


CONTESTED: Final = "contested"
COPY: Final = "copy"
OVER_THE_CAP: Final = "over the cap"
RELABELLING: Final = "relabelling"
UNLIKELY: Final = "unlikely"
REASONS: Final = {
    CONTESTED: "people disagree",
    COPY: "one of too many near copies labelled by one person",
    OVER_THE_CAP: "more than one person's share of a label",
    RELABELLING: "a label of the corpus renamed by one person",
    UNLIKELY: "unlike the other texts with this label",
}
SECOND_OPINIONS: Final = (
    CONTESTED,
    RELABELLING,
    UNLIKELY,
    OVER_THE_CAP,
)  # whom a second word brings back, in this order
CONFIRMABLE: Final = frozenset({RELABELLING, UNLIKELY})  # and that of their own giver, where hardly anybody else labels
