"""Stops a worker whose records become dead letters one after the other: a bad deploy must not drain a topic into
them."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.errors import HeadraceError
from streams.engine.delivery import Outcome

WINDOW_EVENTS = 1_000
MIN_EVENTS = 100


class TooManyDeadLetters(HeadraceError):
    """More of the last records were rejected than the application allows."""


@dataclass(slots=True)
class DeadLetterLimit:
    """share: of the last `window` events that may be rejected, 0 to 1; 1 switches the limit off. min_events: below so
    many nothing is said, as a share of few events says little. The window is kept in batches: the oldest leaves as a
    whole once the others fill the window alone, so it holds at least `window` events and at most one batch more.
    """

    share: float
    window: int = WINDOW_EVENTS
    min_events: int = MIN_EVENTS
    _batches: deque[tuple[int, int]] = field(default_factory=deque)
    _rejected: int = 0
    _total: int = 0

    def observe_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """`observe` with what a batch led to; records that were passed over count on neither side."""
        outcomes = [outcome for outcome in outcomes if outcome.passed_over is None]
        reasons = Counter(outcome.rejected_because for outcome in outcomes if outcome.rejected_because is not None)
        self.observe(reasons.total(), len(outcomes), next(iter(reasons.most_common(1)), ("", 0))[0])

    def observe(self, rejected: int, total: int, reason: str = "") -> None:
        """Take a batch in, before anything of it is acknowledged. rejected: how many of `total` events became dead
        letters; reason: the commonest. Raises TooManyDeadLetters."""
        if not total:
            return
        self._batches.append((rejected, total))
        self._rejected += rejected
        self._total += total
        while self._total - self._batches[0][1] >= self.window:
            old_rejected, old_total = self._batches.popleft()
            self._rejected -= old_rejected
            self._total -= old_total
        if self.share < 1.0 and self._total >= self.min_events and self._rejected > self.share * self._total:
            mostly = f", in this batch mostly {reason}" if reason else ""
            raise TooManyDeadLetters(
                f"{self._rejected} of the last {self._total} records could not be decided{mostly}: more than "
                f"max_dead_letter_share = {self.share:g} of the application; nothing of this batch was "
                f"acknowledged. See "
                f"`headrace deadletters list`; repair the source or the release, or raise the share, then start again"
            )
