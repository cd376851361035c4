"""The table: which streams there are, and all that were asked for in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bench.commit import commit_of_bench
from bench.drift.bed import Bed, Figures, Plan, Progress
from bench.drift.encoding import RememberingEncoder
from bench.drift.rows import appearing, dependent, driftlens, equal, moving, second, severity, stationary, surges
from headrace.releases.encoders import default_encoder
from headrace.wiring import Wiring
from models.errors import ConfigError

ROWS: Final[Mapping[str, Callable[[Bed], Figures]]] = {
    "a20": appearing.domain_at_20,
    "a5": appearing.domain_at_5,
    "b": appearing.banking_at_20,
    "c": moving.topic_grows,
    "d": moving.noise_rises,
    "f": dependent.news_day,
    "g": stationary.shuffled,
    "references": stationary.references,
    "h": dependent.day_and_night,
    "i": dependent.talks,
    "j": dependent.outages,
    "k": dependent.copies,
    "second": second.second_subject,
    "severity": severity.notes_and_alerts,
    "surges": surges.stories_rise,
    "equal-a20": equal.a20,
    "equal-a5": equal.a5,
    "equal-b": equal.b,
    "equal-c": equal.c,
    "equal-d": equal.d,
    "equal-e": equal.e,
    "driftlens": driftlens.windows,
}


def run(wiring: Wiring, plan: Plan, streams: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Figures of the streams that were asked for, by name. Raises ConfigError."""
    unknown = sorted(set(streams) - set(ROWS))
    if unknown:
        raise ConfigError(f"there is no stream {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    bed = Bed(plan, RememberingEncoder(default_encoder(wiring), plan.cache / "embeddings"), progress)
    report: dict[str, Any] = {
        "commit": commit_of_bench(),
        "false_alarm_every": plan.false_alarm_every,
        "fast_path": plan.fast_path,
        "seeds": plan.seeds,
        "streams": {},
    }
    for name in streams:
        started = time.monotonic()
        report["streams"][name] = ROWS[name](bed) | {"seconds": round(time.monotonic() - started, 1)}
    return report
