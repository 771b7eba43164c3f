"""Solvers from noise to latents: each takes the denoiser as a function, guided or not."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from unite_core.flow import velocity

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(z_t [b, n, d], t [b]) -> clean latents [b, n, d]."""

Noise = Callable[[], Tensor]
"""Fresh standard normal noise [b, n, d] at each call."""


def slope(denoise: Denoiser, z: Tensor, level: Tensor) -> Tensor:
    """dz/dt at the noise level [b]."""
    return velocity(denoise(z, level), z, level)


def everywhere(t: float, z: Tensor) -> Tensor:
    """The noise level t of each sample of z, where z is."""
    return torch.full((z.shape[0],), t, dtype=z.dtype, device=z.device)


def euler(denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"]) -> Tensor:
    """First order, one evaluation a step; `times` rises from 0 to 1."""
    for t, t_next in pairwise(times.tolist()):
        z = z + (t_next - t) * slope(denoise, z, everywhere(t, z))
    return z


def heun(denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"]) -> Tensor:
    """Second order, two evaluations a step (arXiv 2206.00364, algorithm 1 without churn)."""
    for t, t_next in pairwise(times.tolist()):
        step = t_next - t
        first = slope(denoise, z, everywhere(t, z))
        second = slope(denoise, z + step * first, everywhere(t_next, z))
        z = z + step * (first + second) / 2
    return z


def dopri5(
    denoise: Denoiser, z: Tensor, times: Float[Tensor, " s"], atol: float = 1e-6, rtol: float = 1e-3
) -> Tensor:
    """Adaptive order 5 (torchdiffeq), with the paper's tolerances.

    Steps are as small as the batch as a whole needs: a sample depends on its batch-mates.
    """
    from torchdiffeq import odeint  # takes half a second, which the other solvers do without

    def derivative(t: Tensor, z: Tensor) -> Tensor:
        return slope(denoise, z, t.expand(z.shape[0]))

    path: Tensor = odeint(derivative, z, times.to(z), method="dopri5", atol=atol, rtol=rtol)
    return path[-1]


def stochastic(
    denoise: Denoiser,
    z: Tensor,
    times: Float[Tensor, " s"],
    noise: Noise,
    strength: float,
) -> Tensor:
    """Euler with part of the noise drawn anew at each step: z' = t' z_hat + (1 - t') eps'.

    eps' mixes the noise implied by (z, z_hat) with fresh noise, whose share of the variance is
    1 - r^strength, r the squared ratio of noise-to-data ratios after and before. Strength 0 is
    Euler's step, 1 ancestral sampling (arXiv 2010.02502 eq. 16), infinity takes all noise fresh.
    Finite strengths keep the distribution as steps shrink; large ones contract it at few steps.
    """
    for t, t_next in pairwise(times.tolist()):
        estimate = denoise(z, everywhere(t, z))
        implied = (z - t * estimate) / (1 - t)
        kept = (t * (1 - t_next) / (t_next * (1 - t))) ** strength
        eps = kept * implied + (1 - kept**2) ** 0.5 * noise()
        z = t_next * estimate + (1 - t_next) * eps
    return z


def guided(
    conditional: Denoiser,
    unconditional: Denoiser,
    scale: float,
    interval: tuple[float, float] = (0.1, 1.0),
) -> Denoiser:
    """Classifier-free guidance on clean predictions, u + scale (c - u), inside `interval` of t."""

    def denoise(z: Tensor, t: Tensor) -> Tensor:
        c = conditional(z, t)
        if scale == 1.0 or not interval[0] < float(t[0]) < interval[1]:
            return c
        u = unconditional(z, t)
        return torch.lerp(u, c, scale)

    return denoise
