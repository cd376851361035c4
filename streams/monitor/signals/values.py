"""What is watched of an event: its value for each signal, or None where it has none. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streams.monitor.signals.ports import Value
from streams.monitor.signals.ranks import Side, doubt_bin, log_bin
from streams.wire.signals import MonitorSignal


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event as it was decided. number: counts the release's events. copies: the how-many-eth text of what counts as
    one; 0 of one that people expect. repeats: the how-many-eth of its cluster or key alone; an outage's texts are no
    copies. surprisal: how far its embedding lies out, minus the logarithm of a tail
    probability; None where the encoder did not run. head: the application's first."""

    signal: MonitorSignal
    number: int
    copies: int
    surprisal: float | None
    head: str
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class SignalValue:
    """How a signal is taken from an event. sides: which of its changes alarm by default, with `bin_of` (see Ranks).
    copies: whether copies count: a story that many tell is one text to all other signals."""

    of: Callable[[EventFacts], Value | None]
    sides: tuple[Side, ...]
    bin_of: Callable[[float], int] = log_bin
    copies: bool = False


LABEL_SIDES: Final[dict[str, tuple[Side, ...]]] = {"errors": ("up",), "agreement": ("down",)}
_MOST_CHARACTERS: Final = 1e6  # who writes signals may name any number, and detectors take sums of squares


def _length(facts: EventFacts) -> float | None:
    return _within(facts.signal.characters, _MOST_CHARACTERS)


def _within(value: float | None, most: float = 1.0) -> float | None:
    return None if value is None else min(max(float(value), 0.0), most)


def _out_of_scope(facts: EventFacts) -> float | None:
    return None if facts.signal.rejected is None else float(facts.signal.rejected)


SIGNALS: Final[dict[str, SignalValue]] = {
    "length": SignalValue(_length, ("up", "down"), lambda characters: log_bin(characters / 16.0)),
    "language": SignalValue(lambda facts: facts.signal.language, ("rare",)),
    "unknown_share": SignalValue(lambda facts: _within(facts.signal.unknown_share), ("up",)),
    "duplicates": SignalValue(lambda facts: float(facts.repeats > 1), ("up",), copies=True),
    "embeddings": SignalValue(lambda facts: facts.surprisal, ("up",)),
    "labels": SignalValue(lambda facts: facts.signal.labels[facts.head][0], ("rare",)),
    "confidence": SignalValue(lambda facts: _within(facts.signal.labels[facts.head][1]), ("down",), doubt_bin),
    "out_of_scope": SignalValue(_out_of_scope, ("up",)),
}
