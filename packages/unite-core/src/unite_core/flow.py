"""The linear path between noise (t = 0) and data (t = 1): the only home of 1 - t."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

Level = TypeVar("Level", float, Tensor)

# Both the flow weight and the velocity divide by 1 - t; below this it counts as this.
CLEAN_GAP = 0.05


def per_sample(t: Float[Tensor, " b"], like: Tensor) -> Tensor:
    """t [b] shaped to multiply `like` [b, ...]."""
    return t.view(-1, *([1] * (like.ndim - 1)))


def interpolate(z: Tensor, noise: Tensor, t: Float[Tensor, " b"]) -> Tensor:
    """z_t = t z + (1 - t) noise (arXiv 2209.03003, with t = 1 clean)."""
    t = per_sample(t, z)
    return t * z + (1 - t) * noise


def velocity(z_hat: Tensor, z_t: Tensor, t: Float[Tensor, " b"]) -> Tensor:
    """dz/dt = (z_hat - z_t) / max(1 - t, 0.05) from the prediction of clean latents."""
    return (z_hat - z_t) / per_sample((1 - t).clamp(min=CLEAN_GAP), z_t)


def clean(v: Tensor, z_t: Tensor, t: Float[Tensor, " b"]) -> Tensor:
    """Inverse of `velocity`: z_hat = z_t + max(1 - t, 0.05) v."""
    return z_t + per_sample((1 - t).clamp(min=CLEAN_GAP), z_t) * v


def loss_weight(t: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """1 / max(1 - t, 0.05)^2: makes the clean-latent error a velocity error."""
    return (1 - t).clamp(min=CLEAN_GAP) ** -2


def shift_time(t: Level, a: float) -> Level:
    """t' = a t / (1 + (a - 1) t): a < 1 moves levels towards noise (arXiv 2403.03206)."""
    return a * t / (1 + (a - 1) * t)


def draw_times(count: int, shift: float, device: torch.device) -> Float[Tensor, " n"]:
    """Training noise levels: sigmoid of a standard normal, shifted."""
    return shift_time(torch.randn(count, device=device).sigmoid(), shift)


def time_grid(steps: int, shift: float) -> Float[Tensor, " n"]:
    """`steps` + 1 levels from 0 to 1, shifted, float64."""
    return shift_time(torch.linspace(0, 1, steps + 1, dtype=torch.float64), shift)
