"""In which precision a device computes: bfloat16 where it has instructions for its products."""

from collections.abc import Mapping
from typing import Any

import torch

from unite_core.config import Precision

CPU_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx10_2", "bf16", "sve_bf16")
"""Names that `torch.cpu.get_capabilities` has for products of bfloat16, of x86 and of ARM."""


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there than float32: emulated, its products take several times as
    long. Older versions of torch do not tell of CPUs, and float32 is never wrong.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False  # nothing else in torch uses such instructions
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in CPU_INSTRUCTIONS)


def number_type(precision: Precision, device: torch.device) -> torch.dtype:
    """What products are of: bfloat16 or float32, for "auto" whichever is faster on the device."""
    rounds = multiplies_bfloat16(device) if precision == "auto" else precision == "bf16"
    return torch.bfloat16 if rounds else torch.float32


def name_of(kind: torch.dtype) -> str:
    """As "float32"."""
    return str(kind).removeprefix("torch.")


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """What computes in that precision inside, and leaves weights float32."""
    rounds = number_type(precision, device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=rounds)
