"""The fastest matrix product of this machine, in bfloat16 or float32: speeds are shares of it."""

import time
from collections.abc import Callable, Sequence

import torch

SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (16384, 1024, 1024)]
LARGER = [(8192, 8192, 8192)]
"""For GPUs, which smaller ones do not fill."""
SECONDS = 2.0
"""Of a measurement."""


def accelerator() -> torch.device:
    """The GPU where there is one, else the CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if found is None else found


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def matmul_rate(m: int, n: int, k: int, kind: torch.dtype, device: torch.device) -> float:
    """Operations per second of an m x k by k x n product."""
    a, b = (torch.randn(shape, device=device, dtype=kind) for shape in ((m, k), (k, n)))
    out = a @ b
    finish(device)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        torch.matmul(a, b, out=out)
        finish(device)
        count += 1
    return 2.0 * m * n * k * count / (time.perf_counter() - start)


def shapes(device: torch.device) -> list[tuple[int, int, int]]:
    """The products that are tried."""
    return SHAPES if device.type == "cpu" else SHAPES + LARGER


def best_shape(kind: torch.dtype, device: torch.device) -> tuple[int, int, int]:
    """Of `shapes`, that of the fastest product."""
    return max(shapes(device), key=lambda shape: matmul_rate(*shape, kind, device))


def paced(
    works: Sequence[Callable[[], object]], kind: torch.dtype, device: torch.device, repeats: int
) -> list[tuple[list[float], list[float]]]:
    """Seconds of each run of each piece of work, and the peak around it: mean of the two beside.

    The pieces take turns, since the peak of a shared machine changes within seconds, as does what
    work can make of it.
    """
    shape = best_shape(kind, device)
    for work in works:
        work()
    paces: list[tuple[list[float], list[float]]] = [([], []) for _ in works]
    before = matmul_rate(*shape, kind, device)
    for _ in range(repeats):
        for work, (seconds, peaks) in zip(works, paces, strict=True):
            finish(device)
            start = time.perf_counter()
            work()
            finish(device)
            seconds.append(time.perf_counter() - start)
            after = matmul_rate(*shape, kind, device)
            peaks.append((before + after) / 2)
            before = after
    return paces
