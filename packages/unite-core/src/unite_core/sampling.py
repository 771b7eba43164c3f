"""Solvers from noise to latents. Each takes the denoiser as a function and knows nothing of guidance."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torchdiffeq import odeint

from unite_core.flow import velocity

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(z_t [b, n, d], t [b]) -> clean latents [b, n, d]."""

Noise = Callable[[], Tensor]
"""Fresh standard normal noise [b, n, d] at each call."""


def slope(denoise: Denoiser, z: Tensor, t: Tensor) -> Tensor:
    """dz/dt at noise level t, a scalar."""
    level = t.to(z.dtype).expand(z.shape[0])
    return velocity(denoise(z, level), z, level)


def euler(denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"]) -> Tensor:
    """First order, one evaluation a step; `times` rises from 0 to 1."""
    for t, t_next in zip(times[:-1], times[1:], strict=True):
        z = z + (t_next - t).to(z.dtype) * slope(denoise, z, t)
    return z


def heun(denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"]) -> Tensor:
    """Second order, two evaluations a step (arXiv 2206.00364, algorithm 1 without churn)."""
    for t, t_next in zip(times[:-1], times[1:], strict=True):
        step = (t_next - t).to(z.dtype)
        first = slope(denoise, z, t)
        second = slope(denoise, z + step * first, t_next)
        z = z + step * (first + second) / 2
    return z


def dopri5(
    denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"], atol: float = 1e-6, rtol: float = 1e-3
) -> Tensor:
    """Adaptive order 5 (torchdiffeq), with the paper's tolerances."""

    def derivative(t: Tensor, z: Tensor) -> Tensor:
        return slope(denoise, z, t)

    path: Tensor = odeint(
        derivative, z, times.to(z), method="dopri5", atol=atol, rtol=rtol
    )
    return path[-1]


def stochastic(
    denoise: Denoiser,
    z: Tensor,
    times: Float[Tensor, " s"],
    noise: Noise,
    strength: float = 1.0,
) -> Tensor:
    """Re-noises the clean estimate at each step: z' = t' z_hat + (1 - t') eps'.

    eps' mixes the noise implied by (z, z_hat) with fresh noise: `strength` 1 takes all fresh, 0 none
    (Euler's step); the mix keeps unit variance (as DDIM's eta, arXiv 2010.02502 eq. 12).
    """
    for t, t_next in zip(times[:-1], times[1:], strict=True):
        level = t.to(z.dtype)
        estimate = denoise(z, level.expand(z.shape[0]))
        implied = (z - level * estimate) / (1 - level)
        fresh = (1 - strength**2) ** 0.5 * implied + strength * noise()
        z = t_next.to(z.dtype) * estimate + (1 - t_next).to(z.dtype) * fresh
    return z


def guided(
    conditional: Denoiser,
    unconditional: Denoiser,
    scale: float,
    interval: tuple[float, float] = (0.1, 1.0),
) -> Denoiser:
    """Classifier-free guidance on clean predictions, u + scale (c - u), inside the interval of t."""

    def denoise(z: Tensor, t: Tensor) -> Tensor:
        c = conditional(z, t)
        if scale == 1.0 or not interval[0] < float(t[0]) < interval[1]:
            return c
        u = unconditional(z, t)
        return torch.lerp(u, c, scale)

    return denoise
