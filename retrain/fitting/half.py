"""Where a training computes matrix products in half of the bits."""

from typing import Any, Final

_NATIVE: Final = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # others would emulate it, at a loss of time


def has_half(torch: Any, device: str) -> bool:
    """Whether this GPU, or this processor, has instructions for bfloat16."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return any(getattr(torch.cpu, name, lambda: False)() for name in _NATIVE)
