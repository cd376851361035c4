"""Who is asked for labels, and what the application's file says about retraining."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """random_share: of all decisions that are drawn at random for labelling; None: the shipped draw. queue: whether
    the queue's other choices are labelled as well. after: labels that lead to a retraining, with drift and without;
    None: the shipped values. labels: whether anybody labels at all."""

    name: str
    random_share: float | None = 0.0
    queue: bool = False
    after: tuple[int, int] | None = None
    labels: bool = True

    @property
    def tables(self) -> str:
        """Of the application's TOML file."""
        lines = []
        if self.random_share is not None:
            lines.append(f"[labelling]\nrandom_share = {self.random_share:g}\nrandom_per_day = 0")
        if self.after is not None:
            with_drift, without = self.after
            lines.append(f"[retraining]\nafter_episode = {with_drift}\nwithout_episode = {without}\nper_label = 1")
        return "\n".join(lines)


def policies(budget: int, events: int, onset: int) -> dict[str, LoopPolicy]:
    """By name, all at the same label budget. budget: labels after the onset. events, onset: of the stream.

    `every_20` and `random` label decisions drawn at random only; `loop` labels what the queue asks for, as an
    application that sets nothing has it.
    """
    everything = min(1.0, 1.3 * budget / max(1, events - onset))  # somewhat more than are needed: the draw is by chance
    standing = [
        LoopPolicy("none", labels=False),
        LoopPolicy("every_20", everything, after=(20, 20)),
        LoopPolicy("random", everything),
        LoopPolicy("loop", None, queue=True),
    ]
    return {policy.name: policy for policy in standing}
