"""What share of a stream is audited, or shown to the monitor."""

import pytest

from streams.classify.sampling import AUDIT_SHARE, AUDITS_PER_SECOND, RATE_SECONDS, Sample


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def last_share(sample: Sample, clock: Clock, per_second: float) -> float:
    """After a while at this rate, in batches of a tenth of a second."""
    share = 0.0
    for _ in range(int(10 * 6 * RATE_SECONDS)):
        clock.now += 0.1
        share = sample.of(round(per_second / 10))
    return share


@pytest.mark.parametrize("per_second", [10, 100, 390])
def test_a_slow_stream_is_audited_by_its_fixed_share(per_second: int) -> None:
    clock = Clock()
    assert last_share(Sample(AUDITS_PER_SECOND, AUDIT_SHARE, clock), clock, per_second) == AUDIT_SHARE


@pytest.mark.parametrize("per_second", [2_000, 6_000, 50_000])
def test_a_fast_stream_is_audited_so_often_a_second_and_no_more(per_second: int) -> None:
    clock = Clock()
    share = last_share(Sample(AUDITS_PER_SECOND, AUDIT_SHARE, clock), clock, per_second)
    assert share * per_second == pytest.approx(AUDITS_PER_SECOND, rel=0.02)


def test_the_share_follows_a_stream_that_slows_down() -> None:
    clock = Clock()
    sample = Sample(AUDITS_PER_SECOND, AUDIT_SHARE, clock)
    last_share(sample, clock, 20_000)
    assert last_share(sample, clock, 100) == AUDIT_SHARE
