"""The fastest bf16 matrix product of this machine, which speeds are shares of."""

import time

import torch

SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (16384, 1024, 1024)]


def accelerator() -> torch.device:
    """The GPU where there is one, else the CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if found is None else found


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def matmul_rate(m: int, n: int, k: int, device: torch.device, seconds: float = 2.0) -> float:
    """Operations per second of an m x k by k x n product in bf16."""
    a, b = (torch.randn(shape, device=device).bfloat16() for shape in ((m, k), (k, n)))
    out = a @ b
    finish(device)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.matmul(a, b, out=out)
        finish(device)
        count += 1
    return 2.0 * m * n * k * count / (time.perf_counter() - start)


def matmul_peak(device: torch.device) -> float:
    """The best over `SHAPES`."""
    return max(matmul_rate(*shape, device) for shape in SHAPES)
