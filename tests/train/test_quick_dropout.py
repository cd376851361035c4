"""Dropout as torch's, drawn more quickly: the same shares and gradients, and a seed that still says all."""

import pytest

from retrain.fitting.dropout import quick_dropout

pytestmark = pytest.mark.train


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_numbers_is_dropped_and_the_others_make_up_for_it(share: float) -> None:
    import torch

    torch.manual_seed(0)
    ones = torch.ones(401, 499, requires_grad=True)
    with quick_dropout(torch):
        found = torch.nn.functional.dropout(ones, share)
    kept = found != 0
    assert float(kept.float().mean()) == pytest.approx(1 - share, abs=0.005)
    assert found[kept].unique().tolist() == pytest.approx([1 / (1 - share)])
    assert kept.float().mean(0).std() < 1.2 * (share * (1 - share) / 401) ** 0.5  # no column is favoured
    (gradient,) = torch.autograd.grad(found.sum(), ones)
    assert torch.equal(gradient, found)


def test_a_seed_says_all_and_one_pass_is_not_the_next() -> None:
    import torch

    def passes(seed: int) -> list[list[bool]]:
        torch.manual_seed(seed)
        found = []
        for _ in range(2):
            with quick_dropout(torch):
                found += [torch.nn.Dropout(0.5)(torch.ones(64)).bool().tolist() for _ in range(2)]
        return found

    first = passes(1)
    assert first == passes(1) != passes(2)
    assert len({tuple(each) for each in first}) == 4


@pytest.mark.parametrize(("share", "training"), [(0.0, True), (0.3, False), (1.0, True)])
def test_what_drops_nothing_or_all_is_torchs_own(share: float, training: bool) -> None:
    import torch

    numbers = torch.arange(5.0)
    with quick_dropout(torch):
        found = torch.nn.functional.dropout(numbers, share, training)
    assert torch.equal(found, torch.nn.functional.dropout(numbers, share, training))


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_numbers_keep_their_format_and_can_be_dropped_in_place(kind: str) -> None:
    import torch

    numbers = torch.ones(7, dtype=getattr(torch, kind))
    with quick_dropout(torch):
        assert torch.nn.functional.dropout(numbers, 0.5).dtype == numbers.dtype
        assert torch.nn.functional.dropout(numbers, 0.5, inplace=True) is numbers
    assert set(numbers.tolist()) <= {0.0, 2.0}
