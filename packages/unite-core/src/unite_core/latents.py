"""Latents that no observation gave: from noise by a solver, or between two others."""

from collections.abc import Callable, Iterator
from functools import partial
from math import inf

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unite_core import sampling
from unite_core.config import Solver
from unite_core.sampling import Denoiser
from unite_core.types import Layout


class RowNoise:
    """Standard normal noise [b, n, d], each row a stream of its own, whatever its batch-mates.

    `seeds` has one (run, sample) pair for each row of `layout`; padding is zero. `temperature` is
    its standard deviation: below 1 samples are more typical and less diverse.
    """

    def __init__(
        self,
        seeds: list[tuple[int, int]],
        layout: Layout,
        latent_dim: int,
        temperature: float = 1.0,
    ) -> None:
        entropy = (np.random.SeedSequence(pair).generate_state(1, np.uint64)[0] for pair in seeds)
        self.generators = [torch.Generator().manual_seed(int(word) % 2**63) for word in entropy]
        self.sizes = layout.sizes.tolist()
        self.shape = (*layout.mask.shape, latent_dim)
        self.device = layout.sizes.device
        self.temperature = temperature

    def __call__(self) -> Tensor:
        noise = torch.zeros(self.shape)
        for row, size, generator in zip(noise, self.sizes, self.generators, strict=True):
            row[:size].normal_(std=self.temperature, generator=generator)
        return noise.to(self.device)


def equal_size_rows(sizes: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Row indices in batches whose samples have the same size, so that nothing is padded."""
    for size in sorted(set(sizes.tolist())):
        yield from (sizes == size).nonzero()[:, 0].split(batch_size)


def integrate(
    denoise: Denoiser,
    noise: RowNoise,
    times: Float[Tensor, " s"],
    solver: Solver,
    strength: float,
) -> Tensor:
    """Latents [b, n, d] from noise along `times`; `strength` is the stochastic solver's."""
    solvers: dict[Solver, Callable[[Denoiser, Tensor, Tensor], Tensor]] = {
        "euler": sampling.euler,
        "heun": sampling.heun,
        "dopri5": sampling.dopri5,
        "stochastic": partial(sampling.stochastic, noise=noise, strength=strength),
    }
    return solvers[solver](denoise, noise(), times)


class Recorder:
    """A denoiser that keeps, for each of `levels`, its estimate nearest to that level.

    Of equally near ones the last: Heun's second look at a level is the better one.
    """

    def __init__(self, denoise: Denoiser, levels: Float[Tensor, " l"]) -> None:
        self.denoise = denoise
        self.levels = levels.tolist()
        self.kept: dict[float, Tensor] = {}
        self.gaps = dict.fromkeys(self.levels, inf)

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        estimate = self.denoise(z, t)
        for level in self.levels:
            gap = abs(float(t[0]) - level)
            if gap <= self.gaps[level]:
                self.gaps[level], self.kept[level] = gap, estimate
        return estimate


def spherical(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], shares: Float[Tensor, " s"]
) -> Float[Tensor, "s n d"]:
    """From `a` (share 0) to `b` (share 1): each token turns evenly along its great circle.

    Its length, which the encoder's last LayerNorm all but fixes, changes evenly.
    """
    share = shares[:, None, None]
    start, end = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    # short of -1, where rounding turns the ends about
    cosine = (start * end).sum(-1, keepdim=True).clamp(-1 + 1e-6, 1)
    turns = cosine.acos() / torch.pi
    # the sines of the well-known formula over their angle, which may be zero
    direction = (1 - share) * torch.sinc((1 - share) * turns) * start
    direction = direction + share * torch.sinc(share * turns) * end
    length = torch.lerp(a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True), share)
    return F.normalize(direction, dim=-1) * length
