"""Which precision is faster, by what a device says of itself."""

from typing import Any

import pytest
import torch
from torch import nn
from unite_core import precision
from unite_core.muon import orthogonalised
from unite_core.precision import autocast, multiplies_bfloat16, number_type

CPU = torch.device("cpu")


@pytest.fixture
def cpu_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the CPU one with the given instructions, as torch tells of them."""

    def make(*instructions: str, mkldnn: bool = True) -> None:
        told = {"avx2": True, "avx512_f": True, "amx_tile": False, "avx512_bf16": False}
        told |= dict.fromkeys(instructions, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: mkldnn)

    return make


@pytest.mark.parametrize("instruction", ["amx_bf16", "avx512_bf16", "bf16"])
def test_a_cpu_with_instructions_for_bfloat16_takes_it(cpu_with: Any, instruction: str) -> None:
    cpu_with(instruction)
    assert number_type("auto", CPU) == torch.bfloat16


def test_a_cpu_that_would_emulate_bfloat16_takes_float32(cpu_with: Any) -> None:
    cpu_with()
    assert number_type("auto", CPU) == torch.float32


def test_instructions_that_torch_does_not_use_count_for_nothing(cpu_with: Any) -> None:
    cpu_with("bf16", mkldnn=False)
    assert not multiplies_bfloat16(CPU)


def test_a_torch_that_does_not_tell_gives_float32(
    cpu_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with("avx512_bf16")
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bfloat16(CPU)


@pytest.mark.parametrize("emulated", [True, False])
def test_an_emulating_gpu_takes_float32(monkeypatch: pytest.MonkeyPatch, emulated: bool) -> None:
    def supported(including_emulation: bool) -> bool:
        return including_emulation or not emulated

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    faster = torch.float32 if emulated else torch.bfloat16
    assert number_type("auto", torch.device("cuda")) == faster


@pytest.mark.parametrize("has", [True, False])
def test_what_is_asked_for_is_what_is_computed(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: has)
    layer, x = nn.Linear(4, 4), torch.ones(2, 4)
    types = {}
    for asked in ("auto", "bf16", "no"):
        with autocast(asked, CPU):
            types[asked] = layer(x).dtype
    auto = torch.bfloat16 if has else torch.float32
    assert types == {"auto": auto, "bf16": torch.bfloat16, "no": torch.float32}


@pytest.mark.parametrize("has", [True, False])
def test_muon_multiplies_in_what_is_faster(cpu_with: Any, has: bool) -> None:
    cpu_with(*(["avx512_bf16"] if has else []))
    found = orthogonalised(torch.randn(2, 4, 6), (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert found.dtype == (torch.bfloat16 if has else torch.float32)
