"""What share of a stream is audited, or shown to the monitor."""

import itertools

import pytest

from streams.classify.sampling import AUDIT_SHARE, AUDITS_PER_SECOND, RATE_SECONDS, Purpose, Sample, sample_position


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


IDS = [f"support.chats@0a1b2c3d-{n % 4}-{n}" for n in range(40_000)]
PURPOSES: tuple[Purpose, ...] = ("audit", "signals", "canary")


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(PURPOSES, 2)))
@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_what_is_chosen_for_one_purpose_says_nothing_about_another(one: Purpose, other: Purpose, share: float) -> None:
    """M-24: audit, signals and canary were one CRC of the same id: of the audited events none was in a canary of 10 %,
    and what was shown to the monitor held all of them."""
    chosen = [identity for identity in IDS if sample_position(one, identity) < share]
    assert len(chosen) / len(IDS) == pytest.approx(share, abs=0.01)
    both = sum(sample_position(other, identity) < 0.1 for identity in chosen)
    assert both / len(chosen) == pytest.approx(0.1, abs=5 * (0.09 / len(chosen)) ** 0.5)


def test_a_key_of_any_characters_has_a_place() -> None:
    assert all(0.0 <= sample_position("canary", key) < 1.0 for key in ("", "\ud83d", "客户", "\x00", "k" * 10_000))
