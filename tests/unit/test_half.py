"""Half of the bits only where there are instructions for it."""

from types import SimpleNamespace

import pytest

from retrain.fitting.half import has_half


def torch_on(*, processor: dict[str, bool], gpu: bool = False) -> SimpleNamespace:
    """What `has_half` asks of torch on such a machine."""
    told = {name: (lambda has=has: has) for name, has in processor.items()}
    return SimpleNamespace(cpu=SimpleNamespace(**told), cuda=SimpleNamespace(is_bf16_supported=lambda: gpu))


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": False}, True),
        ({"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": True}, True),
        ({"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": False}, False),
        ({}, False),  # a torch that does not say
    ],
)
def test_a_processor_without_bfloat16_instructions_computes_in_float32(
    processor: dict[str, bool], expected: bool
) -> None:
    assert has_half(torch_on(processor=processor), "cpu") is expected


def test_a_gpu_is_asked_for_itself() -> None:
    machine = {"_is_avx512_bf16_supported": True}
    assert has_half(torch_on(processor=machine, gpu=True), "cuda")
    assert not has_half(torch_on(processor=machine), "cuda")
