"""Two releases on what they did: the one that is judged against the one that it is judged by.

    shadow    pairs: both decided the same text
    canary    two samples of keys at the same time: each of its texts against the champion's since its last one
    champion  against what the champion before it did, as that stood when this one began: a bound, not an estimate

Each measure is a share of texts, so all of them are one bet: that the first release's is higher. Once evidence was
there it stays noted: so what follows does not depend on when somebody looked.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from streams.release_watch.evidence import Bets, split_evidence, upper_bound

Role = Literal["shadow", "canary", "champion"]
# how probable it may be that a release that is no worse is called worse, by what is measured; with labels 5 % together
ERRORS: Final = {"rejected": 0.02, "failed": 0.01, "slow": 0.01}
FINE_ERROR: Final = 0.05  # the same for one that is worse by the margin, and is called fine
FAILED_MARGIN: Final = 0.01
SPLIT_ERROR: Final = 0.001
BLOCK_MS: Final = 10_000  # times of one batch, or of a busy moment, come together: so many milliseconds are one value
SLOW_ALLOWED: Final = 0.2  # share of a block's texts that may be slow after a swap, or be slow more in a step
MORE_ALLOWED: Final = 1.25  # times the predecessor's share, and a little: below that a swap is not called worse
LITTLE: Final = 0.002
WATCHED_TEXTS: Final = 100_000  # after a swap; then a change is the stream's
_SEEN_BITS: Final = 1 << 15


@dataclass(slots=True)
class Sums:
    """Weighted texts of one side, and in how many of them something happened."""

    texts: float = 0.0
    rejected: float = 0.0
    failed: float = 0.0

    def add(self, rejected: bool, failed: bool, weight: float) -> None:
        """One more text."""
        self.texts += weight
        self.rejected += weight * rejected
        self.failed += weight * failed

    def share(self, measure: str) -> float:
        """Of the texts; 0 where there was none."""
        return float(getattr(self, measure)) / self.texts if self.texts else 0.0


@dataclass(slots=True)
class Block:
    """Texts of some seconds whose time is known, and how many were slow, on both sides."""

    number: int = 0
    texts: int = 0
    slow: int = 0
    control_texts: int = 0
    control_slow: int = 0


@dataclass(slots=True)
class Comparison:
    """Of `version` with `against`. margin: by which its share of rejected texts may be higher and it is fine. allowed:
    `champion` only: the shares above which it is worse; None where too little is known of the one before.

    worse, fine: measures for which the evidence was there once. keys, taken: of a canary's split. trial: the
    candidate's stage that it is about (streams.wire.records.Candidate); a champion has none. Times in milliseconds
    since 1970, of the signals' records.
    """

    role: Role
    version: str
    against: str
    margin: float = 0.03
    slow_ms: float = 50.0
    allowed: dict[str, float] | None = None
    first_ms: int = 0
    last_ms: int = 0
    own: Sums = field(default_factory=Sums)
    control: Sums = field(default_factory=Sums)
    waiting: Sums = field(default_factory=Sums)
    agreed: int = 0
    compared: int = 0
    bets: dict[str, Bets] = field(default_factory=lambda: {name: Bets() for name in ERRORS})
    fine_bets: dict[str, Bets] = field(default_factory=lambda: {name: Bets() for name in ERRORS})
    worse: list[str] = field(default_factory=list)
    fine: list[str] = field(default_factory=list)
    block: Block = field(default_factory=Block)
    slow_blocks: float = 0.0
    blocks: int = 0
    keys: int = 0
    taken: int = 0
    seen: int = 0
    trial: str = ""

    @property
    def minutes(self) -> float:
        """Between its first and its last text."""
        return (self.last_ms - self.first_ms) / 60_000

    def split_is_broken(self, share: float) -> bool:
        """Whether a canary that should decide `share` of the keys decides another share."""
        return split_evidence(self.taken, self.keys, share) >= -math.log(SPLIT_ERROR)

    def take_pair(self, own: tuple[bool, bool], control: tuple[bool, bool], weight: float, at_ms: int) -> None:
        """A text that both decided. own, control: whether it was rejected, whether the release failed."""
        self._saw(at_ms)
        self.own.add(*own, weight)
        self.control.add(*control, weight)
        for number, measure in enumerate(("rejected", "failed")):
            self._bet(measure, float(own[number]) - float(control[number]), -1.0, weight)

    def take_own(self, own: tuple[bool, bool], weight: float, at_ms: int) -> None:
        """A text that a canary decided, or a new champion."""
        if self.role == "champion" and self.own.texts >= WATCHED_TEXTS:
            return
        self._saw(at_ms)
        self.own.add(*own, weight)
        for number, measure in enumerate(("rejected", "failed")):
            if self.role == "champion" and self.allowed is not None:
                allowed = self.allowed[measure]
                self._bet(measure, float(own[number]) - allowed, -allowed, weight)
            elif self.role == "canary" and self.waiting.texts:
                self._bet(measure, float(own[number]) - self.waiting.share(measure), -1.0, weight)
        self.waiting = Sums()

    def take_control(self, control: tuple[bool, bool], weight: float) -> None:
        """A text that the champion decided beside a canary."""
        self.control.add(*control, weight)
        self.waiting.add(*control, weight)

    def take_time(self, ms: float | None, control_ms: float | None, at_ms: int) -> None:
        """What a text took of either release; None: nothing is known of it."""
        number = at_ms // BLOCK_MS
        if number != self.block.number:
            self._close_block()
            self.block = Block(number)
        block = self.block
        if ms is not None:
            block.texts, block.slow = block.texts + 1, block.slow + (ms > self.slow_ms)
        if control_ms is not None:
            block.control_texts += 1
            block.control_slow += control_ms > self.slow_ms

    def take_key(self, position: float, is_own: bool) -> None:
        """Which of the two decided a key. Each counts once: what one decides comes again. position: see
        MonitorSignal."""
        bit = 1 << (int(position * 1e9) % _SEEN_BITS)  # of its last digits, which say nothing of who decides it
        if self.seen & bit:
            return
        self.seen |= bit
        self.keys, self.taken = self.keys + 1, self.taken + is_own

    def figures(self) -> dict[str, Any]:
        """What a decision about it stands on, for people."""
        known: dict[str, Any] = {"texts": round(self.own.texts), "minutes": round(self.minutes, 1)}
        for measure in ("rejected", "failed"):
            of_before = None if self.allowed is None else self.allowed[f"{measure}_before"]
            control = self.control.share(measure) if self.role != "champion" else of_before
            known[measure] = [round(self.own.share(measure), 4), None if control is None else round(control, 4)]
        known["slow"] = [round(self.slow_blocks / self.blocks, 4) if self.blocks else 0.0, round(self.slow_ms, 1)]
        if self.compared:
            known["agree"] = round(self.agreed / self.compared, 4)
        if self.keys:
            known["keys"] = [self.taken, self.keys]
        return known

    def state(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"seen": f"{self.seen:x}"}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """What `state` gave. Raises ValueError, KeyError, TypeError or AttributeError where it does not fit."""
        values = dict(state)
        for name in ("own", "control", "waiting"):
            values[name] = Sums(**values[name])
        for name in ("bets", "fine_bets"):
            values[name] = {measure: Bets(list(bets["logs"])) for measure, bets in values[name].items()}
        return cls(**values | {"block": Block(**values["block"]), "seen": int(values["seen"], 16)})

    def _saw(self, at_ms: int) -> None:
        self.first_ms, self.last_ms = self.first_ms or at_ms, max(self.last_ms, at_ms)

    def _bet(self, measure: str, value: float, lowest: float, weight: float = 1.0) -> None:
        bets = self.bets[measure]
        bets.take(value, lowest, weight)
        error = ERRORS[measure] / (2 if self.role == "champion" else 1)  # the other half is the bound's
        if measure not in self.worse and bets.reaches(error):
            self.worse.append(measure)
        if self.role == "champion":
            return
        margin = {"rejected": self.margin, "failed": FAILED_MARGIN, "slow": SLOW_ALLOWED}[measure]
        self.fine_bets[measure].take(margin - value, margin - 1.0, weight)
        if measure not in self.fine and self.fine_bets[measure].reaches(FINE_ERROR):
            self.fine.append(measure)

    def _close_block(self) -> None:
        block = self.block
        if not block.texts or not (block.control_texts or self.role == "champion"):
            return
        slow = block.slow / block.texts
        self.slow_blocks, self.blocks = self.slow_blocks + slow, self.blocks + 1
        if self.role == "champion":
            self._bet("slow", slow - SLOW_ALLOWED, -SLOW_ALLOWED)
        else:
            self._bet("slow", slow - block.control_slow / block.control_texts, -1.0)


def allowed_after(before: Sums) -> dict[str, float]:
    """The shares above which a new champion is worse than the one before, of which this is known."""
    allowed = {}
    for measure in ("rejected", "failed"):
        bound = upper_bound(float(getattr(before, measure)), before.texts, ERRORS[measure] / 2)
        allowed[measure] = min(MORE_ALLOWED * bound + LITTLE, 0.95)
        allowed[f"{measure}_before"] = before.share(measure)
    return allowed
