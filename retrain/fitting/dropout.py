"""Dropout whose chances are drawn quickly on a processor."""

from functools import cache
from typing import Any, Final

import numpy as np

_CHANCES: Final = 1 << 16  # that are told apart


def quick_dropout(torch: Any) -> Any:
    """A context in which `torch.nn.functional.dropout`, and with it every module's, is drawn four to a 64-bit number of
    SFC64. It begins at torch's own state, so that a seed still says all; a share is met within 1 / 65,536.

    torch draws each number by itself, by the Mersenne Twister and in one thread: up to a quarter of a step with a small
    encoder. Where a tensor is not on a processor, torch draws as ever.
    """
    return _mode(torch)(np.random.Generator(np.random.SFC64(int(torch.randint(2**62, (1,))))))


@cache
def _mode(torch: Any) -> Any:
    from torch.overrides import TorchFunctionMode

    class QuickDropout(TorchFunctionMode):  # type: ignore[misc]  # mypy does not read torch
        def __init__(self, chance: np.random.Generator) -> None:
            super().__init__()
            self._chance = chance

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.nn.functional.dropout:
                return self._dropped(*args, **(kwargs or {}))
            return func(*args, **(kwargs or {}))

        def _dropped(self, of: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
            if not training or not 0.0 < p < 1.0 or of.device.type != "cpu":
                return torch.nn.functional.dropout(of, p, training, inplace)
            drawn = self._chance.integers(2**64, size=-(-of.numel() // 4), dtype=np.uint64).view(np.int16)
            is_kept = torch.from_numpy(drawn[: of.numel()]).view(of.shape) < round((0.5 - p) * _CHANCES)
            noise = is_kept.to(of.dtype).mul_(1.0 / (1.0 - p))
            return of.mul_(noise) if inplace else of * noise

    return QuickDropout
